//! What an answer of the metadata service means, where it is not the one that was asked for.

use std::io::ErrorKind;

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::firmware;
use crate::fault::{Fault, Kind, chain};
use crate::host::limited_body;
use crate::host::root::Root;

pub const UNAUTHORIZED: &str = "HTTP status 401";
pub const NOT_FOUND: &str = "HTTP status 404";

/// Why a question was not answered.
#[derive(Debug)]
pub enum Failure {
    /// No packet could be sent to the endpoint; the causes.
    NoRoute(Vec<String>),
    /// It may answer another time.
    Transient(Transient),
    /// It answered, and will say the same another time: a refusal, a page, too much. What it was.
    Definite(String),
}

#[derive(Debug)]
pub struct Transient {
    pub causes: Vec<String>,
    /// The connection stands, and the answer to the request for a token does not come.
    pub never_answered: bool,
}

impl Failure {
    pub fn transient(cause: &str) -> Self {
        Self::Transient(Transient::of(cause))
    }

    pub fn definite(what: &str) -> Self {
        Self::Definite(what.to_owned())
    }
}

impl Transient {
    pub fn of(cause: &str) -> Self {
        Self { causes: vec![cause.to_owned()], never_answered: false }
    }

    pub fn fault(self, root: &Root, asked: &str) -> Fault {
        let wait = "wait; where this is no EC2 instance, set AWS_EC2_METADATA_DISABLED=true";
        let todo = if self.never_answered {
            // The token's answer has a hop limit of its own, 1 by default: a container's bridge is
            // one hop too many (EC2 user guide, "Instance metadata options").
            format!(
                "in a container, raise the instance's metadata hop limit: `aws ec2 modify-instance-metadata-options --instance-id {} --http-put-response-hop-limit 2`; else {wait}",
                firmware::instance_for_commands(root)
            )
        } else {
            wait.to_owned()
        };
        let fault = Fault::new(
            Kind::Transient,
            "the instance metadata service did not answer",
            asked,
            todo,
        );
        self.causes.into_iter().fold(fault, Fault::cause)
    }
}

/// What stopped a question.
pub fn classify(error: &ImdsError) -> Failure {
    if limited_body::is_body_rejected(error) {
        return Failure::Definite(causes(error).pop().unwrap_or_default());
    }
    if let Some(status) = status(error) {
        let said = format!("HTTP status {status}");
        return match status {
            // Garbled on its way, too slow, too early, too many, or a fault of its own: none of
            // these says what this machine is.
            400 | 408 | 425 | 429 | 500.. => Failure::transient(&said),
            // A page, or an answer of version 1: there is no falling back to that.
            200..300 => Failure::definite("no IMDSv2 token"),
            _ => Failure::Definite(said),
        };
    }
    let causes = causes(error);
    if matches!(error, ImdsError::Unexpected(_)) && causes.iter().any(|line| line.contains("UTF-8"))
    {
        return Failure::definite("no text");
    }
    if has_no_route(error) {
        return Failure::NoRoute(causes);
    }
    let timed_out = |line: &String| line.contains("timeout") || line.contains("timed out");
    let connecting = |line: &String| line.contains("connect timeout");
    let never_answered = matches!(error, ImdsError::FailedToLoadToken(_))
        && causes.iter().any(timed_out)
        && !causes.iter().any(connecting);
    Failure::Transient(Transient { causes: vec![cause(error, causes)], never_answered })
}

/// The deepest one says what happened; those of the SDK above it, that something did.
fn cause(error: &ImdsError, mut causes: Vec<String>) -> String {
    let deepest = causes.pop().unwrap_or_default();
    if matches!(error, ImdsError::FailedToLoadToken(_)) {
        return format!("no token came: {deepest}");
    }
    deepest
}

/// The status of an answer that is an error, the token's included.
fn status(error: &ImdsError) -> Option<u16> {
    if let ImdsError::ErrorResponse(context) = error {
        return Some(context.response().status().as_u16());
    }
    let source = std::error::Error::source(error)?;
    match source.downcast_ref::<SdkError<TokenError, HttpResponse>>()? {
        SdkError::ServiceError(context) => Some(context.raw().status().as_u16()),
        _ => None,
    }
}

fn has_no_route(error: &ImdsError) -> bool {
    chain(error).filter_map(|error| error.downcast_ref::<std::io::Error>()).any(|error| {
        matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::AddrNotAvailable
        )
    })
}

/// From the nearest to the deepest, each once.
fn causes(error: &ImdsError) -> Vec<String> {
    Fault::new(Kind::Transient, "", "", "").because(error).causes.clone()
}
