//! The node's name: the template of the setting `node.name`, and the default.

use std::net::Ipv4Addr;

use crate::facts::Facts;
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
    /// [`no_host_name`] where it needs the host name and there is none yet.
    pub fn render(&self, facts: &Facts) -> Result<String, Fault> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Hostname => name.push_str(&of_host(&facts.hostname)?),
                Part::Fqdn => name.push_str(&of_host(&facts.fqdn)?),
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
/// As [`no_host_name`], where the FQDN does not identify the host.
pub fn default_name(facts: &Facts) -> Result<String, Fault> {
    match &facts.ec2 {
        Some(ec2) => Ok(ec2.instance_id.to_ascii_lowercase()),
        None => of_host(&facts.fqdn),
    }
}

fn of_host(name: &str) -> Result<String, Fault> {
    if is_host_name(name) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(no_host_name(name, "name = \"...\" in [node]"))
}

/// The fault where this node has no host name yet. Cloud-init or DHCP may still set one, so it is
/// retried within the budget and becomes `Config` afterwards.
#[must_use]
pub fn no_host_name(found: &str, setting: &str) -> Fault {
    let on = match found {
        "" => "the host name is empty".to_owned(),
        found => format!("the host name is {found:?}"),
    };
    let todo = format!("run `hostnamectl set-hostname NAME`, or set {setting}");
    Fault::new(Kind::Transient, "this node has no host name yet", on, todo).ends_as(Kind::Config)
}

/// First labels that identify no host: defaults of the kernel, the resolver and installers.
const NO_NAMES: [&str; 18] = [
    "(none)",
    "none",
    "localhost",
    "localhost4",
    "localhost6",
    "localhost-live",
    "localdomain",
    "localdomain4",
    "localdomain6",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
    "broadcasthost",
    "unassigned-hostname",
];

/// Whether this name identifies a host. `localhost`, in any domain, and addresses do not.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let first = name.split('.').next().unwrap_or_default();
    // A colon means IPv6, also with a zone or in brackets.
    let is_address = name.parse::<Ipv4Addr>().is_ok() || name.contains(':');
    let is_reverse = name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa");
    let has_letters = first.chars().any(char::is_alphanumeric);
    has_letters && !is_address && !is_reverse && !NO_NAMES.contains(&first)
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
    use super::{NameTemplate, default_name, is_host_name};
    use crate::facts::Facts;
    use crate::fault::Kind;

    #[test]
    fn common_default_names_are_refused() {
        for text in [
            "",
            " ",
            ".",
            "-",
            "(none)",
            "none",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost.localdomain",
            "localhost4.localdomain4",
            "localhost6",
            "localhost.example.org",
            "localdomain",
            "ip6-localhost",
            "ip6-loopback",
            "10.0.0.5",
            "::1",
            "fe80::1%eth0",
            "[fd00::1]",
            "5.0.0.10.in-addr.arpa",
            "1.0.0.ip6.arpa",
            "localhost-live",
            ".example.org",
        ] {
            assert!(!is_host_name(text), "{text:?}");
        }
        for text in [
            "web1",
            "web1.example.org",
            "web1.localdomain",
            "ip-10-0-0-5",
            "10",
            "1and1",
            "localhost1",
            "my-localhost",
            "Web1.",
            "10.example.org",
        ] {
            assert!(is_host_name(text), "{text:?}");
        }
    }

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
