//! A container's credentials, from a service on the same host or link (Amazon ECS, EKS Pod
//! Identity, AWS IoT Greengrass).

use std::net::IpAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use super::credential_json;
use super::credential_sources::Authorization;
use super::environment::absolute;
use crate::fault::{Fault, Kind};
use crate::host::net::HttpClients;
use crate::host::root::Root;
use crate::host::{files, limited_body};
use crate::targets::address::Url;

/// Limits for the connection, and for the first part of the answer. The AWS SDKs use the same.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The largest answer, in bytes: credentials take 4 KiB.
const LARGEST_ANSWER: usize = 64 * 1024;

/// The largest token file, in bytes. A token is sent in a header.
const LARGEST_TOKEN: u64 = 16 * 1024;

const CORRECT_VARIABLES: &str = "correct the AWS_CONTAINER_... variables, or remove them";

/// Addresses other than this machine that may be asked over `http://`: the services of Amazon ECS
/// and EKS (AWS SDKs and Tools Reference Guide, "Container credential provider").
const LINK_LOCAL: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Asks the service for credentials.
///
/// # Errors
/// `Config` if the URL or the token can't be used; `Transient` if nothing answers; `Denied` if the
/// service refuses; `Protocol` if the answer is not credentials.
pub async fn ask(
    net: &HttpClients,
    url: &str,
    authorization: &Authorization,
    by: &str,
) -> Result<Credentials, Fault> {
    allowed(url, by)?;
    let token = token(authorization, by)?;
    let place = url.split('?').next().unwrap_or_default().to_owned();
    let mut request = HttpRequest::new(SdkBody::empty());
    let is_set = request.set_uri(url).is_ok()
        && request.headers_mut().try_insert("accept", "application/json").is_ok()
        && token
            .is_none_or(|token| request.headers_mut().try_insert("authorization", token).is_ok());
    if !is_set {
        return Err(unusable("the URL or the token can't be sent", by));
    }
    let transient = || {
        let todo = "wait; if it lasts, check the service that the container's agent runs";
        let what = "the container's credentials service did not answer";
        Fault::new(Kind::Transient, what, &place, todo)
    };
    let answer = net.ask_local(request, (CONNECT_LIMIT, READ_LIMIT), guard).await;
    let answer = answer.map_err(|error: ConnectorError| transient().because(&error))?;
    let status = answer.status().as_u16();
    if matches!(status, 408 | 425 | 429 | 500..=599) {
        return Err(transient().cause(format!("HTTP status {status}")));
    }
    if status != 200 {
        let todo = "check the role of the task or pod, and the token";
        let what = "the container's credentials service refused";
        return Err(
            Fault::new(Kind::Denied, what, &place, todo).cause(format!("HTTP status {status}"))
        );
    }
    let text = whole(answer.into_body()).await.map_err(|error| {
        if limited_body::is_body_rejected(&*error) { strange(&place) } else { transient() }
            .because(&*error)
    })?;
    credential_json::parse(&text, false).map_err(|reason| strange(&place).because(&reason))
}

fn guard(_method: &str, answer: HttpResponse) -> HttpResponse {
    limited_body::json(answer, LARGEST_ANSWER)
}

async fn whole(body: SdkBody) -> Result<String, aws_smithy_types::body::Error> {
    Ok(String::from_utf8(body.collect().await?.to_bytes().to_vec())?)
}

fn allowed(url: &str, by: &str) -> Result<(), Fault> {
    let parsed = Url::parse(url).map_err(|error| unusable(&error.to_string(), by))?;
    let is_link_local = |address: IpAddr| LINK_LOCAL.contains(&address.to_string().as_str());
    if parsed.is_plain && !parsed.is_loopback() && !parsed.address().is_some_and(is_link_local) {
        return Err(unusable(
            "http:// is allowed for this machine, 169.254.170.2, 169.254.170.23 and fd00:ec2::23 only",
            by,
        ));
    }
    Ok(())
}

fn token(authorization: &Authorization, by: &str) -> Result<Option<String>, Fault> {
    let token = match authorization {
        Authorization::None => return Ok(None),
        Authorization::Token(token) => token.expose().to_owned(),
        Authorization::File(file) => {
            // Whoever can write this file chooses the credentials, so others must not be able to.
            let root = Root::running_system();
            let text = files::read_trusted_text(&root, &absolute(file), LARGEST_TOKEN);
            let text = text.map_err(|error| {
                let what = format!("the container's credentials token can't be read from {file}");
                let todo = files::advice(&error).unwrap_or(CORRECT_VARIABLES);
                Fault::new(Kind::Config, what, by, todo).because(&error)
            })?;
            text.trim().to_owned()
        }
    };
    let fits = !token.is_empty() && token.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits {
        Ok(Some(token))
    } else {
        Err(unusable("the token has characters that a header can't hold", by))
    }
}

fn unusable(reason: &str, by: &str) -> Fault {
    let what = "the container's credentials can't be requested";
    Fault::new(Kind::Config, what, by, CORRECT_VARIABLES).cause(reason)
}

fn strange(place: &str) -> Fault {
    let todo = "check what answers at that address";
    let what = "the answer of the container's credentials service is not credentials";
    Fault::new(Kind::Protocol, what, place, todo)
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn plain_http_stays_on_this_host_and_link() {
        for good in [
            "https://credentials.example/x",
            "http://127.0.0.1/x",
            "http://[::1]:80/x",
            "http://169.254.170.2/v2",
            "http://169.254.170.23/v1",
            "http://[fd00:ec2::23]/v1",
        ] {
            assert!(allowed(good, "b").is_ok(), "{good}");
        }
        for bad in
            ["http://credentials.example/x", "http://169.254.169.254/", "http://10.0.0.1/", "/x"]
        {
            assert!(allowed(bad, "b").is_err(), "{bad}");
        }
    }
}
