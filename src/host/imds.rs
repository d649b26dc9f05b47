//! EC2 instance metadata, version 2 only, through the SDK's own client.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::imds::client::Client;
use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::guard;
use super::net::Net;
use super::root::Root;
use super::variables;
use crate::facts::{Ec2, InstanceIdentity};
use crate::fault::{Fault, Kind};

/// The service is on the same host: what does not answer in a second is not there, and what has
/// not said it all in three is not it.
const PATIENCE: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(3);

/// An instance has 50 tags at most (EC2 user guide, "Tag restrictions").
const MOST_TAGS: usize = 50;

const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const SIGNATURE: &str = "/latest/dynamic/instance-identity/signature";

/// What we take from the instance identity document; it is passed on untouched.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    instance_id: String,
    image_id: Option<String>,
    region: Option<String>,
    availability_zone: Option<String>,
    account_id: Option<String>,
    private_ip: Option<String>,
}

/// What the metadata service says; none where this is no EC2 instance.
///
/// # Errors
/// `Transient` where this is one and the service is not up yet.
pub async fn ask(root: &Root, net: &Net) -> Result<Option<Ec2>, Fault> {
    if !may_be_ec2(root) {
        return Ok(None);
    }
    let client = client(net);
    let document = match client.get(DOCUMENT).await {
        Ok(text) => String::from(text),
        Err(error) if guard::is_unfit(&error) => return Ok(none()),
        Err(error) => return refused(&error),
    };
    let Some(parsed) = parse(&document) else {
        return Ok(none());
    };
    let (signature, public_ip, tags) = tokio::try_join!(
        optional(&client, SIGNATURE),
        optional(&client, "/latest/meta-data/public-ipv4"),
        tags(&client),
    )?;
    Ok(Some(Ec2 {
        instance_id: parsed.instance_id,
        image_id: parsed.image_id,
        region: parsed.region.filter(|region| is_region(region)),
        zone: parsed.availability_zone,
        account: parsed.account_id,
        private_ip: parsed.private_ip,
        public_ip,
        tags,
        secret_tags: BTreeMap::new(),
        identity: InstanceIdentity {
            document,
            signature: signature.filter(|text| is_signature(text)),
        },
    }))
}

/// The signature is base64 in lines (EC2 user guide, "Instance identity documents"). It is passed
/// on byte for byte; what is none, such as a proxy's page, is not.
fn is_signature(text: &str) -> bool {
    let joined: String = text.split_ascii_whitespace().collect();
    let is_one = STANDARD.decode(joined).is_ok_and(|bytes| !bytes.is_empty());
    if !is_one {
        tracing::warn!("the instance identity document's signature is not base64; it is left out");
    }
    is_one
}

fn none() -> Option<Ec2> {
    tracing::warn!(
        "something answers for the instance metadata service and is none: this is taken for no EC2 instance"
    );
    None
}

/// None where it is no identity document; the id becomes a name here and at the authority.
fn parse(document: &str) -> Option<Document> {
    let parsed = serde_json::from_str::<Document>(document).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let id = &parsed.instance_id;
    ((1..=64).contains(&id.len()) && id.chars().all(plain)).then_some(parsed)
}

/// It becomes part of the name of the host that signed requests are sent to.
fn is_region(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&text.len()) && text.chars().all(plain)
}

/// Whether it is worth asking: what is no EC2 by its firmware's strings loses no time. An
/// endpoint that is set on purpose is asked in any case.
#[must_use]
pub fn may_be_ec2(root: &Root) -> bool {
    let variable = |name| variables::text(name).unwrap_or_default();
    if variable("AWS_EC2_METADATA_DISABLED").eq_ignore_ascii_case("true") {
        return false;
    }
    !variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_empty() || is_ec2_by_firmware(root)
}

/// Nitro instances say so by their vendor and carry their instance id as asset tag; Xen ones
/// have a UUID that begins with ec2 (EC2 user guide, "Identify EC2 Linux instances").
fn is_ec2_by_firmware(root: &Root) -> bool {
    let dmi = |name: &str| root.line(&format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
    let begins = |text: &str, with: &str| {
        text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    dmi("sys_vendor") == "Amazon EC2"
        || begins(&dmi("board_asset_tag"), "i-")
        || begins(&dmi("product_uuid"), "ec2")
        || begins(&root.line("/sys/hypervisor/uuid").unwrap_or_default(), "ec2")
}

fn refused(error: &ImdsError) -> Result<Option<Ec2>, Fault> {
    if let ImdsError::FailedToLoadToken(failed) = error
        && !failed.is_dispatch_failure()
        && !is_timeout(error)
    {
        // It answered, and not as IMDSv2 does: a proxy, or metadata that is switched off. There
        // is no falling back to version 1.
        tracing::warn!("no IMDSv2 token to be had: this is taken for no EC2 instance");
        return Ok(None);
    }
    let todo = "wait; where this is no EC2 instance, set AWS_EC2_METADATA_DISABLED=true";
    let fault = Fault::new(
        Kind::Transient,
        "the instance metadata service did not answer",
        endpoint(),
        todo,
    );
    Err(match status(error) {
        Some(status) => fault.cause(status),
        None => fault.because(error),
    })
}

fn is_timeout(error: &ImdsError) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<SdkError<TokenError, HttpResponse>>())
        .is_some_and(|source| matches!(source, SdkError::TimeoutError(_)))
}

