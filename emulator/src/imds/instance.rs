//! An EC2 instance, as its metadata describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::now::Now;
use crate::sigv4::Credentials;

/// An instance. The default one has every value filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-` and 17 hexadecimal digits.
    pub id: String,
    /// The AMI's identifier.
    pub image: String,
    /// `t3.micro` and its like.
    pub instance_type: String,
    /// The region's name.
    pub region: String,
    /// The availability zone; the region's first when `None`.
    pub zone: Option<String>,
    /// The account's twelve digits.
    pub account: String,
    /// The private address.
    pub private_ip: Ipv4Addr,
    /// The public address, when there is one.
    pub public_ip: Option<Ipv4Addr>,
    /// The private DNS name; EC2's own form of it when `None`.
    pub hostname: Option<String>,
    /// The tags; `None` when tags in metadata are not enabled.
    pub tags: Option<BTreeMap<String, String>>,
    /// `InService`, `Terminated`...; `None` outside an Auto Scaling group.
    pub target_lifecycle_state: Option<String>,
    /// `stop`, `terminate` or `hibernate` and the moment, once a spot interruption is announced.
    pub spot_action: Option<(String, Now)>,
    /// The role of the instance profile, and its credentials; `None` without a profile.
    pub role: Option<(String, Credentials)>,
    /// When the instance was launched.
    pub pending_time: Now,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            id: "i-0123456789abcdef0".to_owned(),
            image: "ami-0123456789abcdef0".to_owned(),
            instance_type: "t3.micro".to_owned(),
            region: "us-east-1".to_owned(),
            zone: None,
            account: "123456789012".to_owned(),
            private_ip: Ipv4Addr::new(10, 0, 0, 17),
            // TEST-NET-3 (RFC 5737): an address that is nobody's.
            public_ip: Some(Ipv4Addr::new(203, 0, 113, 17)),
            hostname: None,
            tags: None,
            target_lifecycle_state: None,
            spot_action: None,
            role: None,
            pending_time: Now::from_unix_seconds(1_750_000_000),
        }
    }
}

impl Instance {
    /// The availability zone.
    #[must_use]
    pub fn zone(&self) -> String {
        self.zone.clone().unwrap_or_else(|| format!("{}a", self.region))
    }

    /// The private DNS name. The first region has a domain of its own.
    #[must_use]
    pub fn hostname(&self) -> String {
        let domain = match self.region.as_str() {
            "us-east-1" => "ec2.internal".to_owned(),
            region => format!("{region}.compute.internal"),
        };
        let address = self.private_ip.to_string().replace('.', "-");
        self.hostname.clone().unwrap_or_else(|| format!("ip-{address}.{domain}"))
    }

    /// The identity document, byte for byte as long as the instance stays the same: EC2 signs the
    /// bytes, so they must not be written anew by anyone.
    #[must_use]
    pub fn identity_document(&self) -> String {
        let members: [(&str, Value); 15] = [
            ("accountId", json!(self.account)),
            ("architecture", json!("x86_64")),
            ("availabilityZone", json!(self.zone())),
            ("billingProducts", Value::Null),
            ("devpayProductCodes", Value::Null),
            ("marketplaceProductCodes", Value::Null),
            ("imageId", json!(self.image)),
            ("instanceId", json!(self.id)),
            ("instanceType", json!(self.instance_type)),
            ("kernelId", Value::Null),
            ("pendingTime", json!(self.pending_time.rfc3339())),
            ("privateIp", json!(self.private_ip)),
            ("ramdiskId", Value::Null),
            ("region", json!(self.region)),
            ("version", json!("2017-09-30")),
        ];
        let line = |(name, value): &(&str, Value)| format!("  \"{name}\" : {value}");
        format!("{{\n{}\n}}", members.iter().map(line).collect::<Vec<_>>().join(",\n"))
    }

    /// The answer to `meta-data/KEY` at `now`; a key that is a directory lists what is below it.
    #[must_use]
    pub fn metadata(&self, key: &str, now: Now) -> Option<String> {
        let tree = self.tree(now);
        let trimmed = key.strip_suffix('/').unwrap_or(key);
        match tree.get(trimmed) {
            Some(value) if key == trimmed => Some(value.clone()),
            _ => listing(&tree, trimmed),
        }
    }

    fn tree(&self, now: Now) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        let mut put = |key: &str, value: String| {
            tree.insert(key.to_owned(), value);
        };
        put("ami-id", self.image.clone());
        put("hostname", self.hostname());
        put("instance-id", self.id.clone());
        put("instance-type", self.instance_type.clone());
        put("local-hostname", self.hostname());
        put("local-ipv4", self.private_ip.to_string());
        put("placement/availability-zone", self.zone());
        put("placement/region", self.region.clone());
        if let Some(address) = self.public_ip {
            put("public-ipv4", address.to_string());
        }
        for (key, value) in self.tags.iter().flatten() {
            put(&format!("tags/instance/{key}"), value.clone());
        }
        if let Some(state) = &self.target_lifecycle_state {
            put("autoscaling/target-lifecycle-state", state.clone());
        }
        if let Some((action, at)) = &self.spot_action {
            let notice = json!({ "action": action, "time": at.rfc3339() });
            put("spot/instance-action", notice.to_string());
        }
        if let Some((role, credentials)) = &self.role {
            put(&format!("iam/security-credentials/{role}"), role_document(credentials, now));
        }
        tree
    }
}

/// The credentials of a role, as the metadata service hands them out: for six hours.
fn role_document(credentials: &Credentials, now: Now) -> String {
    let document = json!({
        "Code": "Success",
        "LastUpdated": now.rfc3339(),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret_key,
        "Token": credentials.session_token,
        "Expiration": now.plus(Duration::from_hours(6)).rfc3339(),
    });
    document.to_string()
}

/// The names directly below `directory`, one a line; those of directories end in a slash. Tags
/// are leaves, whatever their keys look like.
fn listing(tree: &BTreeMap<String, String>, directory: &str) -> Option<String> {
    let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let below = tree.keys().filter_map(|key| key.strip_prefix(&prefix));
    let names: BTreeSet<&str> = below
        .map(|rest| match rest.find('/') {
            Some(end) if directory != "tags/instance" => &rest[..=end],
            _ => rest,
        })
        .collect();
    Some(names.into_iter().collect::<Vec<_>>().join("\n")).filter(|names| !names.is_empty())
}
