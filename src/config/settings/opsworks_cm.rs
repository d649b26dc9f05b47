//! `[opsworks-cm]`.

use super::reader::{Reader, required};
use crate::config::ConfigError;
use crate::config::input::Origin;
use crate::config::setting_table::opsworks_cm;
use crate::engines::EngineId;
use crate::engines::chef::Chef;
use crate::targets::opsworks_cm::{OpsworksCm, endpoint};

impl Reader<'_> {
    pub(super) fn opsworks_cm(
        &self,
        origin: &Origin,
        chef: &Chef,
    ) -> Result<OpsworksCm, ConfigError> {
        const SERVER: &str = "1 to 40 letters, digits and -, beginning with a letter";
        let server = self.parsed(&opsworks_cm::server, SERVER, server_name)?;
        Ok(OpsworksCm {
            server: required(
                server,
                origin,
                &opsworks_cm::server,
                &format!("the server's name, {SERVER}"),
            )?,
            engine: self.parsed(&opsworks_cm::engine, "\"puppet\" or \"chef\"", engine)?,
            endpoint: self.parsed(&opsworks_cm::endpoint, "a host name, or host:port", endpoint)?,
            ca: self.ca_file(&opsworks_cm::ca_file)?,
            chef_organization: chef.organization.clone(),
            chef_key_attribute: self.chef_key_attribute()?,
        })
    }
}

fn engine(text: &str) -> Option<EngineId> {
    match text {
        "puppet" => Some(EngineId::Puppet),
        "chef" => Some(EngineId::Chef),
        _ => None,
    }
}

/// OpsWorks CM API reference, `ServerName`: 1 to 40 characters, `[a-zA-Z][a-zA-Z0-9\-]*`.
fn server_name(text: &str) -> Option<String> {
    let fits = text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    fits.then(|| text.to_owned())
}
