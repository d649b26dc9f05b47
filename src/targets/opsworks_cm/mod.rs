//! OpsWorks CM: a managed Puppet or Chef server that associates nodes.
//!
//! Source: AWS OpsWorks CM API Reference, API version 2016-11-01: DescribeServers,
//! AssociateNode, DescribeNodeAssociationStatus, DisassociateNode.

pub mod api;
mod server;

use super::{Answer, Created, Creation, Decision, Member, Permissions, Question, Target, mismatch};
use crate::engines::puppet;
use crate::engines::{Authority, EngineId, Grant, NodeContext};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::pki::{CaBundle, name};
use api::Request;

pub use server::endpoint;

pub const ID: &str = "opsworks-cm";

/// The longest value of an engine attribute, in characters.
const LONGEST_VALUE: usize = 10_000;

/// The `[opsworks-cm]` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsworksCm {
    /// 1 to 40 characters, `[a-zA-Z][a-zA-Z0-9\-]*`.
    pub server: String,
    /// Puppet or Chef; none: what DescribeServers says.
    pub engine: Option<EngineId>,
    /// Pinned: `host` or `host:port`.
    pub endpoint: Option<String>,
    /// Pinned: the server's CA.
    pub ca: Option<CaBundle>,
    /// Of `[chef]`: the organization that a node is associated with.
    pub chef_organization: String,
    /// Of `[chef]`: the engine attribute that carries the public key.
    pub chef_key_attribute: String,
}

