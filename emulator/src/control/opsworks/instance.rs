//! Instances that were registered with a stack.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::stack::date_time;
use crate::control::public_key;
use crate::control::table::Word;
use crate::now::Now;

/// An instance that was registered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisteredInstance {
    /// `StackId`.
    pub stack: String,
    /// `Hostname`, in lower case.
    pub hostname: String,
    /// What its identity document said; an instance without one is on premises.
    pub identity: Option<Identity>,
    /// `PrivateIp`.
    pub private_ip: Option<Ipv4Addr>,
    /// `PublicIp`.
    pub public_ip: Option<Ipv4Addr>,
    /// The public key: SubjectPublicKeyInfo in DER.
    #[serde(with = "crate::control::table::bytes::optional")]
    pub public_key: Option<Vec<u8>>,
    /// `RsaPublicKeyFingerprint`, as sent.
    pub fingerprint: Option<String>,
    /// When `RegisterInstance` was called.
    pub registered_at: Now,
    /// The identifiers of the layers that it is assigned to.
    pub layers: Vec<String>,
    /// What it is doing, or did last.
    pub step: Step,
}

/// A state that passes into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The state until then: `registering`, `running_setup` or `unassigning`.
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub during: Word,
    /// When it ends.
    pub until: Now,
    /// The state from then on: `registered`, `online` or `setup_failed`.
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub then: Word,
}

impl RegisteredInstance {
    /// `Status` at `now`. The reference's list of statuses is that of instances the service
    /// launches; of its words, `running_setup`, `setup_failed` and `online` are used here. The user
    /// guide has the others; the CLI's waiters wait for `registered` and `online`, and give up on
    /// `setup_failed`.
    #[must_use]
    pub fn status(&self, now: Now) -> &'static str {
        if now < self.step.until { self.step.during } else { self.step.then }
    }

    /// `InfrastructureClass`.
    #[must_use]
    pub const fn infrastructure(&self) -> &'static str {
        if self.identity.is_some() { "ec2" } else { "on-premises" }
    }

    /// The `Instance` structure, as `DescribeInstances` lists it.
    pub(super) fn describe(&self, id: &str, now: Now, region: &str, account: &str) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        };
        put("InstanceId", json!(id));
        put("Arn", json!(format!("arn:aws:opsworks:{region}:{account}:instance/{id}")));
        put("StackId", json!(self.stack));
        put("Status", json!(self.status(now)));
        put("Hostname", json!(self.hostname));
        put("InfrastructureClass", json!(self.infrastructure()));
        put("PrivateIp", json!(self.private_ip));
        put("PublicIp", json!(self.public_ip));
        put("CreatedAt", json!(date_time(self.registered_at)));
        put("RegisteredBy", json!(format!("arn:aws:iam::{account}:user/AWS/OpsWorks/enlist")));
        put("AgentVersion", json!("INHERIT"));
        put("EbsOptimized", json!(false));
        put("InstallUpdatesOnBoot", json!(true));
        put("LayerIds", json!(self.layers));
        put("Os", json!("Custom"));
        // The agent that is installed on the instance reports it, later.
        put("ReportedOs", json!({}));
        put("SecurityGroupIds", json!([]));
        if let Some(identity) = &self.identity {
            let [image, kind, zone, architecture] = &identity.others;
            put("Ec2InstanceId", json!(identity.instance_id));
            put("AmiId", json!(image));
            put("InstanceType", json!(kind));
            put("AvailabilityZone", json!(zone));
            put("Architecture", json!(architecture));
        }
        Value::Object(members)
    }

    /// The instance for `emulator state`.
    pub(super) fn state(&self, id: &str, now: Now) -> Value {
        json!({
            "id": id,
            "stack": self.stack,
            "status": self.status(now),
            "layers": self.layers,
            "hostname": self.hostname,
            "infrastructure": self.infrastructure(),
            "ec2_instance_id": self.identity.as_ref().map(|identity| &identity.instance_id),
            "private_ip": self.private_ip,
            "public_ip": self.public_ip,
            "public_key": self.public_key.as_deref().map(public_key::to_pem),
            "public_key_fingerprint": self.fingerprint,
            "registered_at": self.registered_at.rfc3339(),
        })
    }
}
