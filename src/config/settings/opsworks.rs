//! `[opsworks]`.

use std::net::Ipv4Addr;

use super::reader::{Reader, required};
use crate::config::ConfigError;
use crate::config::input::Origin;
use crate::config::schema::{Key, form};
use crate::config::setting_table::opsworks;
use crate::targets::opsworks::{Infrastructure, LONGEST_HOSTNAME, Opsworks, check_hostname};
use crate::targets::ssm::is_id;

impl Reader<'_> {
    pub(super) fn opsworks(&self, origin: &Origin) -> Result<Opsworks, ConfigError> {
        const STACK: &str = "the stack's id, a UUID in lower case";
        const HOST: &str = "a host name whose first label has 1 to 63 letters, digits and -";
        let stack_id =
            self.parsed(&opsworks::stack_id, STACK, |text| is_id(text).then(|| text.to_owned()))?;
        let infrastructure = self.choice_or_default(&opsworks::infrastructure)?;
        let hostname = self.parsed(&opsworks::hostname, HOST, |text| {
            let first = text.split('.').next().unwrap_or_default();
            check_hostname(first, LONGEST_HOSTNAME).is_ok().then(|| text.to_owned())
        })?;
        Ok(Opsworks {
            stack_id: required(stack_id, origin, &opsworks::stack_id, STACK)?,
            infrastructure,
            hostname,
            private_ip: self.address(&opsworks::private_ip, infrastructure)?,
            public_ip: self.address(&opsworks::public_ip, infrastructure)?,
        })
    }

    /// An address, on-premises only. For an EC2 instance the identity document is sent instead.
    fn address(
        &self,
        key: &Key<form::Text>,
        infrastructure: Infrastructure,
    ) -> Result<Option<Ipv4Addr>, ConfigError> {
        let address = self.parsed(key, "an IPv4 address", |text| text.parse().ok())?;
        if address.is_some() && infrastructure == Infrastructure::Ec2 {
            let allowed = "nothing, unless infrastructure = \"on-premises\": the addresses of an EC2 instance come from its metadata";
            return Err(self.invalid(key, allowed));
        }
        Ok(address)
    }
}
