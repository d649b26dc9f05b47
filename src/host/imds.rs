//! EC2 instance metadata, version 2 only, through the SDK's own client.
//!
//! Who a node is depends on what this service says, for good. So an accident never decides: what may
//! pass (no answer, half of one, a 5xx) is a fault that is waited out. That a machine is no EC2
//! instance follows from its firmware and from a definite answer alone, and never against firmware
//! that names EC2.

mod answer;
mod endpoint;
mod firmware;
mod guard;
mod notices;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_config::imds::client::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::net::HttpClients;
use super::root::Root;
use crate::facts::{Ec2, InstanceIdentity};
use crate::fault::{Fault, Kind};
use answer::Failure;
use endpoint::Endpoint;

pub use firmware::{instance_id, may_be_ec2};
pub use notices::Notices;

/// The service is on the same host: it answers within a second, and says all of it within three.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

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
/// `Transient` where the service gives no answer, half of one, or one that may pass (408, 425, 429,
/// 5xx), to any question. `Config` where it refuses, and the firmware says that this is an EC2
/// instance.
pub async fn ask(root: &Root, net: &HttpClients) -> Result<Option<Ec2>, Fault> {
    if !may_be_ec2(root, net.metadata()) {
        return Ok(None);
    }
    let mut without_route = Vec::new();
    for endpoint in endpoint::candidates(net.metadata()) {
        match ask_at(&endpoint, net).await {
            Ok(ec2) => {
                let firmware = instance_id(root);
                if firmware.is_some_and(|id| !id.eq_ignore_ascii_case(&ec2.instance_id)) {
                    let what = format!("the identity document of {}", ec2.instance_id);
                    return refused(root, &endpoint, &what);
                }
                endpoint::remember(&endpoint);
                return Ok(Some(ec2));
            }
            Err(Failure::NoRoute(causes)) => without_route.push((endpoint, causes)),
            Err(Failure::Definite(what)) => return refused(root, &endpoint, &what),
            Err(Failure::Transient(passing)) => return Err(passing.fault(root, &endpoint.url())),
        }
    }
    Err(no_route(root, &without_route))
}

async fn ask_at(endpoint: &Endpoint, net: &HttpClients) -> Result<Ec2, Failure> {
    let (client, document, parsed) = match session(endpoint, net).await {
        // What is concluded from it stays for good, so it has to say it twice.
        Err(Failure::Definite(_)) => session(endpoint, net).await?,
        other => other?,
    };
    let (signature, public_ip, tags) = tokio::try_join!(
        optional(&client, SIGNATURE),
        optional(&client, "/latest/meta-data/public-ipv4"),
        tags(&client),
    )?;
    let address = |text: Option<String>| text.filter(|text| text.parse::<Ipv4Addr>().is_ok());
    Ok(Ec2 {
        instance_id: parsed.instance_id,
        image_id: parsed.image_id,
        region: parsed.region.filter(|region| is_region(region)),
        zone: parsed.availability_zone,
        account: parsed.account_id,
        private_ip: address(parsed.private_ip),
        public_ip: address(public_ip),
        tags,
        secret_tags: BTreeMap::new(),
        identity: InstanceIdentity {
            document,
            signature: signature.filter(|text| is_signature(text)),
        },
    })
}

/// A session of its own, and the identity document.
async fn session(
    endpoint: &Endpoint,
    net: &HttpClients,
) -> Result<(Client, String, Document), Failure> {
    let client = client(net, endpoint)?;
    let text = client.get(DOCUMENT).await.map_err(|error| answer::classify(&error))?;
    let document = String::from(text);
    let parsed = parse(&document)?;
    Ok((client, document, parsed))
}

