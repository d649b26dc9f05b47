//! What an authority says of this node, and what it must permit.

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
