//! EC2 instance metadata, version 2 only, through the SDK's own client.
//!
//! The node's identity depends on these answers, permanently. So a transient error (no answer, half
//! an answer, a 5xx) never decides anything: it is a fault that is retried. A machine counts as "not
//! EC2" only by its firmware, or by a definite answer that the firmware does not contradict.

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
use super::timer;
use crate::facts::{Ec2, InstanceIdentity};
use crate::fault::{Fault, Kind};
use answer::Failure;
use endpoint::Endpoint;

pub use firmware::{instance_id, may_be_ec2};
pub use notices::Notices;

/// The service is on the same host: it accepts a connection within a second. An answer may take three.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// The read timeout ends with the headers, so a slow body has a limit of its own. It must be longer: it
/// counts for the request and its token together, and a token that never comes is reported as such.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(6);

/// The pause between two definite answers of which an instance is none.
const BEFORE_CONCLUSION: Duration = Duration::from_millis(500);

/// An instance has 50 tags at most (EC2 user guide, "Tag restrictions").
const MOST_TAGS: usize = 50;

const DOCUMENT: &str = "/latest/dynamic/instance-identity/document";
const SIGNATURE: &str = "/latest/dynamic/instance-identity/signature";
const TAGS: &str = "/latest/meta-data/tags/instance";

/// The members of the instance identity document that enlist uses. The document itself is passed on
/// byte for byte.
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

/// Asks the metadata service about this instance; none if this is not an EC2 instance.
///
/// # Errors
/// `Transient` if any request gets no answer, half an answer, or a transient error (408, 425, 429,
/// 5xx). `Config` if the service refuses although the firmware says that this is an EC2 instance.
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
        // The conclusion is permanent, so a definite answer must come twice, and not in one moment.
        Err(Failure::Definite(_)) => {
            timer::sleep(BEFORE_CONCLUSION).await;
            session(endpoint, net).await?
        }
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

/// Opens a session, and gets the identity document.
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

/// Handles a definite answer that does not describe this instance.
fn refused(root: &Root, endpoint: &Endpoint, what: &str) -> Result<Option<Ec2>, Fault> {
    let Some(value) = firmware::names_ec2(root) else {
        if what == answer::UNAUTHORIZED {
            return Err(answer::Transient::of(what).fault(root, &endpoint.url()));
        }
        tracing::warn!(
            endpoint = endpoint.url(),
            answer = what,
            "the endpoint is not an instance metadata service: this is not an EC2 instance"
        );
        return Ok(None);
    };
    let todo = format!(
        "enable the instance's metadata: `aws ec2 modify-instance-metadata-options --instance-id {} --http-endpoint enabled`; or, to join under the host's name instead, set AWS_EC2_METADATA_DISABLED=true",
        firmware::instance_for_commands(root)
    );
    let what_failed = "the firmware says that this is an EC2 instance, but the metadata service does not identify it";
    let fault = Fault::new(Kind::Config, what_failed, endpoint.url(), todo);
    Err(fault.cause(format!("the answer: {what}")).cause(format!("the firmware: {value}")))
}

fn no_route(root: &Root, asked: &[(Endpoint, Vec<String>)]) -> Fault {
    let urls: Vec<String> = asked.iter().map(|(endpoint, _)| endpoint.url()).collect();
    let causes = asked.iter().flat_map(|(_, causes)| causes.clone()).collect();
    answer::Transient { causes, never_answered: false }.fault(root, &urls.join(" and "))
}

/// Whether it is a signature: base64 in lines (EC2 user guide, "Instance identity documents"). A
/// signature is passed on byte for byte; anything else, such as a proxy's page, is left out.
fn is_signature(text: &str) -> bool {
    let joined: String = text.split_ascii_whitespace().collect();
    let is_one = STANDARD.decode(joined).is_ok_and(|bytes| !bytes.is_empty());
    if !is_one {
        tracing::warn!("the identity document's signature is not base64: it is left out");
    }
    is_one
}

