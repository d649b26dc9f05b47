//! Reads the answer of DescribeServers: the server's state, endpoint and CA.

use super::api::{Answer, Server};
use super::{OpsworksCm, attribute};
use crate::engines::{Authority, EngineId};
use crate::fault::{Fault, Kind};
use crate::pki::CaBundle;
use crate::targets::{Target, mismatch};

impl OpsworksCm {
    pub(super) fn read_servers(&self, answer: &Answer) -> Result<Authority, Fault> {
        let servers = match answer {
            Answer::Servers(servers) => servers,
            Answer::NotFound(message) => return Err(self.no_server(message)),
            _ => return Err(mismatch("DescribeServers")),
        };
        let ours = |server: &&Server| server.name.as_deref() == Some(&self.server);
        let Some(server) = servers.iter().find(ours) else {
            return Err(
                self.protocol("DescribeServers did not list the server that it was asked for")
            );
        };
        match server.status.as_deref() {
            Some("HEALTHY") => self.authority(server),
            Some(status @ ("DELETING" | "TERMINATED" | "FAILED")) => Err(self.gone(server, status)),
            Some(status) => Err(self.not_ready(status)),
            None => Err(self.protocol("DescribeServers returned no status")),
        }
    }

    /// The authority, from the description of a HEALTHY server. Endpoint and CA of the settings come first.
    fn authority(&self, server: &Server) -> Result<Authority, Fault> {
        let engine = match server.engine.as_deref() {
            Some("Puppet") => EngineId::Puppet,
            Some("Chef" | "ChefAutomate") => EngineId::Chef,
            other => {
                let other = other.unwrap_or("missing");
                return Err(
                    self.protocol(&format!("the server's engine is {other}, not Puppet or Chef"))
                );
            }
        };
        if let Some(wanted) = self.engine.filter(|wanted| *wanted != engine) {
            return Err(self.wrong_engine(engine, wanted));
        }
        let endpoint = match (&self.endpoint, &server.endpoint) {
            (Some(pinned), _) => pinned.clone(),
            (None, Some(returned)) => endpoint(returned).ok_or_else(|| {
                self.protocol(&format!("the server's endpoint {returned:?} is not a host name"))
            })?,
            (None, None) => return Err(self.protocol("DescribeServers returned no endpoint")),
        };
        let pinned = self.ca.as_ref().map(CaBundle::to_pem);
        if engine == EngineId::Chef {
            return Ok(Authority::Chef { endpoint, ca: pinned });
        }
        let ca = match (pinned, attribute(&server.attributes, "PUPPET_API_CA_CERT")) {
            (Some(pinned), _) => pinned,
            (None, Some(returned)) => CaBundle::from_pem(returned)
                .map_err(|error| self.bad_ca(returned).because(&error))?
                .to_pem(),
            (None, None) => {
                return Err(self.protocol("DescribeServers returned no PUPPET_API_CA_CERT"));
            }
        };
        Ok(Authority::Puppet { endpoint, ca, crl: None })
    }

    fn not_ready(&self, status: &str) -> Fault {
        Fault::new(
            Kind::Transient,
            format!("the server is {status}"),
            self.authority_name(),
            format!(
                "wait; to see the server's state, `aws opsworks-cm describe-servers --server-name {}`",
                self.server
            ),
        )
    }

    fn gone(&self, server: &Server, status: &str) -> Fault {
        let fault = Fault::new(
            Kind::Rejected,
            format!("the server is {status}, and will not come back"),
            self.authority_name(),
            "set server in [opsworks-cm] to another server, or create this one again",
        );
        match &server.status_reason {
            Some(reason) => fault.cause(reason),
            None => fault,
        }
    }

    pub(super) fn no_server(&self, message: &str) -> Fault {
        let todo =
            "check server in [opsworks-cm], and with `enlist check` the region and the credentials";
        Fault::new(Kind::Rejected, "there is no such server", self.authority_name(), todo)
            .cause(message)
    }

    fn wrong_engine(&self, engine: EngineId, wanted: EngineId) -> Fault {
        Fault::new(
            Kind::Config,
            format!("the server's engine is {engine}, and engine in [opsworks-cm] is {wanted}"),
            self.authority_name(),
            "correct engine in [opsworks-cm], or remove it",
        )
    }

    fn bad_ca(&self, returned: &str) -> Fault {
        Fault::new(
            Kind::Data,
            "the server's CA can't be used",
            self.authority_name(),
            "set ca_file in [opsworks-cm] to the server's CA, or correct the server's PUPPET_API_CA_CERT",
        )
        .with_evidence("ca", returned)
    }
}

/// The `host` or `host:port` of the API's endpoint. The reference says that it is a DNS name; a URL is
/// accepted too. Nothing else is, because it is written to the engine's settings.
#[must_use]
pub fn endpoint(returned: &str) -> Option<String> {
    let rest = returned.strip_prefix("https://").unwrap_or(returned);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (rest, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
    };
    let host_ok = host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label);
    let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (host_ok && port_ok).then(|| rest.to_owned())
}
