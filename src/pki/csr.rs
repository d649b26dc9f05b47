//! PKCS#10 requests as Puppet's CA takes them: version 0, a common name only, SHA-256,
//! extension requests as DER UTF8Strings that are not critical.

use rcgen::{Attribute, CertificateParams, CustomExtension, DistinguishedName, DnType, SanType};

use super::oid;
use super::private_key::PrivateKey;

/// What a request is to say. The same key and the same spec give the same bytes: RSA with
/// PKCS#1 v1.5 has no randomness in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrSpec {
    /// The common name.
    pub name: String,
    /// Dotted OID and text, in the order they are to stand.
    pub extensions: Vec<(String, String)>,
    /// PKCS#9 attributes, dotted OID and text; may hold a challenge password.
    pub attributes: Vec<(String, String)>,
    /// DNS names for subjectAltName; none, and there is no such extension.
    pub dns_names: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    #[error("{0:?} is not an object identifier")]
    Oid(String),
    #[error("{0:?} is not a DNS name")]
    DnsName(String),
    #[error("the request could not be made ({0})")]
    Encoding(String),
}

/// The request, signed, as PEM.
///
/// # Errors
/// When an OID or a DNS name can't be encoded.
pub fn build(spec: &CsrSpec, key: &PrivateKey) -> Result<String, CsrError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, spec.name.clone());
    for name in &spec.dns_names {
        let name = name.clone().try_into().map_err(|_| CsrError::DnsName(name.clone()))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    for (dotted, value) in &spec.extensions {
        let arcs = oid::arcs(dotted).ok_or_else(|| CsrError::Oid(dotted.clone()))?;
        let content = oid::utf8_string(value).map_err(encoding)?;
        params.custom_extensions.push(CustomExtension::from_oid_content(&arcs, content));
    }
    let attributes = spec
        .attributes
        .iter()
        .map(|(dotted, value)| attribute(dotted, value))
        .collect::<Result<Vec<_>, _>>()?;
    params
        .serialize_request_with_attributes(key.pair(), attributes)
        .and_then(|request| request.pem())
        .map_err(encoding)
}

fn attribute(dotted: &str, value: &str) -> Result<Attribute, CsrError> {
    let arcs = oid::arcs(dotted).ok_or_else(|| CsrError::Oid(dotted.to_owned()))?;
    Ok(Attribute {
        // rcgen asks for a static OID; a bootstrap makes a handful, once.
        oid: Box::leak(arcs.into_boxed_slice()),
        values: oid::attribute_values(value).map_err(encoding)?,
    })
}

fn encoding(error: impl std::fmt::Display) -> CsrError {
    CsrError::Encoding(error.to_string())
}
