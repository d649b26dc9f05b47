//! PKCS#10 requests in the form that Puppet's CA accepts: version 0, only a common name, SHA-256,
//! and extension requests as non-critical DER UTF8Strings.

use rcgen::{Attribute, CertificateParams, CustomExtension, DistinguishedName, DnType, SanType};

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::prelude::FromDer;

use super::oid;
use super::private_key::PrivateKey;
use super::public_key::sha256;
use crate::secret::Secret;

/// The content of a request. The same key and the same content give the same bytes: RSA with PKCS#1
/// v1.5 uses no random numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrSpec {
    /// The common name.
    pub name: String,
    /// Extension requests: dotted OID and text, in the order of the request.
    pub extensions: Vec<(String, Secret)>,
    /// PKCS#9 attributes: dotted OID and text. One may be a challenge password.
    pub attributes: Vec<(String, Secret)>,
    /// DNS names for subjectAltName. If empty, the request has no such extension.
    pub dns_names: Vec<String>,
}

/// Why a request can't be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    #[error("{0:?} is not an object identifier")]
    Oid(String),
    #[error("{0:?} is not a DNS name")]
    DnsName(String),
    #[error("the request could not be made ({0})")]
    Encoding(String),
}

/// Makes and signs a request, in PEM.
///
/// # Errors
/// If an OID or a DNS name can't be encoded.
pub fn build(spec: &CsrSpec, key: &PrivateKey) -> Result<Secret, CsrError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, spec.name.clone());
    for name in &spec.dns_names {
        let name = name.clone().try_into().map_err(|_| CsrError::DnsName(name.clone()))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    for (dotted, value) in &spec.extensions {
        let arcs = oid::arcs(dotted).ok_or_else(|| CsrError::Oid(dotted.clone()))?;
        let content = oid::utf8_string(value.expose()).map_err(encoding)?;
        params.custom_extensions.push(CustomExtension::from_oid_content(&arcs, content));
    }
    let attributes = spec
        .attributes
        .iter()
        .map(|(dotted, value)| attribute(dotted, value.expose()))
        .collect::<Result<Vec<_>, _>>()?;
    params
        .serialize_request_with_attributes(key.pair(), attributes)
        .and_then(|request| request.pem())
        .map(Secret::new)
        .map_err(encoding)
}

/// Whether a request holds a secret that proves to the authority that the node may join: a
/// pre-shared key, or any attribute, such as a challenge password. A request that can't be parsed
/// counts as one.
#[must_use]
pub fn holds_secret(csr: &str) -> bool {
    let Ok(block) = pem::parse(csr) else { return true };
    let Ok((_, request)) = X509CertificationRequest::from_der(block.contents()) else {
        return true;
    };
    request.certification_request_info.iter_attributes().any(|attribute| {
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(asked) => {
                let mut oids =
                    asked.extensions.iter().map(|extension| extension.oid.to_id_string());
                oids.any(|dotted| oid::is_secret(&dotted))
            }
            _ => true,
        }
    })
}

/// SHA-256 of the public key (SPKI DER) in a request, whatever kind of key it is; 64 lower-case
/// hexadecimal digits. None if it is not a request in PEM.
#[must_use]
pub fn key_fingerprint(csr: &str) -> Option<String> {
    let block = pem::parse(csr).ok()?;
    let (_, request) = X509CertificationRequest::from_der(block.contents()).ok()?;
    Some(sha256(request.certification_request_info.subject_pki.raw))
}

fn attribute(dotted: &str, value: &str) -> Result<Attribute, CsrError> {
    let arcs = oid::arcs(dotted).ok_or_else(|| CsrError::Oid(dotted.to_owned()))?;
    Ok(Attribute {
        // rcgen needs a static OID. A join makes a few of them, once.
        oid: Box::leak(arcs.into_boxed_slice()),
        values: oid::attribute_values(value).map_err(encoding)?,
    })
}

fn encoding(error: impl std::fmt::Display) -> CsrError {
    CsrError::Encoding(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{CsrError, CsrSpec, build, holds_secret};
    use crate::pki::{PrivateKey, oid};
    use crate::secret::Secret;

    fn pair(dotted: &str) -> Vec<(String, Secret)> {
        vec![(dotted.to_owned(), Secret::new("x".to_owned()))]
    }

    #[test]
    fn a_request_with_a_key_or_an_attribute_holds_a_secret() {
        let key = PrivateKey::generate(2048).unwrap();
        let plain = CsrSpec {
            name: "web1".to_owned(),
            extensions: pair("1.3.6.1.4.1.34380.1.1.13"),
            ..CsrSpec::default()
        };
        let preshared = CsrSpec { extensions: pair(oid::PRESHARED_KEY), ..plain.clone() };
        let challenge = CsrSpec { attributes: pair(oid::CHALLENGE_PASSWORD), ..plain.clone() };
        for (spec, is_secret) in [(&plain, false), (&preshared, true), (&challenge, true)] {
            assert_eq!(holds_secret(build(spec, &key).unwrap().expose()), is_secret, "{spec:?}");
        }
        assert!(holds_secret("not a request"));
        let bad = CsrSpec { extensions: pair("1.x"), ..plain };
        assert_eq!(build(&bad, &key).unwrap_err(), CsrError::Oid("1.x".to_owned()));
    }
}
