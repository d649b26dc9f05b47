//! Roles, assumed through STS.

use aws_credential_types::Credentials;
use aws_sdk_sts::types::Credentials as Given;
use std::time::SystemTime;

use super::classify::{Action, ApiError, Sdk, fault_of};
use super::credential_sources::Role;
use super::credentials::{CurrentCredentials, Sts};
use super::environment::absolute;
use crate::fault::{Fault, Kind};
use crate::host::clock::unix_now;
use crate::host::files;
use crate::host::net::Trace;
use crate::host::root::Root;
use crate::targets::api::IF_REFUSED;

/// The largest token, in bytes. STS accepts 20,000 characters; Kubernetes tokens have 1 to 2 KiB.
const LARGEST_TOKEN: u64 = 20_000;

/// Assumes a role with the web identity token in a file.
///
/// # Errors
/// `Config` if the file can't be used; else the fault of the call.
pub async fn of_web_identity(
    sts: &Sts,
    file: &str,
    role: &Role,
    by: &str,
) -> Result<Credentials, Fault> {
    // Whoever can write this file chooses the role's caller, so others must not be able to.
    let read = files::read_trusted_text(&Root::running_system(), &absolute(file), LARGEST_TOKEN);
    let token = read.map_err(|error| {
        let what = format!("the web identity token can't be read from {file}");
        let todo = files::advice(&error).unwrap_or("name a token file that enlist's user can read");
        Fault::new(Kind::Config, what, by, todo).because(&error)
    })?;
    let config = sts.0.to_builder().timeout_config(super::timeouts()).build();
    let client = aws_sdk_sts::Client::new(&config);
    let answer = client
        .assume_role_with_web_identity()
        .role_arn(&role.arn)
        .role_session_name(session(role))
        .web_identity_token(token.trim())
        .set_duration_seconds(role.seconds)
        .send()
        .await;
    usable("AssumeRoleWithWebIdentity", role, &sts.1, answer.map(|answer| answer.credentials))
}

/// Assumes a role with other credentials.
///
/// # Errors
/// The fault of the call.
pub async fn assume(sts: &Sts, with: Credentials, role: &Role) -> Result<Credentials, Fault> {
    let current = CurrentCredentials::default();
    current.set(with);
    let config = sts.0.to_builder().timeout_config(super::timeouts());
    let config = config.credentials_provider(current.provider()).build();
    let client = aws_sdk_sts::Client::new(&config);
    let answer = client
        .assume_role()
        .role_arn(&role.arn)
        .role_session_name(session(role))
        .set_external_id(role.external_id.clone())
        .set_duration_seconds(role.seconds)
        .send()
        .await;
    usable("AssumeRole", role, &sts.1, answer.map(|answer| answer.credentials))
}

fn session(role: &Role) -> String {
    role.session.clone().unwrap_or_else(|| format!("enlist-{}", unix_now().max(0)))
}

fn usable<E: ApiError>(
    action: &'static str,
    role: &Role,
    trace: &Trace,
    answer: Result<Option<Given>, Sdk<E>>,
) -> Result<Credentials, Fault> {
    let on = format!("role {}", role.arn);
    let asked = Action { name: action, if_refused: IF_REFUSED.into(), answer_is_secret: true };
    let given = answer.map_err(|error| fault_of(&error, &asked, on.clone(), trace))?;
    let strange = |what: &str| {
        let todo = "check AWS_ENDPOINT_URL_STS and whether a proxy answers in its place";
        let said = format!("what answered {action} is not the API");
        Fault::new(Kind::Protocol, said, on.clone(), todo).cause(what)
    };
    let given = given.ok_or_else(|| strange("the answer has no credentials"))?;
    let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_graphic(&given.access_key_id) || !is_graphic(&given.session_token) {
        return Err(strange("its credentials have characters that a header can't hold"));
    }
    let end =
        SystemTime::try_from(given.expiration).map_err(|error| strange(&error.to_string()))?;
    let token = Some(given.session_token);
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, Some(end), "enlist"))
}