fn endpoint() -> String {
    variables::text("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        .unwrap_or_else(|| "http://169.254.169.254".to_owned())
}

/// Asks again and again whether this instance is about to end; one session for all of it.
pub struct Notices {
    client: Client,
}

/// `spot/instance-action` (EC2 user guide, "Spot Instance interruption notices").
#[derive(Deserialize)]
struct SpotAction {
    action: String,
    time: Option<String>,
}

impl Notices {
    /// None where this can't be an EC2 instance.
    #[must_use]
    pub fn new(root: &Root, net: &Net) -> Option<Self> {
        may_be_ec2(root).then(|| Self { client: client(net) })
    }

    /// What was announced, for people; none while nothing is. A service that does not answer has
    /// announced nothing.
    pub async fn termination(&self) -> Option<String> {
        let (spot, group) = tokio::join!(
            self.ask("/latest/meta-data/spot/instance-action"),
            self.ask("/latest/meta-data/autoscaling/target-lifecycle-state"),
        );
        spot.and_then(|text| spot_termination(&text))
            .or(group.and_then(|state| group_termination(&state)))
            .map(|notice| crate::text::line(&notice))
    }

    async fn ask(&self, path: &str) -> Option<String> {
        match self.client.get(path).await {
            Ok(text) => Some(String::from(text)),
            Err(error) => {
                let error = status(&error).unwrap_or_else(|| error.to_string());
                tracing::trace!(path, error, "no notice");
                None
            }
        }
    }
}

fn spot_termination(text: &str) -> Option<String> {
    let told: SpotAction = serde_json::from_str(text).ok()?;
    let time = told.time.unwrap_or_else(|| "an unknown time".to_owned());
    // Those that are stopped or hibernated come back, as who they are.
    (told.action == "terminate").then(|| format!("EC2 takes this Spot instance back at {time}"))
}

/// `Terminated`, and `Warmed:Terminated` in a warm pool (EC2 Auto Scaling user guide, "Retrieve
/// the target lifecycle state through instance metadata").
fn group_termination(state: &str) -> Option<String> {
    let ends = state.trim().rsplit(':').next() == Some("Terminated");
    ends.then(|| "its Auto Scaling group terminates this instance".to_owned())
}

fn client(net: &Net) -> Client {
    Client::builder()
        .configure(&net.local_config())
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        // The one before ends with the headers; these see that the body does not drip.
        .operation_attempt_timeout(WHOLE)
        .operation_timeout(WHOLE)
        .max_attempts(1)
        .build()
}

/// None where the service has no such thing, or will not say. Without an answer we wait: what is
/// left out here would be left out of what this node says of itself for good.
async fn optional(client: &Client, path: &str) -> Result<Option<String>, Fault> {
    match client.get(path).await {
        Ok(text) => Ok(Some(String::from(text)).filter(|text| !text.is_empty())),
        Err(ImdsError::ErrorResponse(context))
            if (400..500).contains(&context.response().status().as_u16()) =>
        {
            Ok(None)
        }
        Err(error) if guard::is_unfit(&error) => {
            tracing::warn!(path, "what the instance metadata service said is too large");
            Ok(None)
        }
        Err(error) => refused(&error).map(|_| None),
    }
}

/// The instance's tags, where the instance's options show them in its metadata.
async fn tags(client: &Client) -> Result<BTreeMap<String, String>, Fault> {
    let mut tags = BTreeMap::new();
    let Some(names) = optional(client, "/latest/meta-data/tags/instance").await? else {
        return Ok(tags);
    };
    // Names in metadata may hold letters, digits and + - = . , _ : @ only (EC2 user guide, "Use
    // instance tags in instance metadata"), so they need no escaping in a path.
    let allowed = |name: &&str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-=.,_:@".contains(c))
    };
    for name in names.lines().filter(allowed).take(MOST_TAGS) {
        if let Some(value) =
            optional(client, &format!("/latest/meta-data/tags/instance/{name}")).await?
        {
            tags.insert(name.to_owned(), value);
        }
    }
    Ok(tags)
}

/// Where it answered with an error. Its own text would show the whole response.
fn status(error: &ImdsError) -> Option<String> {
    match error {
        ImdsError::ErrorResponse(context) => {
            Some(format!("HTTP status {}", context.response().status().as_u16()))
        }
        _ => None,
    }
}
