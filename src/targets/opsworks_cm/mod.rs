//! OpsWorks CM: a managed Puppet or Chef server that associates nodes.
//!
//! Source: AWS OpsWorks CM API Reference, API version 2016-11-01: DescribeServers,
//! AssociateNode, DescribeNodeAssociationStatus, DisassociateNode.

pub mod api;
mod server;

use super::{
    Answer, Created, Creation, Decision, Departure, Member, Permissions, Question, Target,
    Undecided, mismatch,
};
use crate::engines::puppet;
use crate::engines::{Authority, EngineId, Grant, NodeContext};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::pki::{CaBundle, name};
use api::Request;

pub use server::endpoint;

pub const ID: &str = "opsworks-cm";

/// The longest value of an engine attribute, in characters (API reference, `EngineAttribute`).
const LONGEST_VALUE: usize = 10_000;

/// The `[opsworks-cm]` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsworksCm {
    /// 1 to 40 characters, `[a-zA-Z][a-zA-Z0-9\-]*`.
    pub server: String,
    /// Puppet or Chef. None: as DescribeServers says.
    pub engine: Option<EngineId>,
    /// The server's endpoint, `host` or `host:port`, instead of what DescribeServers says.
    pub endpoint: Option<String>,
    /// The server's CA, instead of what DescribeServers says.
    pub ca: Option<CaBundle>,
    /// From `[chef]`: the organization that the node is associated with.
    pub chef_organization: String,
    /// From `[chef]`: the engine attribute that contains the public key.
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

    fn remains(&self, name: Option<&str>, _: Option<&Grant>) -> Option<String> {
        let (server, name) = (&self.server, name?);
        Some(format!(
            "run `aws opsworks-cm disassociate-node --server-name {server} --node-name {name}`"
        ))
    }

    fn check(&self, _: &Facts, name: &str) -> Result<(), Fault> {
        self.check_name(name)
    }

    fn check_name(&self, name: &str) -> Result<(), Fault> {
        name::check_api(name).map_err(|error| {
            let on = format!("{name:?}, for {}", self.authority_name());
            let todo = "set node.name, for example to \"{instance_id}\" or \"{fqdn}\"";
            Fault::new(Kind::Config, "the node's name can't be used", on, todo).because(&error)
        })
    }

    fn discover(&self, _: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault> {
        match (self.pinned(), super::api::of_service(answers)?.as_slice()) {
            (Some(authority), _) => Ok(Question::Done(authority)),
            (None, []) => {
                let server = self.server.clone();
                Ok(Question::Ask(Request::DescribeServers { server }.into()))
            }
            (None, [answer, ..]) => self.read_servers(answer).map(Question::Done),
        }
    }

    /// After a lost reply the same call is made again, with the same name and key (decision 0001). So
    /// `reconcile` keeps its default.
    fn create(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        _: &[Answer],
        _: i64,
    ) -> Result<Creation, Fault> {
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
                "{attribute} has {} characters, and AssociateNode accepts {LONGEST_VALUE}",
                value.chars().count()
            );
            let todo = "use fewer or shorter extension requests (extension_requests in [puppet], instance tags, csr_attributes.yaml)";
            return Err(Fault::new(Kind::Config, what, format!("node {}", node.name), todo));
        }
        let (server, node) = (self.server.clone(), node.name.to_owned());
        Ok(Creation::Call(Request::AssociateNode { server, node, attributes }.into()))
    }

    fn created(&self, _: &NodeContext<'_>, answer: &Answer, _: i64) -> Result<Created, Fault> {
        match super::api::of_service(std::slice::from_ref(answer))?.as_slice() {
            [api::Answer::Associated { token: Some(token) }] if !token.is_empty() => {
                Ok(Created::Ticket(token.clone()))
            }
            [api::Answer::NotFound(message)] => Err(self.no_server(message)),
            [api::Answer::Associated { .. }] => {
                Err(self.protocol("AssociateNode returned no token"))
            }
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
        let answers = super::api::of_service(answers)?;
        let Some(answer) = answers.last() else {
            return Ok(Question::Ask(self.ask_status(ticket)));
        };
        match self.status(answer, "the association")? {
            AssociationStatus::Unknown => Ok(Question::Done(Decision::Forgotten)),
            AssociationStatus::Pending => Ok(Question::AskLater(self.ask_status(ticket))),
            AssociationStatus::Failed => Err(self.failed(node.name)),
            AssociationStatus::Success(attributes) => {
                let grant = self.accept(node, attributes, unix)?;
                Ok(Question::Done(Decision::Granted(grant)))
            }
        }
    }

    fn undecided(&self, _: &str) -> Undecided {
        Undecided {
            longest_poll: super::LONGEST_POLL,
            gives_up_after: None,
            what: "the association is still in progress".to_owned(),
            todo: format!(
                "check the server's state; `enlist join --target {ID}` continues to wait for the same association"
            ),
        }
    }

    fn leave(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Departure>, Fault> {
        let (Some(name), true) = (member.name, member.was_attempted) else {
            return Ok(Question::Done(Departure::Complete));
        };
        let answers = super::api::of_service(answers)?;
        let token = match answers.first() {
            None => return Ok(Question::Ask(self.disassociate(name, member.authority))),
            // The server does not have this node, so the leave is done.
            Some(api::Answer::NotFound(_)) => return Ok(Question::Done(Departure::Complete)),
            Some(api::Answer::Associated { token: Some(token) }) => token,
            Some(_) => return Err(self.protocol("DisassociateNode returned no token")),
        };
        match answers.get(1) {
            None => Ok(Question::Ask(self.ask_status(token))),
            Some(answer) => match self.status(answer, "the disassociation")? {
                AssociationStatus::Unknown | AssociationStatus::Success(_) => {
                    Ok(Question::Done(Departure::Complete))
                }
                AssociationStatus::Pending => Ok(Question::AskLater(self.ask_status(token))),
                AssociationStatus::Failed => Err(self.disassociation_failed(name)),
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

/// The answer of DescribeNodeAssociationStatus.
enum AssociationStatus<'a> {
    Pending,
    Success(&'a [(String, String)]),
    Failed,
    /// The service does not know the token (any more).
    Unknown,
}

impl OpsworksCm {
    /// The authority, where the settings give all of it.
    fn pinned(&self) -> Option<Authority> {
        match (self.engine, &self.endpoint, &self.ca) {
            (Some(EngineId::Chef), Some(endpoint), ca) => Some(Authority::Chef {
                endpoint: endpoint.clone(),
                ca: ca.as_ref().map(CaBundle::to_pem),
            }),
            (_, Some(endpoint), Some(ca)) => {
                Some(Authority::Puppet { endpoint: endpoint.clone(), ca: ca.to_pem(), crl: None })
            }
            _ => None,
        }
    }

    fn ask_status(&self, token: &str) -> super::Request {
        let (server, token) = (self.server.clone(), token.to_owned());
        Request::DescribeNodeAssociationStatus { server, token }.into()
    }

    fn status<'a>(
        &self,
        answer: &'a api::Answer,
        of: &str,
    ) -> Result<AssociationStatus<'a>, Fault> {
        let (status, attributes) = match answer {
            api::Answer::AssociationStatus { status, attributes } => (status, attributes),
            api::Answer::NotFound(_) => return Ok(AssociationStatus::Unknown),
            _ => return Err(mismatch("DescribeNodeAssociationStatus")),
        };
        match status.as_deref() {
            Some("IN_PROGRESS") => Ok(AssociationStatus::Pending),
            Some("SUCCESS") => Ok(AssociationStatus::Success(attributes)),
            Some("FAILED") => Ok(AssociationStatus::Failed),
            Some(other) => Err(self.protocol(&format!(
                "the status of {of} is {other:?}, which is not a status of this API"
            ))),
            None => Err(self.protocol("DescribeNodeAssociationStatus returned no status")),
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
        // Found by its name, because other attributes may come before it.
        let Some(certificate) = attribute(attributes, "PUPPET_NODE_CERT") else {
            let names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
            let got = format!("attributes: {}", names.join(", "));
            let fault =
                puppet::refused(node, &who).cause("the answer has no attribute PUPPET_NODE_CERT");
            return Err(fault.with_evidence("answer", got));
        };
        puppet::accept(node, certificate, unix, &who)
    }

    fn disassociate(&self, name: &str, authority: Option<&Authority>) -> super::Request {
        // Chef requires the organization, Puppet needs no attribute.
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
            "read the server's log for the reason, then run `enlist join --target opsworks-cm`, which asks again with the same key",
        )
    }

    fn disassociation_failed(&self, name: &str) -> Fault {
        Fault::new(
            Kind::Rejected,
            "the disassociation FAILED",
            format!("node {name}, {}", self.authority_name()),
            "read the server's log for the reason, then run `enlist leave --target opsworks-cm`, which asks again",
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
