//! What each certificate of a chain must be, by OpenSSL's rules for TLS clients.

use x509_parser::extensions::{NSCertType, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::X509Version;

use super::{ChainError, unsuitable};

/// The extensions that OpenSSL accepts as critical (`X509_supported_extension` in its source): key
/// usage, alternative names, basic constraints, name constraints, CRL distribution points, policies
/// and their mappings and constraints, extended key usage, inhibit-any-policy, and OCSP no-check.
const KNOWN_CRITICAL: [&str; 11] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
    "1.3.6.1.5.5.7.48.1.5",
];
const NETSCAPE_TYPE: &str = "2.16.840.1.113730.1.1";
/// `proxyCertInfo` (RFC 3820).
const PROXY_CERTIFICATE: &str = "1.3.6.1.5.5.7.1.14";

/// Whether a certificate is valid at this time, in Unix seconds. As in OpenSSL, it has expired in
/// the second of `not_after`.
pub(super) fn is_valid_at(certificate: &X509Certificate<'_>, now: i64) -> bool {
    let validity = certificate.validity();
    validity.not_before.timestamp() <= now && now < validity.not_after.timestamp()
}

/// Checks what every certificate of a chain must be.
pub(super) fn check_every(certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
    if certificate.version() != X509Version::V3 {
        return Err(unsuitable(certificate, "is not of version 3"));
    }
    if certificate.extensions_map().is_err() {
        return Err(unsuitable(certificate, "has an extension twice"));
    }
    for extension in certificate.extensions() {
        let oid = extension.oid.to_id_string();
        if extension.parsed_extension().error().is_some() {
            let why = format!("has an extension that can't be parsed ({oid})");
            return Err(unsuitable(certificate, &why));
        }
        let is_known = KNOWN_CRITICAL.contains(&oid.as_str()) || oid == NETSCAPE_TYPE;
        if (extension.critical && !is_known) || oid == PROXY_CERTIFICATE {
            let why = format!("has a critical extension that is not known ({oid})");
            return Err(unsuitable(certificate, &why));
        }
    }
    let constraints = certificate.basic_constraints().ok().flatten();
    if constraints.is_some_and(|it| !it.value.ca && it.value.path_len_constraint.is_some()) {
        return Err(unsuitable(certificate, "has a path length and is not a CA's"));
    }
    Ok(())
}

/// Checks what the certificate of a TLS client must be.
pub(super) fn check_client(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    let usage = leaf.key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.digital_signature() && !usage.value.key_agreement()) {
        return Err(unsuitable(leaf, "is not for signing (its key usage)"));
    }
    check_purpose(leaf)?;
    if netscape_type(leaf).is_some_and(|kind| !kind.ssl_client()) {
        return Err(unsuitable(leaf, "is not for TLS clients (its Netscape type)"));
    }
    Ok(())
}

/// Checks what a CA above a client's certificate must be. This includes the root.
pub(super) fn check_ca(ca: &X509Certificate<'_>, now: i64) -> Result<(), ChainError> {
    let not_valid = |why| Err(ChainError::NotValidNow { whose: ca.subject().to_string(), why });
    if now < ca.validity().not_before.timestamp() {
        return not_valid("is not valid yet");
    }
    if !is_valid_at(ca, now) {
        return not_valid("has expired");
    }
    if !ca.basic_constraints().ok().flatten().is_some_and(|it| it.value.ca) {
        return Err(unsuitable(ca, "is not a CA's"));
    }
    if ca.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(unsuitable(ca, "is not for signing certificates (its key usage)"));
    }
    check_purpose(ca)
}

fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
    let purpose = certificate.extended_key_usage().ok().flatten();
    if purpose.is_some_and(|purpose| !purpose.value.client_auth) {
        return Err(unsuitable(certificate, "is not for TLS clients (its extended key usage)"));
    }
    Ok(())
}

fn netscape_type<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a NSCertType> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NSCertType(kind) => Some(kind),
        _ => None,
    })
}
