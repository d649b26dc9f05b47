//! The calls of OpsWorks CM (API version 2016-11-01) that a node makes.

use crate::targets::api::{Call, IF_REFUSED};
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    DescribeServers { server: String },
    AssociateNode { server: String, node: String, attributes: Vec<(String, String)> },
    DisassociateNode { server: String, node: String, attributes: Vec<(String, String)> },
    DescribeNodeAssociationStatus { server: String, token: String },
}

/// A member that the API may leave out is an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Servers(Vec<Server>),
    /// The answer to AssociateNode and DisassociateNode.
    Associated {
        token: Option<String>,
    },
    AssociationStatus {
        status: Option<String>,
        attributes: Vec<(String, String)>,
    },
    /// There is no such server, node or token. The API's message.
    NotFound(String),
}

/// The used members of `Server`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    pub name: Option<String>,
    pub status: Option<String>,
    pub status_reason: Option<String>,
    pub endpoint: Option<String>,
    pub engine: Option<String>,
    pub attributes: Vec<(String, String)>,
}

impl Call for Request {
    fn action(&self) -> &'static str {
        match self {
            Self::DescribeServers { .. } => "DescribeServers",
            Self::AssociateNode { .. } => "AssociateNode",
            Self::DisassociateNode { .. } => "DisassociateNode",
            Self::DescribeNodeAssociationStatus { .. } => "DescribeNodeAssociationStatus",
        }
    }

    fn on(&self) -> String {
        match self {
            Self::DescribeServers { server }
            | Self::DescribeNodeAssociationStatus { server, .. } => format!("server {server}"),
            Self::AssociateNode { server, node, .. }
            | Self::DisassociateNode { server, node, .. } => {
                format!("node {node}, server {server}")
            }
        }
    }

    fn if_refused(&self) -> Cow<'static, str> {
        match self {
            Self::AssociateNode { server, node, .. } => format!(
                "correct what the service's error message names; if this node was rebuilt under the same name, run `aws opsworks-cm disassociate-node --server-name {server} --node-name {node}`, then `enlist join`"
            )
            .into(),
            _ => IF_REFUSED.into(),
        }
    }

    /// The certificate request, which may contain a challenge password.
    fn secret(&self) -> Option<&str> {
        let Self::AssociateNode { attributes, .. } = self else { return None };
        let csr = attributes.iter().find(|(name, _)| name == "PUPPET_NODE_CSR");
        csr.map(|(_, value)| value.as_str())
    }
}
