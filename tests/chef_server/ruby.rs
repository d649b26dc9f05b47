//! A Chef server whose signatures are judged by Chef's own library, and files that Ruby reads as Chef
//! reads them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::chef_node::validator_pem;
use crate::common::{self, Run, bare, openssl, run, text};

/// Whether Ruby and Chef's library are here. CI must have them.
pub fn has_library() -> bool {
    let mut command = Command::new("ruby");
    command.args(["-ropenssl", "-e", "require 'mixlib/authentication/signatureverification'"]);
    let has = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(has || std::env::var("CI").as_deref() != Ok("true"), "CI needs Chef's library");
    if !has {
        eprintln!("SKIPPED: no ruby-mixlib-authentication here");
    }
    has
}

pub fn script(name: &str) -> String {
    format!("{}/tests/chef_server/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Which server.
#[derive(Clone, Copy)]
pub struct Kind {
    /// None: goiardi.
    pub organization: Option<&'static str>,
    pub versions: (&'static str, &'static str),
}

pub const CHEF: Kind = Kind { organization: Some("acme"), versions: ("0", "2") };
pub const GOIARDI: Kind = Kind { organization: None, versions: ("0", "1") };

/// The server, and nodes that join it.
pub struct RubyServer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub directory: TempDir,
    pub url: String,
}

impl RubyServer {
    pub fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        make_certificates(&directory);
        std::fs::write(path("validator.pem"), validator_pem()).unwrap();
        let public = openssl(&["pkey", "-in", text(&path("validator.pem")), "-pubout"]);
        std::fs::write(path("validator.pub"), public).unwrap();
        let validator = format!("{}-validator", kind.organization.unwrap_or("chef"));
        let mut child = Command::new("ruby")
            .arg(script("server.rb"))
            .args([path("server.pem"), path("server.key")])
            .args([kind.organization.unwrap_or("-"), kind.versions.0, kind.versions.1, &validator])
            .arg(path("validator.pub"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        answers.read_line(&mut port).unwrap();
        let path = kind.organization.map(|name| format!("/organizations/{name}"));
        let url = format!("https://localhost:{}{}", port.trim(), path.unwrap_or_default());
        Self { child, commands, answers, directory, url }
    }

    /// One command of the server's administrator.
    pub fn command(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// Status, method and path of the requests so far.
    pub fn log(&mut self) -> Vec<String> {
        let log: Value = serde_json::from_str(&self.command("log")).unwrap();
        let prefix = self.url.find("/organizations").map_or("", |at| &self.url[at..]).to_owned();
        let row = |row: &Value| {
            let path = row[2].as_str().unwrap().trim_start_matches(&prefix);
            format!("{} {} {path}", row[0], row[1].as_str().unwrap())
        };
        log.as_array().unwrap().iter().map(row).collect()
    }

    pub fn show(&mut self) -> Value {
        serde_json::from_str(&self.command("show")).unwrap()
    }

    pub fn settings(&self, more: &str) -> String {
        format!(
            "[chef-server]\nurl = \"{}\"\nvalidator_key = {{ file = \"/validator.pem\" }}\nca_file = \"/ca.pem\"\n[chef]\nkey_bits = 2048\n{more}\n[node]\nname = \"web1\"\nbudget = \"20s\"\n",
            self.url
        )
    }

    /// A machine outside AWS with these settings.
    pub fn machine(&self, settings: &str) -> Machine {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/enlist")).unwrap();
        std::fs::write(root.path().join("etc/enlist/enlist.toml"), settings).unwrap();
        for file in ["ca.pem", "validator.pem"] {
            std::fs::copy(self.directory.path().join(file), root.path().join(file)).unwrap();
        }
        Machine { root }
    }
}

impl Drop for RubyServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Machine {
    pub root: TempDir,
}

impl Machine {
    pub fn enlist(&self, arguments: &[&str]) -> Run {
        let mut command = bare(arguments);
        command.arg("--root").arg(self.root.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        run(&mut command)
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }
}

/// The settings that Ruby reads as chef-client does. None: there is no Ruby here.
pub fn ruby_reads(files: &[std::path::PathBuf]) -> Option<Value> {
    let output = Command::new("ruby").arg(script("client_rb.rb")).args(files).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A CA, and a certificate of it for localhost.
fn make_certificates(directory: &TempDir) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    let ca =
        rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let params = rcgen::CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("server.pem", certificate.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
}

/// The headers that Chef's library makes, by their names.
pub fn library_signs(arguments: &[&str], body: &str) -> Vec<(String, String)> {
    let mut child = Command::new("ruby")
        .arg(script("sign.rb"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    text.lines().map(pair).collect()
}

pub fn expect(run: &Run, code: i32, words: &[&str]) {
    common::expect(run, code, words);
}
