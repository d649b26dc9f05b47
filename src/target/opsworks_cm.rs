//! OpsWorks CM: a managed Puppet (or Chef) server that associates nodes.
//!
//! Source: AWS OpsWorks CM API Reference, API version 2016-11-01: DescribeServers,
//! AssociateNode, DescribeNodeAssociationStatus.

use super::{
    Answer, Authority, Grant, KeyReport, KeySpec, Known, Request, Server, SiteInquiry, Survey,
    Surveyed, Target, Watched, state_dir,
};
use crate::engine::{Bundle, Engine, puppet};
use crate::facts::PuppetSite;
use crate::fault::{Fault, Kind};
use crate::pki::certificate::{self, Expectation};
use crate::pki::{CaBundle, name};

pub const WORD: &str = "opsworks-cm";

/// The longest value of an engine attribute, in characters.
const LONGEST_VALUE: usize = 10_000;

/// The `[opsworks-cm]` settings, and those of the engines it may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsworksCm {
    /// 1 to 40 characters, `[a-zA-Z][a-zA-Z0-9\-]*`.
    pub server: String,
    /// None: what DescribeServers says.
    pub engine: Option<Engine>,
    /// Pinned: `host` or `host:port`.
    pub endpoint: Option<String>,
    /// Pinned: what the server's CA has to be.
    pub ca: Option<CaBundle>,
    pub puppet: puppet::Puppet,
}

impl Target for OpsworksCm {
    fn word(&self) -> &'static str {
        WORD
    }

    fn authority_name(&self) -> String {
        format!("server {}", self.server)
    }

    fn puppet_site(&self) -> Option<SiteInquiry> {
        Some(SiteInquiry {
            confdir: self.puppet.confdir.clone(),
            ssldir: self.puppet.ssldir.clone(),
            statedir: self.puppet.statedir.clone(),
            known: None,
        })
    }

    fn likely_key(&self) -> Option<(u32, String)> {
        Some((self.puppet.key_bits, staged_key()))
    }

    fn check_name(&self, name: &str) -> Result<(), Fault> {
        name::check_api(name).and_then(|()| name::check_certname(name)).map_err(|error| {
            let on = format!("{name:?}, for {}", self.authority_name());
            let todo = "set node.name, for example to \"{instance_id}\" or \"{fqdn}\"";
            Fault::new(Kind::Config, "the node's name can't be used", on, todo).because(&error)
        })
    }

    fn survey(&self) -> Survey {
        match (&self.endpoint, &self.ca) {
            (Some(endpoint), Some(ca)) => Survey::Pinned(Authority {
                engine: self.engine.unwrap_or(Engine::Puppet),
                endpoint: endpoint.clone(),
                ca: ca.to_pem(),
            }),
            _ => Survey::Ask(Request::DescribeServers { server: self.server.clone() }),
        }
    }

    fn surveyed(&self, answer: Answer) -> Result<Surveyed, Fault> {
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
            Some("HEALTHY") => Ok(Surveyed::Ready(self.authority(server)?)),
            Some(status @ ("DELETING" | "TERMINATED" | "FAILED")) => Err(self.gone(server, status)),
            Some(status) => Ok(Surveyed::NotYet(format!("the server is {status}"))),
            None => Err(self.protocol("DescribeServers gave no status")),
        }
    }

    fn hold(&self, known: &Known<'_>) -> Option<Bundle> {
        known.facts.puppet.as_ref().map(puppet::hold)
    }

    fn key(&self, known: &Known<'_>) -> Result<KeySpec, Fault> {
        let site = site(known)?;
        let plan = puppet::csr(&self.puppet, known.facts, site, known.name)?;
        Ok(KeySpec {
            at: puppet::key_place(site, known.name),
            staged: staged_key(),
            bits: self.puppet.key_bits,
            csr: Some(plan.spec),
            notes: plan.notes,
        })
    }

    fn create(&self, known: &Known<'_>, key: &KeyReport) -> Result<Request, Fault> {
        let csr = csr_of(key)?;
        if csr.chars().count() > LONGEST_VALUE {
            return Err(Fault::new(
                Kind::Config,
                format!(
                    "the certificate request has {} characters, and AssociateNode takes {LONGEST_VALUE}",
                    csr.chars().count()
                ),
                format!("node {}", known.name),
                "ask for fewer or shorter extension requests",
            ));
        }
        Ok(Request::AssociateNode {
            server: self.server.clone(),
            node: known.name.to_owned(),
            attributes: vec![("PUPPET_NODE_CSR".to_owned(), csr.to_owned())],
        })
    }

    fn created(&self, answer: Answer) -> Result<String, Fault> {
        match answer {
            Answer::Associated { token: Some(token) } if !token.is_empty() => Ok(token),
            Answer::NotFound(message) => Err(self.no_server(message)),
            Answer::Associated { .. } => Err(self.protocol("AssociateNode gave no token")),
            _ => Err(mismatch("AssociateNode")),
        }
    }

    fn watch(&self, ticket: &str) -> Request {
        Request::DescribeNodeAssociationStatus {
            server: self.server.clone(),
            token: ticket.to_owned(),
        }
    }

    fn watched(
        &self,
        known: &Known<'_>,
        key: &KeyReport,
        answer: Answer,
        unix: i64,
    ) -> Result<Watched, Fault> {
        let (status, attributes) = match answer {
            Answer::AssociationStatus { status, attributes } => (status, attributes),
            Answer::NotFound(_) => return Ok(Watched::Forgotten),
            _ => return Err(mismatch("DescribeNodeAssociationStatus")),
        };
        match status.as_deref() {
            Some("IN_PROGRESS") => Ok(Watched::Pending),
            Some("SUCCESS") => self.accept(known, key, &attributes, unix).map(Watched::Granted),
            Some("FAILED") => Err(self.failed(known)),
            Some(other) => Err(self.protocol(&format!(
                "the association's status is {other:?}, which the API does not know"
            ))),
            None => Err(self.protocol("DescribeNodeAssociationStatus gave no status")),
        }
    }

    fn install(&self, known: &Known<'_>, key: &KeyReport, grant: &Grant) -> Result<Bundle, Fault> {
        let member = puppet::Membership {
            name: known.name,
            endpoint: &known.authority.endpoint,
            certificate: &grant.certificate,
            ca: &known.authority.ca,
            csr: csr_of(key)?,
            staged_key: &staged_key(),
        };
        Ok(puppet::install(&self.puppet, site(known)?, &member))
    }
}

