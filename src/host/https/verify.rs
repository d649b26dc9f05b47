//! Whom TLS trusts, and as whom the node shows itself.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_smithy_async::time::TimeSource;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{HttpsError, Identity, Server, Trust};
use crate::host::net::{HttpClients, Since1970};
use crate::host::tls::Reason;

/// The TLS settings for a server.
///
/// # Errors
/// Where the trusted CAs or the node's own certificate can't be used. Nothing was sent then.
pub(super) fn client_config(
    clients: &HttpClients,
    server: &Server<'_>,
) -> Result<ClientConfig, HttpsError> {
    let unusable = |error: rustls::Error| HttpsError::NoTls(Reason::Other(error.to_string()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Since1970))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match server.trust {
        Trust::Unchecked => {
            let anybody = Arc::new(Anybody(algorithms));
            builder.dangerous().with_custom_certificate_verifier(anybody)
        }
        Trust::Ca(pem) => builder.with_root_certificates(roots(pem.as_bytes())),
        Trust::System => {
            let pem = clients.system_roots().map_err(HttpsError::NoRoots)?;
            builder.with_root_certificates(roots(&pem))
        }
    };
    match server.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { certificate, key }) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).flatten().collect();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
            let key = key.map_err(|error| unusable(rustls::Error::General(error.to_string())))?;
            builder.with_client_auth_cert(chain, key).map_err(unusable)
        }
    }
}

/// The bundle was checked where it was read; what webpki can't take verifies nothing.
fn roots(pem: &[u8]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    roots
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
