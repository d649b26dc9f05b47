//! `enlist run`, as the service manager and the admin see it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

#[path = "daemon/by_hand.rs"]
mod by_hand;
mod common;
#[path = "daemon/copies.rs"]
mod copies;
#[path = "daemon/metrics.rs"]
mod metrics;
#[path = "daemon/probes.rs"]
mod probes;
#[path = "daemon/upkeep.rs"]
mod upkeep;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Node, STACK, expect, list, openssl, run, target_node, text};
use enlist_emulator::Options;

/// Longer than anything here takes, even on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(1);
const PUPPET: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";

/// The daemon. The test is its service manager.
struct Daemon<'a> {
    node: &'a Node,
    child: Child,
    socket: UnixDatagram,
    /// The notifications that it sent to the service manager, by line.
    notified: Vec<String>,
}

impl<'a> Daemon<'a> {
    fn start(node: &'a Node) -> Self {
        Self::start_with(node, &[])
    }

    /// In how many minutes the target that gave up is tried again, as its status says.
    fn next_try(&self) -> i64 {
        let line = self.notified.iter().rev().find_map(|line| line.split_once("next try is at "));
        let at: Vec<i64> =
            line.unwrap().1[..5].split(':').map(|part| part.parse().unwrap()).collect();
        let minute = 60 * at[0] + at[1];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
        (minute - now / 60 % 1440).rem_euclid(1440)
    }

