//! `[puppet-server]`.

use std::time::Duration;

use super::reader::{Reader, required, required_or};
use crate::config::ConfigError;
use crate::config::input::Origin;
use crate::config::setting_table::puppet_server;
use crate::engines::RequestAdditions;
use crate::pki::pin::Pin;
use crate::targets::address;
use crate::targets::puppet_server::{Ca, PuppetServer};

/// How many servers may be named.
const MOST: usize = 16;

/// How many alternative names may be asked for.
const MOST_NAMES: usize = 64;

impl Reader<'_> {
    pub(super) fn puppet_server(&self, origin: &Origin) -> Result<PuppetServer, ConfigError> {
        Ok(PuppetServer {
            servers: self.servers(origin)?,
            port: self.number(&puppet_server::port, "a port, 1 to 65535", |port| *port > 0)?,
            ca: self.ca_known(origin)?,
            give_up_unsigned: self.duration_or_never(
                &puppet_server::give_up_unsigned,
                Duration::from_mins(1),
                "\"never\", or a duration of a minute or more, such as \"7d\"",
            )?,
            additions: RequestAdditions {
                challenge_password: self.secret(&puppet_server::challenge_password)?,
                proof: self.choice_or_default(&puppet_server::proof)?,
                auto_renew: true,
                dns_names: self.dns_alt_names()?,
            },
        })
    }

    /// Where the CA is: SRV records are not looked up.
    fn servers(&self, origin: &Origin) -> Result<Vec<String>, ConfigError> {
        const HOSTS: &str = "a host name or an address, without a port, or a list of 1 to 16";
        const NO_SRV: &str = "the host names that the SRV record lists (`dig +short SRV NAME`), in the order in which they are tried: enlist does not look it up";
        let servers = self.list(&puppet_server::server)?;
        let servers = Some(servers).filter(|servers| !servers.is_empty());
        let servers = required(servers, origin, &puppet_server::server, HOSTS)?;
        // A host name has no such label.
        if servers.iter().any(|server| server.starts_with('_')) {
            return Err(self.invalid(&puppet_server::server, NO_SRV));
        }
        let host = |server: &String| address::host(server).map(str::to_owned);
        let hosts = servers.iter().map(host).collect::<Result<Vec<_>, _>>();
        let hosts = hosts.ok().filter(|hosts| hosts.len() <= MOST);
        hosts.ok_or_else(|| self.invalid(&puppet_server::server, HOSTS))
    }

    fn dns_alt_names(&self) -> Result<Vec<String>, ConfigError> {
        const NAMES: &str = "at most 64 DNS names in lower case, without *";
        let names = self.list(&puppet_server::dns_alt_names)?;
        let is_name = |name: &String| {
            address::check_host(name).is_ok() && *name == name.to_lowercase() && !name.contains('_')
        };
        if names.len() <= MOST_NAMES && names.iter().all(is_name) {
            Ok(names)
        } else {
            Err(self.invalid(&puppet_server::dns_alt_names, NAMES))
        }
    }

    /// None: never.
    /// Exactly one of ca_file, ca_fingerprint and trust_on_first_use must be set.
    fn ca_known(&self, origin: &Origin) -> Result<Ca, ConfigError> {
        const ONE: &str = "one of ca_file, ca_fingerprint and trust_on_first_use = true";
        const DIGITS: &str = "a SHA-256: 64 hexadecimal digits, with or without colons";
        let bundle = self.ca_file(&puppet_server::ca_file)?.map(Ca::Bundle);
        let pinned =
            self.parsed(&puppet_server::ca_fingerprint, DIGITS, Pin::parse)?.map(Ca::Pinned);
        let first = self.boolean(&puppet_server::trust_on_first_use)?.then_some(Ca::FirstUse);
        match (bundle, pinned, first) {
            (Some(_), Some(_), _) | (_, Some(_), Some(_)) => {
                Err(self.invalid(&puppet_server::ca_fingerprint, ONE))
            }
            (Some(_), None, Some(_)) => Err(self.invalid(&puppet_server::trust_on_first_use, ONE)),
            (bundle, pinned, first) => {
                let known = bundle.or(pinned).or(first);
                let or = &["ca_fingerprint", "trust_on_first_use"];
                required_or(known, origin, &puppet_server::ca_file, or, ONE)
            }
        }
    }
}
