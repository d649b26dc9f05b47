//! Requests and answers, in the APIs' own terms and without the SDK's types.

use std::collections::BTreeMap;

use crate::facts::InstanceIdentity;
use crate::secret::Secret;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    DescribeServers {
        server: String,
    },
    AssociateNode {
        server: String,
        node: String,
        attributes: Vec<(String, String)>,
    },
    DisassociateNode {
        server: String,
        node: String,
        attributes: Vec<(String, String)>,
    },
    DescribeNodeAssociationStatus {
        server: String,
        token: String,
    },
    DescribeStacks {
        stack: String,
    },
    RegisterInstance(Box<Registration>),
    DescribeInstances {
        stack: String,
    },
    DeregisterInstance {
        instance: String,
    },
    CreateActivation(Box<NewActivation>),
    /// Those of this default instance name; page by page.
    DescribeActivations {
        name: String,
        next: Option<String>,
    },
    DeleteActivation {
        activation: String,
    },
    /// Those that registered with this activation.
    DescribeInstanceInformation {
        activation: String,
    },
    DeregisterManagedInstance {
        instance: String,
    },
}

/// The members of RegisterInstance (OpsWorks Stacks API, 2013-02-18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    pub stack: String,
    pub hostname: String,
    pub private_ip: Option<String>,
    pub public_ip: Option<String>,
    /// SPKI PEM.
    pub public_key: String,
    /// SHA-1 of the SPKI DER, lower-case hexadecimal digits.
    pub fingerprint: String,
    /// Byte for byte as the metadata service gave it; only for infrastructure `ec2`.
    pub identity: Option<InstanceIdentity>,
}

/// The members of CreateActivation (Systems Manager API, 2014-11-06).
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

/// What came back. Members that the API may leave out are options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Servers(Vec<Server>),
    /// To AssociateNode and DisassociateNode.
    Associated {
        token: Option<String>,
    },
    AssociationStatus {
        status: Option<String>,
        attributes: Vec<(String, String)>,
    },
    Stacks(Vec<Stack>),
    Registered {
        instance: Option<String>,
    },
    Instances(Vec<Instance>),
    Activation {
        id: Option<String>,
        code: Option<Secret>,
    },
    Activations {
        list: Vec<Activation>,
        next: Option<String>,
    },
    Managed(Vec<String>),
    /// To calls that answer with nothing.
    Done,
    /// The API's word for a resource that is not there, with its message.
    NotFound(String),
}

/// OpsWorks CM's `Server`, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    pub name: Option<String>,
    pub status: Option<String>,
    pub status_reason: Option<String>,
    pub endpoint: Option<String>,
    pub engine: Option<String>,
    pub attributes: Vec<(String, String)>,
}

/// OpsWorks' `Stack`, likewise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    pub id: Option<String>,
    pub name: Option<String>,
    pub region: Option<String>,
}

/// OpsWorks' `Instance`, likewise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    pub id: Option<String>,
    pub ec2_instance_id: Option<String>,
    pub hostname: Option<String>,
    pub private_ip: Option<String>,
    pub public_ip: Option<String>,
    pub infrastructure: Option<String>,
    /// As the service writes it: RFC 3339.
    pub created_at: Option<String>,
    /// SHA-1 of its public key. OpsWorks itself does not show it; a service of the same API may.
    pub fingerprint: Option<String>,
}

/// Systems Manager's `Activation`, likewise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activation {
    pub id: Option<String>,
    pub description: Option<String>,
    pub registrations: i32,
}

impl Request {
    /// The API's name of the action.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::DescribeServers { .. } => "DescribeServers",
            Self::AssociateNode { .. } => "AssociateNode",
            Self::DisassociateNode { .. } => "DisassociateNode",
            Self::DescribeNodeAssociationStatus { .. } => "DescribeNodeAssociationStatus",
            Self::DescribeStacks { .. } => "DescribeStacks",
            Self::RegisterInstance(_) => "RegisterInstance",
            Self::DescribeInstances { .. } => "DescribeInstances",
            Self::DeregisterInstance { .. } => "DeregisterInstance",
            Self::CreateActivation(_) => "CreateActivation",
            Self::DescribeActivations { .. } => "DescribeActivations",
            Self::DeleteActivation { .. } => "DeleteActivation",
            Self::DescribeInstanceInformation { .. } => "DescribeInstanceInformation",
            Self::DeregisterManagedInstance { .. } => "DeregisterManagedInstance",
        }
    }

    /// What of it must not be shown, should an error repeat it.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        let Self::AssociateNode { attributes, .. } = self else { return None };
        let csr = attributes.iter().find(|(name, _)| name == "PUPPET_NODE_CSR");
        csr.map(|(_, value)| value.as_str())
    }

    /// What it is asked about, for messages.
    #[must_use]
    pub fn on(&self) -> String {
        match self {
            Self::DescribeServers { server }
            | Self::DescribeNodeAssociationStatus { server, .. } => {
                format!("server {server}")
            }
            Self::AssociateNode { server, node, .. }
            | Self::DisassociateNode { server, node, .. } => {
                format!("node {node}, server {server}")
            }
            Self::DescribeStacks { stack } | Self::DescribeInstances { stack } => {
                format!("stack {stack}")
            }
            Self::RegisterInstance(new) => {
                format!("instance {}, stack {}", new.hostname, new.stack)
            }
            Self::DeregisterInstance { instance } => format!("instance {instance}"),
            Self::CreateActivation(new) => format!("node {}", new.default_instance_name),
            Self::DescribeActivations { name, .. } => format!("activations of {name}"),
            Self::DeleteActivation { activation }
            | Self::DescribeInstanceInformation { activation } => {
                format!("activation {activation}")
            }
            Self::DeregisterManagedInstance { instance } => format!("managed instance {instance}"),
        }
    }
}
