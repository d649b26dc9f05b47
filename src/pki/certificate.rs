//! The checks of a certificate from the authority: one certificate, for our key and our name, valid
//! now, and signed by the known CA.

use std::collections::BTreeMap;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::chain::{self, ChainError};
use super::public_key::{PublicKey, hex, pem_lines, sha256};
use crate::text::time;

/// The certificates of a CA: the self-signed root, and the intermediates below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBundle {
    certificates: Vec<Vec<u8>>,
}

/// A certificate that passed [`check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, encoded anew without any text around it.
    pub pem: String,
    /// Lower-case hexadecimal digits.
    pub serial: String,
    /// Unix seconds.
    pub not_after: i64,
}

/// What a certificate must match.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    pub key: &'a PublicKey,
    pub name: &'a str,
    pub ca: &'a CaBundle,
    /// Unix seconds by this node's clock.
    pub now: i64,
}

/// Why a certificate or a CA bundle can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("it is not PEM")]
    NotPem,
    #[error("it has {0} PEM blocks, not one certificate")]
    NotOne(usize),
    #[error("it has a {0:?} block, not a certificate")]
    WrongLabel(String),
    #[error("it is not an X.509 certificate")]
    NotX509,
    #[error("it is for another key (SHA-256 of its public key: {0})")]
    OtherKey(String),
    #[error("its key is not an RSA key")]
    NotRsa,
    #[error("it is for the name {0:?}")]
    OtherName(String),
    #[error("it expired at {}, and this node's clock says {}", time(*not_after), time(*now))]
    Expired { not_after: i64, now: i64 },
    #[error(
        "it is valid from {} on, and this node's clock says {}: is the clock behind?",
        time(*not_before),
        time(*now)
    )]
    NotYetValid { not_before: i64, now: i64 },
    #[error("it is a CA's certificate, not a node's")]
    IsCa,
    #[error("it is not signed by the known CA in a way that the engine accepts ({0})")]
    Chain(ChainError),
    #[error("the CA bundle has no certificate")]
    NoCa,
    #[error("certificate {0} of the CA bundle is not an X.509 CA certificate")]
    BadCa(usize),
    #[error("the CA bundle has no self-signed root, so no chain can be verified")]
    NoRoot,
}

impl CertificateError {
    /// Whether it would be accepted at another time.
    #[must_use]
    pub fn is_about_time(&self) -> bool {
        matches!(
            self,
            Self::NotYetValid { .. }
                | Self::Expired { .. }
                | Self::Chain(ChainError::NotValidNow { .. })
        )
    }
}

/// Who has signed a certificate in DER.
#[must_use]
pub fn issuer_of(der: &[u8]) -> Option<String> {
    parse(der).map(|certificate| certificate.issuer().to_string())
}

/// Whether a certificate in DER names itself as its issuer.
pub(super) fn is_root(der: &[u8]) -> bool {
    parse(der).is_some_and(|ca| ca.subject() == ca.issuer())
}

/// Whether a certificate (DER) is of a CA. None: it is not a certificate.
#[must_use]
pub fn is_of_ca(der: &[u8]) -> Option<bool> {
    parse(der).map(|parsed| parsed.is_ca())
}

