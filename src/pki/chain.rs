//! Verifies the chain from a certificate to a root, with the same result as the engine's OpenSSL.
//!
//! The reference is `openssl verify -purpose sslclient` (tests/chains.rs): what it refuses is refused
//! here. `webpki` checks signatures and names, but accepts any extension in a root, and does not
//! compare key identifiers. Those parts of RFC 5280 §6 are here. OpenSSL selects an issuer by name
//! and key identifier, and does not try another one if the first turns out to be wrong. So if there
//! are several paths to a root, all of them must be valid.

mod names;
mod requirements;

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, anchor_from_trusted_cert};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

use names::{check_constraints, is_same_name};
use requirements::{check_ca, check_client, check_every, is_valid_at};

/// Limits for the length of a path, and for the number of paths in a bundle. A real CA has less;
/// a hostile bundle could have very many.
const LONGEST_PATH: usize = 10;
const MOST_PATHS: usize = 64;

/// Why a chain is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("the certificate of its issuer, {0}, is not in the CA bundle")]
    NoIssuer(String),
    #[error("{whose} {why}")]
    Unsuitable { whose: String, why: String },
    #[error("{whose} {why}, by this node's clock")]
    NotValidNow { whose: String, why: &'static str },
    #[error("{0}")]
    Refused(String),
    #[error("the CA bundle has too many paths to a root")]
    TooMany,
}

fn unsuitable(certificate: &X509Certificate<'_>, why: &str) -> ChainError {
    ChainError::Unsuitable { whose: certificate.subject().to_string(), why: why.to_owned() }
}

/// Plain words for webpki's errors.
fn refused(error: webpki::Error) -> ChainError {
    ChainError::Refused(match error {
        webpki::Error::InvalidSignatureForPublicKey => {
            "it was signed with another key than that of the CA's certificate".to_owned()
        }
        webpki::Error::NameConstraintViolation => {
            "its name is not one that the CA's name constraints allow".to_owned()
        }
        other => format!("the check of the chain fails: {other}"),
    })
}

/// Checks every path from the leaf to a root of the bundle, at a time in Unix seconds.
///
/// # Errors
/// The first problem on one of the paths.
pub fn verify(
    leaf_der: &[u8],
    leaf: &X509Certificate<'_>,
    bundle: &[Vec<u8>],
    now: i64,
) -> Result<(), ChainError> {
    let parsed: Vec<X509Certificate<'_>> =
        bundle.iter().filter_map(|der| super::certificate::parse(der)).collect();
    check_every(leaf)?;
    check_client(leaf)?;
    let search = Search { leaf_der, leaf, bundle, parsed: &parsed, now };
    search.continue_from(&mut Vec::new(), &mut 0)
}

struct Search<'a> {
    leaf_der: &'a [u8],
    leaf: &'a X509Certificate<'a>,
    bundle: &'a [Vec<u8>],
    parsed: &'a [X509Certificate<'a>],
    now: i64,
}

impl Search<'_> {
    /// Checks every path that begins with this one. A path is indexes into the bundle, from the
    /// leaf's issuer upwards.
    fn continue_from(&self, path: &mut Vec<usize>, paths: &mut usize) -> Result<(), ChainError> {
        let last = path.last().and_then(|index| self.parsed.get(*index)).unwrap_or(self.leaf);
        if !path.is_empty() && is_issued_by(last, last) {
            *paths += 1;
            return if *paths > MOST_PATHS { Err(ChainError::TooMany) } else { self.check(path) };
        }
        if path.len() >= LONGEST_PATH {
            return Err(ChainError::TooMany);
        }
        let is_issuer = |index: &usize| {
            self.parsed.get(*index).is_some_and(|issuer| is_issued_by(last, issuer))
        };
        let mut issuers: Vec<usize> = (0..self.parsed.len())
            .filter(|index| !path.contains(index))
            .filter(is_issuer)
            .collect();
        // OpenSSL prefers those that are valid now.
        let is_valid = |index: &usize| {
            self.parsed.get(*index).is_some_and(|issuer| is_valid_at(issuer, self.now))
        };
        if issuers.iter().any(is_valid) {
            issuers.retain(is_valid);
        }
        if issuers.is_empty() {
            return Err(ChainError::NoIssuer(last.issuer().to_string()));
        }
        for issuer in issuers {
            path.push(issuer);
            self.continue_from(path, paths)?;
            path.pop();
        }
        Ok(())
    }

    fn check(&self, path: &[usize]) -> Result<(), ChainError> {
        let chain: Vec<&X509Certificate<'_>> =
            path.iter().filter_map(|index| self.parsed.get(*index)).collect();
        // How many CAs below the current one count for its path length.
        let mut below = 0;
        for (place, ca) in chain.iter().enumerate() {
            check_every(ca)?;
            check_ca(ca, self.now)?;
            let limit =
                ca.basic_constraints().ok().flatten().and_then(|it| it.value.path_len_constraint);
            if let Some(limit) = limit.filter(|limit| place > 0 && below > *limit) {
                let why = format!("allows {limit} CAs below it, and there are more");
                return Err(unsuitable(ca, &why));
            }
            below += u32::from(!is_same_name(ca.subject(), ca.issuer()));
            check_constraints(ca, self.leaf, true)?;
            chain.iter().take(place).try_for_each(|lower| check_constraints(ca, lower, false))?;
        }
        self.check_signatures(path)
    }

    /// Checks exactly this path: webpki must not find another, valid one.
    fn check_signatures(&self, path: &[usize]) -> Result<(), ChainError> {
        let ders: Vec<CertificateDer<'_>> = path
            .iter()
            .filter_map(|index| self.bundle.get(*index))
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let Some((root, between)) = ders.split_last() else { return Err(ChainError::TooMany) };
        let anchors = [anchor_from_trusted_cert(root).map_err(refused)?];
        let leaf = CertificateDer::from(self.leaf_der);
        let leaf = EndEntityCert::try_from(&leaf).map_err(refused)?;
        let now = u64::try_from(self.now).unwrap_or(0);
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            between,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            webpki::KeyUsage::client_auth(),
            None,
            None,
        )
        .map(|_| ())
        .map_err(refused)
    }
}

/// Whether a certificate names this issuer: by its name, by key identifiers if both have them, and
/// if the issuer may sign certificates (OpenSSL's `X509_check_issued`).
fn is_issued_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    if !is_same_name(certificate.issuer(), issuer.subject()) {
        return false;
    }
    let signs =
        issuer.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    signs && identifiers_match(certificate, issuer)
}

fn identifiers_match(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let authority =
        certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(authority) => Some(authority),
            _ => None,
        });
    let own = issuer.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(own) => Some(own),
        _ => None,
    });
    let Some(authority) = authority else { return true };
    let key_matches = match (&authority.key_identifier, own) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    };
    let serial_matches =
        authority.authority_cert_serial.is_none_or(|serial| serial == issuer.raw_serial());
    let named = authority.authority_cert_issuer.iter().flatten().find_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    key_matches && serial_matches && named.is_none_or(|name| is_same_name(name, issuer.issuer()))
}