    fn start_with(node: &'a Node, environment: &[(&str, &str)]) -> Self {
        let path = node.path("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let log = fs::File::options().create(true).append(true).open(node.path("log")).unwrap();
        let child = node
            .command(&["run"])
            .env("NOTIFY_SOCKET", &path)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { node, child, socket, notified: Vec::new() }
    }

    /// Waits until the condition holds, and collects notifications meanwhile.
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            self.receive();
            if is_so(self) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                began.elapsed() < TIMEOUT && ended.is_none(),
                "{what}: {ended:?}, notified {:#?}, log: {}",
                self.notified,
                self.node.read("log")
            );
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.notified.extend(message.lines().map(str::to_owned));
        }
    }

    fn times(&self, line: &str) -> usize {
        self.notified.iter().filter(|sent| *sent == line).count()
    }

    fn says(&self, part: &str) -> bool {
        let status = self.notified.iter().rev().find(|line| line.starts_with("STATUS="));
        status.is_some_and(|status| status.contains(part))
    }

    fn ready(&mut self) {
        self.until("ready", |daemon| daemon.times("READY=1") > 0);
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its exit code.
    fn ends(&mut self) -> i32 {
        let began = Instant::now();
        loop {
            self.receive();
            if let Some(status) = self.child.try_wait().unwrap() {
                self.receive();
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < TIMEOUT, "it does not end: {}", self.node.read("log"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(mut self) -> Vec<String> {
        self.signal("TERM");
        assert_eq!(self.ends(), 0, "{}", self.node.read("log"));
        assert!(self.times("STOPPING=1") == 1, "{:?}", self.notified);
        std::mem::take(&mut self.notified)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serial(node: &Node) -> String {
    openssl(&["x509", "-in", text(&node.certificate()), "-noout", "-serial"])
}

fn associations(node: &Node) -> usize {
    list(&node.emulator.state(), "associations").len()
}

#[test]
fn ready_means_joined_and_a_stop_leaves_a_member() {
    let node =
        Node::with(Options { association_time: Duration::from_secs(2), ..Options::default() });
    let mut daemon = Daemon::start(&node);
    daemon.until("waiting for the association", |daemon| daemon.says("waiting"));
    assert_eq!(daemon.times("READY=1"), 0, "{:?}", daemon.notified);
    assert!(daemon.notified.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")));
    daemon.ready();
    assert!(node.certificate().exists());
    daemon.until("it says so", |daemon| daemon.says("joined server puppet-test"));
    let told = daemon.stop();
    assert_eq!(told.iter().filter(|line| *line == "READY=1").count(), 1);
    assert_eq!(associations(&node), 1, "it is still a member");
    // The next boot: ready without asking anybody.
    let asked = node.emulator.calls().len();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.stop();
    assert_eq!(node.emulator.calls().len(), asked);
}

#[test]
fn after_a_stop_or_kill_it_continues_where_it_was() {
    let node =
        Node::with(Options { association_time: Duration::from_secs(3), ..Options::default() });
    for signal in ["KILL", "TERM"] {
        let mut daemon = Daemon::start(&node);
        daemon.until("it has asked", |daemon| daemon.node.asked("AssociateNode") > 0);
        daemon.signal(signal);
        daemon.ends();
    }
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.stop();
    assert_eq!(associations(&node), 1);
}

#[test]
fn ready_can_mean_started() {
    let node =
        Node::with(Options { association_time: Duration::from_mins(10), ..Options::default() });
    node.settings(&format!("{PUPPET}[run]\nready = \"started\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.until("it waits", |daemon| daemon.says("waiting"));
    daemon.stop();
}

#[test]
fn without_settings_it_is_idle_until_a_reload() {
    let node = Node::new();
    fs::remove_file(node.path("etc/enlist/enlist.toml")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    assert!(daemon.says("no target is configured"), "{:?}", daemon.notified);
    node.settings(PUPPET);
    daemon.signal("HUP");
    daemon.until("it joins", |daemon| daemon.says("joined server puppet-test"));
    assert_eq!(daemon.times("RELOADING=1"), 1);
    assert!(daemon.notified.iter().any(|line| line.starts_with("MONOTONIC_USEC=")));
    // Invalid settings change nothing.
    node.settings("[opsworks-cm]\nserver = 7\n");
    daemon.signal("HUP");
    daemon.until("it is back", |daemon| daemon.times("READY=1") == 3);
    assert!(node.read("log").contains("the former ones stay"), "{}", node.read("log"));
    daemon.until("as before", |daemon| daemon.says("joined server puppet-test"));
    // A target that is removed from the settings stays a member.
    node.settings(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"));
    daemon.signal("HUP");
    daemon.until("another one", |daemon| daemon.says("opsworks: joined"));
    assert!(node.read("log").contains("enlist leave --target opsworks-cm"), "{}", node.read("log"));
    daemon.stop();
    assert_eq!(associations(&node), 1);
}

#[test]
fn a_termination_notice_makes_it_leave_if_the_settings_say_so() {
    let node = Node::new();
    node.settings(PUPPET);
    let end = |state: &str| {
        let state = state.to_owned();
        node.emulator.with_imds(|imds| imds.instance_mut().target_lifecycle_state = Some(state));
    };
    end("InService");
    let mut daemon = Daemon::start_with(&node, &[("WATCHDOG_USEC", "1000000")]);
    daemon.ready();
    end("Terminated");
    daemon.signal("HUP");
    daemon.until("it is said", |daemon| {
        daemon.node.read("log").contains("stays a member (run.leave_on)")
    });
    assert_eq!(associations(&node), 1);
    node.settings(&format!("{PUPPET}[run]\nleave_on = \"termination\"\n"));
    daemon.signal("HUP");
    daemon.until("it leaves", |daemon| daemon.says("about to end"));
    assert_eq!(associations(&node), 0);
    assert!(!node.certificate().exists());
    // Until the termination it stays alive for the watchdog, so that it is not restarted.
    let alive = daemon.times("WATCHDOG=1");
    daemon.until("it lives on", |daemon| daemon.times("WATCHDOG=1") > alive + 1);
    daemon.stop();
}

#[test]
fn a_termination_during_the_stop_counts_too() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[run]\nleave_on = \"shutdown\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    // A stop alone does not count.
    daemon.stop();
    assert_eq!(associations(&node), 1);
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    node.emulator.with_imds(|imds| {
        let moment = enlist_emulator::now::Now::from_unix_seconds(4_000_000_000);
        imds.instance_mut().spot_action = Some(("terminate".to_owned(), moment));
    });
    daemon.stop();
    assert_eq!(associations(&node), 0, "{}", node.read("log"));
}

#[test]
fn a_target_that_gives_up_does_not_delay_the_others() {
    let node = Node::new();
    node.settings(&format!(
        "{PUPPET}[opsworks]\nstack_id = \"00000000-0000-4000-8000-000000000000\"\n"
    ));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    assert!(daemon.says("opsworks-cm: joined"), "{:?}", daemon.notified);
    assert!(daemon.says("opsworks: gave up"), "{:?}", daemon.notified);
    assert!(daemon.next_try() >= 40, "{:?}", daemon.notified);
    daemon.stop();
    // A fault that may pass is tried again as early as the unit would be started again.
    let settings = format!("{PUPPET}[opsworks]\nstack_id = \"{STACK}\"\n");
    let later = target_node(&settings, &["DescribeStacks=garbage*forever"]);
    let mut daemon = Daemon::start(&later);
    daemon.ready();
    assert!(daemon.says("opsworks-cm: joined"), "{:?}", daemon.notified);
    assert!(daemon.next_try() <= 3, "{:?}", daemon.notified);
    daemon.stop();
    // If it is the only target, the daemon ends with the target's exit code.
    node.settings("[opsworks]\nstack_id = \"00000000-0000-4000-8000-000000000000\"\n");
    let mut daemon = Daemon::start(&node);
    assert_eq!(daemon.ends(), 69, "{}", node.read("log"));
    assert_eq!(daemon.times("READY=1"), 0);
}

#[test]
fn a_second_daemon_is_refused_and_commands_work_beside_it() {
    let node = Node::new();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let second = node.enlist(&["run"]);
    expect(&second, 74, &["another `enlist run` is running", "SIGHUP"]);
    assert_eq!(node.enlist(&["join"]).code, 0);
    assert_eq!(node.enlist(&["leave"]).code, 0);
    daemon.signal("HUP");
    daemon.until("joined again", |daemon| associations(daemon.node) == 1);
    daemon.ready();
    node.settings(&format!("{PUPPET}[run]\ninspect = \"1s\"\n"));
    daemon.signal("HUP");
    daemon.until("it looks", |daemon| daemon.says("joined"));
    assert_eq!(node.enlist(&["leave"]).code, 0);
    daemon.until("it notices", |daemon| daemon.says("has left"));
    daemon.stop();
    assert_eq!(associations(&node), 0);
}

/// What is not in the settings any more is watched by its record, until it is left.
#[test]
fn a_membership_without_settings_is_watched_and_can_be_left() {
    let node = Node::new();
    node.join();
    node.settings("[metrics]\ntextfile = \"/enlist.prom\"\n");
    let mut daemon = Daemon::start(&node);
    daemon.until("it watches", |daemon| daemon.says("opsworks-cm: joined server puppet-test"));
    assert_eq!(node.enlist(&["status"]).code, 0);
    assert_eq!(node.enlist(&["leave"]).code, 0);
    daemon.signal("HUP");
    daemon.until("it is idle", |daemon| daemon.says("idle: no target is configured"));
    daemon.stop();
    assert_eq!(associations(&node), 0);
}

#[test]
fn a_recovery_is_logged_like_a_failure() {
    let node = Node::new();
    node.emulator.inject("DescribeServers=503*2".parse().unwrap());
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.stop();
    let log = node.read("log");
    assert!(log.contains("recovered after 2 failures"), "{log}");
    assert!(!log.contains("message_id"), "{log}");
}

/// `--daemonize`, for hosts without systemd.
#[test]
fn it_goes_to_the_background_by_itself() {
    let node = Node::new();
    let began = run(&mut node.command(&["run", "--daemonize"]));
    assert_eq!(began.code, 0, "{}", began.stderr);
    let started = Instant::now();
    while !node.certificate().exists() {
        assert!(started.elapsed() < TIMEOUT, "{}", node.read("var/log/enlist.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let id = node.read("run/enlist/enlist.pid").trim().to_owned();
    let second = node.enlist(&["run", "--daemonize"]);
    expect(&second, 74, &["another `enlist run` is running"]);
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    while !node.read("var/log/enlist.log").contains("stopped; this node stays a member") {
        assert!(started.elapsed() < TIMEOUT, "{}", node.read("var/log/enlist.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
    // Invalid settings are reported in the foreground.
    node.settings("[opsworks-cm]\nserver = 7\n");
    expect(&node.enlist(&["run", "--daemonize"]), 78, &["opsworks-cm.server"]);
}
