//! One HTTPS request to a server that has a CA of its own: on a connection of its own, without a
//! redirect, and with a limit to all that is read. It uses the TLS and HTTP crates under the SDK.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::net::Since1970;
use super::tls::{self, Reason};
use crate::fault::deepest;

/// How long a connection may take, and how long TLS.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const TLS_LIMIT: Duration = Duration::from_secs(10);

/// A server, and how it is verified.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// A name or an address.
    pub host: &'a str,
    pub port: u16,
    /// The certificates of its CA, PEM. None: any certificate is accepted. Then send no secret, and
    /// verify the answer by other means.
    pub ca: Option<&'a str>,
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
    /// Nothing was sent.
    #[error("no secure connection ({0:?})")]
    NoTls(Reason),
    /// The request was sent.
    #[error("no answer in {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The request was sent.
    #[error("the connection ended without a whole answer ({0})")]
    CutShort(String),
    #[error("the answer is larger than {0} bytes, and the rest was not read")]
    TooLarge(usize),
    #[error("what answered does not speak HTTP ({0})")]
    NotHttp(String),
}

/// Sends a request with a path as its URI, and reads the answer.
///
/// # Errors
/// Why there is no complete answer.
pub async fn ask(
    server: Server<'_>,
    request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response<Bytes>, HttpsError> {
    let stream = connect(server).await?;
    let exchange = exchange(stream, request, limits.bytes);
    match timeout(limits.time, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpsError::TimedOut(limits.time)),
    }
}

async fn connect(server: Server<'_>) -> Result<TlsStream<TcpStream>, HttpsError> {
    let name = ServerName::try_from(server.host.to_owned())
        .map_err(|error| HttpsError::NoConnection(error.to_string()))?;
    let config = client_config(server.ca)
        .map_err(|error| HttpsError::NoTls(Reason::Other(error.to_string())))?;
    let stream = timeout(CONNECT_LIMIT, TcpStream::connect((server.host, server.port)))
        .await
        .map_err(|_| HttpsError::NoConnection(format!("not in {} s", CONNECT_LIMIT.as_secs())))?
        .map_err(|error| HttpsError::NoConnection(deepest(&error)))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match timeout(TLS_LIMIT, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            let reason = tls::reason(&error);
            Err(HttpsError::NoTls(reason.unwrap_or_else(|| Reason::Other(deepest(&error)))))
        }
        Err(_) => {
            let why = format!("TLS took more than {} s", TLS_LIMIT.as_secs());
            Err(HttpsError::NoTls(Reason::Other(why)))
        }
    }
}

fn client_config(ca: Option<&str>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Since1970))
        .with_safe_default_protocol_versions()?;
    let Some(ca) = ca else {
        let anybody = Arc::new(Anybody(algorithms));
        let builder = builder.dangerous().with_custom_certificate_verifier(anybody);
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    // The bundle was checked where it was read; what webpki can't take verifies nothing.
    let certificates = CertificateDer::pem_slice_iter(ca.as_bytes()).flatten();
    roots.add_parsable_certificates(certificates);
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Takes any certificate, for a first fetch whose result is checked afterwards.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl TimeProvider for Since1970 {
    fn current_time(&self) -> Option<UnixTime> {
        let since = TimeSource::now(self).duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(since))
    }
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
    largest: usize,
) -> Result<Response<Bytes>, HttpsError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| of_hyper(&error))?;
    let answer = Box::pin(async move {
        let response = sender.send_request(request).await.map_err(|error| of_hyper(&error))?;
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
    match select(answer, Box::pin(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection has ended, so the answer is complete.
        Either::Right((_, answer)) => answer.await,
    }
}

fn of_hyper(error: &hyper::Error) -> HttpsError {
    if error.is_parse() {
        HttpsError::NotHttp(deepest(error))
    } else {
        HttpsError::CutShort(deepest(error))
    }
}
