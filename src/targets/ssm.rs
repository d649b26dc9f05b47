//! Systems Manager: an activation, with which the agent on this node registers itself.
//!
//! Source: AWS Systems Manager API Reference: CreateActivation, DescribeActivations,
//! DeleteActivation, DescribeInstanceInformation, DeregisterManagedInstance.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::NewActivation;
use super::{
    Actions, Answer, Authority, Created, Creation, Discovered, Discovery, Doubt, FactsWanted,
    Grant, Installation, KeySpec, Leaving, Member, NodeContext, Request, Target, Watched,
    invariant, mismatch, state_dir,
};
use crate::engines::{Bundle, Place, ssm_agent};
use crate::facts::{Facts, PuppetSite, SsmSite};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

pub const ID: &str = "ssm";

/// The `[ssm]` settings; lengths and patterns were checked with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssm {
    /// A role's name, such as `service-role/NAME`; needed to create an activation.
    pub iam_role: Option<String>,
    /// None: the node's name.
    pub default_instance_name: Option<String>,
    pub description: String,
    /// 1 to 1000.
    pub registration_limit: i32,
    /// Up to 30 days.
    pub expires_in: Duration,
    pub tags: BTreeMap<String, String>,
    pub hand_over: HandOverTo,
    /// An activation that was made elsewhere: id, and where its code is.
    pub given: Option<(String, String)>,
    /// Whether to go ahead on an EC2 instance, which needs none of this.
    pub on_ec2: bool,
    /// The agent's program; none: where it is usually found.
    pub agent: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOverTo {
    Agent,
    File,
}

/// DescribeActivations answers in pages of 50; more of them than this have no end.
const MOST_PAGES: usize = 200;

