//! A network that answers what the input says, under the real SDK.

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

/// One part of an input: a line `> WORD STATUS`, and what follows it up to the next such line.
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

/// The input's parts, sixteen at most: more of them find nothing that these do not.
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

/// The part that says how long a metadata token is good for.
pub const LIFE: &str = "life";

/// Status and body.
type Answer = (u16, Vec<u8>);

/// What was asked, and what is to be answered.
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
    /// The next answer, to whatever is asked.
    pub fn answer(&self, status: u16, body: Vec<u8>) {
        self.answers.lock().unwrap().push_back((status, body));
    }

    /// Answers by the end of the path; what is not there is 404.
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
        // It arrives whole.
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
            // What is no header's value would not arrive as one.
            if response.headers_mut().try_insert(name, life).is_err() {
                response.headers_mut().insert(name, "0");
            }
        }
        HttpConnectorFuture::ready(Ok::<_, ConnectorError>(response))
    }
}

/// A machine that its firmware calls an EC2 instance, so that credentials may come from metadata.
pub struct StateMachine {
    pub root: enlist::host::Root,
    _directory: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl StateMachine {
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
    static MACHINE: RefCell<Option<&'static StateMachine>> = const { RefCell::new(None) };
}

/// One for the whole run: making it takes longer than most inputs do.
pub fn machine() -> &'static StateMachine {
    MACHINE.with(|cell| {
        *cell.borrow_mut().get_or_insert_with(|| Box::leak(Box::new(StateMachine::new())))
    })
}
