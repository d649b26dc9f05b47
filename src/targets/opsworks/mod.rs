//! OpsWorks Stacks: an instance that registers itself with a stack.
//!
//! Source: AWS OpsWorks Stacks API Reference, API version 2013-02-18: DescribeStacks,
//! RegisterInstance, DescribeInstances, DeregisterInstance; and what the original agent sent.

pub mod api;
mod claim;

use std::net::Ipv4Addr;

use super::name::check_host_name;
use super::{
    Answer, Created, Creation, Departure, Member, Permissions, Question, Reconciled, Standing,
    Target, mismatch,
};
use crate::engines::{Authority, EngineId, Grant, NodeContext, Observed};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use api::{Registration, Request, Stack};
use claim::{Found, OwnIdentity};

pub const ID: &str = "opsworks";

/// The longest host name, in characters (RegisterInstance, `Hostname`).
pub const LONGEST_HOSTNAME: usize = 63;

/// The `[opsworks]` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opsworks {
    /// A UUID.
    pub stack_id: String,
    pub infrastructure: Infrastructure,
    pub hostname: Option<String>,
    pub private_ip: Option<Ipv4Addr>,
    pub public_ip: Option<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Infrastructure {
    Ec2,
    OnPremises,
}

impl Target for Opsworks {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        format!("stack {}", self.stack_id)
    }

    fn engine(&self) -> EngineId {
        EngineId::OpsworksAgent
    }

    fn check(&self, facts: &Facts, _: &str) -> Result<(), Fault> {
        if self.infrastructure == Infrastructure::Ec2 && facts.ec2.is_none() {
            return Err(self.config(
                "infrastructure is \"ec2\", and this is not an EC2 instance",
                "set infrastructure = \"on-premises\" in [opsworks]",
            ));
        }
        if self.hostname.is_none() {
            check_host_name(&facts.hostname, facts, "hostname = \"...\" in [opsworks]")?;
        }
        check_hostname(&self.hostname(facts), LONGEST_HOSTNAME).map_err(|rule| {
            let todo = "set hostname in [opsworks]";
            self.config(
                &format!("the host name {:?} can't be used: {rule}", self.hostname(facts)),
                todo,
            )
        })?;
        match addresses(self, facts) {
            (None, None) => Err(self.config(
                "this node has no IPv4 address to register with",
                "set private_ip or public_ip in [opsworks]",
            )),
            _ => Ok(()),
        }
    }

    fn discover(&self, facts: &Facts, answers: &[Answer]) -> Result<Question<Authority>, Fault> {
        match super::api::of_service(answers)?.as_slice() {
            [] => Ok(Question::Ask(self.ask_stack())),
            [answer, ..] => self.read_stacks(facts, answer).map(Question::Done),
        }
    }

    /// The agent's identity file exists.
    fn shows_registration(&self, observed: &Observed) -> bool {
        observed.opsworks_agent.is_some()
    }

    fn create(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        _: &[Answer],
        _: i64,
    ) -> Result<Creation, Fault> {
        let key = &node.key()?.public;
        let (private_ip, public_ip) = addresses(self, node.facts);
        let ec2 = node.facts.ec2.as_ref().filter(|_| self.infrastructure == Infrastructure::Ec2);
        let registration = Registration {
            stack: self.stack_id.clone(),
            hostname: self.hostname(node.facts),
            private_ip,
            public_ip,
            public_key: key.to_pem(),
            fingerprint: key.sha1_fingerprint(),
            identity: ec2.map(|ec2| ec2.identity.clone()),
        };
        Ok(Creation::Call(Request::RegisterInstance(Box::new(registration)).into()))
    }

    fn created(&self, _: &NodeContext<'_>, answer: &Answer, _: i64) -> Result<Created, Fault> {
        match super::api::of_service(std::slice::from_ref(answer))?.as_slice() {
            [api::Answer::Registered { instance: Some(id) }] if is_id(id) => {
                Ok(Created::Granted(Grant::Instance { id: id.clone() }, None))
            }
            [api::Answer::Registered { .. }] => {
                Err(self.protocol("RegisterInstance returned no InstanceId").in_doubt())
            }
            [api::Answer::NotFound(message)] => Err(self.no_stack(message)),
            _ => Err(mismatch("RegisterInstance")),
        }
    }

    /// RegisterInstance has no idempotency token, so the stack's instances are searched for this node.
    fn reconcile(
        &self,
        node: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        let answers = super::api::of_service(answers)?;
        let Some(answer) = answers.first() else { return Ok(Question::Ask(self.ask_instances())) };
        let own = self.own(node.facts, node.observed);
        let own = OwnIdentity { fingerprint: Some(node.key()?.public.sha1_fingerprint()), ..own };
        Ok(Question::Done(match self.find(answer, &own, "enlist join")? {
            Some(id) => Reconciled::Granted(Grant::Instance { id }),
            None => Reconciled::CallAgain,
        }))
    }

    fn leave(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Departure>, Fault> {
        let deregister = |id: &str| {
            Question::Ask(Request::DeregisterInstance { instance: id.to_owned() }.into())
        };
        let answers = super::api::of_service(answers)?;
        match (member.grant, answers.as_slice()) {
            (_, [.., api::Answer::Deregistered | api::Answer::NotFound(_)]) => {
                Ok(Question::Done(Departure::Complete))
            }
            (Some(Grant::Instance { id }), []) => Ok(deregister(id)),
            (None, []) if !member.was_attempted => Ok(Question::Done(Departure::Complete)),
            // It is not known whether the node was registered, so the stack's list is searched.
            (_, []) => Ok(Question::Ask(self.ask_instances())),
            // Searched as in `reconcile`.
            (_, [answer, ..]) => {
                let recorded = member.machine.and_then(|machine| machine.instance_id.clone());
                let is_ec2 = self.infrastructure == Infrastructure::Ec2;
                let own = self.own(member.facts, member.observed);
                let own = OwnIdentity {
                    ec2: recorded.filter(|_| is_ec2).or(own.ec2),
                    fingerprint: member.key_sha1.map(str::to_owned),
                    ..own
                };
                let found = self.find(answer, &own, "enlist leave")?;
                Ok(found.map_or(Question::Done(Departure::Complete), |id| deregister(&id)))
            }
        }
    }

    fn remains(&self, name: Option<&str>, grant: Option<&Grant>) -> Option<String> {
        Some(match grant {
            Some(Grant::Instance { id }) => {
                format!("run `aws opsworks deregister-instance --instance-id {id}`")
            }
            _ => format!(
                "look for {} with `aws opsworks describe-instances --stack-id {}`, then `aws opsworks deregister-instance --instance-id ID`",
                name?, self.stack_id
            ),
        })
    }

    fn trials(&self) -> Vec<super::Request> {
        vec![self.ask_stack(), self.ask_instances()]
    }

    fn probe(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Standing>, Fault> {
        let Some(Grant::Instance { id }) = member.grant else {
            return self.reach(member.facts, answers);
        };
        let answers = super::api::of_service(answers)?;
        let instances = match answers.as_slice() {
            [] => return Ok(Question::Ask(self.ask_instances())),
            [api::Answer::Instances(instances), ..] => instances,
            [api::Answer::NotFound(message), ..] => return Err(self.no_stack(message)),
            _ => return Err(mismatch("DescribeInstances")),
        };
        let is_ours = |one: &api::Instance| one.id.as_ref() == Some(id);
        Ok(Question::Done(if instances.iter().any(is_ours) {
            Standing::Present(format!("instance {id}"))
        } else {
            Standing::Absent {
                what: format!("the stack does not have instance {id}"),
                todo: format!("run `enlist leave --target {ID} && enlist join --target {ID}`"),
            }
        }))
    }

    fn permissions(&self) -> Permissions {
        Permissions {
            resource: format!("arn:aws:opsworks:*:*:stack/{}/", self.stack_id),
            passes_role: None,
            join: &["opsworks:DescribeStacks", "opsworks:RegisterInstance"],
            reconcile: &["opsworks:DescribeInstances"],
            leave: &["opsworks:DeregisterInstance"],
        }
    }
}

impl Opsworks {
    fn read_stacks(&self, facts: &Facts, answer: &api::Answer) -> Result<Authority, Fault> {
        let stacks = match answer {
            api::Answer::Stacks(stacks) => stacks,
            api::Answer::NotFound(message) => return Err(self.no_stack(message)),
            _ => return Err(mismatch("DescribeStacks")),
        };
        let ours = |stack: &&Stack| stack.id.as_deref() == Some(&self.stack_id);
        let Some(stack) = stacks.iter().find(ours) else {
            return Err(
                self.protocol("DescribeStacks did not list the stack that it was asked for")
            );
        };
        let own = facts.ec2.as_ref().and_then(|ec2| ec2.region.as_ref());
        if let (Infrastructure::Ec2, Some(own), Some(region)) =
            (self.infrastructure, own, &stack.region)
            && own != region
        {
            let what = format!("the stack is in region {region}, and this instance is in {own}");
            return Err(self
                .config(&what, "set stack_id in [opsworks] to a stack in the instance's region"));
        }
        let name = stack.name.clone().unwrap_or_default();
        Ok(Authority::Stack { name, region: stack.region.clone() })
    }

    fn ask_stack(&self) -> super::Request {
        Request::DescribeStacks { stack: self.stack_id.clone() }.into()
    }

    fn ask_instances(&self) -> super::Request {
        Request::DescribeInstances { stack: self.stack_id.clone() }.into()
    }

    /// The first label of the host name, as the original agent sent it.
    fn hostname(&self, facts: &Facts) -> String {
        let full = self.hostname.as_deref().unwrap_or(&facts.hostname);
        full.split('.').next().unwrap_or_default().to_owned()
    }

    fn own(&self, facts: &Facts, observed: &Observed) -> OwnIdentity {
        let ec2 = facts.ec2.as_ref().filter(|_| self.infrastructure == Infrastructure::Ec2);
        OwnIdentity {
            ec2: ec2.map(|ec2| ec2.instance_id.clone()),
            fingerprint: None,
            file: observed.opsworks_agent.clone(),
            hostname: self.hostname(facts),
            private_ip: addresses(self, facts).0,
        }
    }

    /// The instance in the list that belongs to this node. `next` is the command to run after an operator
    /// has decided a case without proof.
    fn find(
        &self,
        answer: &api::Answer,
        own: &OwnIdentity,
        next: &str,
    ) -> Result<Option<String>, Fault> {
        let instances = match answer {
            api::Answer::Instances(instances) => instances,
            api::Answer::NotFound(message) => return Err(self.no_stack(message)),
            _ => return Err(mismatch("DescribeInstances")),
        };
        match claim::find(instances, own) {
            Found::None => Ok(None),
            Found::Proven(Some(id)) if is_id(id) => Ok(Some(id.to_owned())),
            // Not `None`, because a second instance would be registered then.
            Found::Proven(_) => {
                Err(self.protocol("DescribeInstances returned no usable InstanceId for this node"))
            }
            Found::Unproven(found) => {
                Err(claim::unproven(&found, own, next, self.authority_name()))
            }
        }
    }

    fn config(&self, what: &str, todo: &str) -> Fault {
        Fault::new(Kind::Config, what, self.authority_name(), todo)
    }

    fn no_stack(&self, message: &str) -> Fault {
        let todo =
            "check stack_id in [opsworks], and with `enlist check` the region and the credentials";
        Fault::new(Kind::Rejected, "there is no such stack", self.authority_name(), todo)
            .cause(message)
    }

    fn protocol(&self, what: &str) -> Fault {
        let todo = "check that the endpoint is an OpsWorks Stacks API (aws.endpoint_url, AWS_ENDPOINT_URL)";
        Fault::new(Kind::Protocol, what, self.authority_name(), todo)
    }
}

/// `^(?!-)[A-Za-z0-9-]{1,N}(?<!-)$`.
///
/// # Errors
/// The rule that is broken.
pub fn check_hostname(name: &str, longest: usize) -> Result<(), String> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_plain
        && !name.is_empty()
        && name.len() <= longest
        && !name.starts_with('-')
        && !name.ends_with('-')
    {
        return Ok(());
    }
    Err(format!(
        "it must have 1 to {longest} letters, digits and -, and must not begin or end with -"
    ))
}

/// The private and the public address: from the settings, else from EC2, else of the host. A missing one
/// is replaced by the other, as the original agent did.
fn addresses(settings: &Opsworks, facts: &Facts) -> (Option<String>, Option<String>) {
    let text = |address: Option<Ipv4Addr>| address.map(|address| address.to_string());
    let (private, public) = match &facts.ec2 {
        Some(ec2) => (ec2.private_ip.clone(), ec2.public_ip.clone()),
        None => (text(facts.private_ip), text(facts.public_ip)),
    };
    let private = text(settings.private_ip).or(private);
    let public = text(settings.public_ip).or(public);
    (private.clone().or_else(|| public.clone()), public.or(private))
}

/// Whether it is a UUID. Checked because it is written to the agent's file.
fn is_id(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}
