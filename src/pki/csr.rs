//! PKCS#10 requests as Puppet's CA takes them: version 0, a common name only, SHA-256,
//! extension requests as DER UTF8Strings that are not critical.

use rcgen::{Attribute, CertificateParams, CustomExtension, DistinguishedName, DnType, SanType};

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::prelude::FromDer;

use super::oid;
use super::private_key::PrivateKey;
use crate::secret::Secret;

/// What a request is to say. The same key and the same spec give the same bytes: RSA with
/// PKCS#1 v1.5 has no randomness in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrSpec {
    /// The common name.
    pub name: String,
    /// Dotted OID and text, in the order they are to stand.
    pub extensions: Vec<(String, Secret)>,
    /// PKCS#9 attributes, dotted OID and text; may hold a challenge password.
    pub attributes: Vec<(String, Secret)>,
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

/// Whether a request holds what proves to the authority that the node may join: a pre-shared key,
/// a challenge password, or another attribute, which is there for the decision alone. One that
/// can't be read is taken to.
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
