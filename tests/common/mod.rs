//! A node for tests: a temporary root, an emulator, and the program.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests do I/O")]

pub mod chef_node;
pub mod openssl_ca;
pub mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use enlist_emulator::{CaSource, Emulator, Options};
use serde_json::Value;

pub const NAME: &str = "i-0123456789abcdef0";

/// A node: its root directory, and the emulator that it talks to.
pub struct Node {
    pub emulator: Emulator,
    pub root: tempfile::TempDir,
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Node {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    /// A node with small keys, which are made faster.
    pub fn with(options: Options) -> Self {
        let node = Self {
            emulator: Emulator::start(Options { ca: CaSource::Shared, ..options }).unwrap(),
            root: tempfile::tempdir().unwrap(),
        };
        node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"2m\"\n");
        node
    }

    pub fn settings(&self, text: &str) {
        self.write("etc/enlist/enlist.toml", text);
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn ssl(&self, path: &str) -> PathBuf {
        self.path(&format!("etc/puppetlabs/puppet/ssl/{path}"))
    }

    pub fn certificate(&self) -> PathBuf {
        self.ssl(&format!("certs/{NAME}.pem"))
    }

    pub fn key(&self) -> PathBuf {
        self.ssl(&format!("private_keys/{NAME}.pem"))
    }

    pub fn record(&self) -> Value {
        serde_json::from_str(&self.read("var/lib/enlist/opsworks-cm/record.json")).unwrap()
    }

    /// The program with this node's root, and without the AWS settings of whoever runs the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.arg("--root").arg(self.root.path()).envs(self.emulator.env());
        command
    }

    pub fn enlist(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// Joins, and fails with the output if the join fails.
    pub fn join(&self) -> Run {
        let run = self.enlist(&["join"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run
    }

    /// How many requests of this action the emulator got.
    pub fn asked(&self, action: &str) -> usize {
        self.emulator.calls().iter().filter(|call| call.action == action).count()
    }

    /// The paths of all files below the root.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.root.path(), self.root.path(), &mut found);
        found.sort();
        found
    }
}

/// Another machine that talks to the same emulator.
pub struct OtherMachine<'a> {
    node: &'a Node,
    root: tempfile::TempDir,
}

impl<'a> OtherMachine<'a> {
    pub fn new(node: &'a Node, settings: &str) -> Self {
        let other = Self { node, root: tempfile::tempdir().unwrap() };
        let path = other.path("etc/enlist/enlist.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, settings).unwrap();
        other
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub fn off_ec2(&self, arguments: &[&str]) -> Run {
        let mut command = bare(arguments);
        command.arg("--root").arg(self.root.path()).envs(self.node.emulator.env());
        run(command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
    }
}

/// The program without an emulator.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enlist"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("ENLIST_") {
            command.env_remove(name);
        }
    }
    // Without the AWS profiles of whoever runs the tests.
    command.env("HOME", "/nonexistent");
    command
}

/// Runs a command, and fails if it panics.
pub fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.env_remove("RUST_BACKTRACE").output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    Run { code: status.code().unwrap_or(-1), stdout: String::from_utf8(stdout).unwrap(), stderr }
}

/// Runs OpenSSL, to check a result independently; returns its standard output.
pub fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    let output =
        output.expect("these tests need the command line tool of OpenSSL: install openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Makes a key, and a certificate that it signs itself. `more` are further arguments of `openssl req`.
pub fn self_signed(name: &str, key: &Path, certificate: &Path, more: &[&str]) {
    let subject = format!("/CN={name}");
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", &subject];
    let written = ["-keyout", text(key), "-out", text(certificate)];
    openssl(&[&new[..], &written, more].concat());
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn walk(top: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(top, &path, found);
        } else {
            found.push(path.strip_prefix(top).unwrap().to_string_lossy().into_owned());
        }
    }
}

pub const STACK: &str = "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee";

pub fn target_node(settings: &str, faults: &[&str]) -> Node {
    target_node_with(settings, faults, Options::default())
}

pub fn target_node_with(settings: &str, faults: &[&str], options: Options) -> Node {
    let mut options = options;
    options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    options.servers.push("name=chef-test,engine=Chef".parse().unwrap());
    options.servers.push("name=puppet-test".parse().unwrap());
    let node = Node::with(options);
    node.settings(&format!("[node]\nbudget = \"15s\"\n{settings}"));
    node
}

/// Installs the fake SSM agent. It writes its arguments, without the code, to `agent-arguments`.
pub fn install_agent(node: &Node) {
    let script = format!(
        "#!/bin/sh\necho \"$@\" | sed 's/-code [^ ]*/-code X/' >> {root}/agent-arguments\nFAKE_SSM_AGENT_ROOT={root} FAKE_SSM_AGENT_ENDPOINT={url} exec {agent} \"$@\"\n",
        root = text(node.root.path()),
        url = node.emulator.api_url(),
        agent = fake_ssm_agent(),
    );
    node.write("usr/bin/amazon-ssm-agent", &script);
    let program = node.path("usr/bin/amazon-ssm-agent");
    assert!(Command::new("chmod").arg("755").arg(program).status().unwrap().success());
}

/// The path of the fake SSM agent: beside the program, where a build of the workspace puts it.
pub fn fake_ssm_agent() -> String {
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_enlist")).with_file_name("fake-ssm-agent");
    if !path.exists() {
        let cargo =
            Command::new(env!("CARGO")).args(["build", "-p", "enlist-emulator", "--bins"]).status();
        assert!(cargo.unwrap().success());
    }
    text(&path).to_owned()
}

/// Runs a command on a machine without a metadata service: not an EC2 instance.
pub fn off_ec2(node: &Node, arguments: &[&str]) -> Run {
    let mut command = node.command(arguments);
    command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    run(&mut command)
}

pub fn list<'a>(state: &'a Value, name: &str) -> &'a Vec<Value> {
    state[name].as_array().unwrap()
}

/// Checks the exit code, and that the messages have these parts.
pub fn expect(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in: {}", run.stderr);
    }
}
