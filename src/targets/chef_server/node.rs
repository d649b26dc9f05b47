//! The node object, and leaving.

use serde_json::json;

use super::api::{self, Action, Unauthenticated};
use super::asking::told;
use super::{ChefServer, refusal};
use crate::engines::{Grant, NodeContext};
use crate::fault::Fault;
use crate::targets::{Answer, Decision, Departure, Member, Question, SigningKey, mismatch};

/// What a new node object holds, from `[chef]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeObject {
    pub run_list: Vec<String>,
    pub environment: Option<String>,
    /// Policy name and group; instead of a run list and an environment.
    pub policy: Option<(String, String)>,
}

impl ChefServer {
    /// Creates the node object, so that the node owns it, or finds out whether an object that is there
    /// already is this node's to change.
    pub(super) fn place_node(
        &self,
        node: &NodeContext<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Decision>, Fault> {
        use api::Answer::{
            Created, Done, Forbidden, Missing, Node, Taken, Unauthenticated as Unknown,
        };
        let ask = |action| self.ask_as_node(node, action, answers, unix);
        let name = || node.name.to_owned();
        let granted = Ok(Question::Done(Decision::Granted(Grant::Client)));
        match (self.creates_node, told(answers)?.as_slice()) {
            (true, []) => ask(Action::CreateNode { name: name(), body: self.node.body(node.name) }),
            (true, [Taken]) | (false, []) => ask(Action::GetNode { name: name() }),
            (true, [Created]) | (false, [Missing]) | (_, [.., Node(_), Done | Missing]) => granted,
            (creates, [Node(body)] | [Taken, Node(body)]) => {
                // An update that changes nothing asks whether it is this node's. A node that is to be
                // created gets what the settings say.
                let wanted = if creates { self.node.applied(body) } else { None };
                let body = wanted.unwrap_or_else(|| body.clone());
                ask(Action::UpdateNode { name: name(), body })
            }
            // It was deleted between two calls. The next attempt creates it.
            (_, [Taken, Missing]) => Err(refusal::node_came_and_went(node.name, self)),
            (_, [.., Unknown(Unauthenticated::OtherKey, said)]) => {
                Err(self.other_machine(node.name, said))
            }
            // The client was deleted meanwhile.
            (_, [.., Unknown(..)]) => Ok(Question::Done(Decision::Forgotten)),
            (_, [.., Node(_) | Taken, Forbidden(said)]) | (false, [Forbidden(said)]) => {
                Err(refusal::stale_node(node.name, self, said))
            }
            (_, [.., other]) => Err(refusal::of_node(other, node.name, self)),
        }
    }

    /// The node goes first: once the client is gone, nothing can be signed.
    pub(super) fn depart(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Departure>, Fault> {
        let (Some(name), Some(authority), true) =
            (member.name, member.authority, member.was_attempted)
        else {
            return Ok(Question::Done(Departure::Complete));
        };
        let all = told(answers)?;
        let (key, answered) = key_of(member, &all);
        let ask = |action| self.ask_as_client(key.clone(), name, authority, action, answers, unix);
        let name = name.to_owned();
        match answered {
            [] => ask(Action::DeleteNode { name }),
            [api::Answer::Unauthenticated(reason, _)] => {
                let departure = match (reason, member.is_installed) {
                    (_, false) => Departure::Complete,
                    (reason, true) => Departure::Unclear(format!(
                        "{reason}; if `knife node show {name}` finds the node, run `knife node delete {name}`"
                    )),
                };
                Ok(Question::Done(departure))
            }
            [api::Answer::Done | api::Answer::Missing | api::Answer::Forbidden(_)] => {
                ask(Action::DeleteClient { name })
            }
            [of_node, of_client] => Ok(Question::Done(
                departed(&name, of_node, of_client).ok_or_else(|| mismatch("DELETE clients"))?,
            )),
            _ => Err(mismatch("DELETE nodes")),
        }
    }
}

impl NodeObject {
    /// The body of POST nodes. The server fills in what is missing.
    pub(super) fn body(&self, name: &str) -> String {
        let body = match (&self.policy, &self.environment) {
            (Some((policy, group)), _) => {
                json!({ "name": name, "policy_name": policy, "policy_group": group })
            }
            (None, Some(environment)) => {
                json!({ "name": name, "run_list": self.run_list, "chef_environment": environment })
            }
            (None, None) => json!({ "name": name, "run_list": self.run_list }),
        };
        body.to_string()
    }
}

/// The key that signs, and the answers to it. Where a renewal was replacing the key, the server may have the
/// former one: that one asks next.
pub(super) fn key_of<'a, 'b>(
    member: &Member<'_>,
    answers: &'b [&'a api::Answer],
) -> (SigningKey, &'b [&'a api::Answer]) {
    match answers {
        [api::Answer::Unauthenticated(..), rest @ ..] if member.has_former_key => {
            (SigningKey::Former, rest)
        }
        all => (SigningKey::Node, all),
    }
}

/// What both deletions mean together.
fn departed(name: &str, of_node: &api::Answer, of_client: &api::Answer) -> Option<Departure> {
    use api::Answer::{Done, Forbidden, Missing, Unauthenticated};
    let mut todo = Vec::new();
    match of_node {
        Done | Missing => {}
        Forbidden(_) => todo.push(format!("knife node delete {name}")),
        _ => return None,
    }
    match of_client {
        // It authenticated just before, so it was deleted in between.
        Done | Missing | Unauthenticated(..) => {}
        Forbidden(_) => todo.push(format!("knife client delete {name}")),
        _ => return None,
    }
    if todo.is_empty() {
        return Some(Departure::Complete);
    }
    Some(Departure::Remains(format!("run `{}` as an administrator", todo.join("; "))))
}
