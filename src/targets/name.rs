//! The node's name: the template of the setting `node.name`, and the default.

use crate::facts::Facts;
use crate::facts::host_name::{address_of_another, is_host_name, is_of_image};
use crate::fault::{Fault, Kind};

/// A parsed template: text, and the placeholders `{instance_id}`, `{hostname}`, `{fqdn}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    InstanceId,
    Hostname,
    Fqdn,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("{{{0}}} is not a placeholder")]
    Unknown(String),
    #[error("it has an unmatched brace")]
    Brace,
    #[error("it is empty")]
    Empty,
}

impl NameTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// For an unknown placeholder, an unmatched brace, or an empty text.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(open);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let inner = after.strip_prefix('{').ok_or(TemplateError::Brace)?;
            let (word, tail) = inner.split_once('}').ok_or(TemplateError::Brace)?;
            parts.push(placeholder(word)?);
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err(TemplateError::Empty);
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Renders the name. The values of placeholders are put in lower case; the template's own text is
    /// not changed.
    ///
    /// # Errors
    /// `Config` where the template needs an instance id and this is not an EC2 instance. As
    /// [`check_host_name`] where it needs the host name and there is none yet.
    pub fn render(&self, facts: &Facts) -> Result<String, Fault> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Hostname => name.push_str(&of_host(&facts.hostname, facts)?),
                Part::Fqdn => name.push_str(&of_host(&facts.fqdn, facts)?),
                Part::InstanceId => match &facts.ec2 {
                    Some(ec2) => name.push_str(&ec2.instance_id.to_ascii_lowercase()),
                    None => return Err(self.no_instance_id()),
                },
            }
        }
        Ok(name)
    }

    fn no_instance_id(&self) -> Fault {
        Fault::new(
            Kind::Config,
            "the node's name needs an instance id, and this is not an EC2 instance",
            format!("node.name = {:?}", self.text),
            "use {fqdn} or {hostname} in node.name, or remove node.name",
        )
    }
}

/// The name without a template: the instance id on EC2, else the FQDN.
///
/// # Errors
/// As [`check_host_name`], where the FQDN does not identify the host.
pub fn default_name(facts: &Facts) -> Result<String, Fault> {
    match &facts.ec2 {
        Some(ec2) => Ok(ec2.instance_id.to_ascii_lowercase()),
        None => of_host(&facts.fqdn, facts),
    }
}

fn of_host(name: &str, facts: &Facts) -> Result<String, Fault> {
    check_host_name(name, facts, "name = \"...\" in [node]")?;
    Ok(name.to_ascii_lowercase())
}

/// Checks that a host name tells this host from others. `setting` is what can be set instead.
///
/// # Errors
/// If this node has no host name of its own yet. Cloud-init or DHCP may still set one, so the fault is
/// retried within the budget and becomes `Config` afterwards.
pub fn check_host_name(name: &str, facts: &Facts, setting: &str) -> Result<(), Fault> {
    let is_ec2 = facts.ec2.is_some() || facts.firmware_instance_id.is_some();
    let other = address_of_another(name, &facts.addresses).filter(|_| !is_ec2);
    let cause = match other {
        _ if !is_host_name(name) => None,
        _ if is_of_image(name, &facts.platform.os) => Some(
            "it is the name of a system image, which every machine made from it has".to_owned(),
        ),
        Some(address) => Some(format!("{address} is not an address of this host")),
        None => return Ok(()),
    };
    let on = match name {
        "" => "the host name is empty".to_owned(),
        name => format!("the host name is {name:?}"),
    };
    let todo = format!("run `hostnamectl set-hostname NAME`, or set {setting}");
    let fault = Fault::new(Kind::Transient, "this node has no host name yet", on, todo);
    Err(cause.into_iter().fold(fault.ends_as(Kind::Config), Fault::cause))
}

fn placeholder(word: &str) -> Result<Part, TemplateError> {
    match word {
        "instance_id" => Ok(Part::InstanceId),
        "hostname" => Ok(Part::Hostname),
        "fqdn" => Ok(Part::Fqdn),
        other => Err(TemplateError::Unknown(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{NameTemplate, default_name};
    use crate::facts::Facts;
    use crate::fault::Kind;

    #[test]
    fn a_missing_host_name_is_retried_wherever_it_is_needed() {
        let facts = Facts {
            hostname: "localhost".to_owned(),
            fqdn: "localhost.localdomain".to_owned(),
            ..Facts::default()
        };
        let render = |text: &str| NameTemplate::parse(text).unwrap().render(&facts);
        for fault in [
            default_name(&facts).unwrap_err(),
            render("web-{hostname}").unwrap_err(),
            render("{fqdn}").unwrap_err(),
        ] {
            assert_eq!((fault.kind, fault.final_kind()), (Kind::Transient, Kind::Config));
        }
        // Text of the template itself is not checked.
        assert_eq!(render("localhost").unwrap(), "localhost");
    }
}
