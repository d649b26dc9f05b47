//! Systems Manager: enlist creates an activation, and the agent on this node registers itself with it.
//!
//! Source: AWS Systems Manager API Reference: CreateActivation, DescribeActivations,
//! DeleteActivation, DescribeInstanceInformation, DeregisterManagedInstance.

pub mod api;
mod sweep;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Answer, Created, Creation, Departure, Member, Permissions, Question, Reconciled, Standing,
    Target, invariant, mismatch,
};
use crate::engines::{Authority, EngineId, Grant, NodeContext};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use api::{NewActivation, Request};
use sweep::sweep;

pub const ID: &str = "ssm";

/// The `[ssm]` settings. Lengths and patterns are checked when the settings are parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssm {
    /// The name of a role, such as `service-role/NAME`. Needed to create an activation.
    pub iam_role: Option<String>,
    /// None: the node's name.
    pub default_instance_name: Option<String>,
    pub description: String,
    /// 1 to 1000.
    pub registration_limit: i32,
    /// Up to 30 days.
    pub expires_in: Duration,
    pub tags: BTreeMap<String, String>,
    /// The id of an activation that was created elsewhere.
    pub given: Option<String>,
    /// Whether to register an EC2 instance too, although it needs no activation.
    pub on_ec2: bool,
}

