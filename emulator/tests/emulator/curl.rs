//! curl: a client written by others, for what answers over TLS.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use enlist_emulator::Emulator;
use serde_json::Value;

use super::openssl::Scratch;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names and values, in lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A header's value, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| *known == name).map(|(_, value)| value).next_back()
    }
}

/// A client of one server, with the account's CA.
pub struct Curl {
    scratch: Scratch,
    url: String,
    client: Option<(PathBuf, PathBuf)>,
}

impl Curl {
    /// For the server at `url`, of an emulator.
    pub fn new(emulator: &Emulator, url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let scratch = Scratch::new()?;
        scratch.write("ca.pem", &emulator.ca_bundle())?;
        Ok(Self { scratch, url: url.ok_or("nobody answers")?.to_owned(), client: None })
    }

    /// The same with a client's certificate and key.
    pub fn with_client(mut self, certificate: &str, key: &str) -> std::io::Result<Self> {
        let certificate = self.scratch.write("client.pem", certificate)?.into();
        let key = self.scratch.write("client.key", key)?.into();
        self.client = Some((certificate, key));
        Ok(self)
    }

    pub fn get(&self, path: &str) -> Result<Answer, Box<dyn Error>> {
        self.send("GET", path, &[], "")
    }

    pub fn put(&self, path: &str, body: &str) -> Result<Answer, Box<dyn Error>> {
        self.send("PUT", path, &["content-type: text/plain"], body)
    }

    /// One request; the error is curl's.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Result<Answer, Box<dyn Error>> {
        let directory = self.scratch.path();
        self.scratch.write("body", body)?;
        let mut command = Command::new("curl");
        command.args(["-sS", "--path-as-is", "-X", method, "-D", "head", "-o", "answer"]);
        command.args(["--cacert", "ca.pem", "-w", "%{http_code}", "--max-time", "30"]);
        command.args(["--noproxy", "*"]).current_dir(directory);
        if let Some((certificate, key)) = &self.client {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        for header in headers {
            command.args(["-H", header]);
        }
        if !body.is_empty() {
            command.args(["--data-binary", "@body"]);
        }
        let url =
            if path.starts_with("https:") { path.to_owned() } else { self.url.clone() + path };
        let _ = std::fs::remove_file(directory.join("answer"));
        let output = command.arg(url).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let read = |name: &str| read(&directory.join(name));
        Ok(Answer {
            status: String::from_utf8(output.stdout)?.parse()?,
            head: read("head").to_ascii_lowercase().replace('\r', ""),
            body: read("answer"),
        })
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
