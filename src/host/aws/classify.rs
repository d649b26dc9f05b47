//! Converts errors of the SDK to faults.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::ErrorKind;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::bootstrap::clock_skew;
use crate::fault::{Fault, Kind, chain, deepest};
use crate::host::limited_body;
use crate::host::net::{ProxyRefused, Trace, proxy};
use crate::host::tls;

pub type Sdk<E> = SdkError<E, HttpResponse>;

/// What the fault of a call needs to know about its action.
#[derive(Clone, Debug)]
pub struct Action {
    pub name: &'static str,
    /// What to do if the service refuses it.
    pub if_refused: Cow<'static, str>,
    /// Whether its answer contains a secret. Then a malformed answer is not kept as evidence.
    pub answer_is_secret: bool,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What to do where an endpoint's certificate is not accepted.
const IF_UNTRUSTED: &str = "check the endpoint's name; name the file with its CA's certificate in AWS_CA_BUNDLE, or as ca_bundle in the AWS profile (behind a proxy that decrypts TLS, the proxy's CA)";

/// The error type of any operation.
pub trait ApiError: ProvideErrorMetadata + Error + Send + Sync + 'static {}
impl<T: ProvideErrorMetadata + Error + Send + Sync + 'static> ApiError for T {}

/// Error codes of signatures and IAM: the common errors of the API references, and further codes that
/// the services really return.
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

/// Those that a wrong clock can cause.
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

/// Codes of temporary errors. It is not known whether the call took effect.
const PASSING: [&str; 5] = [
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// Codes of throttling. The call certainly had no effect. These are the codes on which the SDKs agree,
/// without those of single services, and without LimitExceededException, which here is about the
/// number of servers.
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

/// Codes that show that the endpoint does not know the API.
const STRANGE: [&str; 3] = ["InvalidAction", "UnknownOperationException", "MissingAction"];

/// Codes that mean that the resource does not exist.
const NOT_FOUND: [&str; 6] = [
    "ResourceNotFoundException",
    "InvalidActivation",
    "InvalidActivationId",
    "InvalidInstanceId",
    "ParameterNotFound",
    "ParameterVersionNotFound",
];

/// The message of a ResourceNotFoundException or a similar error. It counts as an answer, because its
/// meaning depends on the request.
pub fn is_not_found<E: ApiError>(error: &Sdk<E>) -> Option<String> {
    let inner = error.as_service_error()?;
    let is_one = inner.code().is_some_and(|code| NOT_FOUND.contains(&code));
    is_one.then(|| inner.message().unwrap_or("no message").to_owned())
}

/// Converts the error of a call to a fault. The trace knows the endpoint and the proxy.
pub fn fault_of<E: ApiError>(error: &Sdk<E>, action: &Action, on: String, trace: &Trace) -> Fault {
    let place = Place::of(trace);
    if let Some(fault) = chain(error).find_map(|error| error.downcast_ref::<Fault>()) {
        return fault.clone();
    }
    match error {
        SdkError::ServiceError(context) => service(error, context.err(), action, on, trace),
        SdkError::ResponseError(_) if limited_body::is_cut_short(error) => {
            passing(format!("{action} got an incomplete answer"), on)
                .cause(format!("{place} closed the connection in the middle of its answer"))
                .in_doubt()
        }
        SdkError::ResponseError(_) => strange(error, action, on).because(error).in_doubt(),
        SdkError::TimeoutError(_) if !is_unsent(error) => {
            passing(format!("{action} got no answer in time"), on)
                .cause(format!("{place} did not answer in time"))
                .in_doubt()
        }
        SdkError::ConstructionFailure(_) => {
            let todo =
                "run `enlist check`, and correct the region, the endpoints and the [aws] settings";
            Fault::new(
                Kind::Config,
                format!("{action} can't be called with these settings"),
                on,
                todo,
            )
            .because(error)
        }
        _ => unanswered(error, action, on, &place),
    }
}

/// The fault where no answer came. It has one cause in plain words instead of the SDK's layers.
fn unanswered<E: ApiError>(error: &Sdk<E>, action: &Action, on: String, place: &Place) -> Fault {
    if let Some(refused) = chain(error).find_map(|error| error.downcast_ref::<ProxyRefused>()) {
        return refused.fault(action.name, &on, &place.endpoint);
    }
    if let Some(reason) = tls::reason(error) {
        return tls::fault(&reason, action.name, on, &place.to_string(), IF_UNTRUSTED);
    }
    let deepest = deepest(error);
    if is_unsent(error) {
        let cause = format!("cannot connect to {} ({})", place.next(), why_unsent(error, deepest));
        return match &place.proxy {
            Some(proxy) => proxy::unreached(action.name, &on, proxy, cause),
            None => passing(format!("{action} could not be sent"), on).cause(cause).unsent(),
        };
    }
    passing(format!("{action} was sent and got no answer"), on)
        .cause(format!("{place} closed the connection without an answer ({deepest})"))
        .in_doubt()
}

fn service<E: ApiError>(
    whole: &Sdk<E>,
    error: &E,
    action: &Action,
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
        let what = format!("{action} was refused because of the time in its signature");
        return Fault::new(Kind::Transient, what, on, todo).cause(wrong).cause(cause);
    }
    judged(whole, error.code(), status, action, on).cause(cause)
}

/// The fault of a service's error, by its code and status.
fn judged<E: ApiError>(
    whole: &Sdk<E>,
    code: Option<&str>,
    status: u16,
    action: &Action,
    on: String,
) -> Fault {
    match (code, status) {
        (Some(code), _) if DENIED.contains(&code) => denied(action, on),
        (None, 401 | 403) => denied(action, on),
        (Some("InvalidStateException"), _) => {
            passing(format!("{action} must wait: the server is not ready"), on)
        }
        (Some(code), _) if THROTTLED.contains(&code) => {
            passing(format!("{action} was throttled"), on).throttled()
        }
        (Some(code), _) if PASSING.contains(&code) => {
            passing(format!("the service failed during {action}"), on).in_doubt()
        }
        (_, 429) => passing(format!("{action} was throttled"), on).throttled(),
        (_, 500..=599) => passing(format!("the service failed during {action}"), on).in_doubt(),
        (Some(code), _) if !STRANGE.contains(&code) => {
            Fault::new(Kind::Rejected, format!("{action} was refused"), on, &*action.if_refused)
        }
        // A successful status without a valid answer: the call may have taken effect.
        (None, ..=399) => strange(whole, action, on).in_doubt(),
        _ => strange(whole, action, on),
    }
}

fn denied(action: &Action, on: String) -> Fault {
    let todo = "check the credentials with `enlist check`, their IAM policy with `enlist policy`, and this node's clock";
    Fault::new(Kind::Denied, format!("{action} was denied"), on, todo)
}

fn passing(what: String, on: String) -> Fault {
    let todo = "wait; if it continues, check the endpoint, the network and the service";
    Fault::new(Kind::Transient, what, on, todo)
}

fn strange<E: ApiError>(error: &Sdk<E>, action: &Action, on: String) -> Fault {
    let todo = "check the endpoint (aws.endpoint_url, AWS_ENDPOINT_URL), and whether a proxy answered instead of it";
    let fault =
        Fault::new(Kind::Protocol, format!("the answer to {action} is not from the API"), on, todo);
    match error.raw_response() {
        Some(raw) => fault.with_evidence("answer", shown(raw, !action.answer_is_secret)),
        None => fault,
    }
}

/// The answer as evidence: status, headers that show what answered, and the body.
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
            let _ = writeln!(text, "({} bytes, not kept: it may contain a secret)", body.len());
        }
        None => text.push_str("(the body could not be read completely)\n"),
    }
    text
}

fn status<E: ApiError>(error: &Sdk<E>) -> u16 {
    error.raw_response().map_or(0, |raw| raw.status().as_u16())
}

/// Whether no connection was made, so that the call can't have taken effect.
fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        // An unresolved name, or a failed or slow connection. The errors of the resolver, of hyper and of
        // the SDK have no public type, so they are recognised by their text.
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

/// The endpoint and the proxy, for messages.
struct Place {
    endpoint: String,
    proxy: Option<String>,
}

impl Place {
    fn of(trace: &Trace) -> Self {
        let (endpoint, proxy) = trace.last().unwrap_or_else(|| ("the endpoint".to_owned(), None));
        Self { endpoint, proxy }
    }

    /// The host that the connection is made to.
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