/// The service answered, and not as one does that describes this instance.
fn refused(root: &Root, endpoint: &Endpoint, what: &str) -> Result<Option<Ec2>, Fault> {
    let Some(said) = firmware::names_ec2(root) else {
        if what == answer::UNAUTHORIZED {
            return Err(answer::Transient::of(what).fault(root, &endpoint.url()));
        }
        tracing::warn!(
            endpoint = endpoint.url(),
            answer = what,
            "what answers there is not the instance metadata service: this is not an EC2 instance"
        );
        return Ok(None);
    };
    let todo = format!(
        "turn the instance's metadata on: `aws ec2 modify-instance-metadata-options --instance-id {} --http-endpoint enabled`; or, to join under the host's name on purpose, set AWS_EC2_METADATA_DISABLED=true",
        firmware::instance_for_commands(root)
    );
    let what_failed = "the firmware says that this is an EC2 instance, and its metadata service does not say which";
    let fault = Fault::new(Kind::Config, what_failed, endpoint.url(), todo);
    Err(fault.cause(format!("the answer: {what}")).cause(format!("the firmware: {said}")))
}

fn no_route(root: &Root, asked: &[(Endpoint, Vec<String>)]) -> Fault {
    let urls: Vec<String> = asked.iter().map(|(endpoint, _)| endpoint.url()).collect();
    let causes = asked.iter().flat_map(|(_, causes)| causes.clone()).collect();
    answer::Transient { causes, never_answered: false }.fault(root, &urls.join(" and "))
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

/// # Errors
/// `Transient` where the document ends in the middle; `Definite` where it is no identity document.
/// The id becomes a name here and at the authority.
fn parse(document: &str) -> Result<Document, Failure> {
    let parsed: Document = serde_json::from_str(document).map_err(|error| {
        if error.is_eof() {
            Failure::transient("the identity document ends in the middle")
        } else {
            Failure::definite("no identity document")
        }
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let id = &parsed.instance_id;
    if (1..=64).contains(&id.len()) && id.chars().all(plain) {
        return Ok(parsed);
    }
    Err(Failure::definite("an identity document without a usable instanceId"))
}

/// It becomes part of the name of the host that signed requests are sent to.
fn is_region(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&text.len()) && text.chars().all(plain)
}

fn client(net: &HttpClients, endpoint: &Endpoint) -> Result<Client, Failure> {
    let builder = Client::builder()
        .configure(&net.local_config(guard::guard))
        .connect_timeout(READ_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        // The one before ends with the headers; these see that the body does not drip.
        .operation_attempt_timeout(REQUEST_TIMEOUT)
        .operation_timeout(REQUEST_TIMEOUT)
        .max_attempts(1);
    endpoint.set(builder).map(aws_config::imds::client::Builder::build)
}

/// For the instance's credentials: where its metadata was found, and the endpoint for messages.
///
/// # Errors
/// Where the endpoint that is set is none.
pub fn client_for_credentials(net: &HttpClients) -> Result<(Client, String), Fault> {
    let endpoint = endpoint::remembered(net.metadata());
    let url = endpoint.url();
    client(net, &endpoint).map(|client| (client, url.clone())).map_err(|_| {
        let todo = "correct AWS_EC2_METADATA_SERVICE_ENDPOINT";
        Fault::new(Kind::Config, "this is no endpoint of instance metadata", url, todo)
    })
}

/// None where the service has no such thing, or will not say. What may pass is waited for: what is
/// left out here would be left out of what this node says of itself for good.
async fn optional(client: &Client, path: &str) -> Result<Option<String>, Failure> {
    match client.get(path).await {
        Ok(text) => Ok(Some(String::from(text)).filter(|text| !text.is_empty())),
        Err(error) => match answer::classify(&error) {
            // The session was good for the document: it has ended, or the token was cut short.
            Failure::Definite(what) if what == answer::UNAUTHORIZED => {
                Err(Failure::transient(answer::UNAUTHORIZED))
            }
            Failure::Definite(answer) => {
                if answer != answer::NOT_FOUND {
                    tracing::warn!(path, answer, "the instance metadata service does not say this");
                }
                Ok(None)
            }
            passing => Err(passing),
        },
    }
}

/// The instance's tags, where the instance's options show them in its metadata.
async fn tags(client: &Client) -> Result<BTreeMap<String, String>, Failure> {
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
