//! The connection: directly or through a proxy, then TLS.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::verify::client_config;
use super::{HttpsError, Server, Trust, place};
use crate::fault::deepest;
use crate::host::net::{HttpClients, proxy};
use crate::host::timer;
use crate::host::tls::{self, Reason};
use crate::targets::address::Url;

/// How long a connection may take, and how long TLS or a proxy's answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const TLS_LIMIT: Duration = Duration::from_secs(10);

/// A connection, whatever is below it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connects to a server, through the proxy that the environment names for it.
///
/// # Errors
/// Why there is no connection. Nothing was sent then.
pub(super) async fn connect(
    clients: &HttpClients,
    server: Server<'_>,
) -> Result<TlsStream<Box<dyn Stream>>, HttpsError> {
    let url = format!("https://{}", place(server.host, server.port));
    let stream: Box<dyn Stream> = match clients.proxy_of(&url) {
        Some(proxy) => through(clients, &proxy, server).await?,
        None => Box::new(tcp(server.host, server.port).await.map_err(HttpsError::NoConnection)?),
    };
    secured(clients, stream, server).await
}

/// A connection to a server that a proxy has made.
async fn through(
    clients: &HttpClients,
    url: &str,
    server: Server<'_>,
) -> Result<Box<dyn Stream>, HttpsError> {
    let shown = proxy::shown(url);
    let failed = |why: String| HttpsError::NoProxy(shown.clone(), why);
    let parsed = Url::parse(url).map_err(|error| failed(error.to_string()))?;
    let port = parsed.port_or_default();
    let stream = tcp(parsed.host, port).await.map_err(failed)?;
    let mut stream: Box<dyn Stream> = if parsed.is_plain {
        Box::new(stream)
    } else {
        let itself = Server { host: parsed.host, port, trust: Trust::System, identity: None };
        let secured = secured(clients, Box::new(stream), itself).await;
        Box::new(secured.map_err(|error| failed(error.to_string()))?)
    };
    let place = place(server.host, server.port);
    let tunnel = proxy::tunnel(&mut stream, parsed.login, &place);
    let limit = timer::cut(TLS_LIMIT);
    let status = timeout(limit, tunnel).await;
    let status = status.map_err(|_| failed(format!("no answer in {} s", limit.as_secs())))?;
    match status.map_err(|error| failed(error.to_string()))? {
        200..=299 => Ok(stream),
        status => Err(HttpsError::Proxy(proxy::ProxyRefused { status, proxy: shown })),
    }
}

/// Connects without TLS.
///
/// # Errors
/// Why there is no connection.
pub(in crate::host) async fn tcp(host: &str, port: u16) -> Result<TcpStream, String> {
    let limit = timer::cut(CONNECT_LIMIT);
    let connected = timeout(limit, TcpStream::connect((host, port))).await;
    let connected = connected.map_err(|_| format!("not in {} s", limit.as_secs()))?;
    let stream = connected.map_err(|error| deepest(&error))?;
    // Else the request waits for the acknowledgement of the end of the handshake, which a server delays by 40 ms.
    drop(stream.set_nodelay(true));
    Ok(stream)
}

async fn secured(
    clients: &HttpClients,
    stream: Box<dyn Stream>,
    server: Server<'_>,
) -> Result<TlsStream<Box<dyn Stream>>, HttpsError> {
    let name = name_of(server.host)?;
    let config = client_config(clients, &server)?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let limit = timer::cut(TLS_LIMIT);
    match timeout(limit, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => {
            let why = format!("TLS took more than {} s", limit.as_secs());
            Err(HttpsError::NoTls(Reason::Other(why)))
        }
    }
}

/// The name that the server's certificate must have.
pub(super) fn name_of(host: &str) -> Result<ServerName<'static>, HttpsError> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|error| HttpsError::NoConnection(error.to_string()))
}

pub(super) fn refused(error: &(dyn Error + 'static)) -> HttpsError {
    let reason = tls::reason(error);
    HttpsError::NoTls(reason.unwrap_or_else(|| Reason::Other(deepest(error))))
}
