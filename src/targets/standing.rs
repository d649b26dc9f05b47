//! What an authority says of this node, and what it must permit.

use super::{Answer, Question};

/// What the authority says of this node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has this node. The text says as what: `certificate 1a2b, signed by this CA`.
    Present(String),
    /// It does not have this node, or not any more.
    Absent { what: String, todo: String },
    /// It answers, and can't be asked about a single node.
    Reachable,
    /// Nothing was asked: the settings say all that could be asked without a membership.
    NotAsked,
}

/// What can be said from finding the authority alone.
pub fn of_discovery<T>(discovered: Question<T>, answers: &[Answer]) -> Question<Standing> {
    match discovered {
        Question::Ask(request) => Question::Ask(request),
        Question::AskLater(request) => Question::AskLater(request),
        Question::Sign(bytes) => Question::Sign(bytes),
        Question::Done(_) if answers.is_empty() => Question::Done(Standing::NotAsked),
        Question::Done(_) => Question::Done(Standing::Reachable),
    }
}

/// The IAM actions that a target needs, by their purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// An ARN, or `*` where the service has no resources (IAM's Service Authorization Reference).
    pub resource: String,
    /// The role that is passed to the service (`iam:PassRole`).
    pub passes_role: Option<String>,
    pub join: &'static [&'static str],
    pub reconcile: &'static [&'static str],
    pub leave: &'static [&'static str],
}
