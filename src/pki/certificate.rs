//! What is checked before a certificate is trusted: that it is one, for our key, our name, valid
//! now, and signed by the authority that we know.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::public_key::{PublicKey, hex, pem_lines};

/// An authority's certificates: the self-signed root, and the intermediates below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBundle {
    certificates: Vec<Vec<u8>>,
    roots: Vec<usize>,
}

/// A certificate that passed [`check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The one certificate, written anew without whatever stood around it.
    pub pem: String,
    /// Lower-case hexadecimal digits.
    pub serial: String,
    /// Unix seconds.
    pub not_after: i64,
}

/// What a certificate has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    pub key: &'a PublicKey,
    pub name: &'a str,
    pub ca: &'a CaBundle,
    /// Unix seconds by this node's clock.
    pub now: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("it is not PEM")]
    NotPem,
    #[error("it holds {0} PEM blocks, not one certificate")]
    NotOne(usize),
    #[error("it holds a {0:?} block, not a certificate")]
    WrongLabel(String),
    #[error("it is not an X.509 certificate")]
    NotX509,
    #[error("it is for another key (SHA-256 of its public key: {0})")]
    OtherKey(String),
    #[error("its key is not an RSA key")]
    NotRsa,
    #[error("it is for the name {0:?}")]
    OtherName(String),
    #[error("it expired at {not_after}, and this node's clock says {now} (Unix seconds)")]
    Expired { not_after: i64, now: i64 },
    #[error(
        "it is valid from {not_before} on, and this node's clock says {now} (Unix seconds): is the clock behind?"
    )]
    NotYetValid { not_before: i64, now: i64 },
    #[error("it is a CA's certificate, not a node's")]
    IsCa,
    #[error("it is not signed by the authority that we know ({0})")]
    OtherCa(String),
    #[error("the CA bundle holds no certificate")]
    NoCa,
    #[error("certificate {0} of the CA bundle is not an X.509 CA certificate")]
    BadCa(usize),
    #[error("the CA bundle holds no self-signed root, so nothing can be verified up to it")]
    NoRoot,
}

impl CaBundle {
    /// From PEM: one certificate or several (Puppet's own CA is a root and an intermediate).
    ///
    /// # Errors
    /// When it holds anything but CA certificates, or no root.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::NotPem)?;
        if blocks.is_empty() {
            return Err(CertificateError::NoCa);
        }
        let mut certificates = Vec::new();
        let mut roots = Vec::new();
        for (index, block) in blocks.into_iter().enumerate() {
            if block.tag() != "CERTIFICATE" {
                return Err(CertificateError::WrongLabel(block.tag().to_owned()));
            }
            let (_, parsed) = X509Certificate::from_der(block.contents())
                .map_err(|_| CertificateError::BadCa(index + 1))?;
            if !parsed.is_ca() {
                return Err(CertificateError::BadCa(index + 1));
            }
            if parsed.subject() == parsed.issuer() {
                roots.push(index);
            }
            certificates.push(block.into_contents());
        }
        if roots.is_empty() {
            return Err(CertificateError::NoRoot);
        }
        Ok(Self { certificates, roots })
    }

    /// Every certificate, one after the other, without comments.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.certificates.iter().map(|der| certificate_pem(der)).collect()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    fn anchors<'a>(&self, ders: &'a [CertificateDer<'a>]) -> Vec<TrustAnchor<'a>> {
        let roots = self.roots.iter().filter_map(|root| ders.get(*root));
        roots.filter_map(|der| anchor_from_trusted_cert(der).ok()).collect()
    }
}

/// Checks what the authority sent back.
///
/// # Errors
/// The first reason why it can't be accepted.
pub fn check(text: &str, expected: &Expectation<'_>) -> Result<Certificate, CertificateError> {
    let der = only_certificate(text)?;
    let (rest, parsed) = X509Certificate::from_der(&der).map_err(|_| CertificateError::NotX509)?;
    if !rest.is_empty() {
        return Err(CertificateError::NotX509);
    }
    let key =
        PublicKey::from_spki(parsed.public_key().raw).map_err(|_| CertificateError::NotRsa)?;
    if key != *expected.key {
        return Err(CertificateError::OtherKey(key.fingerprint()));
    }
    let name = common_name(&parsed);
    if name != expected.name {
        return Err(CertificateError::OtherName(name));
    }
    if parsed.is_ca() {
        return Err(CertificateError::IsCa);
    }
    let validity = parsed.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if expected.now < not_before {
        return Err(CertificateError::NotYetValid { not_before, now: expected.now });
    }
    if expected.now > not_after {
        return Err(CertificateError::Expired { not_after, now: expected.now });
    }
    verify_chain(&der, expected)?;
    Ok(Certificate { pem: certificate_pem(&der), serial: hex(parsed.raw_serial()), not_after })
}

fn only_certificate(text: &str) -> Result<Vec<u8>, CertificateError> {
    let blocks = pem::parse_many(text).map_err(|_| CertificateError::NotPem)?;
    match <[pem::Pem; 1]>::try_from(blocks) {
        Ok([block]) if block.tag() == "CERTIFICATE" => Ok(block.into_contents()),
        Ok([block]) => Err(CertificateError::WrongLabel(block.tag().to_owned())),
        Err(blocks) if blocks.is_empty() => Err(CertificateError::NotPem),
        Err(blocks) => Err(CertificateError::NotOne(blocks.len())),
    }
}

/// The path up to a root of the bundle, every signature and every date on it (RFC 5280 §6).
fn verify_chain(der: &[u8], expected: &Expectation<'_>) -> Result<(), CertificateError> {
    let other_ca = |error: webpki::Error| CertificateError::OtherCa(error.to_string());
    let bundle: Vec<CertificateDer<'_>> =
        expected.ca.certificates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors = expected.ca.anchors(&bundle);
    let leaf = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&leaf).map_err(other_ca)?;
    let now = u64::try_from(expected.now).unwrap_or(0);
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &bundle,
        UnixTime::since_unix_epoch(Duration::from_secs(now)),
        KeyUsage::client_auth(),
        None,
        None,
    )
    .map(|_| ())
    .map_err(other_ca)
}

fn common_name(certificate: &X509Certificate<'_>) -> String {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().unwrap_or_default().to_owned(),
        // Two common names are no name.
        _ => certificate.subject().to_string(),
    }
}

fn certificate_pem(der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), pem_lines())
}
