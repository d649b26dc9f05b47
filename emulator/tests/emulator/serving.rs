//! The program, serving, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use enlist_emulator::machine_now;
use rustix::process::{Pid, Signal, kill_process};

use super::client::{self, Reply, Signing, send};

/// The program, serving; it ends with this value.
pub struct Serving {
    pub child: Child,
    environment: serde_json::Value,
}

impl Serving {
    pub fn start(options: &[&str], stderr: Stdio) -> Result<Self, Box<dyn std::error::Error>> {
        Self::of(Command::new(env!("CARGO_BIN_EXE_enlist-emulator")), options, stderr)
    }

    /// The same by a command that ends in the program.
    pub fn of(
        mut command: Command,
        options: &[&str],
        stderr: Stdio,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut child = command
            .args(["serve", "--json"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let line = BufReader::new(output).lines().next().ok_or("no line")??;
        Ok(Self { child, environment: serde_json::from_str(&line)? })
    }

    pub fn variable(&self, name: &str) -> String {
        self.environment[name].as_str().unwrap_or_default().to_owned()
    }

    pub fn url(&self) -> String {
        self.variable("AWS_ENDPOINT_URL")
    }

    /// Signatures with its keys, by the machine's clock.
    pub fn signing(&self) -> Signing {
        Signing {
            access_key: self.variable("AWS_ACCESS_KEY_ID"),
            secret_key: self.variable("AWS_SECRET_ACCESS_KEY"),
            service: String::new(),
            region: "us-east-1".to_owned(),
            now: machine_now(),
        }
    }

    /// A signed call.
    pub fn call(
        &self,
        signing: &Signing,
        service: &str,
        target: &str,
        body: &str,
    ) -> std::io::Result<Reply> {
        let signing = Signing { service: service.to_owned(), ..signing.clone() };
        let url = self.url();
        send(&url, "POST", "/", &signing.headers(client::host(&url), target, body), body)
    }

    /// Ends it as a crash does.
    pub fn kill_9(&self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may have ended already.
            let _ = kill_process(id, Signal::KILL);
        }
    }

    /// The most memory that it ever had, in KiB.
    pub fn peak(&self) -> Result<u64, Box<dyn std::error::Error>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.split_ascii_whitespace().nth(1).ok_or("no number")?.parse()?)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
