//! A changed run list, environment or policy of a member: the node object is changed at the server.

use serde_json::{Map, Value, json};

use super::api::{self, Action};
use super::asking::told;
use super::{ChefServer, NodeObject, refusal};
use crate::engines::NodeContext;
use crate::fault::Fault;
use crate::targets::{Answer, Question};

const RUN_LIST: &str = "chef.run_list";
const ENVIRONMENT: &str = "chef.environment";
const POLICY: [&str; 2] = ["chef.policy_name", "chef.policy_group"];

/// Which parts of the node object have changed in the settings. The others may have been changed at the
/// server, and stay as they are there.
#[derive(Clone, Copy)]
pub(super) struct Changed {
    pub run_list: bool,
    pub environment: bool,
    pub policy: bool,
}

impl Changed {
    pub(super) fn of(settings: &[&str]) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| settings.contains(name));
        Self { run_list: has(&[RUN_LIST]), environment: has(&[ENVIRONMENT]), policy: has(&POLICY) }
    }
}

impl ChefServer {
    /// Reads the node object, and writes it back with what has changed.
    pub(super) fn change_node(
        &self,
        node: &NodeContext<'_>,
        changed: &[&str],
        answers: &[Answer],
        unix: i64,
    ) -> Result<Question<()>, Fault> {
        use api::Answer::{Created, Done, Forbidden, Missing, Node, Taken, Unauthenticated};
        let changed = Changed::of(changed);
        if !(changed.run_list || changed.environment || changed.policy) {
            return Ok(Question::Done(()));
        }
        let ask = |action| self.ask_as_node(node, action, answers, unix);
        let name = || node.name.to_owned();
        match told(answers)?.as_slice() {
            [] => ask(Action::GetNode { name: name() }),
            [Node(text)] => match self.node.changed(text, changed) {
                Some(body) => ask(Action::UpdateNode { name: name(), body }),
                None => Ok(Question::Done(())),
            },
            [Missing] if self.creates_node => {
                ask(Action::CreateNode { name: name(), body: self.node.body(node.name) })
            }
            // chef-client creates it, with the new settings.
            [Missing] | [.., Created | Done] => Ok(Question::Done(())),
            [.., Taken] | [Node(_), Missing] => Err(refusal::node_came_and_went(node.name, self)),
            [.., Unauthenticated(reason, said)] => {
                Err(refusal::not_accepted(node.name, self, *reason, said))
            }
            [.., Forbidden(said)] => {
                let commands = self.node.commands(node.name, changed);
                Err(refusal::unchangeable_node(node.name, self, &commands, said))
            }
            [.., other] => Err(refusal::of_node(other, node.name, self)),
        }
    }
}

impl NodeObject {
    /// The node object with all that the settings say. None: it is so already, or it is no JSON object.
    pub(super) fn applied(&self, text: &str) -> Option<String> {
        let said = Changed {
            run_list: !self.run_list.is_empty(),
            environment: self.environment.is_some(),
            policy: self.policy.is_some(),
        };
        self.changed(text, said)
    }

    /// The node object with what has changed. None: it is so already, or it is no JSON object.
    fn changed(&self, text: &str, changed: Changed) -> Option<String> {
        let before: Map<String, Value> = serde_json::from_str(text).ok()?;
        let mut after = before.clone();
        if changed.run_list {
            after.insert("run_list".to_owned(), json!(self.run_list));
        }
        if changed.environment {
            let environment = self.environment.as_deref().unwrap_or("_default");
            after.insert("chef_environment".to_owned(), json!(environment));
        }
        if changed.policy {
            for (name, value) in ["policy_name", "policy_group"].into_iter().zip(self.policy()) {
                match value {
                    Some(value) => after.insert(name.to_owned(), json!(value)),
                    None => after.remove(name),
                };
            }
        }
        (after != before).then(|| Value::Object(after).to_string())
    }

    fn policy(&self) -> [Option<&str>; 2] {
        let policy = self.policy.as_ref();
        [policy.map(|(name, _)| name.as_str()), policy.map(|(_, group)| group.as_str())]
    }

    /// What an administrator runs instead.
    pub(super) fn commands(&self, name: &str, changed: Changed) -> String {
        let mut commands = Vec::new();
        if changed.run_list {
            commands.push(format!("knife node run_list set {name} '{}'", self.run_list.join(",")));
        }
        if changed.environment {
            let environment = self.environment.as_deref().unwrap_or("_default");
            commands.push(format!("knife node environment set {name} {environment}"));
        }
        if let ([Some(policy), Some(group)], true) = (self.policy(), changed.policy) {
            commands.push(format!("knife node policy set {name} {group} {policy}"));
        }
        commands.join("; ")
    }
}
