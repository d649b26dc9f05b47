//! OpsWorks CM: a managed Puppet or Chef server that associates nodes.
//!
//! Source: AWS OpsWorks CM API Reference, API version 2016-11-01: DescribeServers,
//! AssociateNode, DescribeNodeAssociationStatus, DisassociateNode.

mod hold;
mod server;

use super::{
    Actions, Answer, Authority, Created, Creation, Discovered, Discovery, Doubt, ExpectedKey,
    FactsWanted, Grant, Installation, KeyReport, KeySpec, Leaving, Member, NodeContext,
    PuppetWanted, Request, Target, Watched, invariant, mismatch, staged_key, state_dir,
};
use crate::engines::{Action, Bundle, Engine, Place, chef, puppet};
use crate::facts::{Facts, PuppetSite};
use crate::fault::{Fault, Kind};
use crate::pki::certificate::{self, Expectation};
use crate::pki::{CaBundle, name};
use crate::secret::Secret;

pub use server::endpoint;

pub const ID: &str = "opsworks-cm";

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
    pub chef: chef::Chef,
}

impl Target for OpsworksCm {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        format!("server {}", self.server)
    }

    fn inquiry(&self) -> FactsWanted {
        let site = PuppetWanted {
            confdir: self.puppet.confdir.clone(),
            ssldir: self.puppet.ssldir.clone(),
            statedir: self.puppet.statedir.clone(),
            program: self.puppet.program.clone(),
            known: None,
        };
        let is_chef = self.engine == Some(Engine::Chef);
        let (bits, at) = match self.engine {
            Some(Engine::Chef) => (self.chef.key_bits, Some(chef::key_place(&self.chef).path)),
            _ => (self.puppet.key_bits, None),
        };
        FactsWanted {
            opsworks: false,
            puppet: Some(site).filter(|_| !is_chef),
            key: Some(ExpectedKey { bits, staged: staged_key(ID), at }),
            ..FactsWanted::default()
        }
    }

    fn directories(&self, site: Option<&PuppetSite>) -> Vec<Place> {
        // Without the setting, the server says later on which engine it is.
        let puppet = site.filter(|_| self.engine != Some(Engine::Chef)).map(puppet::directories_of);
        let chef =
            Some(chef::directory(&self.chef)).filter(|_| self.engine != Some(Engine::Puppet));
        puppet.into_iter().flatten().chain(chef).collect()
    }

    fn check(&self, _: &Facts, name: &str) -> Result<(), Fault> {
        let certname = match self.engine {
            Some(Engine::Chef) => Ok(()),
            _ => name::check_certname(name),
        };
        name::check_api(name).and(certname).map_err(|error| {
            let on = format!("{name:?}, for {}", self.authority_name());
            let todo = "set node.name, for example to \"{instance_id}\" or \"{fqdn}\"";
            Fault::new(Kind::Config, "the node's name can't be used", on, todo).because(&error)
        })
    }

    fn survey(&self) -> Discovery {
        let pinned = match (self.engine, &self.endpoint, &self.ca) {
            (Some(Engine::Chef), Some(endpoint), ca) => Some(Authority::Chef {
                endpoint: endpoint.clone(),
                ca: ca.as_ref().map(CaBundle::to_pem),
            }),
            (_, Some(endpoint), Some(ca)) => {
                Some(Authority::Puppet { endpoint: endpoint.clone(), ca: ca.to_pem() })
            }
            _ => None,
        };
        match pinned {
            Some(authority) => Discovery::Known(authority),
            None => Discovery::Ask(Request::DescribeServers { server: self.server.clone() }),
        }
    }

    fn surveyed(&self, _: &Facts, answer: Answer) -> Result<Discovered, Fault> {
        self.read_survey(answer)
    }

    fn hold(&self, known: &NodeContext<'_>) -> Option<Bundle> {
        self.look_and_hold(known)
    }

    fn release(&self, site: Option<&PuppetSite>) -> Option<Bundle> {
        site.map(puppet::release)
    }

    fn key(&self, known: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        let staged = staged_key(ID);
        if let Authority::Chef { .. } = known.authority {
            let (at, bits) = (chef::key_place(&self.chef), self.chef.key_bits);
            return Ok(Some(KeySpec {
                at,
                staged,
                bits,
                csr: None,
                notes: Vec::new(),
                must_stand: false,
            }));
        }
        let site = site(known)?;
        let plan = puppet::csr(&self.puppet, known.facts, site, known.name)?;
        Ok(Some(KeySpec {
            at: puppet::key_place(site, known.name),
            staged,
            bits: self.puppet.key_bits,
            csr: Some(plan.spec),
            notes: plan.notes,
            must_stand: false,
        }))
    }

    fn create(&self, known: &NodeContext<'_>, _: &str, _: i64) -> Result<Creation, Fault> {
        let attributes = match known.authority {
            Authority::Chef { .. } => vec![
                ("CHEF_ORGANIZATION".to_owned(), self.chef.organization.clone()),
                (self.chef.key_attribute.clone(), known.key()?.public.to_pem()),
            ],
            _ => vec![("PUPPET_NODE_CSR".to_owned(), csr_of(known.key()?)?.to_owned())],
        };
        if let Some((attribute, value)) =
            attributes.iter().find(|(_, value)| value.chars().count() > LONGEST_VALUE)
        {
            let what = format!(
                "{attribute} has {} characters, and AssociateNode takes {LONGEST_VALUE}",
                value.chars().count()
            );
            let todo = "ask for fewer or shorter extension requests";
            return Err(Fault::new(Kind::Config, what, format!("node {}", known.name), todo));
        }
        let (server, node) = (self.server.clone(), known.name.to_owned());
        Ok(Creation::Call(Request::AssociateNode { server, node, attributes }))
    }

    /// Decision 0001: asked again with the same name and the same key.
    fn in_doubt(&self, _: &NodeContext<'_>, _: &str, _: &[Answer]) -> Result<Doubt, Fault> {
        Ok(Doubt::Repeat)
    }

    fn created(&self, answer: Answer) -> Result<Created, Fault> {
        match answer {
            Answer::Associated { token: Some(token) } if !token.is_empty() => {
                Ok(Created::Ticket(token))
            }
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
        known: &NodeContext<'_>,
        answer: Answer,
        unix: i64,
    ) -> Result<Watched, Fault> {
        match self.status(answer, "the association")? {
            Progress::Unknown => Ok(Watched::Forgotten),
            Progress::Pending => Ok(Watched::Pending),
            Progress::Failed => Err(self.failed(known.name)),
            Progress::Success(attributes) => {
                self.accept(known, &attributes, unix).map(Watched::Granted)
            }
        }
    }

    fn install(
        &self,
        known: &NodeContext<'_>,
        grant: &Grant,
        _: Option<&Secret>,
    ) -> Result<Option<Installation>, Fault> {
        let staged = staged_key(ID);
        let bundle = match (known.authority, grant) {
            (Authority::Puppet { endpoint, ca }, Grant::Certificate { pem, .. }) => {
                let csr = csr_of(known.key()?)?;
                let member = puppet::InstallInput {
                    name: known.name,
                    endpoint,
                    certificate: pem,
                    ca,
                    csr,
                    staged_key: &staged,
                };
                puppet::install(&self.puppet, site(known)?, &member)
            }
            (Authority::Chef { endpoint, ca }, Grant::Client) => {
                chef::install(&self.chef, known.name, endpoint, ca.as_deref(), &staged)
            }
            _ => return Err(invariant("the grant does not fit the authority")),
        };
        Ok(Some(Installation::Bundle(bundle)))
    }

    fn depart(&self, member: &Member<'_>, answers: &[Answer]) -> Result<Leaving, Fault> {
        let (Some(name), true) = (member.name, member.was_attempted) else {
            return Ok(Leaving::Gone);
        };
        let token = match answers.first() {
            None => return Ok(Leaving::Ask(self.disassociate(name, member.authority))),
            // It does not have this node (any more): that is what leaving means.
            Some(Answer::NotFound(_)) => return Ok(Leaving::Gone),
            Some(Answer::Associated { token: Some(token) }) => token,
            Some(_) => return Err(self.protocol("DisassociateNode gave no token")),
        };
        match answers.last().filter(|_| answers.len() > 1) {
            None => Ok(Leaving::Ask(self.watch(token))),
            Some(answer) => match self.status(answer.clone(), "the disassociation")? {
                Progress::Unknown | Progress::Success(_) => Ok(Leaving::Gone),
                Progress::Pending => Ok(Leaving::AskLater(self.watch(token))),
                Progress::Failed => Err(self.disassociation_failed(name)),
            },
        }
    }

    fn clear(&self, installed: &[(String, String)], site: Option<&PuppetSite>) -> Bundle {
        let is_chef =
            installed.iter().any(|(_, path)| path.starts_with(&format!("{}/", self.chef.confdir)));
        match site {
            _ if is_chef => chef::clear(installed),
            Some(site) => {
                let mut bundle = puppet::clear(installed, site);
                // What Puppet said, kept beside the record.
                let path = format!("{}/puppet.json", state_dir(ID));
                bundle.actions.push(Action::RemoveWithBackup { path });
                bundle
            }
            None => Bundle::default(),
        }
    }

    fn actions(&self) -> Actions {
        Actions {
            resource: "*".to_owned(),
            passes_role: None,
            join: match self.survey() {
                Discovery::Ask(_) => &[
                    "opsworks-cm:DescribeServers",
                    "opsworks-cm:AssociateNode",
                    "opsworks-cm:DescribeNodeAssociationStatus",
                ],
                Discovery::Known(_) => {
                    &["opsworks-cm:AssociateNode", "opsworks-cm:DescribeNodeAssociationStatus"]
                }
            },
            reconcile: &[],
            leave: &["opsworks-cm:DisassociateNode", "opsworks-cm:DescribeNodeAssociationStatus"],
        }
    }
}

