//! What a node hands in to be associated: engine attributes, checked for its server's engine.

use x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::server::Engine;
use crate::ca::{Authority, Csr};
use crate::control::validate::Attribute;
use crate::error::ApiError;

/// A node that wants to be associated.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// Its public key: SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// Its request as sent, and as read; Puppet only.
    pub csr: Option<(String, Csr)>,
}

const PUPPET_NODE_CSR: &str = "PUPPET_NODE_CSR";
const CHEF_ORGANIZATION: &str = "CHEF_ORGANIZATION";
const CHEF_NODE_PUBLIC_KEY: &str = "CHEF_NODE_PUBLIC_KEY";

impl Applicant {
    /// Reads the attributes of `AssociateNode`.
    ///
    /// # Errors
    /// `ValidationException` for an attribute that is missing, unknown, doubled or unreadable.
    pub fn of(
        engine: Engine,
        attributes: &[Attribute<'_>],
        authority: &dyn Authority,
    ) -> Result<Self, ApiError> {
        match engine {
            Engine::Puppet => {
                only(attributes, &[PUPPET_NODE_CSR])?;
                let text = required(attributes, PUPPET_NODE_CSR)?;
                let csr = authority.read(text).map_err(|error| invalid(PUPPET_NODE_CSR, &error))?;
                let public_key = csr.public_key.clone();
                Ok(Self { public_key, csr: Some((text.to_owned(), csr)) })
            }
            Engine::Chef => {
                only(attributes, &[CHEF_ORGANIZATION, CHEF_NODE_PUBLIC_KEY])?;
                required(attributes, CHEF_ORGANIZATION)?;
                let text = required(attributes, CHEF_NODE_PUBLIC_KEY)?;
                Ok(Self { public_key: rsa_public_key(text)?, csr: None })
            }
        }
    }
}

/// Checks the attributes of `DisassociateNode`: none for Puppet, the organization for Chef.
///
/// # Errors
/// `ValidationException` for an attribute that is missing, unknown or doubled.
pub fn check_leaving(engine: Engine, attributes: &[Attribute<'_>]) -> Result<(), ApiError> {
    match engine {
        Engine::Puppet => only(attributes, &[]),
        Engine::Chef => {
            only(attributes, &[CHEF_ORGANIZATION])?;
            required(attributes, CHEF_ORGANIZATION).map(drop)
        }
    }
}

fn only(attributes: &[Attribute<'_>], known: &[&str]) -> Result<(), ApiError> {
    for (index, attribute) in attributes.iter().enumerate() {
        let name = attribute.name;
        if !known.contains(&name) {
            return Err(ApiError::Validation(format!("Unknown engine attribute '{name}'.")));
        }
        if attributes.iter().take(index).any(|earlier| earlier.name == name) {
            return Err(ApiError::Validation(format!("Engine attribute '{name}' is given twice.")));
        }
    }
    Ok(())
}

fn required<'a>(attributes: &[Attribute<'a>], name: &str) -> Result<&'a str, ApiError> {
    let found = attributes.iter().find(|attribute| attribute.name == name);
    let value = found.map(|attribute| attribute.value).filter(|value| !value.is_empty());
    value.ok_or_else(|| ApiError::Validation(format!("Missing engine attribute '{name}'.")))
}

fn rsa_public_key(text: &str) -> Result<Vec<u8>, ApiError> {
    let refused = |reason: &str| invalid(CHEF_NODE_PUBLIC_KEY, &reason);
    let block = pem::parse(text).map_err(|_| refused("it is not PEM"))?;
    if block.tag() != "PUBLIC KEY" {
        return Err(refused("it is not a PEM block 'PUBLIC KEY'"));
    }
    match SubjectPublicKeyInfo::from_der(block.contents()) {
        Ok(([], key)) if key.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION => {
            Ok(block.into_contents())
        }
        _ => Err(refused("it does not hold an RSA public key")),
    }
}

fn invalid(name: &str, reason: &dyn std::fmt::Display) -> ApiError {
    ApiError::Validation(format!("Invalid value of engine attribute '{name}': {reason}."))
}
