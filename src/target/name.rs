//! `node.name`: a template over what the node knows of itself.

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
    #[error("{{{0}}} is no placeholder")]
    Unknown(String),
    #[error("a brace is not closed, or closed without being opened")]
    Brace,
    #[error("it is empty")]
    Empty,
}

impl NameTemplate {
    /// # Errors
    /// For an unknown placeholder, an odd brace, or nothing at all.
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

    /// The name. What is put in for a placeholder is written in lower case, as names are; the
    /// template's own text is taken as it stands.
    ///
    /// # Errors
    /// `Config` where the template asks for an instance id and this is no EC2 instance.
    pub fn render(&self, facts: &Facts) -> Result<String, Fault> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Hostname => name.push_str(&facts.hostname.to_ascii_lowercase()),
                Part::Fqdn => name.push_str(&facts.fqdn.to_ascii_lowercase()),
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
            "the node's name needs an instance id, and this is no EC2 instance",
            format!("node.name = {:?}", self.text),
            "use {fqdn} or {hostname}, or leave node.name out",
        )
    }
}

/// The name where the settings give no template: the instance id on EC2, else the FQDN.
#[must_use]
pub fn default_name(facts: &Facts) -> String {
    match &facts.ec2 {
        Some(ec2) => ec2.instance_id.to_ascii_lowercase(),
        None => facts.fqdn.to_ascii_lowercase(),
    }
}

fn placeholder(word: &str) -> Result<Part, TemplateError> {
    match word {
        "instance_id" => Ok(Part::InstanceId),
        "hostname" => Ok(Part::Hostname),
        "fqdn" => Ok(Part::Fqdn),
        other => Err(TemplateError::Unknown(other.to_owned())),
    }
}