impl Target for Ssm {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        "Systems Manager".to_owned()
    }

    fn inquiry(&self) -> FactsWanted {
        FactsWanted { ssm: true, ssm_agent: self.agent.clone(), ..FactsWanted::default() }
    }

    fn directories(&self, _: Option<&PuppetSite>) -> Vec<Place> {
        if self.hand_over == HandOverTo::Agent { ssm_agent::directories() } else { Vec::new() }
    }

    fn check(&self, facts: &Facts, name: &str) -> Result<(), Fault> {
        if facts.ec2.is_some() && !self.on_ec2 {
            return Err(self.config(
                "this is an EC2 instance, which needs no activation: Systems Manager knows it by its instance profile",
                "give the instance a profile with AmazonSSMManagedInstanceCore and remove [ssm], or set on_ec2 = true",
            ));
        }
        if self.hand_over == HandOverTo::Agent && agent(facts).is_none() {
            return Err(Fault::new(
                Kind::Host,
                "amazon-ssm-agent is not installed",
                self.agent.as_deref().unwrap_or(ssm_agent::PROGRAM),
                "install it, say where it is with agent in [ssm], or set hand_over = \"file\" in [ssm]",
            ));
        }
        check_instance_name(&self.instance_name(name)).map_err(|rule| {
            let what = format!(
                "the default instance name {:?} can't be used: {rule}",
                self.instance_name(name)
            );
            self.config(&what, "set default_instance_name in [ssm]")
        })
    }

    fn survey(&self) -> Discovery {
        Discovery::Known(Authority::Service)
    }

    fn surveyed(&self, _: &Facts, _: Answer) -> Result<Discovered, Fault> {
        Err(invariant("there is nothing to survey"))
    }

    fn hold(&self, _: &NodeContext<'_>) -> Option<Bundle> {
        None
    }

    fn key(&self, _: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        Ok(None)
    }

    fn create(&self, known: &NodeContext<'_>, mark: &str, unix: i64) -> Result<Creation, Fault> {
        if let Some((id, _)) = &self.given {
            return Ok(Creation::Given(Grant::Activation { id: id.clone() }));
        }
        let iam_role = self.iam_role.clone().ok_or_else(|| invariant("there is no role"))?;
        Ok(Creation::Call(Request::CreateActivation(Box::new(NewActivation {
            iam_role,
            default_instance_name: self.instance_name(known.name),
            description: self.marked(mark),
            expires_at: unix
                .saturating_add(i64::try_from(self.expires_in.as_secs()).unwrap_or(i64::MAX)),
            registration_limit: self.registration_limit,
            tags: self.tags.clone(),
        }))))
    }

    /// The code can't be read back, so an activation of ours whose reply was lost is of no use:
    /// what registered with it is let go, it is deleted, and another one is made.
    fn in_doubt(
        &self,
        known: &NodeContext<'_>,
        mark: &str,
        answers: &[Answer],
    ) -> Result<Doubt, Fault> {
        let name = self.instance_name(known.name);
        Ok(sweep(&name, mark, answers)?.map_or(Doubt::Repeat, Doubt::Ask))
    }

    fn created(&self, answer: Answer) -> Result<Created, Fault> {
        match answer {
            // The API's length constraints: 20 to 250 characters.
            Answer::Activation { id: Some(id), code: Some(code) }
                if is_id(&id) && (20..=250).contains(&code.expose().chars().count()) =>
            {
                Ok(Created::Granted(Grant::Activation { id }, Some(code)))
            }
            Answer::Activation { .. } => {
                Err(protocol("CreateActivation gave no usable id and code").in_doubt())
            }
            _ => Err(mismatch("CreateActivation")),
        }
    }

    fn watch(&self, _: &str) -> Request {
        Request::DescribeInstanceInformation { activation: String::new() }
    }

    fn watched(&self, _: &NodeContext<'_>, _: Answer, _: i64) -> Result<Watched, Fault> {
        Err(invariant("an activation is not watched"))
    }

    fn install(
        &self,
        known: &NodeContext<'_>,
        grant: &Grant,
        secret: Option<&Secret>,
    ) -> Result<Option<Installation>, Fault> {
        let Grant::Activation { id } = grant else {
            return Err(invariant("the grant is no activation"));
        };
        let code = match (&self.given, secret) {
            (_, Some(secret)) => ssm_agent::Code::Known(secret.clone()),
            (Some((_, source)), None) => ssm_agent::Code::File(source.clone()),
            // It came with a reply that an earlier start received.
            (None, None) => return Ok(None),
        };
        Ok(Some(match (self.hand_over, code) {
            (HandOverTo::File, ssm_agent::Code::Known(code)) => {
                Installation::Bundle(ssm_agent::file(&activation_file(), id, &code))
            }
            (_, code) => {
                let activation = id.clone();
                Installation::HandOver(ssm_agent::HandOver {
                    activation,
                    code,
                    region: None,
                    program: agent(known.facts).map(str::to_owned),
                })
            }
        }))
    }

    fn is_installed(&self, facts: &Facts, before: Option<&str>, grant: &Grant) -> Option<Grant> {
        let Grant::Activation { id: activation } = grant else {
            return None;
        };
        let site: &SsmSite = facts.ssm.as_ref()?;
        if self.hand_over == HandOverTo::File {
            return (site.handed_over.as_ref() == Some(activation)).then(|| grant.clone());
        }
        // Another registration stands there than when we began: the hand-over had succeeded.
        let now = site
            .instance
            .as_deref()
            .filter(|now| now.starts_with("mi-") && Some(*now) != before)?;
        Some(Grant::Managed { id: now.to_owned(), activation: Some(activation.clone()) })
    }

    fn depart(&self, member: &Member<'_>, answers: &[Answer]) -> Result<Leaving, Fault> {
        let is_ours = self.given.is_none();
        let steps: Vec<Request> = match member.grant {
            Some(Grant::Managed { id, activation }) => {
                let first = Request::DeregisterManagedInstance { instance: id.clone() };
                let second = activation.iter().filter(|_| is_ours);
                let second = second.map(|id| Request::DeleteActivation { activation: id.clone() });
                std::iter::once(first).chain(second).collect()
            }
            Some(Grant::Activation { id }) if is_ours && member.is_installed => {
                vec![Request::DeleteActivation { activation: id.clone() }]
            }
            // How far that came is not known: an agent may have registered and not been heard.
            _ if member.was_attempted && is_ours => {
                let name = self.instance_name(member.name.unwrap_or_default());
                return Ok(sweep(&name, member.mark, answers)?.map_or(Leaving::Gone, Leaving::Ask));
            }
            _ => Vec::new(),
        };
        // Done, or not there any more: either way the next one.
        Ok(steps.into_iter().nth(answers.len()).map_or(Leaving::Gone, Leaving::Ask))
    }

    fn clear(&self, installed: &[(String, String)], _: Option<&PuppetSite>) -> Bundle {
        ssm_agent::clear(installed)
    }

    fn actions(&self) -> Actions {
        let role = self.iam_role.as_ref().filter(|_| self.given.is_none());
        Actions {
            resource: "*".to_owned(),
            passes_role: role.cloned(),
            join: match (&self.given, self.tags.is_empty()) {
                (Some(_), _) => &[],
                (None, true) => &["ssm:CreateActivation"],
                (None, false) => &["ssm:CreateActivation", "ssm:AddTagsToResource"],
            },
            reconcile: match self.given {
                Some(_) => &[],
                None => &[
                    "ssm:DescribeActivations",
                    "ssm:DescribeInstanceInformation",
                    "ssm:DeregisterManagedInstance",
                    "ssm:DeleteActivation",
                ],
            },
            leave: match self.given {
                Some(_) => &["ssm:DeregisterManagedInstance"],
                None => &["ssm:DeregisterManagedInstance", "ssm:DeleteActivation"],
            },
        }
    }
}

