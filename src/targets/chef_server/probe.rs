//! Whether the server still has this node's client.

use super::api::{self, Action, Unauthenticated};
use super::asking::told;
use super::node::key_of;
use super::{ChefServer, ID, refusal};
use crate::fault::Fault;
use crate::targets::{Answer, Member, Question, SigningKey, Standing, Target, mismatch};

impl ChefServer {
    /// Looks at the client with a signature of the installed key: as exact as a certificate. A node
    /// that has not joined only finds out whether the server is there.
    pub(super) fn look(
        &self,
        member: &Member<'_>,
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<Standing>, Fault> {
        let (Some(name), Some(authority), true) =
            (member.name, member.authority, member.is_installed)
        else {
            return self.reach(member.facts, answers);
        };
        let all = told(answers)?;
        let (key, answered) = key_of(member, &all);
        let standing = match answered {
            [] => {
                let action = Action::GetClient { name: name.to_owned() };
                return self.ask_as_client(key, name, authority, action, answers, unix);
            }
            [api::Answer::Client { name: shown, .. }] if shown.as_deref() == Some(name) => {
                let which = match (&key, member.has_former_key) {
                    (_, false) => "with the installed key",
                    (SigningKey::Former, true) => {
                        "with the former key; the renewal of the key is not finished"
                    }
                    (_, true) => "with the new key of a renewal that is not finished",
                };
                Standing::Present(format!("client {name}, {which}"))
            }
            [api::Answer::Client { name: shown, .. }] => {
                return Err(refusal::strange_client(name, shown.as_deref(), self));
            }
            [api::Answer::Missing] => absent("the organization is gone", name),
            [api::Answer::Unauthenticated(reason, _)] => match reason {
                Unauthenticated::NoSuchClient => absent("the client was deleted", name),
                Unauthenticated::OtherKey => absent("the client has another key now", name),
                Unauthenticated::Unclear => {
                    absent("the client was deleted, or has another key now", name)
                }
            },
            [api::Answer::Forbidden(said)] => {
                return Err(refusal::forbidden("GET clients", name, self, said));
            }
            _ => return Err(mismatch("GET clients")),
        };
        Ok(Question::Done(standing))
    }
}

fn absent(what: &str, name: &str) -> Standing {
    Standing::Absent {
        what: format!("{what}: {name}"),
        todo: format!(
            "run `enlist leave --target {ID} && enlist join --target {ID}`; if another machine has the name, set node.name first"
        ),
    }
}
