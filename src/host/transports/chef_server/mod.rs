//! A Chef server's API, over HTTPS. The signature comes with the request.

mod refusal;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request as HttpRequest, Response};
use serde_json::Value;

use super::{excerpt, unsendable};
use crate::fault::Fault;
use crate::host::https::{self, Asked, HttpsError, Limits, Server, Trust};
use crate::host::net::HttpClients;
use crate::targets::Call;
use crate::targets::chef_server::api::{Action, Answer, Request, Signed, words};
use crate::targets::chef_server::signature;

/// How long an answer may take.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// The largest answer, in bytes. A node object has 1 or 2 MB at most, by the server's own limit.
const LARGEST: usize = 8 * 1024 * 1024;

/// The characters of one `X-Ops-Authorization` header.
const LINE: usize = 60;

/// The oldest chef-client whose protocol this is. Chef's documentation requires the header.
const CHEF_VERSION: &str = "12.9.0";

const IF_UNTRUSTED: &str = "check url in [chef-server], and that ca_file is the CA of that server: its root, and every intermediate; without ca_file the CAs of this system count";

/// Makes one call.
///
/// # Errors
/// Where there is no answer of a Chef server, or one that no caller can do anything with.
pub async fn call(clients: &HttpClients, request: Request) -> Result<Answer, Fault> {
    let exchange = Exchange::of(clients, &request);
    let http = http_request(&request).map_err(|error| unsendable(&exchange.on, &error))?;
    let server = Server {
        host: &request.url.host,
        port: request.url.port,
        trust: request.ca.as_deref().map_or(Trust::System, Trust::Ca),
        identity: None,
    };
    let limits = Limits { time: READ_LIMIT, bytes: LARGEST };
    match https::ask(clients, server, http, limits).await {
        Ok(answer) => exchange.read(&answer),
        Err(error) => Err(exchange.unanswered(&error)),
    }
}

/// The meaning of an answer that has arrived whole. For tests, which have no network.
///
/// # Errors
/// As for [`call`].
pub fn meaning(
    clients: &HttpClients,
    request: &Request,
    status: u16,
    body: Vec<u8>,
) -> Result<Answer, Fault> {
    let answer = Response::builder().status(status).body(Bytes::from(body));
    let answer = answer.unwrap_or_default();
    Exchange::of(clients, request).read(&answer)
}

fn http_request(request: &Request) -> Result<HttpRequest<Full<Bytes>>, hyper::http::Error> {
    let body = request.action.body();
    let mut builder = HttpRequest::builder()
        .method(request.action.method())
        .uri(request.action.path(&request.url))
        .header("host", request.url.place())
        .header("accept", "application/json")
        .header("x-chef-version", CHEF_VERSION)
        .header("user-agent", https::USER_AGENT);
    if !body.is_empty() {
        builder = builder.header("content-type", "application/json");
    }
    if let Some(Signed { user, time, version, signature }) = &request.signed {
        builder = builder
            .header("x-ops-sign", signature::PROTOCOL)
            .header("x-ops-userid", user)
            .header("x-ops-timestamp", time)
            .header("x-ops-content-hash", signature::content_hash(body))
            .header("x-ops-server-api-version", u16::from(*version));
        let signature = BASE64_STANDARD.encode(signature);
        for (index, line) in signature.as_bytes().chunks(LINE).enumerate() {
            builder = builder.header(format!("x-ops-authorization-{}", index + 1), line);
        }
    }
    builder.body(Full::new(Bytes::from(body.to_owned())))
}

/// What was asked, and of whom.
struct Exchange<'a> {
    clients: &'a HttpClients,
    request: &'a Request,
    on: String,
    url: String,
}

impl<'a> Exchange<'a> {
    fn of(clients: &'a HttpClients, request: &'a Request) -> Self {
        Self { clients, request, on: request.on(), url: request.url.to_string() }
    }

    fn read(&self, answer: &Response<Bytes>) -> Result<Answer, Fault> {
        let status = answer.status().as_u16();
        let json: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let json = json.filter(Value::is_object);
        if self.request.action == Action::GetVersions {
            return self.versions(status, json.as_ref(), answer);
        }
        match (status, &json) {
            (429, _) => Err(self.busy("was throttled", answer).throttled()),
            (503, _) => Err(self.overloaded(answer)),
            (500..=599, _) => Err(self.arrived(self.busy("met an error of the server", answer))),
            (413, _) => Err(self.too_large(answer)),
            (200 | 201, Some(json)) => self.success(status, json, answer),
            (400..=499, Some(_)) => self.refused(status, answer),
            _ => Err(self.not_chef(answer)),
        }
    }