impl OpsworksCm {
    /// What a HEALTHY server says of itself, with the pinned settings over it.
    fn authority(&self, server: &Server) -> Result<Authority, Fault> {
        let engine = match server.engine.as_deref() {
            Some("Puppet") => Engine::Puppet,
            Some("Chef" | "ChefAutomate") => Engine::Chef,
            other => {
                return Err(self.protocol(&format!(
                    "the server's engine is {other:?}, and Puppet and Chef are known"
                )));
            }
        };
        if engine != Engine::Puppet {
            return Err(self.wrong_engine(engine));
        }
        let endpoint = match (&self.endpoint, &server.endpoint) {
            (Some(pinned), _) => pinned.clone(),
            (None, Some(told)) => endpoint(told).ok_or_else(|| {
                self.protocol(&format!("the server's endpoint {told:?} is no host name"))
            })?,
            (None, None) => return Err(self.protocol("DescribeServers gave no endpoint")),
        };
        let ca = match (&self.ca, attribute(&server.attributes, "PUPPET_API_CA_CERT")) {
            (Some(pinned), _) => pinned.to_pem(),
            (None, Some(told)) => CaBundle::from_pem(told)
                .map_err(|error| self.bad_ca(told).because(&error))?
                .to_pem(),
            (None, None) => return Err(self.protocol("DescribeServers gave no PUPPET_API_CA_CERT")),
        };
        Ok(Authority { engine, endpoint, ca })
    }