impl Ssm {
    fn instance_name(&self, name: &str) -> String {
        self.default_instance_name.clone().unwrap_or_else(|| name.to_owned())
    }

    /// The description, with our mark at its end; room for it was kept when it was checked.
    fn marked(&self, mark: &str) -> String {
        format!("{} (enlist {mark})", self.description).trim_start().to_owned()
    }

    fn config(&self, what: &str, todo: &str) -> Fault {
        Fault::new(Kind::Config, what, self.authority_name(), todo)
    }
}

/// Removes what earlier attempts of this node left behind: the next request, given the
/// answers so far; none when there is nothing left.
fn sweep(name: &str, mark: &str, answers: &[Answer]) -> Result<Option<Request>, Fault> {
    if answers.len() > MOST_PAGES && answers.iter().all(|a| matches!(a, Answer::Activations { .. }))
    {
        return Err(protocol("DescribeActivations does not come to an end"));
    }
    let mut answers = answers.iter();
    let mut ours = Vec::new();
    let mut next = None;
    loop {
        match answers.next() {
            None => {
                return Ok(Some(Request::DescribeActivations { name: name.to_owned(), next }));
            }
            Some(Answer::Activations { list, next: more }) => {
                let ending = format!("(enlist {mark})");
                let is_ours = |text: &Option<String>| {
                    text.as_ref().is_some_and(|text| text.ends_with(&ending))
                };
                for found in list.iter().filter(|found| is_ours(&found.description)) {
                    let id = found.id.clone().filter(|id| is_id(id)).ok_or_else(|| {
                        protocol("DescribeActivations gave an activation no usable id")
                    })?;
                    ours.push((id, found.registrations));
                }
                next.clone_from(more);
            }
            Some(_) => return Err(mismatch("DescribeActivations")),
        }
        if next.is_none() {
            break;
        }
    }
    for (activation, registrations) in ours {
        if registrations > 0 {
            let instances = match answers.next() {
                None => return Ok(Some(Request::DescribeInstanceInformation { activation })),
                Some(Answer::Managed(instances)) => instances.as_slice(),
                Some(Answer::NotFound(_)) => &[],
                Some(_) => return Err(mismatch("DescribeInstanceInformation")),
            };
            for instance in instances {
                if !is_managed(instance) {
                    return Err(protocol(
                        "DescribeInstanceInformation gave no managed instance's id",
                    ));
                }
                if answers.next().is_none() {
                    return Ok(Some(Request::DeregisterManagedInstance {
                        instance: instance.clone(),
                    }));
                }
            }
        }
        if answers.next().is_none() {
            return Ok(Some(Request::DeleteActivation { activation }));
        }
    }
    Ok(None)
}

/// `DefaultInstanceName`: at most 256 characters of `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
///
/// # Errors
/// The rule.
pub fn check_instance_name(text: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_alphanumeric() || is_separator(c) || "_.:/=+-@".contains(c);
    if text.chars().count() <= 256 && text.chars().all(allowed) {
        return Ok(());
    }
    Err("at most 256 letters, digits, spaces and _ . : / = + - @")
}

/// Unicode's category Z (space, line and paragraph separators): white space but control codes.
fn is_separator(c: char) -> bool {
    c.is_whitespace() && !c.is_control()
}

/// Where a hand-over to a file leaves id and code.
#[must_use]
pub fn activation_file() -> String {
    format!("{}/activation.json", state_dir(ID))
}

fn protocol(what: &str) -> Fault {
    let todo =
        "check that the endpoint is the Systems Manager API (aws.endpoint_url, AWS_ENDPOINT_URL)";
    Fault::new(Kind::Protocol, what, "Systems Manager", todo)
}

/// `^mi-[0-9a-f]{17}$`; older ones have eight digits.
fn is_managed(text: &str) -> bool {
    text.strip_prefix("mi-").is_some_and(|rest| {
        matches!(rest.len(), 8 | 17) && rest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn agent(facts: &Facts) -> Option<&str> {
    facts.ssm.as_ref()?.agent.as_deref()
}

/// `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c))
}
