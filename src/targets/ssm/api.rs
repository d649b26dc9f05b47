//! The calls of Systems Manager (API version 2014-11-06) that a node makes.

use std::collections::BTreeMap;

use crate::secret::Secret;
use crate::targets::api::Call;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    CreateActivation(Box<NewActivation>),
    /// One page of the activations with this default instance name.
    DescribeActivations {
        name: String,
        next: Option<String>,
    },
    DeleteActivation {
        activation: String,
    },
    /// One page of the nodes that registered with this activation.
    DescribeInstanceInformation {
        activation: String,
        next: Option<String>,
    },
    DeregisterManagedInstance {
        instance: String,
    },
}

/// The members of CreateActivation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewActivation {
    pub iam_role: String,
    pub default_instance_name: String,
    pub description: String,
    /// Unix seconds.
    pub expires_at: i64,
    pub registration_limit: i32,
    pub tags: BTreeMap<String, String>,
}

/// A member that the API may leave out is an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Created {
        id: Option<String>,
        code: Option<Secret>,
    },
    Activations {
        list: Vec<Activation>,
        next: Option<String>,
    },
    ManagedInstances {
        ids: Vec<String>,
        next: Option<String>,
    },
    /// The answer to DeleteActivation and DeregisterManagedInstance.
    Removed,
    /// There is no such activation or instance. The API's message.
    NotFound(String),
}

/// The used members of `Activation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activation {
    pub id: Option<String>,
    pub description: Option<String>,
    pub registrations: i32,
}

impl Call for Request {
    fn action(&self) -> &'static str {
        match self {
            Self::CreateActivation(_) => "CreateActivation",
            Self::DescribeActivations { .. } => "DescribeActivations",
            Self::DeleteActivation { .. } => "DeleteActivation",
            Self::DescribeInstanceInformation { .. } => "DescribeInstanceInformation",
            Self::DeregisterManagedInstance { .. } => "DeregisterManagedInstance",
        }
    }

    fn on(&self) -> String {
        match self {
            Self::CreateActivation(new) => format!("node {}", new.default_instance_name),
            Self::DescribeActivations { name, .. } => format!("activations of {name}"),
            Self::DeleteActivation { activation }
            | Self::DescribeInstanceInformation { activation, .. } => {
                format!("activation {activation}")
            }
            Self::DeregisterManagedInstance { instance } => format!("managed instance {instance}"),
        }
    }

    /// The code of a new activation is a secret.
    fn answer_is_secret(&self) -> bool {
        matches!(self, Self::CreateActivation(_))
    }
}
