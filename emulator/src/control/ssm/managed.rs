//! Managed instances: machines that registered themselves by an activation.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::timestamp;
use crate::control::public_key;
use crate::control::table::Word;
use crate::control::tag::Tag;
use crate::hex;
use crate::now::Now;

/// The values of `PingStatus`.
pub const PING_STATUSES: [&str; 3] = ["Online", "ConnectionLost", "Inactive"];

/// What the agent tells of its machine once it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `ComputerName`.
    pub computer_name: Option<String>,
    /// `IPAddress`.
    pub ip_address: Option<String>,
    /// `AgentVersion`.
    pub agent_version: Option<String>,
    /// `PlatformName`.
    pub platform_name: Option<String>,
    /// `PlatformVersion`.
    pub platform_version: Option<String>,
}

/// A managed instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ManagedInstance {
    /// The activation it was registered by.
    pub activation: String,
    /// The activation's role.
    pub iam_role: String,
    /// The activation's `DefaultInstanceName`.
    pub name: Option<String>,
    /// The activation's tags.
    pub tags: Vec<Tag>,
    /// The public key: SubjectPublicKeyInfo in DER.
    #[serde(with = "crate::control::table::bytes")]
    pub public_key: Vec<u8>,
    /// The fingerprint of its hardware, as the agent made it.
    pub fingerprint: String,
    /// `RegistrationDate`.
    pub registered_at: Now,
    /// One of [`PING_STATUSES`]: `Online`, as if its agent ran, until a test says otherwise.
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub ping_status: Word,
    /// What its agent told.
    pub report: Report,
}

impl ManagedInstance {
    /// The value that a filter of `DescribeInstanceInformation` looks at.
    pub(super) fn value<'a>(&'a self, id: &'a str, key: &str) -> Option<&'a str> {
        match key {
            "InstanceIds" | "SourceIds" => Some(id),
            "ActivationIds" => Some(&self.activation),
            "IamRole" => Some(&self.iam_role),
            "PingStatus" => Some(self.ping_status),
            "AgentVersion" => self.report.agent_version.as_deref(),
            "PlatformTypes" => Some("Linux"),
            "ResourceType" => Some("ManagedInstance"),
            "SourceTypes" => Some("AWS::SSM::ManagedInstance"),
            _ => None,
        }
    }

    /// The `InstanceInformation` structure.
    pub(super) fn describe(&self, id: &str) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        };
        put("InstanceId", json!(id));
        put("PingStatus", json!(self.ping_status));
        put("LastPingDateTime", timestamp(self.registered_at));
        put("AgentVersion", json!(self.report.agent_version));
        put("PlatformType", json!("Linux"));
        put("PlatformName", json!(self.report.platform_name));
        put("PlatformVersion", json!(self.report.platform_version));
        put("ActivationId", json!(self.activation));
        put("IamRole", json!(self.iam_role));
        put("RegistrationDate", timestamp(self.registered_at));
        put("ResourceType", json!("ManagedInstance"));
        put("Name", json!(self.name));
        put("IPAddress", json!(self.report.ip_address));
        put("ComputerName", json!(self.report.computer_name));
        put("SourceId", json!(id));
        put("SourceType", json!("AWS::SSM::ManagedInstance"));
        Value::Object(members)
    }

    /// The instance for `emulator state`.
    pub(super) fn state(&self, id: &str) -> Value {
        json!({
            "id": id,
            "activation_id": self.activation,
            "iam_role": self.iam_role,
            "name": self.name,
            "ping_status": self.ping_status,
            "fingerprint": self.fingerprint,
            "public_key": public_key::to_pem(&self.public_key),
            "public_key_sha256": hex::sha256(&self.public_key),
            "registered_at": self.registered_at.rfc3339(),
            "tags": Tag::describe(&self.tags),
        })
    }
}
