//! A Chef server of the emulator, and a client of it that is Chef's own library.

use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};

use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::client::{self, Reply};
use super::openssl::{self, Scratch};
use super::shared_ca;

/// A signer that is Chef's own; none where Ruby or the library is missing.
pub fn has_library() -> bool {
    let mut command = Command::new("ruby");
    command.args(["-ropenssl", "-e", "require 'mixlib/authentication/signedheaderauth'"]);
    let found = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: no ruby-mixlib-authentication here");
    }
    found
}

pub struct Server {
    pub emulator: Emulator,
    pub scratch: Scratch,
}

/// Who signs, and how.
#[derive(Clone, Copy)]
pub struct As<'a> {
    pub user: &'a str,
    /// The number of a key of `openssl::key`.
    pub key: usize,
    pub protocol: &'a str,
    pub version: &'a str,
    pub variable: (&'a str, &'a str),
}

/// The validator has key 0, nodes have key 1.
pub const VALIDATOR: As<'static> =
    As { user: "default-validator", key: 0, protocol: "1.3", version: "0", variable: ("NONE", "") };

pub fn node(user: &str) -> As<'_> {
    As { user, key: 1, ..VALIDATOR }
}

pub struct Answer {
    pub status: u16,
    pub headers: Value,
    pub body: Value,
}

impl Answer {
    pub fn error(&self) -> &str {
        self.body["error"][0].as_str().unwrap_or_default()
    }
}

impl Server {
    pub fn start(more: &str) -> Result<Self, Box<dyn Error>> {
        let any = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let servers = vec![format!("name=chef,engine=Chef{more}").parse()?];
        let scratch = Scratch::new()?;
        let state = Some(scratch.path().join("state"));
        let options = Options { servers, chef_listen: any, throttle: None, state, ..shared_ca() };
        let emulator = Emulator::start(options)?;
        scratch.write("ca.pem", &emulator.ca_bundle())?;
        for number in [0, 1] {
            scratch.write(&format!("{number}.pem"), openssl::key(number))?;
        }
        let server = Self { emulator, scratch };
        let key = json!({ "public_key": openssl::public_key("rsa", openssl::key(0))?, "validator": true });
        assert_eq!(server.admin("PUT", "/clients/default-validator", &key)?.status, 200);
        Ok(server)
    }

    /// A call of the admin API about the organization `default`.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Reply> {
        let json = [("content-type".to_owned(), "application/json".to_owned())];
        let path = format!("/_emulator/v1/chef/chef/default{path}");
        client::send(self.emulator.api_url(), method, &path, &json, &body.to_string())
    }

    pub fn ask(
        &self,
        who: As<'_>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Box<dyn Error>> {
        let path = if path.starts_with("/organizations") || path == "/" {
            path.to_owned()
        } else {
            format!("/organizations/default{path}")
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emulator/chef_sign.rb");
        let url = self.emulator.chef_url().ok_or("nobody answers")?;
        let key = format!("{}.pem", who.key);
        let mut child = Command::new("ruby")
            .args([script, "ca.pem", url, method, &path, who.user, &key, who.protocol, who.version])
            .current_dir(self.scratch.path())
            .env(who.variable.0, who.variable.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let text = if body.is_null() { String::new() } else { body.to_string() };
        child.stdin.take().ok_or("no input")?.write_all(text.as_bytes())?;
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.splitn(3, '\n');
        let mut next = || lines.next().unwrap_or_default();
        let status = next().parse().map_err(|_| "no status")?;
        let headers = serde_json::from_str(next()).unwrap_or_default();
        let body = serde_json::from_str(next()).unwrap_or_default();
        Ok(Answer { status, headers, body })
    }

    /// Creates a client with key 1.
    pub fn create(&self, name: &str) -> Result<Answer, Box<dyn Error>> {
        let key = openssl::public_key("rsa", openssl::key(1))?;
        let body = json!({ "name": name, "admin": false, "public_key": key });
        self.ask(VALIDATOR, "POST", "/clients", &body)
    }
}
