//! The admin API: what people and scripts may see and change over HTTP, unsigned, from this machine.
//!
//! `GET /_emulator/v1/...` shows, `PUT`, `POST` and `DELETE` change. Bodies are JSON. docs/emulator.md
//! lists the paths; what they answer is kept from version to version, and only added to.

mod change;
mod servers;
mod show;
mod transfer;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::control::{CallList, INSTALLER_PATH, Snapshot, installer};
use crate::http::{Request, Response};
use crate::shared::Shared;
use transfer::Export;
pub(crate) use transfer::large_body;

/// Where the API is; its version is part of the path.
const ROOT: &str = "/_emulator/";
const VERSION: &str = "v1/";

/// What a path answers.
type Answer = Result<Value, Problem>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0} is not a method of this path")]
    Method(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Conflict(String),
    #[error(
        "this takes the emulator's keys: curl -u \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" ..."
    )]
    Unauthorized,
    #[error("a web page of another site cannot change the emulator: {0}")]
    Foreign(&'static str),
}

impl Problem {
    const fn status(&self) -> u16 {
        match self {
            Self::NotFound(_) => 404,
            Self::Method(_) => 405,
            Self::Invalid(_) => 400,
            Self::Conflict(_) => 409,
            Self::Unauthorized => 401,
            Self::Foreign(_) => 403,
        }
    }

    fn invalid(error: impl std::fmt::Display) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// What goes out: a response, or what can be large and is made as it is read.
pub(crate) enum Reply {
    Response(Response),
    Pieces(Pieces),
}

/// What is made as it is read.
pub(crate) enum Pieces {
    State(Snapshot),
    /// Calls, and whether the list stands alone.
    Calls(CallList, bool),
    Export(Export),
}

impl Pieces {
    /// Writes the JSON, until `sink` says that it wants no more.
    pub fn write(&self, sink: impl FnMut(String) -> bool) {
        match self {
            Self::State(snapshot) => snapshot.write(sink),
            Self::Calls(calls, alone) => calls.write(*alone, sink),
            Self::Export(export) => export.write(sink),
        }
    }
}

/// Answers a request for the admin API; none for other paths, and for clients elsewhere.
pub(crate) fn answer(request: &Request, peer: SocketAddr, shared: &Shared) -> Option<Reply> {
    let path = request.path.strip_prefix(ROOT)?;
    // For the machines that are registered, which are elsewhere.
    if request.path == INSTALLER_PATH && request.method == "GET" {
        return Some(Reply::Response(Response::new(200, "application/gzip", installer())));
    }
    if !peer.ip().to_canonical().is_loopback() {
        return None;
    }
    // The paths of before there were versions.
    let plain = matches!(path, "state" | "calls") && request.method == "GET";
    if path == "v1/ca" && request.method == "GET" {
        let bundle = shared.control().ca_bundle().to_owned();
        return Some(Reply::Response(Response::new(200, "application/x-pem-file", bundle)));
    }
    let Some(path) = path.strip_prefix(VERSION).or(Some(path).filter(|_| plain)) else {
        return Some(Reply::Response(respond(Err(Problem::NotFound(request.path.clone())))));
    };
    if path == "import" && request.method == "POST" {
        let done = own(request).and_then(|()| transfer::import(request, shared));
        return Some(Reply::Response(respond(done)));
    }
    if request.method != "GET" {
        let done = own(request).and_then(|()| body(request));
        let done = done.and_then(|body| change::change(&request.method, path, &body, shared));
        return Some(Reply::Response(respond(done)));
    }
    Some(match path {
        "state" => Reply::Pieces(Pieces::State(shared.control().snapshot(shared.now()))),
        "export" => match transfer::export(request, shared) {
            Ok(export) => Reply::Pieces(Pieces::Export(export)),
            Err(problem) => Reply::Response(respond(Err(problem))),
        },
        "calls" => match show::calls(&request.query, plain, shared) {
            Ok(calls) => Reply::Pieces(Pieces::Calls(calls, plain)),
            Err(problem) => Reply::Response(respond(Err(problem))),
        },
        _ => Reply::Response(respond(show::show(path, shared))),
    })
}

fn respond(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(problem) => (problem.status(), json!({ "error": problem.to_string() })),
    };
    Response::new(status, "application/json", body.to_string())
        .with_header("cache-control", "no-store")
}

/// A browser sends a foreign page's request only in forms that need no permission, and says where
/// the page is from: both are refused.
fn own(request: &Request) -> Result<(), Problem> {
    let content = request.header("content-type").unwrap_or_default();
    let content = content.split(';').next().unwrap_or_default().trim();
    if !content.eq_ignore_ascii_case("application/json") {
        return Err(Problem::Foreign("the content type must be application/json"));
    }
    let host = request.header("host").unwrap_or_default();
    match request.header("origin") {
        Some(origin) if origin.strip_prefix("http://") != Some(host) => {
            Err(Problem::Foreign("the request is from another origin"))
        }
        _ => Ok(()),
    }
}

fn body(request: &Request) -> Result<Value, Problem> {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&request.body).map_err(Problem::invalid)
}

/// A fault, as the API shows it.
fn fault(fault: &crate::Fault) -> Value {
    json!({
        "action": fault.action,
        "kind": fault.kind.name(),
        "count": fault.count,
        "from": fault.from,
    })
}
