//! Whom TLS trusts, and as whom the node shows itself.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_smithy_async::time::TimeSource;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::VerifierBuilderError;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime,
};

use super::connect::{name_of, refused};
use super::{HttpsError, Identity, Server, Trust};
use crate::host::net::{HttpClients, Since1970};
use crate::host::tls::{Reason, UnknownCa};
use crate::pki::certificate::issuer_of;
use crate::pki::crl::Revocation;
use crate::pki::public_key::sha256;

/// The TLS settings for a server.
///
/// # Errors
/// Where the trusted CAs or the node's own certificate can't be used. Nothing was sent then.
pub(super) fn client_config(
    clients: &HttpClients,
    server: &Server<'_>,
) -> Result<ClientConfig, HttpsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Since1970))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(clients, server.trust)?);
    match server.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { certificate, key }) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).flatten().collect();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
            let key = key.map_err(|error| unusable(&error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))
        }
    }
}

/// Verifies the certificates of a server, its own first. The connection showed that it has their key.
///
/// # Errors
/// `NoTls` where they are not acceptable.
pub(super) fn verify(
    clients: &HttpClients,
    server: &Server<'_>,
    certificates: &[CertificateDer<'_>],
) -> Result<(), HttpsError> {
    let (Some((own, others)), Some(now)) = (certificates.split_first(), Since1970.current_time())
    else {
        return Err(HttpsError::NoTls(Reason::Other("it has no certificate".to_owned())));
    };
    let name = name_of(server.host)?;
    let verified =
        verifier(clients, server.trust)?.verify_server_cert(own, others, &name, &[], now);
    verified.map(drop).map_err(|error| refused(&error))
}

/// Whom this trust accepts.
fn verifier(
    clients: &HttpClients,
    trust: Trust<'_>,
) -> Result<Arc<dyn ServerCertVerifier>, HttpsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (roots, lists) = match trust {
        Trust::Unchecked => {
            return Ok(Arc::new(Anybody(provider.signature_verification_algorithms)));
        }
        Trust::Ca(pem) => (roots(pem.as_bytes()), None),
        Trust::CaAndLists(pem, lists) => (roots(pem.as_bytes()), Some(lists)),
        Trust::System => {
            let pem = clients.system_roots().map_err(HttpsError::NoRoots)?;
            (roots(&pem), None)
        }
    };
    let trusted = match trust {
        Trust::Ca(pem) | Trust::CaAndLists(pem, _) => {
            let ders = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
            ders.map(|der| sha256(&der)).collect::<Vec<_>>().join(", ")
        }
        Trust::System | Trust::Unchecked => "the CAs of this system".to_owned(),
    };
    let (pem, revocation) =
        lists.map_or(("", Revocation::Chain), |it| (it.pem.as_str(), it.revocation));
    let lists = CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()).flatten();
    // A list that has expired counts: it says no less than no list.
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match revocation {
        Revocation::Chain => builder,
        Revocation::Leaf => builder.only_check_end_entity_revocation(),
        Revocation::Off => {
            builder.only_check_end_entity_revocation().allow_unknown_revocation_status()
        }
    };
    match builder.with_crls(lists).build() {
        Ok(verifier) => Ok(Arc::new(Telling { verifier, trusted })),
        Err(VerifierBuilderError::InvalidCrl(why)) => {
            Err(refused(&rustls::Error::InvalidCertRevocationList(why)))
        }
        Err(_) => Err(refused(&UNKNOWN)),
    }
}

/// Without a CA, each is unknown.
const UNKNOWN: rustls::Error = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);

fn unusable(error: &dyn std::error::Error) -> HttpsError {
    HttpsError::NoTls(Reason::Other(error.to_string()))
}

/// The bundle was checked where it was read; what webpki can't take verifies nothing.
fn roots(pem: &[u8]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    roots
}

/// Names the CA where it is unknown.
#[derive(Debug)]
struct Telling {
    verifier: Arc<WebPkiServerVerifier>,
    /// The digests of what is trusted.
    trusted: String,
}

impl ServerCertVerifier for Telling {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier.verify_server_cert(own, others, name, ocsp, now);
        verified.map_err(|error| match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                let last = others.last().unwrap_or(own);
                let unknown = UnknownCa {
                    issuer: issuer_of(last).unwrap_or_else(|| "which can't be read".to_owned()),
                    sent: sha256(last),
                    trusted: self.trusted.clone(),
                };
                CertificateError::Other(OtherError(Arc::new(unknown))).into()
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
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
