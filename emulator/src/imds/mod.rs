//! The EC2 instance metadata service, version 2: sessions, and what the instance tells of itself.

mod document;
mod instance;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

pub use document::{IdentityKey, Signer};
pub use instance::Instance;

use crate::control::{Fault, FaultKind, FaultPlan};
use crate::error::ApiError;
use crate::http::{Delivery, Request, Response};
use crate::now::Now;
use crate::random::Random;

/// What answers at the metadata address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answering {
    /// The service.
    #[default]
    Service,
    /// A captive portal: its page for everything, with status 200.
    Portal,
}

/// One request to the metadata service.
#[derive(Clone, Debug, Serialize)]
pub struct ImdsCall {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The answer's HTTP status.
    pub status: u16,
}

impl ImdsCall {
    /// The request in one line, for a log.
    #[must_use]
    pub fn line(&self) -> String {
        let at = Now::from_unix_ms(self.at_ms).rfc3339();
        format!("{at} {} {} {}", self.method, self.path, self.status)
    }
}

/// The metadata service of one instance.
pub struct Imds {
    instance: Instance,
    answering: Answering,
    signer: Box<dyn Signer>,
    random: Random,
    /// Token and the moment it stops being valid.
    tokens: BTreeMap<String, Now>,
    faults: FaultPlan,
    calls: VecDeque<ImdsCall>,
}

/// What faults call every request to this service.
pub const ACTION: &str = "IMDS";

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
/// How many requests are kept, and how much of a path.
const KEPT_CALLS: usize = 10_000;
const LONGEST_TEXT: usize = 256;
/// How many sessions there can be at once.
const MOST_TOKENS: usize = 50_000;
/// Six hours, the longest a session may be asked for.
const MAX_TTL: u64 = 21_600;

impl Imds {
    /// The service of `instance`; tokens are made from `seed`.
    #[must_use]
    pub fn new(
        instance: Instance,
        answering: Answering,
        signer: Box<dyn Signer>,
        seed: u64,
    ) -> Self {
        let random = Random::new(seed);
        let (tokens, faults, calls) = (BTreeMap::new(), FaultPlan::default(), VecDeque::new());
        Self { instance, answering, signer, random, tokens, faults, calls }
    }

    /// Answers one request, at `now`.
    pub fn handle(&mut self, now: Now, request: &Request) -> Response {
        let fault = self.faults.take_metadata();
        let instead = fault.and_then(|fault| fault.instead(&ApiError::MissingAuthenticationToken));
        let mut response = match (instead, self.answering) {
            // The metadata service has no errors of the API's; it throttles with a status of its own.
            _ if fault == Some(FaultKind::Throttle) => problem(429),
            _ if fault == Some(FaultKind::Denied) => problem(403),
            (Some(instead), _) if instead.error.is_some() => problem(instead.status),
            (Some(instead), _) => instead,
            (None, Answering::Portal) => Response::html(200),
            (None, Answering::Service) => self.answer(now, request),
        };
        if let Some(fault) = fault.filter(|_| response.delivery == Delivery::Whole) {
            response.delivery = fault.delivery();
        }
        if self.calls.len() == KEPT_CALLS {
            self.calls.pop_front();
        }
        let short = |text: &str| text.chars().take(LONGEST_TEXT).collect();
        self.calls.push_back(ImdsCall {
            at_ms: now.unix_ms(),
            method: short(&request.method),
            path: short(&request.path),
            status: response.status,
        });
        response
    }

    /// The instance, to change it.
    pub fn instance_mut(&mut self) -> &mut Instance {
        &mut self.instance
    }

    /// Changes who answers.
    pub fn set_answering(&mut self, answering: Answering) {
        self.answering = answering;
    }

    /// Sets a fault, from the next request on. The kinds that concern associations do nothing here.
    pub fn inject(&mut self, mut fault: Fault) {
        ACTION.clone_into(&mut fault.action);
        self.faults.add(fault);
    }

    /// The faults that can still strike.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.armed()
    }

    /// Forgets every fault.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The newest requests, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &ImdsCall> {
        self.calls.iter()
    }

    /// The newest request.
    #[must_use]
    pub fn newest(&self) -> Option<&ImdsCall> {
        self.calls.back()
    }

    fn answer(&mut self, now: Now, request: &Request) -> Response {
        // What came through a proxy gets no session, and no answer.
        if request.header("x-forwarded-for").is_some() {
            return problem(403);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("PUT", "/latest/api/token") => self.open_session(now, request),
            ("GET" | "HEAD", path) if self.has_session(now, request) => self.get(path, now),
            ("GET" | "HEAD", _) => problem(401),
            _ => problem(405),
        }
    }

    fn open_session(&mut self, now: Now, request: &Request) -> Response {
        let ttl = request.header(TTL).and_then(|text| text.parse::<u64>().ok());
        let Some(ttl) = ttl.filter(|ttl| (1..=MAX_TTL).contains(ttl)) else {
            return problem(400);
        };
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.retain(|_, until| now < *until);
        }
        if self.tokens.len() >= MOST_TOKENS {
            // The emulator's own limit.
            return problem(503);
        }
        let token = self.random.hex(3);
        self.tokens.insert(token.clone(), now.plus(Duration::from_secs(ttl)));
        Response::new(200, "text/plain", token).with_header(TTL, ttl.to_string())
    }

    fn has_session(&self, now: Now, request: &Request) -> bool {
        let token = request.header(TOKEN).and_then(|token| self.tokens.get(token));
        token.is_some_and(|until| now < *until)
    }

    fn get(&self, path: &str, now: Now) -> Response {
        let path = path.strip_prefix("/latest/").unwrap_or_default();
        let document = || self.instance.identity_document();
        let found = match path {
            "dynamic/instance-identity/document" => Some(document()),
            "dynamic/instance-identity/signature" => {
                self.signer.sign(document().as_bytes()).map(|bytes| document::in_lines(&bytes))
            }
            "dynamic/instance-identity/" => Some("document\nsignature".to_owned()),
            _ => path.strip_prefix("meta-data/").and_then(|key| self.instance.metadata(key, now)),
        };
        match found {
            Some(body) => Response::new(200, "text/plain", body),
            None => problem(404),
        }
    }
}

/// The metadata service's error pages are XHTML.
fn problem(status: u16) -> Response {
    let reason = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let page = format!(
        "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n \
         <head>\n  <title>{status} - {reason}</title>\n </head>\n \
         <body>\n  <h1>{status} - {reason}</h1>\n </body>\n</html>\n"
    );
    Response::new(status, "text/html", page)
}
