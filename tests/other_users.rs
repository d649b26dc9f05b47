//! A process of another user never counts as Puppet, as enlist, or as the SSM agent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

mod common;

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Node, expect, install_agent, off_ec2, target_node_with};
use enlist_emulator::Options;

/// The account `nobody`.
const OTHER: &str = "65534";

/// A process of another user that lives until it is dropped.
struct Other(Child);

impl Other {
    /// Starts it; none if this test can't become another user.
    fn start(command: &[&str]) -> Option<Self> {
        let tried = Command::new("setpriv")
            .args(["--reuid", OTHER, "--regid", OTHER, "--clear-groups", "true"])
            .stderr(Stdio::null())
            .status();
        let may = tried.is_ok_and(|status| status.success());
        assert!(may || std::env::var("CI").as_deref() != Ok("true"), "CI must run this as root");
        if !may {
            println!("SKIPPED: this test can't become another user");
            return None;
        }
        let child = Command::new("setpriv")
            .args(["--reuid", OTHER, "--regid", OTHER, "--clear-groups"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let other = Self(child);
        other.until(|arguments| !arguments.starts_with("setpriv"));
        Some(other)
    }

    /// Waits until its arguments meet the condition.
    fn until(&self, is_so: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let path = format!("/proc/{}/cmdline", self.0.id());
            let said = std::fs::read(path).unwrap();
            if is_so(&String::from_utf8_lossy(&said)) {
                return;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "it does not start");
        }
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_users_process_does_not_hold_puppets_lock() {
    for command in [
        &["sh", "-c", "read x; : puppet agent"][..],
        // A setuid program of root's can't be dumped, so its directory in /proc belongs to root.
        &["su", "--login", "root", "--command", "puppet agent"],
    ] {
        let Some(other) = Other::start(command) else { return };
        let node = Node::new();
        node.write("etc/puppetlabs/puppet/ssl/ssl.lock", &other.id());
        node.join();
        assert!(!node.ssl("ssl.lock").exists(), "{command:?}");
    }
}

#[test]
fn another_users_process_is_not_waited_for_as_the_agent() {
    let node =
        target_node_with("[ssm]\niam_role = \"service-role/SSM\"\n", &[], Options::default());
    let activation = "00000000-1111-2222-3333-444444444444";
    let arguments = ["-register", "-id", activation];
    let Some(_other) = Other::start(&[&["sh", "-c", "read x; :"][..], &arguments].concat()) else {
        return;
    };
    // The state after a kill while the agent registers.
    node.write("var/lib/enlist/ssm/vault/at-work", activation);
    install_agent(&node);
    let began = Instant::now();
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    expect(&run, 0, &["restoring the agent's vault"]);
    assert!(!run.stderr.contains("waiting for it"), "{}", run.stderr);
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

/// The counter-check: a process of our own user does hold the lock.
#[test]
fn a_process_of_our_user_holds_puppets_lock() {
    let node = Node::new();
    let mut holder = Command::new("sh")
        .args(["-c", "read x; : puppet agent"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    node.write("etc/puppetlabs/puppet/ssl/ssl.lock", &holder.id().to_string());
    let run = node.enlist(&["join"]);
    expect(&run, 74, &["ssl.lock", &holder.id().to_string()]);
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    holder.wait().unwrap();
    node.join();
}
