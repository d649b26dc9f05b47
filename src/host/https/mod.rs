//! One HTTPS request to a server that is not AWS's: on a connection of its own, through the proxy that
//! the environment names, and with a limit to all that is read. A redirect is reported and never
//! followed. It uses the TLS and HTTP crates under the SDK.

mod connect;
mod fault;
mod verify;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;

use super::net::{HttpClients, ProxyRefused};
use super::timer;
use super::tls::Reason;
use crate::fault::{Fault, deepest};
use crate::pki::crl::Lists;
use crate::targets::address::bracketed;
use crate::text;
use connect::connect;

pub(super) use connect::tcp;
pub use fault::{Asked, retry_after};

/// A server, how it is verified, and as whom the node shows itself.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// A name or an address. An IPv6 address has no brackets.
    pub host: &'a str,
    pub port: u16,
    pub trust: Trust<'a>,
    pub identity: Option<Identity<'a>>,
}

/// How the server's certificate is verified.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// With the certificates of this CA, PEM.
    Ca(&'a str),
    /// With the certificates of this CA, PEM, and with revocation lists.
    CaAndLists(&'a str, &'a Lists),
    /// With the CAs that this system trusts.
    System,
    /// Not at all. Then send no secret, and verify the answer by other means.
    Unchecked,
}

/// A client certificate.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// PEM. Intermediates may follow.
    pub certificate: &'a str,
    /// PEM.
    pub key: &'a str,
}

impl std::fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// Limits to one answer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte sent to the last one read.
    pub time: Duration,
    pub bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// Nothing was sent.
    #[error("cannot connect ({0})")]
    NoConnection(String),
    /// Nothing was sent. The proxy's URL, and why.
    #[error("cannot connect through the proxy {0} ({1})")]
    NoProxy(String, String),
    /// Nothing was sent to the server.
    #[error("{0}")]
    Proxy(ProxyRefused),
    /// Nothing was sent.
    #[error("no secure connection ({0:?})")]
    NoTls(Reason),
    /// Nothing was sent: the CAs that this system trusts can't be read.
    #[error("{0}")]
    NoRoots(Fault),
    /// The request was sent.
    #[error("no answer in {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The request was sent.
    #[error("the connection ended without a whole answer ({0})")]
    CutShort(String),
    /// The request was sent.
    #[error("the answer is larger than {0} bytes, and the rest was not read")]
    TooLarge(usize),
    /// The request was sent.
    #[error("what answered does not speak HTTP ({0})")]
    NotHttp(String),
    /// What was asked is elsewhere. The status, and where.
    #[error("the answer is a redirect (HTTP status {0}) to {1}, which is not followed")]
    Redirect(u16, String),
}

/// As whom enlist asks a server that is not AWS's.
pub const USER_AGENT: &str = concat!("enlist/", env!("CARGO_PKG_VERSION"));

/// `host:port`, with brackets around an IPv6 address.
#[must_use]
pub fn place(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

/// A connection to a server, for one request after the other.
pub struct Connection {
    /// The server's certificates in DER, its own first.
    peer: Vec<CertificateDer<'static>>,
    sender: http1::SendRequest<Full<Bytes>>,
    /// Reads and writes while an answer is waited for. None: it has ended.
    driver: Option<Driver>,
}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Connection {
    /// Connects, through the proxy that the environment names.
    ///
    /// # Errors
    /// Why there is no connection. Nothing was sent.
    pub async fn open(clients: &HttpClients, server: Server<'_>) -> Result<Self, HttpsError> {
        let stream = connect(clients, server).await?;
        let peer = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = peer.iter().map(|der| der.clone().into_owned()).collect();
        let (sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| of_hyper(&error))?;
        Ok(Self { peer, sender, driver: Some(Box::pin(driver)) })
    }

    /// Verifies the server again, where more is known of its CA than when the connection was made.
    ///
    /// # Errors
    /// `NoTls`, as for a new connection.
    pub fn verify(&self, clients: &HttpClients, server: &Server<'_>) -> Result<(), HttpsError> {
        verify::verify(clients, server, &self.peer)
    }

    /// Whether another request can be sent, as far as this side knows.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Sends a request with a path as its URI, and reads the answer.
    ///
    /// # Errors
    /// Why there is no complete answer.
    pub async fn ask(
        &mut self,
        clients: &HttpClients,
        request: Request<Full<Bytes>>,
        limits: Limits,
    ) -> Result<Response<Bytes>, HttpsError> {
        let limit = timer::cut(limits.time);
        let answer = timeout(limit, self.exchange(request, limits.bytes)).await;
        let answer = answer.map_err(|_| HttpsError::TimedOut(limit))??;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(date) = header("date") {
            clients.skew().note(date);
        }
        match (answer.status().as_u16(), header("location")) {
            (status @ (301..=303 | 307 | 308), to) => {
                let to = to.map_or_else(|| "an unknown place".to_owned(), shown_target);
                Err(HttpsError::Redirect(status, to))
            }
            _ => Ok(answer),
        }
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        largest: usize,
    ) -> Result<Response<Bytes>, HttpsError> {
        let sending = self.sender.send_request(request);
        let answer = Box::pin(async move {
            let response = sending.await.map_err(|error| of_hyper(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, largest).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    HttpsError::TooLarge(largest)
                } else {
                    HttpsError::CutShort(deepest(&*error))
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        });
        let Some(driver) = self.driver.take() else { return answer.await };
        match select(answer, driver).await {
            Either::Left((answer, driver)) => {
                self.driver = Some(driver);
                answer
            }
            // The connection has ended, so the answer is complete.
            Either::Right((_, answer)) => answer.await,
        }
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// Why there is no complete answer.
pub async fn ask(
    clients: &HttpClients,
    server: Server<'_>,
    request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response<Bytes>, HttpsError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    tracing::trace!(host = server.host, port = server.port, %method, path, "connecting");
    Connection::open(clients, server).await?.ask(clients, request, limits).await
}

fn of_hyper(error: &hyper::Error) -> HttpsError {
    if error.is_parse() {
        HttpsError::NotHttp(deepest(error))
    } else {
        HttpsError::CutShort(deepest(error))
    }
}
/// The target of a redirect, without what may be a secret in it: login, query and fragment.
fn shown_target(location: &str) -> String {
    let place = location.split(['?', '#']).next().unwrap_or_default();
    text::line(&text::without_login(place, "(secret)"))
}

#[cfg(test)]
mod tests {
    use super::shown_target;

    #[test]
    fn a_redirect_is_shown_without_secrets() {
        for (location, shown) in [
            ("https://elsewhere.example/path", "https://elsewhere.example/path"),
            ("https://u:s3cret@x.example/p?token=s3cret#s3cret", "https://(secret)@x.example/p"),
            ("/login?token=s3cret", "/login"),
        ] {
            assert_eq!(shown_target(location), shown);
        }
    }
}
