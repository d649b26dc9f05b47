//! From the SDK's errors to faults.

use std::error::Error;
use std::fmt::Write as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::fault::{Fault, Kind, chain};

pub type Sdk<E> = SdkError<E, HttpResponse>;

/// Any operation's own error.
pub trait ApiError: ProvideErrorMetadata + Error + Send + Sync + 'static {}
impl<T: ProvideErrorMetadata + Error + Send + Sync + 'static> ApiError for T {}

/// Signing and IAM, as the services name them in JSON 1.1 (the common errors of their API
/// references, and what their front doors really say).
const DENIED: [&str; 16] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Try again later; whether something was done is not known.
const PASSING: [&str; 5] = [
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// Too many questions: it is certain that nothing was done. The codes that the SDKs agree upon,
/// but for those of single services, and LimitExceededException, which here is about servers.
const THROTTLED: [&str; 8] = [
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Whose answer holds a secret: what is left of a broken one is not kept.
const SECRETIVE: &str = "CreateActivation";

/// Whatever answers does not know the API at all.
const STRANGE: [&str; 3] = ["InvalidAction", "UnknownOperationException", "MissingAction"];

/// How the services say that what was asked about is not there.
const NOT_FOUND: [&str; 4] =
    ["ResourceNotFoundException", "InvalidActivation", "InvalidActivationId", "InvalidInstanceId"];

/// The message of a ResourceNotFoundException or its like, which is an answer: what it means depends on what
/// was asked.
pub fn is_not_found<E: ApiError>(error: &Sdk<E>) -> Option<String> {
    let inner = error.as_service_error()?;
    let is_one = inner.code().is_some_and(|code| NOT_FOUND.contains(&code));
    is_one.then(|| inner.message().unwrap_or("no message").to_owned())
}

pub fn fault_of<E: ApiError>(error: &Sdk<E>, action: &str, on: String) -> Fault {
    match error {
        SdkError::ServiceError(context) => service(error, context.err(), action, on),
        SdkError::ResponseError(_) => strange(error, action, on).because(error).in_doubt(),
        SdkError::TimeoutError(_) => {
            passing(format!("{action} got no answer in time"), on).because(error).in_doubt()
        }
        _ if is_credentials(error) => Fault::new(
            Kind::Denied,
            format!("{action} could not be signed: there are no usable credentials"),
            on,
            "give the instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile in [aws]",
        )
        .because(error),
        _ if is_insecure(error) => Fault::new(
            Kind::Transient,
            format!("{action} was not sent: there is no secure connection"),
            on,
            "check the endpoint (https and the right port), whether a proxy answers in its place, and this node's clock",
        )
        .because(error),
        _ if is_unsent(error) => passing(format!("{action} could not be sent"), on).because(error),
        _ => passing(format!("{action} was sent, and no answer came"), on).because(error).in_doubt(),
    }
}

fn service<E: ApiError>(whole: &Sdk<E>, error: &E, action: &str, on: String) -> Fault {
    let status = status(whole);
    let cause = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => format!("HTTP status {status}, without an error code"),
    };
    let fault = match (error.code(), status) {
        (Some(code), _) if DENIED.contains(&code) => denied(action, on),
        (None, 401 | 403) => denied(action, on),
        (Some("InvalidStateException"), _) => {
            passing(format!("{action} has to wait: the server is not ready"), on)
        }
        (Some(code), _) if THROTTLED.contains(&code) => {
            passing(format!("{action} was throttled"), on).throttled()
        }
        (Some(code), _) if PASSING.contains(&code) => {
            passing(format!("{action} met an error of the service"), on).in_doubt()
        }
        (_, 429) => passing(format!("{action} was throttled"), on).throttled(),
        (_, 500..=599) => passing(format!("{action} met an error of the service"), on).in_doubt(),
        (Some(code), _) if !STRANGE.contains(&code) => Fault::new(
            Kind::Rejected,
            format!("{action} was refused"),
            on,
            match action {
                "AssociateNode" => {
                    "mend what the service's reason names; if this node was rebuilt, its former self has to be disassociated first"
                }
                _ => "mend what the service's reason names",
            },
        ),
        // No error, and not what was asked for either: it may have been done.
        (None, ..=399) => strange(whole, action, on).in_doubt(),
        _ => strange(whole, action, on),
    };
    fault.cause(cause)
}

fn denied(action: &str, on: String) -> Fault {
    let todo = "check the role or key, its policy for this action, and this node's clock";
    Fault::new(Kind::Denied, format!("{action} was denied"), on, todo)
}

fn passing(what: String, on: String) -> Fault {
    let todo = "wait; if it lasts, check the endpoint, the network and the service";
    Fault::new(Kind::Transient, what, on, todo)
}

fn strange<E: ApiError>(error: &Sdk<E>, action: &str, on: String) -> Fault {
    let todo = "check the endpoint (aws.endpoint_url, AWS_ENDPOINT_URL) and whether a proxy answers in its place";
    let fault =
        Fault::new(Kind::Protocol, format!("what answered {action} is not the API"), on, todo);
    match error.raw_response() {
        Some(raw) => fault.with_evidence("answer", shown(raw, action != SECRETIVE)),
        None => fault,
    }
}

/// Status, the headers that tell what answered, and the body.
fn shown(raw: &HttpResponse, with_body: bool) -> String {
    let mut text = format!("HTTP status {}\n", raw.status().as_u16());
    for name in ["server", "via", "content-type", "location"] {
        if let Some(value) = raw.headers().get(name) {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text.push('\n');
    match raw.body().bytes() {
        Some(body) if with_body => text.push_str(&String::from_utf8_lossy(body)),
        Some(body) => {
            let _ = writeln!(text, "({} bytes, not kept)", body.len());
        }
        None => text.push_str("(it could not be read to its end)\n"),
    }
    text
}

fn status<E: ApiError>(error: &Sdk<E>) -> u16 {
    error.raw_response().map_or(0, |raw| raw.status().as_u16())
}

/// Whether the connection was never made, so that nothing can have been done.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind;
    let kinds =
        [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
    chain(error).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        // A name that was not resolved, a connection that did not come about: neither the
        // resolver's error nor hyper's has a type that is known here.
        let said = error.to_string();
        io.is_some_and(|error| kinds.contains(&error.kind()))
            || said.contains("dns error")
            || said == "client error (Connect)"
    })
}

/// Whether TLS came to no agreement, so that nothing was said. Its errors have no type that is
/// known here; these are rustls's words.
fn is_insecure(error: &(dyn Error + 'static)) -> bool {
    const WORDS: [&str; 4] = [
        "invalid peer certificate",
        "received corrupt message",
        "received fatal alert",
        "tls handshake eof",
    ];
    let words = |said: String| WORDS.iter().any(|word| said.contains(word));
    chain(error).any(|error| words(error.to_string()))
}

fn is_credentials(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<CredentialsError>)
}
