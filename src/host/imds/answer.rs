//! What an error of the metadata service means.

use std::io::ErrorKind;

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::firmware;
use crate::fault::{Fault, Kind, chain};
use crate::host::limited_body;
use crate::host::root::Root;

pub const UNAUTHORIZED: &str = "HTTP status 401";
pub const FORBIDDEN: &str = "HTTP status 403";
pub const NOT_FOUND: &str = "HTTP status 404";

/// Why a request failed.
#[derive(Debug)]
pub enum Failure {
    /// No packet could be sent to the endpoint; the causes.
    NoRoute(Vec<String>),
    /// A later request may succeed.
    Transient(Transient),
    /// The service answered, and would answer the same again: a refusal, a web page, too much data.
    /// Holds a description of the answer.
    Definite(String),
}

#[derive(Debug)]
pub struct Transient {
    pub causes: Vec<String>,
    /// The connection was made, but the request for a token got no answer.
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
        let wait = "wait; if this is not an EC2 instance, set AWS_EC2_METADATA_DISABLED=true";
        let todo = if self.never_answered {
            // The answer with the token has its own hop limit, 1 by default. A container's bridge is
            // one hop more (EC2 user guide, "Instance metadata options").
            format!(
                "in a container, raise the instance's metadata hop limit: `aws ec2 modify-instance-metadata-options --instance-id {} --http-put-response-hop-limit 2`; otherwise {wait}",
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

/// Decides what an error means.
pub fn classify(error: &ImdsError) -> Failure {
    if limited_body::is_body_rejected(error) {
        return Failure::Definite(causes(error).pop().unwrap_or_default());
    }
    if let Some(status) = status(error) {
        let text = format!("HTTP status {status}");
        return match status {
            // A garbled request, a time-out, too early, too many requests, or an error of the
            // service: none of these says anything about this machine.
            400 | 408 | 425 | 429 | 500.. => Failure::transient(&text),
            // A web page, or version 1 of the service, which enlist never uses.
            200..300 => Failure::definite("no IMDSv2 token"),
            _ => Failure::Definite(text),
        };
    }
    let causes = causes(error);
    if matches!(error, ImdsError::Unexpected(_)) && causes.iter().any(|line| line.contains("UTF-8"))
    {
        return Failure::definite("not a text");
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

/// The deepest cause says what happened. The SDK's errors above it add nothing.
fn cause(error: &ImdsError, mut causes: Vec<String>) -> String {
    let deepest = causes.pop().unwrap_or_default();
    if matches!(error, ImdsError::FailedToLoadToken(_)) {
        return format!("no token was received: {deepest}");
    }
    deepest
}

/// The HTTP status of an error, also of the request for the token.
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

/// The causes from the nearest to the deepest, each once.
fn causes(error: &ImdsError) -> Vec<String> {
    Fault::new(Kind::Transient, "", "", "").because(error).causes.clone()
}