impl Target for Ssm {
    fn id(&self) -> &'static str {
        ID
    }

    fn authority_name(&self) -> String {
        "Systems Manager".to_owned()
    }

    fn engine(&self) -> EngineId {
        EngineId::SsmAgent
    }

    fn check(&self, facts: &Facts, name: &str) -> Result<(), Fault> {
        if facts.ec2.is_some() && !self.on_ec2 {
            return Err(self.config(
                "this is an EC2 instance, which needs no activation: Systems Manager manages it through its instance profile",
                "give the instance a profile with the policy AmazonSSMManagedInstanceCore and remove [ssm], or set on_ec2 = true in [ssm]",
            ));
        }
        self.check_name(name)
    }

    fn check_name(&self, name: &str) -> Result<(), Fault> {
        check_instance_name(&self.instance_name(name)).map_err(|rule| {
            let what = format!(
                "the default instance name {:?} can't be used: {rule}",
                self.instance_name(name)
            );
            self.config(&what, "set default_instance_name in [ssm]")
        })
    }

    fn discover(&self, _: &Facts, _: &[Answer]) -> Result<Question<Authority>, Fault> {
        Ok(Question::Done(Authority::Service))
    }

    fn create(
        &self,
        node: &NodeContext<'_>,
        mark: &str,
        _: &[Answer],
        unix: i64,
    ) -> Result<Creation, Fault> {
        if let Some(id) = &self.given {
            return Ok(Creation::Given(Grant::Activation { id: id.clone() }));
        }
        let iam_role = self.iam_role.clone().ok_or_else(|| invariant("iam_role is not set"))?;
        let lifetime = i64::try_from(self.expires_in.as_secs()).unwrap_or(i64::MAX);
        let activation = NewActivation {
            iam_role,
            default_instance_name: self.instance_name(node.name),
            description: self.marked(mark),
            expires_at: unix.saturating_add(lifetime),
            registration_limit: self.registration_limit,
            tags: self.tags.clone(),
        };
        Ok(Creation::Call(Request::CreateActivation(Box::new(activation)).into()))
    }

    fn created(&self, _: &NodeContext<'_>, answer: &Answer, _: i64) -> Result<Created, Fault> {
        match super::api::of_service(std::slice::from_ref(answer))?.as_slice() {
            // The API's length constraints: 20 to 250 characters.
            [api::Answer::Created { id: Some(id), code: Some(code) }]
                if is_id(id) && (20..=250).contains(&code.expose().chars().count()) =>
            {
                let grant = Grant::Activation { id: id.clone() };
                Ok(Created::Granted(grant, Some(code.clone())))
            }
            [api::Answer::Created { .. }] => {
                Err(protocol("CreateActivation returned no usable id and code").in_doubt())
            }
            _ => Err(mismatch("CreateActivation")),
        }
    }

    /// The code of an activation can't be read later, so an activation whose reply was lost is useless.
    /// The nodes that registered with it are deregistered, it is deleted, and another one is created.
    fn reconcile(
        &self,
        node: &NodeContext<'_>,
        mark: &str,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        let next = sweep(&self.instance_name(node.name), mark, answers)?;
        let next = next.map(|request| Question::Ask(request.into()));
        Ok(next.unwrap_or(Question::Done(Reconciled::CallAgain)))
    }

    fn leave(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Departure>, Fault> {
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
            // It is not known how far the join came: the agent may have registered without a record.
            _ if member.was_attempted && is_ours => {
                let name = self.instance_name(member.name.unwrap_or_default());
                let next = sweep(&name, member.mark, answers)?;
                return Ok(next.map_or(Question::Done(Departure::Complete), |next| {
                    Question::Ask(next.into())
                }));
            }
            _ => Vec::new(),
        };
        // An answer is `Removed` or `NotFound`. Both mean that the next request may follow.
        let next = steps.into_iter().nth(answers.len());
        Ok(next.map_or(Question::Done(Departure::Complete), |next| Question::Ask(next.into())))
    }

    /// Asks for the nodes that registered with this node's activation. An activation that was made
    /// elsewhere may not be asked about.
    fn probe(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        _: i64,
    ) -> Result<Question<Standing>, Fault> {
        let Some(Grant::Managed { id, activation: Some(activation) }) = member.grant else {
            return Ok(Question::Done(Standing::NotAsked));
        };
        let answers = super::api::of_service(answers)?;
        let mut next = None;
        for answer in &answers {
            let api::Answer::ManagedInstances { ids, next: more } = answer else {
                return Err(mismatch("DescribeInstanceInformation"));
            };
            if ids.contains(id) {
                return Ok(Question::Done(Standing::Present(format!("managed instance {id}"))));
            }
            next.clone_from(more);
        }
        if answers.is_empty() || (next.is_some() && answers.len() < sweep::MOST_PAGES) {
            let activation = activation.clone();
            return Ok(Question::Ask(
                Request::DescribeInstanceInformation { activation, next }.into(),
            ));
        }
        Ok(Question::Done(Standing::Absent {
            what: format!("Systems Manager does not have managed instance {id}"),
            todo: format!("run `enlist leave --target {ID} && enlist join --target {ID}`"),
        }))
    }

    fn remains(&self, name: Option<&str>, grant: Option<&Grant>) -> Option<String> {
        Some(match grant {
            Some(Grant::Managed { id, .. }) => {
                format!("run `aws ssm deregister-managed-instance --instance-id {id}`")
            }
            Some(Grant::Activation { id }) => {
                format!("run `aws ssm delete-activation --activation-id {id}`")
            }
            _ => format!("look for {} with `aws ssm describe-activations`", name?),
        })
    }

    /// With a name that no activation has.
    fn trials(&self) -> Vec<super::Request> {
        if self.given.is_some() {
            return Vec::new();
        }
        let name = "enlist-doctor".to_owned();
        vec![Request::DescribeActivations { name, next: None }.into()]
    }

    fn usable_until(&self, grant: &Grant, since: i64) -> Option<i64> {
        let is_ours = self.given.is_none() && matches!(grant, Grant::Activation { .. });
        let lifetime = i64::try_from(self.expires_in.as_secs()).unwrap_or(i64::MAX);
        is_ours.then(|| since.saturating_add(lifetime))
    }

    fn permissions(&self) -> Permissions {
        let role = self.iam_role.as_ref().filter(|_| self.given.is_none());
        Permissions {
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

    /// The description, then the mark. The check of the settings limits the description so that both fit.
    fn marked(&self, mark: &str) -> String {
        format!("{} (enlist {mark})", self.description).trim_start().to_owned()
    }

    fn config(&self, what: &str, todo: &str) -> Fault {
        Fault::new(Kind::Config, what, self.authority_name(), todo)
    }
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
    Err("it may have at most 256 letters, digits, spaces and _ . : / = + - @")
}

/// Unicode's category Z (space, line and paragraph separators): white space but control codes.
fn is_separator(c: char) -> bool {
    c.is_whitespace() && !c.is_control()
}

fn protocol(what: &str) -> Fault {
    let todo =
        "check that the endpoint is the Systems Manager API (aws.endpoint_url, AWS_ENDPOINT_URL)";
    Fault::new(Kind::Protocol, what, "Systems Manager", todo)
}

/// Whether it is the id of a managed node: `^mi-[0-9a-f]{17}$`, older ones with eight digits.
fn is_managed(text: &str) -> bool {
    text.strip_prefix("mi-").is_some_and(|rest| {
        matches!(rest.len(), 8 | 17) && rest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Whether it is the id of an activation:
/// `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12]
        && text.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c))
}