/// What DescribeNodeAssociationStatus says.
enum Progress {
    Pending,
    Success(Vec<(String, String)>),
    Failed,
    /// There is no such token, or not any more.
    Unknown,
}

impl OpsworksCm {
    fn status(&self, answer: Answer, of: &str) -> Result<Progress, Fault> {
        let (status, attributes) = match answer {
            Answer::AssociationStatus { status, attributes } => (status, attributes),
            Answer::NotFound(_) => return Ok(Progress::Unknown),
            _ => return Err(mismatch("DescribeNodeAssociationStatus")),
        };
        match status.as_deref() {
            Some("IN_PROGRESS") => Ok(Progress::Pending),
            Some("SUCCESS") => Ok(Progress::Success(attributes)),
            Some("FAILED") => Ok(Progress::Failed),
            Some(other) => Err(self.protocol(&format!(
                "the status of {of} is {other:?}, which the API does not know"
            ))),
            None => Err(self.protocol("DescribeNodeAssociationStatus gave no status")),
        }
    }

    fn accept(
        &self,
        known: &NodeContext<'_>,
        attributes: &[(String, String)],
        unix: i64,
    ) -> Result<Grant, Fault> {
        let Authority::Puppet { ca, .. } = known.authority else {
            return Ok(Grant::Client);
        };
        // By its name, never by its place: other attributes may stand before it.
        let Some(text) = attribute(attributes, "PUPPET_NODE_CERT") else {
            let names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
            let got = format!("attributes: {}", names.join(", "));
            let fault = self.refused(known).cause("there is no attribute PUPPET_NODE_CERT");
            return Err(fault.with_evidence("answer", got));
        };
        let refused = |error: &certificate::CertificateError| {
            let fault = self.refused(known).because(error).with_evidence("certificate", text);
            if error.is_about_time() { fault.about_time() } else { fault }
        };
        let ca = CaBundle::from_pem(ca).map_err(|error| refused(&error))?;
        let expected =
            Expectation { key: &known.key()?.public, name: known.name, ca: &ca, now: unix };
        let checked = certificate::check(text, &expected).map_err(|error| refused(&error))?;
        Ok(Grant::Certificate {
            pem: checked.pem,
            serial: checked.serial,
            not_after: checked.not_after,
        })
    }

