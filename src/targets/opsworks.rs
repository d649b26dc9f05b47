//! OpsWorks Stacks: an instance that registers itself with a stack.
//!
//! Source: AWS OpsWorks Stacks API Reference, API version 2013-02-18: DescribeStacks,
//! RegisterInstance, DescribeInstances, DeregisterInstance; and what the original agent sent.

mod claim;

use std::net::Ipv4Addr;

use super::api::{Registration, Stack};
use super::name::{is_host_name, no_host_name};
use super::{
    Actions, Answer, Authority, Created, Creation, Discovered, Discovery, Doubt, ExpectedKey,
    FactsWanted, Grant, Installation, KeySpec, Leaving, Member, NodeContext, Request, Target,
    Watched, invariant, mismatch, staged_key,
};
use crate::engines::{Bundle, Place, opsworks_agent};
use crate::facts::{Facts, PuppetSite};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use claim::{Found, Own};

pub const ID: &str = "opsworks";

/// The original agent's.
const KEY_BITS: u32 = 2048;

/// Longest host names, in characters (RegisterInstance, `Hostname`).
pub const LONGEST_HOSTNAME: usize = 63;
pub const LONGEST_HOSTNAME_WINDOWS: usize = 15;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    fn inquiry(&self) -> FactsWanted {
        let at = Some(opsworks_agent::key_place().path);
        FactsWanted {
            opsworks: true,
            key: Some(ExpectedKey { bits: KEY_BITS, staged: staged_key(ID), at }),
            ..FactsWanted::default()
        }
    }

    fn directories(&self, _: Option<&PuppetSite>) -> Vec<Place> {
        opsworks_agent::directories().to_vec()
    }

    fn check(&self, facts: &Facts, _: &str) -> Result<(), Fault> {
        if self.infrastructure == Infrastructure::Ec2 && facts.ec2.is_none() {
            return Err(self.config(
                "infrastructure is \"ec2\", and this is no EC2 instance",
                "set infrastructure = \"on-premises\" in [opsworks]",
            ));
        }
        if self.hostname.is_none() && !is_host_name(&facts.hostname) {
            return Err(no_host_name(&facts.hostname, "hostname = \"...\" in [opsworks]"));
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

    fn survey(&self) -> Discovery {
        Discovery::Ask(Request::DescribeStacks { stack: self.stack_id.clone() })
    }

    fn surveyed(&self, facts: &Facts, answer: Answer) -> Result<Discovered, Fault> {
        let stacks = match answer {
            Answer::Stacks(stacks) => stacks,
            Answer::NotFound(message) => return Err(self.no_stack(message)),
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
            let what = format!("the stack is in {region}, and this instance in {own}");
            return Err(self.config(&what, "name a stack of the instance's own region"));
        }
        let name = stack.name.clone().unwrap_or_default();
        Ok(Discovered::Ready(Authority::Stack { name, region: stack.region.clone() }))
    }

    fn hold(&self, _: &NodeContext<'_>) -> Option<Bundle> {
        let mut hold = Bundle::default();
        hold.look_first(&opsworks_agent::install("", "", "", ""), None);
        Some(hold)
    }

    fn key(&self, _: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        Ok(Some(KeySpec {
            at: opsworks_agent::key_place(),
            staged: staged_key(ID),
            bits: KEY_BITS,
            csr: None,
            notes: Vec::new(),
            must_stand: false,
        }))
    }

    fn create(&self, known: &NodeContext<'_>, _: &str, _: i64) -> Result<Creation, Fault> {
        let key = &known.key()?.public;
        let (private_ip, public_ip) = addresses(self, known.facts);
        let ec2 = known.facts.ec2.as_ref().filter(|_| self.infrastructure == Infrastructure::Ec2);
        Ok(Creation::Call(Request::RegisterInstance(Box::new(Registration {
            stack: self.stack_id.clone(),
            hostname: self.hostname(known.facts),
            private_ip,
            public_ip,
            public_key: key.to_pem(),
            fingerprint: key.sha1_fingerprint(),
            identity: ec2.map(|ec2| ec2.identity.clone()),
        }))))
    }

    /// The agent's file stands, be it that its record is gone.
    fn shows_registration(&self, facts: &Facts) -> bool {
        facts.opsworks.is_some()
    }

    /// RegisterInstance takes no token: the stack's instances are looked through for this node.
    fn in_doubt(
        &self,
        known: &NodeContext<'_>,
        _: &str,
        answers: &[Answer],
    ) -> Result<Doubt, Fault> {
        let Some(answer) = answers.first() else {
            return Ok(Doubt::Ask(Request::DescribeInstances { stack: self.stack_id.clone() }));
        };
        let key = &known.key()?.public;
        let own = Own { fingerprint: Some(key.sha1_fingerprint()), ..self.own(known.facts) };
        Ok(match self.find(answer, &own, "enlist join")? {
            Some(id) => Doubt::Adopt(Grant::Instance { id }),
            None => Doubt::Repeat,
        })
    }

    fn created(&self, answer: Answer) -> Result<Created, Fault> {
        match answer {
            Answer::Registered { instance: Some(id) } if is_id(&id) => {
                Ok(Created::Granted(Grant::Instance { id }, None))
            }
            Answer::Registered { .. } => {
                Err(self.protocol("RegisterInstance gave no InstanceId").in_doubt())
            }
            Answer::NotFound(message) => Err(self.no_stack(message)),
            _ => Err(mismatch("RegisterInstance")),
        }
    }

    fn watch(&self, _: &str) -> Request {
        Request::DescribeInstances { stack: self.stack_id.clone() }
    }

    fn watched(&self, _: &NodeContext<'_>, _: Answer, _: i64) -> Result<Watched, Fault> {
        Err(invariant("a registration is not watched"))
    }

    fn install(
        &self,
        known: &NodeContext<'_>,
        grant: &Grant,
        _: Option<&Secret>,
    ) -> Result<Option<Installation>, Fault> {
        let Grant::Instance { id } = grant else {
            return Err(invariant("the grant is no instance"));
        };
        let key = &known.key()?.public;
        let bundle =
            opsworks_agent::install(id, &key.to_pem(), &key.sha1_fingerprint(), &staged_key(ID));
        Ok(Some(Installation::Bundle(bundle)))
    }

    fn depart(&self, member: &Member<'_>, answers: &[Answer]) -> Result<Leaving, Fault> {
        let deregister =
            |id: &str| Leaving::Ask(Request::DeregisterInstance { instance: id.to_owned() });
        match (member.grant, answers) {
            (_, [.., Answer::Done | Answer::NotFound(_)]) => Ok(Leaving::Gone),
            (Some(Grant::Instance { id }), []) => Ok(deregister(id)),
            (None, []) if !member.was_attempted => Ok(Leaving::Gone),
            // Whether it was registered is not known: the stack's list says.
            (_, []) => {
                Ok(Leaving::Ask(Request::DescribeInstances { stack: self.stack_id.clone() }))
            }
            // As in doubt on the way in.
            (_, [answer, ..]) => {
                let recorded = member.machine.and_then(|machine| machine.instance_id.clone());
                let is_ec2 = self.infrastructure == Infrastructure::Ec2;
                let own = self.own(member.facts);
                let own = Own {
                    ec2: recorded.filter(|_| is_ec2).or(own.ec2),
                    fingerprint: member.key_sha1.map(str::to_owned),
                    ..own
                };
                let found = self.find(answer, &own, "enlist leave")?;
                Ok(found.map_or(Leaving::Gone, |id| deregister(&id)))
            }
        }
    }

    fn clear(&self, installed: &[(String, String)], _: Option<&PuppetSite>) -> Bundle {
        opsworks_agent::clear(installed)
    }

    fn actions(&self) -> Actions {
        Actions {
            resource: format!("arn:aws:opsworks:*:*:stack/{}/", self.stack_id),
            passes_role: None,
            join: &["opsworks:DescribeStacks", "opsworks:RegisterInstance"],
            reconcile: &["opsworks:DescribeInstances"],
            leave: &["opsworks:DeregisterInstance"],
        }
    }
}

impl Opsworks {
    /// The first label, as the original agent sent it.
    fn hostname(&self, facts: &Facts) -> String {
        let full = self.hostname.as_deref().unwrap_or(&facts.hostname);
        full.split('.').next().unwrap_or_default().to_owned()
    }

    fn own(&self, facts: &Facts) -> Own {
        let ec2 = facts.ec2.as_ref().filter(|_| self.infrastructure == Infrastructure::Ec2);
        Own {
            ec2: ec2.map(|ec2| ec2.instance_id.clone()),
            fingerprint: None,
            file: facts.opsworks.clone(),
            hostname: self.hostname(facts),
            private_ip: addresses(self, facts).0,
        }
    }

    /// The instance of the list that is this node's. `next` is the command to run once a person has
    /// decided.
    fn find(&self, answer: &Answer, own: &Own, next: &str) -> Result<Option<String>, Fault> {
        let instances = match answer {
            Answer::Instances(instances) => instances,
            Answer::NotFound(message) => return Err(self.no_stack(message.clone())),
            _ => return Err(mismatch("DescribeInstances")),
        };
        match claim::find(instances, own) {
            Found::None => Ok(None),
            Found::Proven(Some(id)) if is_id(id) => Ok(Some(id.to_owned())),
            // Not as if there were none: then a second one would be made.
            Found::Proven(_) => {
                Err(self.protocol("DescribeInstances gave this node no usable InstanceId"))
            }
            Found::Unproven(found) => {
                Err(claim::unproven(&found, own, next, self.authority_name()))
            }
        }
    }

    fn config(&self, what: &str, todo: &str) -> Fault {
        Fault::new(Kind::Config, what, self.authority_name(), todo)
    }

    fn no_stack(&self, message: String) -> Fault {
        let todo = "check stack_id in [opsworks], and the region and account that are asked";
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
    Err(format!("1 to {longest} letters, digits and -, not beginning or ending with -"))
}

/// Private and public address: the settings', else what EC2 says, else the host's own; each falls
/// back to the other, as the original agent had it.
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

/// A UUID; it goes into a file of the agent's.
fn is_id(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}