impl Target for OpsworksCm {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        format!("server {}", self.server)
    }

    fn engine(&self) -> EngineId {
        self.engine.unwrap_or(EngineId::Puppet)
    }

    fn engines(&self) -> Vec<EngineId> {
        match self.engine {
            Some(engine) => vec![engine],
            None => vec![EngineId::Puppet, EngineId::Chef],
        }
    }

    fn check(&self, _: &Facts, name: &str) -> Result<(), Fault> {
        name::check_api(name).map_err(|error| {
            let on = format!("{name:?}, for {}", self.authority_name());
            let todo = "set node.name, for example to \"{instance_id}\" or \"{fqdn}\"";
            Fault::new(Kind::Config, "the node's name can't be used", on, todo).because(&error)
        })
    }

    fn discover(&self, _: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault> {
        match (self.pinned(), super::api::own(answers)?.as_slice()) {
            (Some(authority), _) => Ok(Question::Done(authority)),
            (None, []) => {
                let server = self.server.clone();
                Ok(Question::Ask(Request::DescribeServers { server }.into()))
            }
            (None, [answer, ..]) => self.read_servers(answer).map(Question::Done),
        }
    }

    /// A lost reply is settled by asking again with the same name and the same key (decision 0001),
    /// so `reconcile` keeps its default.
    fn create(&self, node: &NodeContext<'_>, _: &str, _: i64) -> Result<Creation, Fault> {
        let attributes = match node.authority {
            Authority::Chef { .. } => vec![
                ("CHEF_ORGANIZATION".to_owned(), self.chef_organization.clone()),
                (self.chef_key_attribute.clone(), node.key()?.public.to_pem()),
            ],
            _ => vec![("PUPPET_NODE_CSR".to_owned(), node.key()?.csr()?.to_owned())],
        };
        if let Some((attribute, value)) =
            attributes.iter().find(|(_, value)| value.chars().count() > LONGEST_VALUE)
        {
            let what = format!(
                "{attribute} has {} characters, and AssociateNode takes {LONGEST_VALUE}",
                value.chars().count()
            );
            let todo = "ask for fewer or shorter extension requests";
            return Err(Fault::new(Kind::Config, what, format!("node {}", node.name), todo));
        }
        let (server, node) = (self.server.clone(), node.name.to_owned());
        Ok(Creation::Call(Request::AssociateNode { server, node, attributes }.into()))
    }

    fn created(&self, answer: &Answer) -> Result<Created, Fault> {
        match super::api::own(std::slice::from_ref(answer))?.as_slice() {
            [api::Answer::Associated { token: Some(token) }] if !token.is_empty() => {
                Ok(Created::Ticket(token.clone()))
            }
            [api::Answer::NotFound(message)] => Err(self.no_server(message)),
            [api::Answer::Associated { .. }] => Err(self.protocol("AssociateNode gave no token")),
            _ => Err(mismatch("AssociateNode")),
        }
    }

    fn wait(
        &self,
        node: &NodeContext<'_>,
        ticket: &str,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Decision>, Fault> {
        let answers = super::api::own(answers)?;
        let Some(answer) = answers.last() else {
            return Ok(Question::Ask(self.ask_status(ticket)));
        };
        match self.status(answer, "the association")? {
            Progress::Unknown => Ok(Question::Done(Decision::Forgotten)),
            Progress::Pending => Ok(Question::AskLater(self.ask_status(ticket))),
            Progress::Failed => Err(self.failed(node.name)),
            Progress::Success(attributes) => {
                let grant = self.accept(node, attributes, unix)?;
                Ok(Question::Done(Decision::Granted(grant)))
            }
        }
    }

    fn leave(&self, member: &Member<'_>, answers: &[Answer]) -> Result<Question<()>, Fault> {
        let (Some(name), true) = (member.name, member.was_attempted) else {
            return Ok(Question::Done(()));
        };
        let answers = super::api::own(answers)?;
        let token = match answers.first() {
            None => return Ok(Question::Ask(self.disassociate(name, member.authority))),
            // It does not have this node, or not any more: that is what leaving means.
            Some(api::Answer::NotFound(_)) => return Ok(Question::Done(())),
            Some(api::Answer::Associated { token: Some(token) }) => token,
            Some(_) => return Err(self.protocol("DisassociateNode gave no token")),
        };
        match answers.get(1) {
            None => Ok(Question::Ask(self.ask_status(token))),
            Some(answer) => match self.status(answer, "the disassociation")? {
                Progress::Unknown | Progress::Success(_) => Ok(Question::Done(())),
                Progress::Pending => Ok(Question::AskLater(self.ask_status(token))),
                Progress::Failed => Err(self.disassociation_failed(name)),
            },
        }
    }

    fn permissions(&self) -> Permissions {
        Permissions {
            resource: "*".to_owned(),
            passes_role: None,
            join: match self.pinned() {
                None => &[
                    "opsworks-cm:DescribeServers",
                    "opsworks-cm:AssociateNode",
                    "opsworks-cm:DescribeNodeAssociationStatus",
                ],
                Some(_) => {
                    &["opsworks-cm:AssociateNode", "opsworks-cm:DescribeNodeAssociationStatus"]
                }
            },
            reconcile: &[],
            leave: &["opsworks-cm:DisassociateNode", "opsworks-cm:DescribeNodeAssociationStatus"],
        }
    }
}

/// What DescribeNodeAssociationStatus says.
enum Progress<'a> {
    Pending,
    Success(&'a [(String, String)]),
    Failed,
    /// There is no such token, or not any more.
    Unknown,
}

impl OpsworksCm {
    /// The authority, where the settings say all of it.
    fn pinned(&self) -> Option<Authority> {
        match (self.engine, &self.endpoint, &self.ca) {
            (Some(EngineId::Chef), Some(endpoint), ca) => Some(Authority::Chef {
                endpoint: endpoint.clone(),
                ca: ca.as_ref().map(CaBundle::to_pem),
            }),
            (_, Some(endpoint), Some(ca)) => {
                Some(Authority::Puppet { endpoint: endpoint.clone(), ca: ca.to_pem() })
            }
            _ => None,
        }
    }

    fn ask_status(&self, token: &str) -> super::Request {
        let (server, token) = (self.server.clone(), token.to_owned());
        Request::DescribeNodeAssociationStatus { server, token }.into()
    }

    fn status<'a>(&self, answer: &'a api::Answer, of: &str) -> Result<Progress<'a>, Fault> {
        let (status, attributes) = match answer {
            api::Answer::AssociationStatus { status, attributes } => (status, attributes),
            api::Answer::NotFound(_) => return Ok(Progress::Unknown),
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
        node: &NodeContext<'_>,
        attributes: &[(String, String)],
        unix: i64,
    ) -> Result<Grant, Fault> {
        let Authority::Puppet { .. } = node.authority else {
            return Ok(Grant::Client);
        };
        let who = self.authority_name();
        // By its name, never by its place: other attributes may stand before it.
        let Some(certificate) = attribute(attributes, "PUPPET_NODE_CERT") else {
            let names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
            let got = format!("attributes: {}", names.join(", "));
            let fault = puppet::refused(node, &who).cause("there is no attribute PUPPET_NODE_CERT");
            return Err(fault.with_evidence("answer", got));
        };
        puppet::accept(node, certificate, unix, &who)
    }

    fn disassociate(&self, name: &str, authority: Option<&Authority>) -> super::Request {
        // Chef requires the organization, Puppet nothing.
        let is_chef = matches!(authority, Some(Authority::Chef { .. }));
        let organization = ("CHEF_ORGANIZATION".to_owned(), self.chef_organization.clone());
        let attributes = if is_chef { vec![organization] } else { Vec::new() };
        let (server, node) = (self.server.clone(), name.to_owned());
        Request::DisassociateNode { server, node, attributes }.into()
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
