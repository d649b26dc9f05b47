//! The authority and its grant: what a target finds out, and what an engine is installed with. Both
//! are public, and are part of the record.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantNames};

use super::EngineId;
use crate::secret::SecretSource;

/// The authority, as far as an engine needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Authority {
    /// A Puppet server. `endpoint` is `host` or `host:port`; `ca` is PEM, root and intermediates;
    /// `crl` is PEM, the revocation list of each CA, where they are known before the agent's first run.
    Puppet {
        endpoint: String,
        ca: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crl: Option<String>,
    },
    /// A Chef server. Without `ca`, Chef uses the system's CAs.
    Chef { endpoint: String, ca: Option<String> },
    /// A Chef server by its whole URL, as `chef_server_url` has it. Without `ca`, the system's CAs.
    ChefServer {
        url: String,
        ca: Option<String>,
        /// The version of its API that is spoken.
        #[serde(default)]
        api_version: u8,
    },
    /// A stack of OpsWorks Stacks.
    Stack { name: String, region: Option<String> },
    /// Systems Manager: the engine needs to know nothing in advance.
    Service,
}

/// What the settings of one target add to the certificate request that its authority gets. Another
/// target of the same engine sends none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestAdditions {
    /// Where the challenge password is (PKCS #9).
    pub challenge_password: Option<SecretSource>,
    pub proof: Proof,
    /// Whether the authority is told that the node renews its certificate, if it does. The authority may
    /// then grant a short lifetime.
    pub auto_renew: bool,
    /// DNS names for subjectAltName, beside the node's own. If empty, the request has none at all.
    pub dns_names: Vec<String>,
}

/// What the request proves about who asks (docs/trust.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Proof {
    #[default]
    None,
    /// Whose AWS credentials the node has: a signed `sts:GetCallerIdentity`, bound to key and name.
    Iam,
    /// Which EC2 instance it is: the instance identity document with its signature.
    InstanceIdentity,
}

impl Proof {
    /// How long a request with it may wait before it is made again: the signature of
    /// `sts:GetCallerIdentity` is good for 15 minutes, also by a clock that is some minutes off.
    #[must_use]
    pub fn fresh_for(self) -> Option<Duration> {
        (self == Self::Iam).then_some(Duration::from_mins(1))
    }
}

impl RequestAdditions {
    /// Whether they prove that the node may join, so that the request is not left on disk.
    #[must_use]
    pub fn are_secret(&self) -> bool {
        self.challenge_password.is_some() || self.proof != Proof::None
    }

    pub const NONE: Self = Self {
        challenge_password: None,
        proof: Proof::None,
        auto_renew: false,
        dns_names: Vec::new(),
    };
}

impl Authority {
    /// The engine that works with it.
    #[must_use]
    pub fn engine(&self) -> EngineId {
        match self {
            Self::Puppet { .. } => EngineId::Puppet,
            Self::Chef { .. } | Self::ChefServer { .. } => EngineId::Chef,
            Self::Stack { .. } => EngineId::OpsworksAgent,
            Self::Service => EngineId::SsmAgent,
        }
    }

    /// Where the engine finds it: a host, a host and port, or a URL. None: the engine is not told.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Puppet { endpoint, .. } | Self::Chef { endpoint, .. } => Some(endpoint),
            Self::ChefServer { url, .. } => Some(url),
            Self::Stack { .. } | Self::Service => None,
        }
    }

    /// Its own CA as PEM, where it has one.
    #[must_use]
    pub fn ca(&self) -> Option<&str> {
        match self {
            Self::Puppet { ca, .. } => Some(ca),
            Self::Chef { ca, .. } | Self::ChefServer { ca, .. } => ca.as_deref(),
            Self::Stack { .. } | Self::Service => None,
        }
    }

    /// The revocation lists of its CA as PEM, where they are known.
    #[must_use]
    pub fn crl(&self) -> Option<&str> {
        match self {
            Self::Puppet { crl, .. } => crl.as_deref(),
            _ => None,
        }
    }
}

/// What the authority gave this node, after it was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Grant {
    /// `not_after` in Unix seconds.
    Certificate { pem: String, serial: String, not_after: i64 },
    /// The node's public key was accepted.
    Client,
    /// OpsWorks Stacks: the id of the instance.
    Instance { id: String },
    /// Systems Manager: the id of an activation. Its code is a secret and never part of the record.
    Activation { id: String },
    /// Systems Manager: the `mi-` id under which the agent registered.
    Managed { id: String, activation: Option<String> },
}

impl Grant {
    /// For the log.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Certificate { serial, .. } => {
                format!(
                    "certificate {serial}, for this node's key and name, signed by the authority's CA"
                )
            }
            Self::Client => "the authority accepted this node's public key".to_owned(),
            Self::Instance { id } => format!("instance {id}"),
            Self::Activation { id } => format!("activation {id}"),
            Self::Managed { id, .. } => format!("managed instance {id}"),
        }
    }

    /// The same where a person has carried the answer here. What the authority says was not asked.
    #[must_use]
    pub fn describe_carried(&self, has_private_key: bool) -> String {
        match (self, has_private_key) {
            (Self::Client, true) => "the private key that was carried here is this node's; whether the authority accepts it was not asked".to_owned(),
            (Self::Client, false) => "a client has this node's public key, as the answer shows it; the authority was not asked".to_owned(),
            _ => self.describe(),
        }
    }

    /// The serial number and the end (Unix seconds) of a certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<(&str, i64)> {
        match self {
            Self::Certificate { serial, not_after, .. } => Some((serial, *not_after)),
            _ => None,
        }
    }

    /// The authority's id of this node, where that is not its name.
    #[must_use]
    pub fn member_id(&self) -> Option<&str> {
        match self {
            Self::Instance { id } | Self::Managed { id, .. } | Self::Activation { id } => Some(id),
            Self::Certificate { .. } | Self::Client => None,
        }
    }

    /// The grant after the engine registered itself with it and got this id.
    #[must_use]
    pub fn registered(self, id: String) -> Self {
        let activation = match self {
            Self::Activation { id } => Some(id),
            _ => None,
        };
        Self::Managed { id, activation }
    }
}
