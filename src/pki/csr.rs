//! PKCS#10 requests in the form that Puppet's CA accepts: version 0, only a common name, SHA-256,
//! and extension requests as non-critical DER UTF8Strings.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::prelude::FromDer;

use super::der::{self, sequence};
use super::oid;
use super::private_key::PrivateKey;
use super::public_key::{pem_lines, sha256};
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

/// Makes and signs a request (RFC 2986), in PEM.
///
/// # Errors
/// If an OID or a DNS name can't be encoded.
pub fn build(spec: &CsrSpec, key: &PrivateKey) -> Result<Secret, CsrError> {
    let info = info(spec, key)?;
    let signature = key.sign(&info).map_err(|error| CsrError::Encoding(error.to_string()))?;
    let algorithm = sequence(&[oid_of(oid::SHA256_WITH_RSA)?, der::encode(der::NULL, &[])]);
    let signature = der::encode(der::BIT_STRING, &[&[0], signature.as_slice()].concat());
    let request = sequence(&[info, algorithm, signature]);
    let block = pem::Pem::new("CERTIFICATE REQUEST", request);
    Ok(Secret::new(pem::encode_config(&block, pem_lines())))
}

/// What is signed: version, subject, public key, attributes.
fn info(spec: &CsrSpec, key: &PrivateKey) -> Result<Vec<u8>, CsrError> {
    let name = sequence(&[oid_of(oid::COMMON_NAME)?, oid::utf8_string(&spec.name)]);
    let subject = sequence(&[der::encode(der::SET, &name)]);
    let mut attributes = Vec::new();
    let extensions = extensions(spec)?;
    if !extensions.is_empty() {
        let values = der::encode(der::SET, &sequence(&extensions));
        attributes.push(sequence(&[oid_of(oid::EXTENSION_REQUEST)?, values]));
    }
    for (dotted, value) in &spec.attributes {
        attributes.push(sequence(&[oid_of(dotted)?, oid::attribute_values(value.expose())]));
    }
    let version = der::encode(der::INTEGER, &[0]);
    let attributes = der::set_of(der::CONTEXT_0, attributes);
    Ok(sequence(&[version, subject, key.public().spki_der().to_vec(), attributes]))
}

/// The requested extensions, none critical.
fn extensions(spec: &CsrSpec) -> Result<Vec<Vec<u8>>, CsrError> {
    let mut extensions = Vec::new();
    if !spec.dns_names.is_empty() {
        let names: Result<Vec<_>, _> = spec.dns_names.iter().map(|name| dns_name(name)).collect();
        extensions.push(extension(oid::ALTERNATIVE_NAMES, &sequence(&names?))?);
    }
    for (dotted, value) in &spec.extensions {
        extensions.push(extension(dotted, &oid::utf8_string(value.expose()))?);
    }
    Ok(extensions)
}

fn extension(dotted: &str, content: &[u8]) -> Result<Vec<u8>, CsrError> {
    Ok(sequence(&[oid_of(dotted)?, der::encode(der::OCTET_STRING, content)]))
}

fn dns_name(name: &str) -> Result<Vec<u8>, CsrError> {
    if name.is_empty() || !name.is_ascii() {
        return Err(CsrError::DnsName(name.to_owned()));
    }
    Ok(der::encode(der::DNS_NAME, name.as_bytes()))
}

fn oid_of(dotted: &str) -> Result<Vec<u8>, CsrError> {
    let content = oid::content(dotted).ok_or_else(|| CsrError::Oid(dotted.to_owned()))?;
    Ok(der::encode(der::OID, &content))
}

/// Whether a request holds a secret that proves to the authority that the node may join: a
/// pre-shared key, or any attribute of the site's, such as a challenge password. A request that can't be parsed
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
            _ => attribute.oid.to_id_string() != oid::AUTO_RENEW,
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

#[cfg(test)]
mod tests {
    use super::{CsrError, CsrSpec, build, holds_secret};
    use crate::pki::{PrivateKey, oid};
    use crate::secret::Secret;

    fn pair(dotted: &str) -> Vec<(String, Secret)> {
        vec![(dotted.to_owned(), Secret::new("x".to_owned()))]
    }

    #[test]
    fn an_attribute_below_a_uuid_is_encoded() {
        let key = PrivateKey::generate(2048).unwrap();
        let dotted = "2.25.322827852741838107059203560885903605876.1";
        let spec =
            CsrSpec { name: "web1".to_owned(), attributes: pair(dotted), ..CsrSpec::default() };
        let request = build(&spec, &key).unwrap();
        let block = pem::parse(request.expose()).unwrap();
        let content = oid::content(dotted).unwrap();
        assert!(block.contents().windows(content.len()).any(|bytes| bytes == content));
        assert!(super::key_fingerprint(request.expose()).is_some());
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
        let renews = CsrSpec { attributes: pair(oid::AUTO_RENEW), ..plain.clone() };
        let challenge = CsrSpec { attributes: pair(oid::CHALLENGE_PASSWORD), ..plain.clone() };
        for (spec, is_secret) in
            [(&plain, false), (&renews, false), (&preshared, true), (&challenge, true)]
        {
            assert_eq!(holds_secret(build(spec, &key).unwrap().expose()), is_secret, "{spec:?}");
        }
        assert!(holds_secret("not a request"));
        let bad = CsrSpec { extensions: pair("1.x"), ..plain };
        assert_eq!(build(&bad, &key).unwrap_err(), CsrError::Oid("1.x".to_owned()));
    }
}
