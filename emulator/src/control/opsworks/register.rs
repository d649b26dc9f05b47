//! Registering an instance with a stack.

use std::net::Ipv4Addr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

use super::OpsWorks;
use super::identity::Identity;
use super::instance::{RegisteredInstance, Step};
use super::stack::Stack;
use crate::control::fault::FaultKind;
use crate::control::public_key;
use crate::control::validate::{Members, Pattern, Text, is_hex};
use crate::control::{Context, room_for};
use crate::error::ApiError;
use crate::hex;

/// `Hostname`: 63 characters at most on Linux, in the pattern of AWS's CLI. (Windows has 15, but a
/// request does not tell what it is from.)
const HOSTNAME: Text = Text {
    max: 63,
    pattern: Some(Pattern { text: "^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$", fits: is_hostname }),
    ..Text::UNBOUNDED
};
/// SHA-1 in hexadecimal digits without colons, as the service's own agent sends it.
const FINGERPRINT: Text = Text {
    pattern: Some(Pattern { text: "^[0-9a-f]{40}$", fits: is_fingerprint }),
    ..Text::UNBOUNDED
};

fn is_hostname(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == 40 && text.chars().all(is_hex)
}

/// What a request says of the instance's key.
struct Key {
    der: Option<Vec<u8>>,
    fingerprint: Option<String>,
}

/// A request's `InstanceIdentity`: document and signature.
type Papers<'a> = (Option<&'a str>, Option<&'a str>);

impl OpsWorks {
    /// There is no client token: the same request again registers another instance.
    pub(super) fn register_instance(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let stack_id = members.text("StackId", &Text::UNBOUNDED)?;
        let hostname = members.optional_text("Hostname", &HOSTNAME)?;
        let public_ip = members.optional_text("PublicIp", &Text::UNBOUNDED)?;
        let private_ip = members.optional_text("PrivateIp", &Text::UNBOUNDED)?;
        let key = members.optional_text("RsaPublicKey", &Text::UNBOUNDED)?;
        let fingerprint = members.optional_text("RsaPublicKeyFingerprint", &FINGERPRINT)?;
        let papers = members.structure("InstanceIdentity", |identity| {
            let document = identity.optional_text("Document", &Text::UNBOUNDED)?;
            Ok((document, identity.optional_text("Signature", &Text::UNBOUNDED)?))
        })?;
        members.finish()?;

        let public_ip = address("PublicIp", public_ip)?;
        let private_ip = address("PrivateIp", private_ip)?;
        let key = key_of(key, fingerprint)?;
        let stack = self.stack(stack_id)?;
        let identity = self.identity(stack, papers.unwrap_or_default())?;
        room_for(self.instances.len(), true, "instances")?;
        let id = context.random.uuid();
        let hostname = hostname.map_or_else(|| invented(&id), str::to_ascii_lowercase);
        if stack.unique_hostnames && self.has_hostname(stack_id, &hostname) {
            return Err(ApiError::Validation(format!(
                "Hostname '{hostname}' is already in use in this stack."
            )));
        }
        let instance = RegisteredInstance {
            stack: stack_id.to_owned(),
            hostname,
            identity,
            private_ip,
            public_ip,
            public_key: key.der,
            fingerprint: key.fingerprint,
            registered_at: context.now,
            layers: Vec::new(),
            step: Step {
                during: "registering",
                until: context.now.plus(self.settings.registration_time),
                then: match context.fault {
                    Some(FaultKind::Failed) => "setup_failed",
                    _ => "registered",
                },
            },
        };
        self.instances.insert(id.clone(), instance);
        Ok(json!({ "InstanceId": id }))
    }

    /// Who the instance is, when it is EC2's. The region must be the stack's.
    fn identity(&self, stack: &Stack, papers: Papers<'_>) -> Result<Option<Identity>, ApiError> {
        let (document, signature) = match papers {
            (None, None) => return Ok(None),
            (Some(document), Some(signature)) => (document, signature),
            _ => {
                return Err(ApiError::Validation(
                    "InstanceIdentity needs both Document and Signature.".to_owned(),
                ));
            }
        };
        let identity = Identity::of(document, signature, self.settings.identity.as_deref())?;
        if identity.region == stack.region {
            return Ok(Some(identity));
        }
        Err(ApiError::Validation(format!(
            "The instance is in the region {}, the stack in {}; they must match.",
            identity.region, stack.region
        )))
    }

    fn has_hostname(&self, stack: &str, hostname: &str) -> bool {
        self.instances.values().any(|known| known.stack == stack && known.hostname == hostname)
    }
}

/// A name for an instance that gave none: DescribeInstances always has one.
fn invented(id: &str) -> String {
    let (first, _) = id.split_once('-').unwrap_or((id, ""));
    format!("instance-{first}")
}

fn address(member: &str, text: Option<&str>) -> Result<Option<Ipv4Addr>, ApiError> {
    let refused =
        |text: &str| ApiError::Validation(format!("{member} '{text}' is not an IPv4 address."));
    text.map(|text| text.parse().map_err(|_| refused(text))).transpose()
}

fn key_of(key: Option<&str>, fingerprint: Option<&str>) -> Result<Key, ApiError> {
    let refused = |reason| ApiError::Validation(format!("Invalid RsaPublicKey: {reason}."));
    let der = key.map(public_key::rsa_from_pem).transpose().map_err(refused)?;
    if let (Some(der), Some(given)) = (&der, fingerprint) {
        let found = hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref());
        if found != given {
            return Err(ApiError::Validation(
                "RsaPublicKeyFingerprint is not the fingerprint of RsaPublicKey.".to_owned(),
            ));
        }
    }
    Ok(Key { der, fingerprint: fingerprint.map(str::to_owned) })
}
