//! Systems Manager's calls (API version 2014-11-06), as far as a node makes them.

use std::collections::BTreeMap;

use crate::secret::Secret;
use crate::targets::api::Call;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    CreateActivation(Box<NewActivation>),
    /// Those of this default instance name; page by page.
    DescribeActivations {
        name: String,
        next: Option<String>,
    },
    DeleteActivation {
        activation: String,
    },
    /// The nodes that registered with this activation; page by page.
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

/// Members that the API may leave out are options.
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
    /// To DeleteActivation and DeregisterManagedInstance.
    Removed,
    /// There is no such activation or instance; the API's message.
    NotFound(String),
}

/// `Activation`, as far as it matters here.
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

    /// An activation's code.
    fn answer_is_secret(&self) -> bool {
        matches!(self, Self::CreateActivation(_))
    }
}
