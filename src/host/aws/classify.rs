//! From the SDK's errors to faults.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::ErrorKind;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::tls;
use crate::bootstrap::clock_skew;
use crate::fault::{Fault, Kind, chain};
use crate::host::limited_body;
use crate::host::net::{ProxyRefused, Trace};

pub type Sdk<E> = SdkError<E, HttpResponse>;

/// The action that was asked for, as far as its errors depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    pub name: &'static str,
    /// What to do where the service refuses it.
    pub if_refused: &'static str,
    /// Whether its answer holds a secret: then nothing of a broken one is kept as evidence.
    pub answer_is_secret: bool,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Any operation's own error.
pub trait ApiError: ProvideErrorMetadata + Error + Send + Sync + 'static {}
impl<T: ProvideErrorMetadata + Error + Send + Sync + 'static> ApiError for T {}

/// Signing and IAM, as the services name them in JSON 1.1 (the common errors of their API
/// references, and what their front doors really say).
const DENIED: [&str; 21] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "InvalidSignature",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "SignatureExpired",
    "UnrecognizedClientException",
];

/// Those of them that a wrong clock causes.
const ABOUT_TIME: [&str; 10] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignature",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "SignatureExpired",
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

/// From an error of a call to a fault. The trace says what was asked.
pub fn fault_of<E: ApiError>(error: &Sdk<E>, action: Action, on: String, trace: &Trace) -> Fault {
    let place = Place::of(trace);
    if let Some(fault) = chain(error).find_map(|error| error.downcast_ref::<Fault>()) {
        return fault.clone();
    }
    match error {
        SdkError::ServiceError(context) => service(error, context.err(), action, on, trace),
        SdkError::ResponseError(_) if limited_body::is_cut_short(error) => {
            passing(format!("{action} got half an answer"), on)
                .cause(format!("{place} ended the connection in the middle of its answer"))
                .in_doubt()
        }
        SdkError::ResponseError(_) => strange(error, action, on).because(error).in_doubt(),
        SdkError::TimeoutError(_) if !is_unsent(error) => {
            passing(format!("{action} got no answer in time"), on)
                .cause(format!("{place} did not answer in time"))
                .in_doubt()
        }
        SdkError::ConstructionFailure(_) => {
            let todo = "check the region, the endpoints and the switches that `enlist check` shows";
            Fault::new(Kind::Config, format!("{action} can't be asked as it is set up"), on, todo)
                .because(error)
        }
        _ => unanswered(error, action, on, &place),
    }
}

/// No answer came. The cause is said once, in our words; the SDK's layers are not repeated.
fn unanswered<E: ApiError>(error: &Sdk<E>, action: Action, on: String, place: &Place) -> Fault {
    if let Some(refused) = chain(error).find_map(|error| error.downcast_ref::<ProxyRefused>()) {
        return by_proxy(refused, action, on, place);
    }
    if let Some(reason) = tls::reason(error) {
        return tls::fault(&reason, action.name, on, &place.to_string());
    }
    let deepest = chain(error).last().map(ToString::to_string).unwrap_or_default();
    if is_unsent(error) {
        let cause = format!("cannot connect to {} ({})", place.next(), why_unsent(error, deepest));
        return passing(format!("{action} could not be sent"), on).cause(cause);
    }
    passing(format!("{action} was sent, and no answer came"), on)
        .cause(format!("{place} ended the connection without an answer ({deepest})"))
        .in_doubt()
}

fn by_proxy(refused: &ProxyRefused, action: Action, on: String, place: &Place) -> Fault {
    let what = format!("{action} could not be sent");
    let cause = format!("{refused} to the request for {}", place.endpoint);
    match refused.status {
        407 => {
            let todo = "put the login into HTTPS_PROXY: http://NAME:PASSWORD@HOST:PORT";
            Fault::new(Kind::Denied, what, on, todo).cause(cause).finally()
        }
        403 => {
            let todo = "have the proxy allow this endpoint, or name it in NO_PROXY";
            Fault::new(Kind::Denied, what, on, todo).cause(cause).finally()
        }
        _ => passing(what, on).cause(cause),
    }
}