    fn disassociate(&self, name: &str, authority: Option<&Authority>) -> Request {
        // Required for Chef, and nothing is for Puppet.
        let is_chef = matches!(authority, Some(Authority::Chef { .. }));
        let organization = ("CHEF_ORGANIZATION".to_owned(), self.chef.organization.clone());
        let attributes = if is_chef { vec![organization] } else { Vec::new() };
        Request::DisassociateNode { server: self.server.clone(), node: name.to_owned(), attributes }
    }

    fn refused(&self, known: &NodeContext<'_>) -> Fault {
        Fault::new(
            Kind::Data,
            "the certificate that came back is not acceptable, and nothing was installed",
            format!("node {}, {}", known.name, self.authority_name()),
            "compare it with the server's CA and with this node's key; it is kept as evidence beside the record",
        )
    }

    fn failed(&self, name: &str) -> Fault {
        Fault::new(
            Kind::Rejected,
            "the association FAILED",
            format!("node {name}, {}", self.authority_name()),
            "look into the server's own log for why it did not accept the node; the next join asks anew with the same key",
        )
    }

    fn disassociation_failed(&self, name: &str) -> Fault {
        Fault::new(
            Kind::Rejected,
            "the disassociation FAILED",
            format!("node {name}, {}", self.authority_name()),
            "look into the server's own log; the next `enlist leave` asks anew",
        )
    }

    fn protocol(&self, what: &str) -> Fault {
        let todo =
            "check that the endpoint is an OpsWorks CM API (aws.endpoint_url, AWS_ENDPOINT_URL)";
        Fault::new(Kind::Protocol, what, self.authority_name(), todo)
    }
}

fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn site<'a>(known: &NodeContext<'a>) -> Result<&'a PuppetSite, Fault> {
    known.facts.puppet.as_ref().ok_or_else(|| invariant("Puppet's directories are not known"))
}

fn csr_of(key: &KeyReport) -> Result<&str, Fault> {
    key.csr.as_ref().map(Secret::expose).ok_or_else(|| invariant("there is no certificate request"))
}
