//! The HTTP side: sockets in, [`Request`]s and [`Response`]s through, sockets out.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the room that serves: it waits when told to, and measures how long answers take"
)]

mod body;
mod host;
mod payload;
mod server;
mod tls;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};

use crate::admin_api::{self, Reply};
use crate::control::{ControlPlane, Family};
use crate::error::ApiError;
use crate::http::{Request, Response};
use crate::now::Now;
use crate::page;
use crate::shared::Shared;
use crate::store::Receipt;
use payload::{Broken, Payload, deliver};
use tls::Tls;

pub(crate) use body::Room;

/// How many connections there are at once; more wait to be accepted.
const CONNECTIONS: usize = 2048;
/// The most that is read ahead of a connection, and the longest head of a request, in bytes.
const BUFFER: usize = 16 * 1024;

/// A service without TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// AWS's APIs and the admin API.
    Api,
    /// The metadata service.
    Imds,
}

/// Which service a socket belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Plain(Plain),
    /// AWS's APIs, over TLS.
    SecureApi,
    /// What runs on servers of the account, over TLS.
    Server(Family),
}

/// Serves all listeners on a thread of their own until `stopped` resolves or its sender is gone.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub(crate) fn spawn(
    listeners: Vec<(Role, TcpListener)>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let register = |(role, listener)| {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map(|listener| (role, listener))
    };
    let listeners: Vec<_> = listeners.into_iter().map(register).collect::<Result<_, _>>()?;
    Builder::new().name("enlist-emulator".to_owned()).spawn(move || {
        runtime.block_on(async {
            for (role, listener) in listeners {
                tokio::spawn(accept(listener, role, Arc::clone(&shared)));
            }
            // Both a message and a sender that is gone mean the same: stop.
            let _ = stopped.await;
        });
    })
}

async fn accept(listener: tokio::net::TcpListener, role: Role, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let tls = Arc::new(Tls::default());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        // A failure here is one connection's (reset before it was accepted), or too many open
        // files, which passes when others close.
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (shared, tls) = (Arc::clone(&shared), Arc::clone(&tls));
        tokio::spawn(async move {
            let _place = place;
            let family = match role {
                Role::Server(family) => family,
                Role::SecureApi => {
                    if let Some(stream) = tls.accept_api(stream, &shared).await {
                        let service =
                            service_fn(|request| answer(request, Plain::Api, peer, &shared));
                        serve(stream, service, &shared).await;
                    }
                    return;
                }
                Role::Plain(role) => {
                    let service = service_fn(|request| answer(request, role, peer, &shared));
                    return serve(stream, service, &shared).await;
                }
            };
            // One that fails has been told to the client by TLS.
            if let Some((stream, connection)) = tls.accept(stream, family, &shared).await {
                let service =
                    service_fn(|request| server::answer(request, family, &connection, &shared));
                serve(stream, service, &shared).await;
            }
        });
    }
}

async fn serve<S, A>(stream: S, service: A, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: HttpService<Incoming, ResBody = Payload, Error = Broken>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.read_timeout)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away, or a connection broken on request.
    let _ = connection.await;
}

async fn answer(
    request: hyper::Request<Incoming>,
    role: Plain,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<hyper::Response<Payload>, Broken> {
    if let Err(refused) = check_host(&request, &shared.hosts) {
        return deliver(refused.response(), shared.now()).await;
    }
    let (head, body) = request.into_parts();
    let mut request = request_of(&head);
    // The body's share of the memory is given back when it has been answered.
    let time = shared.read_timeout;
    let read = match admin_api::large_body(&request, peer, shared).filter(|_| role == Plain::Api) {
        Some(limit) => Room::read_large(body, limit, time).await,
        None => shared.room.read(body, time).await,
    };
    let (bytes, _room) = match read {
        Ok(whole) => whole.into_parts(),
        Err(error) => {
            let refused = error.response().with_header("connection", "close");
            return deliver(refused, shared.now()).await;
        }
    };
    request.body = bytes;
    let page = page::answer(&request, peer).filter(|_| role == Plain::Api);
    if let Some(page) = page {
        return deliver(page, shared.now()).await;
    }
    let response = match role {
        Plain::Imds => ask_imds(&request, shared),
        Plain::Api => match admin_api::answer(&request, peer, shared) {
            Some(Reply::Pieces(pieces)) => return payload::stream(pieces),
            Some(Reply::Response(response)) => {
                let receipt = shared.commit(&mut shared.control());
                written(receipt, response).await
            }
            None => {
                let (response, receipt) =
                    call(shared, |control, now| control.handle(now, &request));
                written(receipt, response).await
            }
        },
    };
    deliver(response, shared.now()).await
}

/// The response, once the changes it tells of are on the disk.
pub(super) async fn written(receipt: Option<Receipt>, response: Response) -> Response {
    let Some(receipt) = receipt else { return response };
    match receipt.written().await {
        Ok(()) => response,
        Err(error) => {
            let text = format!("The state could not be written: {error}.");
            ApiError::InternalFailure(text).response()
        }
    }
}

/// The name in the target, when it is a proxy's form of a request, and the one in the header.
fn check_host(request: &hyper::Request<Incoming>, names: &[String]) -> Result<(), ApiError> {
    let header = request.headers().get("host").map(|value| value.to_str().unwrap_or_default());
    let target = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    let host = header.or(target).unwrap_or_default();
    for name in [Some(host), target].into_iter().flatten() {
        if !host::is_taken(name, names) {
            return Err(ApiError::Misdirected(name.to_owned()));
        }
    }
    Ok(())
}

/// Answers one request, measures and logs it, and commits what it changed.
pub(super) fn call(
    shared: &Shared,
    handle: impl FnOnce(&mut ControlPlane, Now) -> Response,
) -> (Response, Option<Receipt>) {
    let began = Instant::now();
    let mut control = shared.control();
    let response = handle(&mut control, shared.now());
    control.set_duration(began.elapsed());
    if shared.log.is_on()
        && let Some(line) = control.record().newest_line()
    {
        shared.log.line(line);
    }
    let receipt = shared.commit(&mut control);
    (response, receipt)
}

fn ask_imds(request: &Request, shared: &Shared) -> Response {
    let mut imds = shared.imds();
    let response = imds.handle(shared.now(), request);
    if let Some(call) = imds.newest().filter(|_| shared.log.is_on()) {
        shared.log.line(call.line());
    }
    response
}

pub(super) fn request_of(head: &hyper::http::request::Parts) -> Request {
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: Vec::new(),
    }
}