    fn accept(
        &self,
        known: &Known<'_>,
        key: &KeyReport,
        attributes: &[(String, String)],
        unix: i64,
    ) -> Result<Grant, Fault> {
        // By its name, never by its place: other attributes may stand before it.
        let Some(text) = attribute(attributes, "PUPPET_NODE_CERT") else {
            let names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
            let got = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(self
                .refused(known)
                .cause("there is no attribute PUPPET_NODE_CERT")
                .with_evidence("answer", got));
        };
        let refused = |error: &certificate::CertificateError| {
            self.refused(known).because(error).with_evidence("certificate", text)
        };
        let ca = CaBundle::from_pem(&known.authority.ca).map_err(|error| refused(&error))?;
        let expected = Expectation { key: &key.public, name: known.name, ca: &ca, now: unix };
        let checked = certificate::check(text, &expected).map_err(|error| refused(&error))?;
        Ok(Grant { certificate: checked.pem, serial: checked.serial, not_after: checked.not_after })
    }

    fn refused(&self, known: &Known<'_>) -> Fault {
        Fault::new(
            Kind::Data,
            "the certificate that came back is not acceptable, and nothing was installed",
            format!("node {}, {}", known.name, self.authority_name()),
            "compare it with the server's CA and with this node's key; it is kept as evidence beside the record",
        )
    }

    fn failed(&self, known: &Known<'_>) -> Fault {
        Fault::new(
            Kind::Rejected,
            "the association FAILED",
            format!("node {}, {}", known.name, self.authority_name()),
            "look into the server's own log for why it did not sign; the next join asks anew with the same key",
        )
    }

    fn gone(&self, server: &Server, status: &str) -> Fault {
        let fault = Fault::new(
            Kind::Rejected,
            format!("the server is {status}, and will not come back"),
            self.authority_name(),
            "name another server in [opsworks-cm], or create this one anew",
        );
        match &server.status_reason {
            Some(reason) => fault.cause(reason),
            None => fault,
        }
    }

    fn no_server(&self, message: String) -> Fault {
        let todo = "check server in [opsworks-cm], and the region and account that are asked";
        Fault::new(Kind::Rejected, "there is no such server", self.authority_name(), todo)
            .cause(message)
    }

    fn wrong_engine(&self, engine: Engine) -> Fault {
        Fault::new(
            Kind::Config,
            format!(
                "the server's engine is {engine}, and this version of enlist joins Puppet servers"
            ),
            self.authority_name(),
            "name a Puppet server in [opsworks-cm]",
        )
    }

    fn bad_ca(&self, told: &str) -> Fault {
        Fault::new(
            Kind::Data,
            "the server's CA can't be used to verify anything",
            self.authority_name(),
            "pin the CA with ca_file in [opsworks-cm], or have the server's PUPPET_API_CA_CERT mended",
        )
        .with_evidence("ca", told)
    }

    fn protocol(&self, what: &str) -> Fault {
        let todo =
            "check that the endpoint is an OpsWorks CM API (aws.endpoint_url, AWS_ENDPOINT_URL)";
        Fault::new(Kind::Protocol, what, self.authority_name(), todo)
    }
}

/// `host` or `host:port` of what the API calls an endpoint: a DNS name, by the reference, but a
/// URL is understood too. It ends up in puppet.conf, so nothing else may pass.
#[must_use]
pub fn endpoint(told: &str) -> Option<String> {
    let rest = told.strip_prefix("https://").unwrap_or(told);
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

fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn site<'a>(known: &Known<'a>) -> Result<&'a PuppetSite, Fault> {
    known.facts.puppet.as_ref().ok_or_else(|| invariant("Puppet's directories are not known"))
}

fn csr_of(key: &KeyReport) -> Result<&str, Fault> {
    key.csr.as_deref().ok_or_else(|| invariant("there is no certificate request"))
}

fn staged_key() -> String {
    format!("{}/key.pem", state_dir(WORD))
}

fn mismatch(action: &str) -> Fault {
    invariant(&format!("the answer to {action} is of another kind"))
}

fn invariant(what: &str) -> Fault {
    Fault::new(Kind::Invariant, what, WORD, "this is a bug in enlist; please report it")
}
