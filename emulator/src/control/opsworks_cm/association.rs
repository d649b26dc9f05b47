//! Associations, and the tokens under which their progress can be asked for.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::control::public_key;
use crate::hex;
use crate::now::Now;

/// How an association or disassociation ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// SUCCESS.
    Joined {
        /// The certificate, when the engine is Puppet.
        certificate: Option<String>,
    },
    /// FAILED.
    Failed {
        /// Why; the API does not tell it.
        reason: String,
    },
    /// SUCCESS of a disassociation.
    Left,
}

/// A node's membership of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Association {
    /// The public key: SubjectPublicKeyInfo in DER.
    #[serde(with = "crate::control::table::bytes")]
    pub public_key: Vec<u8>,
    /// The request as sent; Puppet only.
    pub csr: Option<String>,
    /// The organization that the node belongs to; Chef only.
    pub organization: Option<String>,
    /// How it ends, from `resolves_at` on.
    pub outcome: Arc<Outcome>,
    /// When its certificate was made.
    pub issued_at: Now,
    /// When IN_PROGRESS ends.
    pub resolves_at: Now,
    /// How many times `AssociateNode` was accepted for this node.
    pub calls: u32,
    /// When it ends, once the node is being disassociated.
    pub leaves_at: Option<Now>,
}

impl Association {
    /// Whether the name is taken at `now`: the node is a member, or it is not decided yet.
    #[must_use]
    pub fn holds(&self, now: Now) -> bool {
        now < self.resolves_at || !matches!(*self.outcome, Outcome::Failed { .. })
    }

    /// The association for `emulator state`; the status is the API's at `now`.
    #[must_use]
    pub fn describe(&self, now: Now, server: &str, node: &str) -> Value {
        let (certificate, failure) = match &*self.outcome {
            Outcome::Joined { certificate } => (certificate.as_deref(), None),
            Outcome::Failed { reason } => (None, Some(reason)),
            Outcome::Left => (None, None),
        };
        json!({
            "server": server,
            "node": node,
            "status": status(&self.outcome, self.resolves_at, now),
            "public_key": public_key::to_pem(&self.public_key),
            "public_key_sha256": hex::sha256(&self.public_key),
            "organization": self.organization,
            "csr": self.csr,
            "certificate": certificate,
            "failure": failure,
            "leaves_at": self.leaves_at.map(Now::rfc3339),
            "associate_calls": self.calls,
        })
    }
}

/// What a `NodeAssociationStatusToken` stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ticket {
    /// The server it is valid with.
    pub server: String,
    /// When it was given out.
    pub issued_at: Now,
    /// When IN_PROGRESS ends.
    pub resolves_at: Now,
    /// How it ends.
    pub outcome: Arc<Outcome>,
}

impl Ticket {
    /// As the admin API shows it.
    pub fn show(&self, token: &str, now: Now, ends_at: Now) -> Value {
        json!({
            "token": token,
            "server": self.server,
            "status": status(&self.outcome, self.resolves_at, now),
            "issued_at": self.issued_at.rfc3339(),
            "forgotten_at": ends_at.rfc3339(),
        })
    }

    /// Whether the request is still "recent", in the reference's word.
    pub fn is_recent(&self, now: Now, lifetime: Duration) -> bool {
        now < self.issued_at.plus(lifetime)
    }

    /// The response of `DescribeNodeAssociationStatus`. The CA's bundle is listed before the
    /// certificate: clients are to find that by the attribute's name.
    pub fn describe(&self, now: Now, ca_bundle: &str) -> Value {
        let status = status(&self.outcome, self.resolves_at, now);
        let attributes = match &*self.outcome {
            Outcome::Joined { certificate: Some(certificate) } if status == "SUCCESS" => json!([
                { "Name": "PUPPET_API_CA_CERT", "Value": ca_bundle },
                { "Name": "PUPPET_NODE_CERT", "Value": certificate },
            ]),
            _ => json!([]),
        };
        json!({ "NodeAssociationStatus": status, "EngineAttributes": attributes })
    }
}

fn status(outcome: &Outcome, resolves_at: Now, now: Now) -> &'static str {
    match outcome {
        _ if now < resolves_at => "IN_PROGRESS",
        Outcome::Failed { .. } => "FAILED",
        Outcome::Joined { .. } | Outcome::Left => "SUCCESS",
    }
}
