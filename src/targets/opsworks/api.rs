//! The calls of OpsWorks Stacks (API version 2013-02-18) that a node makes.

use crate::facts::InstanceIdentity;
use crate::targets::api::Call;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    DescribeStacks { stack: String },
    RegisterInstance(Box<Registration>),
    DescribeInstances { stack: String },
    DeregisterInstance { instance: String },
}

/// The members of RegisterInstance.
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
    /// Byte for byte as the metadata service returned it; only for infrastructure `ec2`.
    pub identity: Option<InstanceIdentity>,
}

/// A member that the API may leave out is an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Stacks(Vec<Stack>),
    Registered {
        instance: Option<String>,
    },
    Instances(Vec<Instance>),
    Deregistered,
    /// There is no such stack or instance. The API's message.
    NotFound(String),
}

/// The used members of `Stack`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    pub id: Option<String>,
    pub name: Option<String>,
    pub region: Option<String>,
}

/// The used members of `Instance`.
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
    /// SHA-1 of its public key. AWS does not return it; another service with the same API may.
    pub fingerprint: Option<String>,
}

impl Call for Request {
    fn action(&self) -> &'static str {
        match self {
            Self::DescribeStacks { .. } => "DescribeStacks",
            Self::RegisterInstance(_) => "RegisterInstance",
            Self::DescribeInstances { .. } => "DescribeInstances",
            Self::DeregisterInstance { .. } => "DeregisterInstance",
        }
    }

    fn on(&self) -> String {
        match self {
            Self::DescribeStacks { stack } | Self::DescribeInstances { stack } => {
                format!("stack {stack}")
            }
            Self::RegisterInstance(new) => {
                format!("instance {}, stack {}", new.hostname, new.stack)
            }
            Self::DeregisterInstance { instance } => format!("instance {instance}"),
        }
    }
}
