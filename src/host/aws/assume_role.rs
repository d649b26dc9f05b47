//! Roles that are assumed through STS.

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

/// The largest token; those of Kubernetes have 1 to 2 KiB, and STS takes 20,000 characters.
const LARGEST_TOKEN: u64 = 20_000;

/// A role for the token in a file.
///
/// # Errors
/// `Config` where the file can't be used; else as the call failed.
pub async fn of_web_identity(
    sts: &Sts,
    file: &str,
    role: &Role,
    by: &str,
) -> Result<Credentials, Fault> {
    let token = files::read_text(&Root::running_system(), &absolute(file), LARGEST_TOKEN).map_err(
        |error| {
            let todo = "name a file with a token that this user may read";
            Fault::new(
                Kind::Config,
                format!("the web identity token can't be read from {file}"),
                by,
                todo,
            )
            .because(&error)
        },
    )?;
    let client = aws_sdk_sts::Client::new(&sts.0);
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

/// A role, with other credentials.
///
/// # Errors
/// As the call failed.
pub async fn assume(sts: &Sts, with: Credentials, role: &Role) -> Result<Credentials, Fault> {
    let current = CurrentCredentials::default();
    current.set(with);
    let config = sts.0.to_builder().credentials_provider(current.provider()).build();
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
    let asked = Action { name: action, if_refused: IF_REFUSED, answer_is_secret: true };
    let given = answer.map_err(|error| fault_of(&error, asked, on.clone(), trace))?;
    let strange = |what: &str| {
        let todo = "check AWS_ENDPOINT_URL_STS and whether a proxy answers in its place";
        let said = format!("what answered {action} is not the API");
        Fault::new(Kind::Protocol, said, on.clone(), todo).cause(what)
    };
    let given = given.ok_or_else(|| strange("there are no credentials in it"))?;
    let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_graphic(&given.access_key_id) || !is_graphic(&given.session_token) {
        return Err(strange("its credentials hold characters that no header can carry"));
    }
    let end =
        SystemTime::try_from(given.expiration).map_err(|error| strange(&error.to_string()))?;
    let token = Some(given.session_token);
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, Some(end), "enlist"))
}
