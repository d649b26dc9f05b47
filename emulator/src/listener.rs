//! The HTTP side: sockets in, [`Request`]s and [`Response`]s through, sockets out.

#![allow(clippy::disallowed_methods, reason = "the room that serves: it waits when told to")]

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use crate::emulator::Shared;
use crate::error::ApiError;
use crate::http::{Delivery, Request, Response};
use crate::now::Now;

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Which of the two services a socket belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Api,
    Imds,
}

/// The connection is to break without, or within, a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on request")]
struct Broken;

/// Serves both listeners on a thread of their own until `stopped` resolves or its sender is gone.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub(crate) fn spawn(
    api: TcpListener,
    imds: Option<TcpListener>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let register = |listener| {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)
    };
    let api = register(api)?;
    let imds = imds.map(register).transpose()?;
    Builder::new().name("enlist-emulator".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::spawn(accept(api, Role::Api, Arc::clone(&shared)));
            if let Some(imds) = imds {
                tokio::spawn(accept(imds, Role::Imds, shared));
            }
            // Both a message and a sender that is gone mean the same: stop.
            let _ = stopped.await;
        });
    })
}

async fn accept(listener: tokio::net::TcpListener, role: Role, shared: Arc<Shared>) {
    loop {
        // A failure here is one connection's (reset before it was accepted), or too many open
        // files, which passes when others close.
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, role, peer, &shared));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away, or a connection broken on request.
            let _ = connection.await;
        });
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    role: Role,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<hyper::Response<Payload>, Broken> {
    let response = match read(request).await {
        Some(request) if role == Role::Imds => ask_imds(&request, shared),
        Some(request) => match observe(&request, peer, shared) {
            Some(observed) => observed,
            None => call(&request, shared),
        },
        None => ApiError::RequestEntityTooLarge.response(),
    };
    deliver(response, shared.now()).await
}

fn call(request: &Request, shared: &Shared) -> Response {
    let mut control = shared.control();
    let response = control.handle(shared.now(), request);
    if let Some(call) = control.calls().last().filter(|_| shared.log) {
        log(&call.line());
    }
    response
}

fn ask_imds(request: &Request, shared: &Shared) -> Response {
    let mut imds = shared.imds();
    let response = imds.handle(shared.now(), request);
    if let Some(call) = imds.calls().last().filter(|_| shared.log) {
        log(&call.line());
    }
    response
}

/// A log that nobody reads any more must not stop the service.
fn log(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What people and scripts may see of the emulator, unsigned, from this machine only.
fn observe(request: &Request, peer: SocketAddr, shared: &Shared) -> Option<Response> {
    if request.method != "GET" || !peer.ip().to_canonical().is_loopback() {
        return None;
    }
    let control = shared.control();
    let body = match request.path.as_str() {
        "/_emulator/state" => control.state(shared.now()).to_string(),
        "/_emulator/calls" => serde_json::to_string(control.calls()).ok()?,
        _ => return None,
    };
    Some(Response::new(200, "application/json", body))
}

/// Reads a request to its end; `None` when the body is too long or breaks off.
async fn read(request: hyper::Request<Incoming>) -> Option<Request> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.ok()?.to_bytes();
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    Some(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: body.to_vec(),
    })
}

async fn deliver(response: Response, now: Now) -> Result<hyper::Response<Payload>, Broken> {
    match response.delivery {
        Delivery::Dropped => return Err(Broken),
        Delivery::Late(wait) => tokio::time::sleep(wait).await,
        Delivery::Whole | Delivery::Truncated => {}
    }
    let truncated = response.delivery == Delivery::Truncated;
    let length = response.body.len();
    let mut bytes = Bytes::from(response.body);
    if truncated {
        bytes.truncate(length / 2);
    }
    let mut built = hyper::Response::builder().status(response.status);
    // By the clock that requests are judged by, which may be wrong on purpose.
    built = built.header("date", now.http_date());
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    let payload = Payload { bytes: Some(bytes), length, truncated, flushed: false };
    built.body(payload).map_err(|_| Broken)
}

/// A body that may break off: the length is announced whole, half of it comes.
struct Payload {
    bytes: Option<Bytes>,
    length: usize,
    truncated: bool,
    /// Whether the half has been given time to go out; hyper drops what it has not yet written.
    flushed: bool,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.truncated && !self.flushed => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.truncated => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.truncated
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.length).unwrap_or(u64::MAX))
    }
}