impl CaBundle {
    /// Parses PEM with one certificate or several (Puppet's own CA is a root and an intermediate).
    ///
    /// # Errors
    /// If it has anything but CA certificates, or no root.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let certificates = Self::certificates_of(text)?;
        if !certificates.iter().any(|der| is_root(der)) {
            return Err(CertificateError::NoRoot);
        }
        Ok(Self { certificates })
    }

    /// Parses PEM with CA certificates, and returns each as DER. A root is not required.
    ///
    /// # Errors
    /// If it has anything but CA certificates, or none.
    pub fn certificates_of(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::NotPem)?;
        if blocks.is_empty() {
            return Err(CertificateError::NoCa);
        }
        let one = |(index, block): (usize, pem::Pem)| {
            if block.tag() != "CERTIFICATE" {
                return Err(CertificateError::WrongLabel(block.tag().to_owned()));
            }
            let is_ca = parse(block.contents()).is_some_and(|parsed| parsed.is_ca());
            if is_ca { Ok(block.into_contents()) } else { Err(CertificateError::BadCa(index + 1)) }
        };
        blocks.into_iter().enumerate().map(one).collect()
    }

    /// Each certificate, in PEM.
    #[must_use]
    pub fn certificates(&self) -> Vec<String> {
        self.certificates.iter().map(|der| certificate_pem(der)).collect()
    }

    /// All certificates in one PEM text, without comments.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.certificates.iter().map(|der| certificate_pem(der)).collect()
    }

    /// Each certificate as DER.
    pub fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    /// Whether it is the other bundle with certificates that were made anew or added: it has the other's keys,
    /// and each ends as late as there, or later. So it verifies what the other does.
    #[must_use]
    pub fn is_renewal_of(&self, other: &Self) -> bool {
        let (own, others) = (self.ends(), other.ends());
        others.iter().all(|(key, end)| own.get(key).is_some_and(|own| own >= end))
    }

    /// The end (Unix seconds) of the longest certificate of each key.
    fn ends(&self) -> BTreeMap<Vec<u8>, i64> {
        let mut ends: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        for parsed in self.certificates.iter().filter_map(|der| parse(der)) {
            let end = ends.entry(parsed.public_key().raw.to_vec()).or_insert(i64::MIN);
            *end = (*end).max(parsed.validity().not_after.timestamp());
        }
        ends
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }
}

/// Checks a certificate from the authority.
///
/// # Errors
/// The first reason to refuse it.
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
    // As in OpenSSL, a certificate has expired in the second of `not_after`.
    if expected.now >= not_after {
        return Err(CertificateError::Expired { not_after, now: expected.now });
    }
    chain::verify(&der, &parsed, &expected.ca.certificates, expected.now)
        .map_err(CertificateError::Chain)?;
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

/// SHA-256 of the public key (SPKI DER) in a certificate, whatever kind of key it is; 64 lower-case
/// hexadecimal digits.
///
/// # Errors
/// If it is not one certificate.
pub fn key_fingerprint(text: &str) -> Result<String, CertificateError> {
    let der = only_certificate(text)?;
    let parsed = parse(&der).ok_or(CertificateError::NotX509)?;
    Ok(sha256(parsed.public_key().raw))
}

/// The public key of a certificate.
///
/// # Errors
/// If it is not one certificate, or its key is not an RSA key.
pub fn key_of(text: &str) -> Result<PublicKey, CertificateError> {
    let der = only_certificate(text)?;
    let parsed = parse(&der).ok_or(CertificateError::NotX509)?;
    PublicKey::from_spki(parsed.public_key().raw).map_err(|_| CertificateError::NotRsa)
}

/// The public key of a certificate of RSA, as an RSAPublicKey (RFC 8017 A.1.1) in DER. None if it is not
/// one certificate in PEM, or of another kind of key.
#[must_use]
pub fn public_key_bytes(text: &str) -> Option<Vec<u8>> {
    let der = only_certificate(text).ok()?;
    let parsed = parse(&der)?;
    PublicKey::from_spki(parsed.public_key().raw).ok()?;
    Some(parsed.public_key().subject_public_key.data.to_vec())
}

/// Whether OpenSSL reads a certificate from the start of this file: DER, or the first block in PEM.
#[must_use]
pub fn is_certificate(content: &[u8]) -> bool {
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    let is_der = |der: &[u8]| X509Certificate::from_der(der).is_ok();
    let block = pem::parse(content).ok().filter(|block| labels.contains(&block.tag()));
    is_der(content) || block.is_some_and(|block| is_der(block.contents()))
}

/// Parses one certificate in DER, with nothing after it.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, parsed) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(parsed)
}

fn common_name(certificate: &X509Certificate<'_>) -> String {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().unwrap_or_default().to_owned(),
        // None or several common names: never equal to a node's name.
        _ => certificate.subject().to_string(),
    }
}

fn certificate_pem(der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), pem_lines())
}
