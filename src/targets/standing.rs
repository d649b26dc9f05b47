//! What an authority says of this node, and what it must permit.

use std::time::Duration;

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

/// How a membership has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The authority does not have this node any more.
    Complete,
    /// The authority still has it, because a node can't remove itself there. The text says what a person
    /// has to do.
    Remains(String),
    /// The authority does not say whether it still has this node. The text says what a person can do.
    Unclear(String),
}

/// A CA of the settings that is not that of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherCa {
    /// `table.name` of the setting.
    pub setting: &'static str,
    /// Whether the setting names a file, whose content may change.
    pub is_file: bool,
    /// SHA-256 of the member's CA, and of the one that is wanted.
    pub in_force: String,
    pub wanted: String,
}

/// What is missing while the authority has not decided, as text for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The state, such as `the association is still in progress`.
    pub what: String,
    /// What a person can do about it.
    pub todo: String,
    /// The longest time between two polls.
    pub longest_poll: Duration,
    /// After which time a node that stays gives up. None: never.
    pub gives_up_after: Option<Duration>,
}

/// The longest time between two polls of an authority that decides by itself: as the waiter of the AWS CLI.
pub const LONGEST_POLL: Duration = Duration::from_secs(15);

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

impl Permissions {
    /// Those of an authority that is not one of AWS's services.
    #[must_use]
    pub fn none() -> Self {
        let resource = "*".to_owned();
        Self { resource, passes_role: None, join: &[], reconcile: &[], leave: &[] }
    }
}