fn service<E: ApiError>(
    whole: &Sdk<E>,
    error: &E,
    action: Action,
    on: String,
    trace: &Trace,
) -> Fault {
    let status = status(whole);
    let cause = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => format!("HTTP status {status}, without an error code"),
    };
    let wrong = clock_skew::describe(trace.skew());
    let is_about_time = error.code().is_some_and(|code| ABOUT_TIME.contains(&code));
    let cause = format!("{} answered {cause}", Place::of(trace));
    if let Some(wrong) = wrong.filter(|_| is_about_time) {
        let todo = "wait until this clock is set; if it is not, start time synchronisation";
        let what = format!("{action} was refused for the time of its signature");
        return Fault::new(Kind::Transient, what, on, todo).cause(wrong).cause(cause);
    }
    judged(whole, error.code(), status, action, on).cause(cause)
}

/// What the service's error means.
fn judged<E: ApiError>(
    whole: &Sdk<E>,
    code: Option<&str>,
    status: u16,
    action: Action,
    on: String,
) -> Fault {
    match (code, status) {
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
        (Some(code), _) if !STRANGE.contains(&code) => {
            Fault::new(Kind::Rejected, format!("{action} was refused"), on, action.if_refused)
        }
        // No error, and not what was asked for either: it may have been done.
        (None, ..=399) => strange(whole, action, on).in_doubt(),
        _ => strange(whole, action, on),
    }
}

fn denied(action: Action, on: String) -> Fault {
    let todo = "check the role or key, its policy for this action, and this node's clock";
    Fault::new(Kind::Denied, format!("{action} was denied"), on, todo)
}

fn passing(what: String, on: String) -> Fault {
    let todo = "wait; if it lasts, check the endpoint, the network and the service";
    Fault::new(Kind::Transient, what, on, todo)
}

fn strange<E: ApiError>(error: &Sdk<E>, action: Action, on: String) -> Fault {
    let todo = "check the endpoint (aws.endpoint_url, AWS_ENDPOINT_URL) and whether a proxy answers in its place";
    let fault =
        Fault::new(Kind::Protocol, format!("what answered {action} is not the API"), on, todo);
    match error.raw_response() {
        Some(raw) => fault.with_evidence("answer", shown(raw, !action.answer_is_secret)),
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
    chain(error).any(|error| {
        // A name that was not resolved, a connection that did not come about or took too long:
        // the errors of the resolver, of hyper and of the SDK have no type that is known here.
        let said = error.to_string();
        refused_kind(error).is_some()
            || said.contains("dns error")
            || said == "client error (Connect)"
            || said.starts_with("HTTP connect timeout")
    })
}

fn refused_kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let kinds =
        [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
    let io = error.downcast_ref::<std::io::Error>()?;
    Some(io.kind()).filter(|kind| kinds.contains(kind))
}

fn why_unsent(error: &(dyn Error + 'static), deepest: String) -> String {
    match chain(error).find_map(refused_kind) {
        Some(kind) => kind.to_string(),
        None => deepest,
    }
}

/// What was asked, for people.
struct Place {
    endpoint: String,
    proxy: Option<String>,
}

impl Place {
    fn of(trace: &Trace) -> Self {
        let (endpoint, proxy) = trace.last().unwrap_or_else(|| ("the endpoint".to_owned(), None));
        Self { endpoint, proxy }
    }

    /// Whom the connection is made to.
    fn next(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("the proxy {proxy} for {}", self.endpoint),
            None => self.endpoint.clone(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.proxy {
            Some(proxy) => write!(f, "{} (through the proxy {proxy})", self.endpoint),
            None => f.write_str(&self.endpoint),
        }
    }
}
