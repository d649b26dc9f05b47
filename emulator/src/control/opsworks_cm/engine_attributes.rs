//! Engine attributes of a node, checked for its server's engine.

use super::server::spec::Engine;
use crate::ca::{Authority, Csr};
use crate::control::public_key;
use crate::control::validate::Attribute;
use crate::error::ApiError;

/// What a node that is to be associated says of itself.
#[derive(Clone, Debug)]
pub struct NodeAttributes {
    /// Its public key: SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// Its request as sent, and as read; Puppet only.
    pub csr: Option<(String, Csr)>,
    /// The organization it wants to belong to; Chef only.
    pub organization: Option<String>,
}

const PUPPET_NODE_CSR: &str = "PUPPET_NODE_CSR";
const CHEF_ORGANIZATION: &str = "CHEF_ORGANIZATION";
/// The key's attribute: the reference's name first, then the one of its later editions.
const CHEF_KEYS: [&str; 2] = ["CHEF_NODE_PUBLIC_KEY", "CHEF_AUTOMATE_NODE_PUBLIC_KEY"];

impl NodeAttributes {
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
                let csr = Some((text.to_owned(), csr));
                Ok(Self { public_key, csr, organization: None })
            }
            Engine::Chef => {
                let [key, later] = CHEF_KEYS;
                only(attributes, &[CHEF_ORGANIZATION, key, later])?;
                let organization = required(attributes, CHEF_ORGANIZATION)?;
                let public_key = chef_key(attributes)?;
                Ok(Self { public_key, csr: None, organization: Some(organization.to_owned()) })
            }
        }
    }
}

/// The attributes of `DisassociateNode`: none is required for Puppet, the organization for Chef. What
/// the node was associated with may be given once more, as AWS's own example does; it is not looked
/// at.
///
/// # Errors
/// `ValidationException` for an attribute that is missing, unknown or doubled.
pub fn leaving<'a>(
    engine: Engine,
    attributes: &[Attribute<'a>],
) -> Result<Option<&'a str>, ApiError> {
    match engine {
        Engine::Puppet => only(attributes, &[PUPPET_NODE_CSR]).map(|()| None),
        Engine::Chef => {
            let [key, later] = CHEF_KEYS;
            only(attributes, &[CHEF_ORGANIZATION, key, later])?;
            required(attributes, CHEF_ORGANIZATION).map(Some)
        }
    }
}

/// Refuses attributes beside the known ones, and doubled ones.
///
/// # Errors
/// `ValidationException`.
pub fn only(attributes: &[Attribute<'_>], known: &[&str]) -> Result<(), ApiError> {
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

/// The key under either of its names.
fn chef_key(attributes: &[Attribute<'_>]) -> Result<Vec<u8>, ApiError> {
    let [name, later] = CHEF_KEYS;
    let given = |name: &str| attributes.iter().any(|attribute| attribute.name == name);
    let name = match (given(name), given(later)) {
        (true, true) => {
            return Err(ApiError::Validation(format!(
                "Engine attributes '{name}' and '{later}' are the same; give one of them."
            )));
        }
        (false, true) => later,
        _ => name,
    };
    let text = required(attributes, name)?;
    public_key::rsa_from_pem(text).map_err(|reason| invalid(name, &reason))
}

fn invalid(name: &str, reason: &dyn std::fmt::Display) -> ApiError {
    ApiError::Validation(format!("Invalid value of engine attribute '{name}': {reason}."))
}
