//! A network for the real SDK that returns the answers of the input.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// One part of an input: a line `> WORD STATUS`, and the text up to the next such line.
pub struct Part {
    pub word: String,
    pub status: u16,
    pub body: Vec<u8>,
}

impl Part {
    pub fn ok(word: impl Into<String>, body: &str) -> Self {
        Self { word: word.into(), status: 200, body: body.as_bytes().to_vec() }
    }
}

/// The first sixteen parts of the input. More find nothing new.
pub fn parts(data: &[u8]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        match head(line) {
            Some(part) if parts.len() < 16 => parts.push(part),
            Some(_) => break,
            None => {
                if let Some(part) = parts.last_mut() {
                    part.body.extend_from_slice(line);
                }
            }
        }
    }
    for part in &mut parts {
        if part.body.last() == Some(&b'\n') {
            part.body.pop();
        }
    }
    parts
}

fn head(line: &[u8]) -> Option<Part> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("> ")?.trim_end();
    let (word, status) = line.split_once(' ').unwrap_or((line, "200"));
    let status = status.parse().ok().filter(|status| (100..=999).contains(status))?;
    Some(Part { word: word.to_owned(), status, body: Vec::new() })
}

/// The part with the lifetime of a metadata token.
pub const LIFE: &str = "life";

/// Status and body.
type Answer = (u16, Vec<u8>);

/// The requests so far, and the answers to come.
#[derive(Clone, Default)]
pub struct Wire {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    by_path: Arc<Mutex<Vec<Part>>>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub uri: String,
    pub token: Option<String>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// Adds an answer, for any request.
    pub fn answer(&self, status: u16, body: Vec<u8>) {
        self.answers.lock().unwrap().push_back((status, body));
    }

    /// Sets the answers by path. Any other path is answered with 404.
    pub fn serve(&self, paths: Vec<Part>) {
        *self.by_path.lock().unwrap() = paths;
    }

    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    fn next(&self, uri: &str) -> Answer {
        if let Some(answer) = self.answers.lock().unwrap().pop_front() {
            return answer;
        }
        let path = uri.split_once("//").map_or(uri, |(_, rest)| rest);
        let path = path.find('/').map_or("/", |at| &path[at..]);
        let known = self.by_path.lock().unwrap();
        let found = known.iter().find(|part| part.word == path);
        found.map_or((404, Vec::new()), |part| (part.status, part.body.clone()))
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.lock().unwrap().push(Asked {
            method: request.method().to_owned(),
            uri: request.uri().to_owned(),
            token: request.headers().get("x-aws-ec2-metadata-token").map(str::to_owned),
        });
        let (status, body) = self.next(request.uri());
        // The answer is complete.
        let length = body.len().to_string();
        let mut response =
            HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        response.headers_mut().insert("content-length", length);
        if request.method() == "PUT" {
            let name = "x-aws-ec2-metadata-token-ttl-seconds";
            let known = self.by_path.lock().unwrap();
            let life = known.iter().find(|part| part.word == LIFE).map(|part| part.body.clone());
            let life =
                life.map_or("21600".to_owned(), |life| String::from_utf8_lossy(&life).into());
            // A text that can't be a header value becomes 0.
            if response.headers_mut().try_insert(name, life).is_err() {
                response.headers_mut().insert(name, "0");
            }
        }
        HttpConnectorFuture::ready(Ok::<_, ConnectorError>(response))
    }
}

/// A machine whose firmware says that it is an EC2 instance, so that credentials may come from metadata.
pub struct Ec2Machine {
    pub root: enlist::host::Root,
    _directory: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl Ec2Machine {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dmi = directory.path().join("sys/class/dmi/id");
        std::fs::create_dir_all(&dmi).unwrap();
        std::fs::write(dmi.join("sys_vendor"), "Amazon EC2\n").unwrap();
        Self {
            root: enlist::host::Root::new(directory.path()),
            _directory: directory,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }
}

thread_local! {
    static MACHINE: RefCell<Option<&'static Ec2Machine>> = const { RefCell::new(None) };
}

/// One machine for the whole run, because making one is slower than most inputs.
pub fn machine() -> &'static Ec2Machine {
    MACHINE.with(|cell| {
        *cell.borrow_mut().get_or_insert_with(|| Box::leak(Box::new(Ec2Machine::new())))
    })
}
