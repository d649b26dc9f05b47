//! The credentials of the EC2 instance's role, from the instance metadata.

use std::time::Duration;

use aws_config::imds::client::Client;
use aws_config::imds::client::error::ImdsError;
use aws_credential_types::Credentials;

use super::{credential_json, credentials};
use crate::fault::{Fault, Kind};
use crate::host::net::HttpClients;
use crate::host::{clock, imds};

const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

/// Credentials that the service returns although they have expired work for some more time: the
/// service renews them as soon as it can.
const EXTENDED: Duration = Duration::from_mins(15);

/// Asks for the role's name, and for its credentials.
///
/// # Errors
/// `Denied` if the instance has no role (it may get one later); `Transient` if the service does not
/// answer; `Protocol` if an answer is not a role's name, or not credentials.
pub async fn ask(net: &HttpClients) -> Result<Credentials, Fault> {
    let (client, endpoint) = imds::client_for_credentials(net)?;
    let role = text(&endpoint, &client, CREDENTIALS).await?;
    let role = role.trim();
    if !is_role(role) {
        return Err(strange(&endpoint, "the metadata service's answer is not the name of a role"));
    }
    let body = text(&endpoint, &client, &format!("{CREDENTIALS}{role}")).await?;
    let mut found = credential_json::parse(&body, false).map_err(|reason| match reason {
        // The role or its instance profile is still being set up, or is wrong.
        credential_json::InvalidCredentials::Refused(_) => {
            credentials::none("instance metadata").because(&reason)
        }
        other => {
            strange(&endpoint, "the metadata service's answer is not credentials").because(&other)
        }
    })?;
    let now = clock::system_now();
    if found.expiry().is_some_and(|end| end <= now) {
        *found.expiry_mut() = now.checked_add(EXTENDED);
    }
    Ok(found)
}

/// Whether it is a role's name: 1 to 128 letters, digits and `_+=,.@-` (IAM API Reference,
/// CreateInstanceProfile). It becomes part of a path, and the SDK panics on a malformed path.
fn is_role(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (1..=128).contains(&text.len()) && text.chars().all(plain)
}

async fn text(endpoint: &str, client: &Client, path: &str) -> Result<String, Fault> {
    let error = match client.get(path).await {
        Ok(text) => return Ok(String::from(text)),
        Err(error) => error,
    };
    if let ImdsError::ErrorResponse(context) = &error {
        let status = context.response().status().as_u16();
        if matches!(status, 404 | 403) {
            return Err(credentials::none("instance metadata")
                .cause(format!("the instance has no role (HTTP status {status})")));
        }
        return Err(transient(endpoint).cause(format!("HTTP status {status}")));
    }
    Err(transient(endpoint).because(&error))
}

fn transient(endpoint: &str) -> Fault {
    let todo = "wait; if this is not an EC2 instance, set AWS_EC2_METADATA_DISABLED=true";
    let what = "the instance metadata service gave no credentials";
    Fault::new(Kind::Transient, what, endpoint, todo)
}

fn strange(endpoint: &str, what: &str) -> Fault {
    let todo = "check what answers at this address instead of the metadata service";
    Fault::new(Kind::Protocol, what, endpoint, todo)
}

#[cfg(test)]
mod tests {
    use super::is_role;

    #[test]
    fn only_the_name_of_a_role_becomes_part_of_a_path() {
        for good in ["web", "a_b+c=d,e.f@g-h", &"r".repeat(128)] {
            assert!(is_role(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a\nb",
            "a\tb",
            "a/b",
            "../x",
            "a?b",
            "a#b",
            "a%b",
            "a%zz",
            "a\u{0}",
            "r\u{f6}le",
            "[",
            "a\\b",
            "{\"a\":1}",
            "<html>",
            "a|b",
            "a^b",
            "a`b",
            &"r".repeat(129),
        ] {
            assert!(!is_role(bad), "{bad:?}");
        }
    }
}