    /// A server that has no such path, as goiardi, is a server all the same.
    fn versions(
        &self,
        status: u16,
        json: Option<&Value>,
        answer: &Response<Bytes>,
    ) -> Result<Answer, Fault> {
        if let Some(off) = refusal::skew(self.clients) {
            return Err(self.clock(&off));
        }
        let number = |name| json.and_then(|json| json.get(name)).and_then(Value::as_i64);
        match (status, number("min_api_version"), number("max_api_version")) {
            (200, Some(oldest), Some(newest)) => Ok(Answer::Versions(Some((oldest, newest)))),
            (429, ..) => Err(self.busy("was throttled", answer).throttled()),
            (503, ..) => Err(self.overloaded(answer)),
            (500..=599, ..) => Err(self.busy("met an error of the server", answer)),
            (400..=499, ..) => Ok(Answer::Versions(None)),
            _ => Err(self.not_chef(answer)),
        }
    }

    fn success(
        &self,
        status: u16,
        json: &Value,
        answer: &Response<Bytes>,
    ) -> Result<Answer, Fault> {
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        match (&self.request.action, status) {
            (Action::CreateClient { .. } | Action::CreateNode { .. }, 201)
                if text("uri").is_some() =>
            {
                Ok(Answer::Created)
            }
            (Action::GetClient { .. }, 200) => Ok(Answer::Client {
                name: text("name").or_else(|| text("clientname")),
                public_key: text("public_key"),
            }),
            (Action::GetNode { name }, 200) if text("name").as_ref() == Some(name) => {
                Ok(Answer::Node(String::from_utf8_lossy(answer.body()).into_owned()))
            }
            (
                Action::UpdateNode { name, .. }
                | Action::DeleteNode { name }
                | Action::DeleteClient { name },
                200,
            ) if text("name").or_else(|| text("clientname")).as_ref() == Some(name) => {
                Ok(Answer::Done)
            }
            (Action::UpdateKey { .. }, 200) if text("name").is_some() => Ok(Answer::Done),
            _ => Err(self.not_chef(answer)),
        }
    }

    fn refused(&self, status: u16, answer: &Response<Bytes>) -> Result<Answer, Fault> {
        let said = said(answer);
        let is_collection =
            matches!(self.request.action, Action::CreateClient { .. } | Action::CreateNode { .. });
        match status {
            400 | 401 if refusal::is_about_headers(&said) => Err(self.headers_lost(&said)),
            401 if refusal::is_about_time(&said) => {
                let off = refusal::skew(self.clients).unwrap_or_default();
                Err(self.clock(&off).cause(words(&said)))
            }
            401 => Ok(Answer::Unauthenticated(refusal::unauthenticated(&said), said)),
            403 if refusal::is_about_license(answer, &said) => Err(self.unlicensed(&said)),
            403 => Ok(Answer::Forbidden(said)),
            404 if is_collection => Err(self.no_organization(&said)),
            404 => Ok(Answer::Missing),
            406 => self.other_version(answer, &said),
            409 => Ok(Answer::Taken),
            400 => Ok(Answer::Refused(said)),
            _ => Err(self.not_chef(answer)),
        }
    }

    /// The fault of a request that may have arrived. Only a new client or key is in doubt then: everything
    /// else can be done twice.
    fn arrived(&self, fault: Fault) -> Fault {
        match self.request.action {
            Action::CreateClient { .. } | Action::UpdateKey { .. } => fault.in_doubt(),
            _ => fault,
        }
    }

    /// The server, or a proxy before it, has too many requests. A client that was created all the same is found
    /// by the next try: its name is taken then. So nothing is asked in between, which would be one request more.
    fn overloaded(&self, answer: &Response<Bytes>) -> Fault {
        let fault = self.busy("met a server with too many requests", answer).throttled();
        match self.request.action {
            Action::CreateClient { .. } => fault.repeatable(),
            _ => self.arrived(fault),
        }
    }

    fn unanswered(&self, error: &HttpsError) -> Fault {
        let fault = error.fault(&self.asked());
        if error.was_sent() { self.arrived(fault) } else { fault }
    }

    /// A fault that may pass, after the time that the server asks for.
    fn busy(&self, how: &str, answer: &Response<Bytes>) -> Fault {
        let what = format!("{} {how}", self.request.action());
        let fault = self.asked().passing(what).retry_after(https::retry_after(answer));
        fault.cause(self.answered(answer))
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            action: self.request.action(),
            on: &self.on,
            url: &self.url,
            service: "a Chef server",
            settings: "url in [chef-server]",
            if_untrusted: IF_UNTRUSTED,
        }
    }

    /// What was answered, as a cause.
    fn answered(&self, answer: &Response<Bytes>) -> String {
        let status = answer.status().as_u16();
        format!("{} answered with HTTP status {status}: {}", self.url, said(answer))
    }
}

/// The server's words: those of an error, else the text. One line, not too long.
fn said(answer: &Response<Bytes>) -> String {
    let json: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let words = match json.get("error").or_else(|| json.get("message")) {
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
        }
        Some(Value::String(text)) => match json.get("message").and_then(Value::as_str) {
            Some(message) if message != text => format!("{text}: {message}"),
            _ => text.clone(),
        },
        _ => String::from_utf8_lossy(answer.body()).into_owned(),
    };
    excerpt(&words)
}