/// Parses the identity document. The id becomes the node's name, so its characters are checked.
///
/// # Errors
/// `Transient` if the document ends in the middle; `Definite` if it is not an identity document.
fn parse(document: &str) -> Result<Document, Failure> {
    let parsed: Document = serde_json::from_str(document).map_err(|error| {
        if error.is_eof() {
            Failure::transient("the identity document ends in the middle")
        } else {
            Failure::definite("not an identity document")
        }
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let id = &parsed.instance_id;
    if (1..=64).contains(&id.len()) && id.chars().all(plain) {
        return Ok(parsed);
    }
    Err(Failure::definite("an identity document without a usable instanceId"))
}

/// Whether it is a region. It becomes part of the host name that signed requests are sent to.
fn is_region(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&text.len()) && text.chars().all(plain)
}

fn client(net: &HttpClients, endpoint: &Endpoint) -> Result<Client, Failure> {
    let request = timer::cut(REQUEST_TIMEOUT);
    let whole = WHOLE_TIMEOUT.min(2 * request);
    let builder = Client::builder()
        .configure(&net.local_config(guard::guard))
        .connect_timeout(timer::cut(CONNECT_TIMEOUT))
        .read_timeout(request)
        .operation_attempt_timeout(whole)
        .operation_timeout(whole)
        .max_attempts(1);
    endpoint.set(builder).map(aws_config::imds::client::Builder::build)
}

/// A client for the role's credentials, and the endpoint's URL for messages. It uses the endpoint
/// that answered before.
///
/// # Errors
/// `Config` if the endpoint that is set is not a URL.
pub fn client_for_credentials(net: &HttpClients) -> Result<(Client, String), Fault> {
    let endpoint = endpoint::remembered(net.metadata());
    let url = endpoint.url();
    client(net, &endpoint).map(|client| (client, url.clone())).map_err(|_| {
        let todo = "correct AWS_EC2_METADATA_SERVICE_ENDPOINT";
        Fault::new(Kind::Config, "this is not an endpoint of the metadata service", url, todo)
    })
}

/// A value that the service may not have; none if it says so. Any other answer is returned as
/// transient, to be asked again: a value left out here is left out of the node's facts permanently.
async fn optional(client: &Client, path: &str) -> Result<Option<String>, Failure> {
    let again = |answer: &str| Failure::transient(&format!("{path}: {answer}"));
    match Box::pin(client.get(path)).await {
        Ok(text) if is_page(text.as_ref()) => Err(again("a page")),
        // Odd, but a tag may be so: then the service says it again.
        Ok(text) if !is_plain(text.as_ref()) => match Box::pin(client.get(path)).await {
            Ok(second) if second.as_ref() == text.as_ref() => Ok(Some(String::from(text))),
            _ => Err(again("not a plain text")),
        },
        Ok(text) => Ok(Some(String::from(text)).filter(|text| !text.is_empty())),
        Err(error) => match answer::classify(&error) {
            Failure::Definite(what) if what == answer::NOT_FOUND => Ok(None),
            // The session worked for the document. So a 401 is an expired session, and anything else
            // is not from the metadata service.
            Failure::Definite(what) if path != TAGS || what != answer::FORBIDDEN => {
                Err(again(&what))
            }
            // The instance's options have tags in metadata off.
            Failure::Definite(answer) => {
                tracing::warn!(path, answer, "the instance metadata service refuses this value");
                Ok(None)
            }
            passing => Err(passing),
        },
    }
}

/// Whether it is a page, such as a proxy's.
fn is_page(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["<html", "<!doctype", "<?xml"].iter().any(|mark| lower.contains(mark))
}

/// Whether it is lines of text, without control characters.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c))
}

/// The instance's tags, if its options allow them in the metadata.
async fn tags(client: &Client) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = BTreeMap::new();
    let Some(names) = optional(client, TAGS).await? else {
        return Ok(tags);
    };
    // Tag names in metadata have only letters, digits and + - = . , _ : @ (EC2 user guide, "Use
    // instance tags in instance metadata"), so they need no escaping in a path.
    let allowed =
        |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "+-=.,_:@".contains(c));
    if let Some(other) = names.lines().find(|name| !allowed(name)) {
        return Err(Failure::transient(&format!("{TAGS}: {other:?} is not the name of a tag")));
    }
    for name in names.lines().filter(|name| !name.is_empty()).take(MOST_TAGS) {
        if let Some(value) = optional(client, &format!("{TAGS}/{name}")).await? {
            tags.insert(name.to_owned(), value);
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::{Failure, is_page, is_plain, is_region, is_signature, parse};

    #[test]
    fn half_a_document_is_transient_and_another_one_is_definite() {
        assert!(parse(r#"{"instanceId":"i-0123456789abcdef0"}"#).is_ok());
        for half in ["", "{", r#"{"instanceId":"i-01"#] {
            assert!(matches!(parse(half), Err(Failure::Transient(_))), "{half}");
        }
        for other in ["<html>", "{}", r#"{"instanceId":""}"#, r#"{"instanceId":"../x"}"#] {
            assert!(matches!(parse(other), Err(Failure::Definite(_))), "{other}");
        }
    }

    #[test]
    fn a_region_can_be_a_part_of_a_host_name() {
        assert!(is_region("eu-central-1") && is_region("us-gov-west-1"));
        for other in ["", "EU", "evil.example/#", "a b", &"r".repeat(33)] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn a_signature_is_base64_in_lines() {
        assert!(is_signature("YWJj\nZGVm\n"));
        for other in ["", "\n", "<html>", "YWJ"] {
            assert!(!is_signature(other), "{other}");
        }
    }

    #[test]
    fn a_page_or_bytes_are_no_value() {
        for value in ["", "web", "a\nb\n", "a < b"] {
            assert!(is_plain(value) && !is_page(value), "{value:?}");
        }
        for other in ["<HTML>", "<!DOCTYPE html>", "<?xml version='1.0'?>", "\u{7f}ELF", "a\0"] {
            assert!(!is_plain(other) || is_page(other), "{other:?}");
        }
    }
}
