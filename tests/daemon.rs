//! `enlist run`, as the service manager and the admin see it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{NAME, Node, STACK, expect, list, openssl, run, text};
use enlist_emulator::Options;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const PUPPET: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";

/// The daemon, with this test for a service manager.
struct Daemon<'a> {
    node: &'a Node,
    child: Child,
    socket: UnixDatagram,
    /// What it told the service manager, one line each.
    told: Vec<String>,
}

impl<'a> Daemon<'a> {
    fn start(node: &'a Node) -> Self {
        Self::start_with(node, &[])
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
        Self { node, child, socket, told: Vec::new() }
    }

    /// Waits until it is so, and hears what the service manager is told meanwhile.
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        loop {
            self.hear();
            if is_so(self) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                began.elapsed() < PATIENCE && ended.is_none(),
                "{what}: {ended:?}, told {:#?}, log: {}",
                self.told,
                self.node.read("log")
            );
        }
    }

    fn hear(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.told.extend(message.lines().map(str::to_owned));
        }
    }

    fn times(&self, line: &str) -> usize {
        self.told.iter().filter(|told| *told == line).count()
    }

    fn says(&self, part: &str) -> bool {
        let status = self.told.iter().rev().find(|told| told.starts_with("STATUS="));
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
            self.hear();
            if let Some(status) = self.child.try_wait().unwrap() {
                self.hear();
                return status.code().unwrap_or(-1);
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.node.read("log"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(mut self) -> Vec<String> {
        self.signal("TERM");
        assert_eq!(self.ends(), 0, "{}", self.node.read("log"));
        assert!(self.times("STOPPING=1") == 1, "{:?}", self.told);
        std::mem::take(&mut self.told)
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
fn ready_means_joined_and_stopping_leaves_nothing_half_done() {
    let node =
        Node::with(Options { association_time: Duration::from_secs(2), ..Options::default() });
    let mut daemon = Daemon::start(&node);
    daemon.until("it waits for the association", |daemon| daemon.says("waiting"));
    assert_eq!(daemon.times("READY=1"), 0, "{:?}", daemon.told);
    assert!(daemon.told.iter().any(|told| told.starts_with("EXTEND_TIMEOUT_USEC=")));
    daemon.ready();
    assert!(node.certificate().exists());
    daemon.until("it says so", |daemon| daemon.says("joined server puppet-test"));
    let told = daemon.stop();
    assert_eq!(told.iter().filter(|told| *told == "READY=1").count(), 1);
    assert_eq!(associations(&node), 1, "it is still a member");
    // The next boot: ready without asking anybody.
    let asked = node.emulator.calls().len();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.stop();
    assert_eq!(node.emulator.calls().len(), asked);
}

#[test]
fn stopped_or_killed_in_the_middle_it_goes_on_where_it_was() {
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
fn without_settings_it_is_idle_until_there_are_some() {
    let node = Node::new();
    fs::remove_file(node.path("etc/enlist/enlist.toml")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    assert!(daemon.says("no target is configured"), "{:?}", daemon.told);
    node.settings(PUPPET);
    daemon.signal("HUP");
    daemon.until("it joins", |daemon| daemon.says("joined server puppet-test"));
    assert_eq!(daemon.times("RELOADING=1"), 1);
    assert!(daemon.told.iter().any(|told| told.starts_with("MONOTONIC_USEC=")));
    // What can't be used changes nothing.
    node.settings("[opsworks-cm]\nserver = 7\n");
    daemon.signal("HUP");
    daemon.until("it is back", |daemon| daemon.times("READY=1") == 3);
    assert!(node.read("log").contains("the former ones stay"), "{}", node.read("log"));
    daemon.until("as before", |daemon| daemon.says("joined server puppet-test"));
    // A target that is taken away is not left.
    node.settings(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"));
    daemon.signal("HUP");
    daemon.until("another one", |daemon| daemon.says("opsworks: joined"));
    assert!(node.read("log").contains("enlist leave --target opsworks-cm"), "{}", node.read("log"));
    daemon.stop();
    assert_eq!(associations(&node), 1);
}

#[test]
fn a_certificate_is_renewed_in_time_with_the_former_one_in_place() {
    let node =
        Node::with(Options { certificate_lifetime: Duration::from_secs(12), ..Options::default() });
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let (first, key) = (serial(&node), fs::read(node.key()).unwrap());
    daemon.until("renewed", |daemon| serial(daemon.node) != first);
    daemon.until("it says so", |daemon| {
        daemon.node.read("log").contains("renewed at server puppet-test")
    });
    daemon.stop();
    assert_eq!(associations(&node), 1);
    assert_eq!(fs::read(node.key()).unwrap(), key);
    assert!(
        node.files()
            .iter()
            .any(|file| file.contains("backup") && file.ends_with(&format!("certs-{NAME}.pem")))
    );
    assert!(!node.files().iter().any(|file| file.ends_with("agent_disabled.lock")));
    assert_eq!(node.record()["phase"], "joined");
    assert!(node.record()["former"].is_null());
}

#[test]
fn a_renewal_that_fails_leaves_the_former_certificate_and_says_so() {
    let node =
        Node::with(Options { certificate_lifetime: Duration::from_secs(30), ..Options::default() });
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let first = serial(&node);
    node.emulator.inject("AssociateNode=cert:other-ca".parse().unwrap());
    daemon.until("it tried", |daemon| daemon.node.read("log").contains("no new certificate"));
    assert_eq!(serial(&node), first);
    assert_eq!(daemon.times("READY=1"), 1);
    daemon.stop();
    assert_eq!(node.record()["phase"], "joined");
    assert_eq!(node.record()["fault"]["kind"], "data");
    let status = node.enlist(&["status", "--json"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    assert!(status.stdout.contains("\"joined\": true"), "{}", status.stdout);
}

#[test]
fn what_is_damaged_is_noticed_and_put_back_only_if_told_to() {
    let node = Node::new();
    let settings = format!(
        "{PUPPET}[run]\ninspect = \"1s\"\n[metrics]\ntextfile = \"/metrics/enlist.prom\"\n"
    );
    node.settings(&settings);
    fs::create_dir(node.path("metrics")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let before = fs::read(node.certificate()).unwrap();
    fs::write(node.certificate(), "-----BEGIN CERTIFICATE-----\nnone\n").unwrap();
    daemon.until("it is noticed", |daemon| daemon.says("the certificate can't be used"));
    let metrics = node.read("metrics/enlist.prom");
    assert!(metrics.contains("enlist_findings{target=\"opsworks-cm\"} 1\n"), "{metrics}");
    assert!(metrics.contains("enlist_joined{target=\"opsworks-cm\"} 1\n"), "{metrics}");
    let status = node.enlist(&["status"]);
    assert!(status.stdout.contains("the certificate can't be used"), "{}", status.stdout);
    assert_ne!(fs::read(node.certificate()).unwrap(), before, "not told to");
    node.settings(&settings.replace("[run]\n", "[run]\nrepair = true\n"));
    daemon.signal("HUP");
    daemon.until("it is put back", |daemon| fs::read(daemon.node.certificate()).unwrap() == before);
    daemon.until("and said", |daemon| {
        daemon.says("joined server puppet-test") && !daemon.says("but")
    });
    assert!(
        node.read("metrics/enlist.prom").contains("enlist_findings{target=\"opsworks-cm\"} 0\n")
    );
    daemon.stop();
    assert_eq!(node.asked("AssociateNode"), 1);
}

#[test]
fn a_lost_key_is_replaced_by_leaving_and_joining_anew_if_told_to() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[run]\ninspect = \"1s\"\nrepair = true\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let before = fs::read(node.key()).unwrap();
    fs::remove_file(node.key()).unwrap();
    daemon.until("joined anew", |daemon| {
        daemon.node.asked("AssociateNode") == 2 && daemon.says("joined server puppet-test")
    });
    daemon.stop();
    assert_ne!(fs::read(node.key()).unwrap(), before);
    assert_eq!(node.asked("DisassociateNode"), 1);
    assert_eq!(associations(&node), 1);
    assert_eq!(node.enlist(&["status"]).code, 0);
}

#[test]
fn an_announced_end_is_a_reason_to_leave_where_the_settings_say_so() {
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
    // Until it comes, the service manager hears that we are alive, and does not start us anew.
    let alive = daemon.times("WATCHDOG=1");
    daemon.until("it lives on", |daemon| daemon.times("WATCHDOG=1") > alive + 1);
    daemon.stop();
}

#[test]
fn an_end_that_comes_with_the_stop_is_one_too() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[run]\nleave_on = \"shutdown\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    // A stop alone is none.
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
fn one_target_that_gives_up_does_not_hold_the_others_back() {
    let node = Node::new();
    node.settings(&format!(
        "{PUPPET}[opsworks]\nstack_id = \"00000000-0000-4000-8000-000000000000\"\n"
    ));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    assert!(daemon.says("opsworks-cm: joined"), "{:?}", daemon.told);
    assert!(daemon.says("opsworks: gave up"), "{:?}", daemon.told);
    daemon.stop();
    // Alone, it is the daemon's end, with its own exit code for the service manager.
    node.settings("[opsworks]\nstack_id = \"00000000-0000-4000-8000-000000000000\"\n");
    let mut daemon = Daemon::start(&node);
    assert_eq!(daemon.ends(), 69, "{}", node.read("log"));
    assert_eq!(daemon.times("READY=1"), 0);
}

#[test]
fn there_is_one_daemon_and_commands_work_beside_it() {
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

#[test]
fn metrics_can_be_asked_for_on_a_socket() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[metrics]\nsocket = \"/run/enlist/metrics.sock\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let mut stream = UnixStream::connect(node.path("run/enlist/metrics.sock")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("enlist_joined{target=\"opsworks-cm\"} 1\n"), "{answer}");
    assert!(answer.contains("enlist_certificate_not_after_seconds{target=\"opsworks-cm\"} "));
    daemon.stop();
}

#[test]
fn clients_of_the_socket_that_never_read_hold_up_none_and_no_stop() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[metrics]\nsocket = \"/run/enlist/metrics.sock\"\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let path = node.path("run/enlist/metrics.sock");
    let connect = |asks: bool| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if asks {
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        }
        stream
    };
    let began = Instant::now();
    let (mut stuck, mut readers) = (Vec::new(), Vec::new());
    for number in 0..50 {
        // Half of them ask and don't read, half of them don't even ask.
        stuck.push(connect(number % 2 == 0));
        readers.push(connect(true));
    }
    for mut reader in readers {
        let mut answer = String::new();
        reader.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("enlist_joined{target=\"opsworks-cm\"} 1\n"), "{answer}");
    }
    // One after the other, those that don't ask would have had two seconds each.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // More than are answered at a time, and they never say anything.
    stuck.extend((0..300).map(|_| connect(false)));
    let began = Instant::now();
    daemon.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(stuck);
}

#[test]
fn recovery_is_said_like_failure() {
    let node = Node::new();
    node.emulator.inject("DescribeServers=503*2".parse().unwrap());
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.stop();
    let log = node.read("log");
    assert!(log.contains("it goes on again, after 2 failures"), "{log}");
    assert!(!log.contains("message_id"), "{log}");
}

/// For hosts without systemd.
#[test]
fn it_goes_to_the_background_by_itself() {
    let node = Node::new();
    let began = run(&mut node.command(&["run", "--daemonize"]));
    assert_eq!(began.code, 0, "{}", began.stderr);
    let started = Instant::now();
    while !node.certificate().exists() {
        assert!(started.elapsed() < PATIENCE, "{}", node.read("var/log/enlist.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let id = node.read("run/enlist/enlist.pid").trim().to_owned();
    let second = node.enlist(&["run", "--daemonize"]);
    expect(&second, 74, &["another `enlist run` is running"]);
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    while !node.read("var/log/enlist.log").contains("stopped; this node stays a member") {
        assert!(started.elapsed() < PATIENCE, "{}", node.read("var/log/enlist.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
    // Bad settings are said where they are seen.
    node.settings("[opsworks-cm]\nserver = 7\n");
    expect(&node.enlist(&["run", "--daemonize"]), 78, &["opsworks-cm.server"]);
}

const MACHINE: [(&str, &str); 1] = [("AWS_EC2_METADATA_DISABLED", "true")];
const BOARD: &str = "sys/class/dmi/id/product_uuid";

fn on_premises() -> Node {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[run]\ninspect = \"1s\"\n"));
    node.write("etc/hostname", "web1.example.org\n");
    node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d3132\n");
    let mut daemon = Daemon::start_with(&node, &MACHINE);
    daemon.ready();
    daemon.stop();
    node
}

fn names(node: &Node) -> Vec<String> {
    let state = node.emulator.state();
    let names = list(&state, "associations").iter();
    names.map(|one| one["node"].as_str().unwrap().to_owned()).collect()
}

/// A copied disk, with its machine-id and the service enabled.
#[test]
fn a_copied_disk_is_no_member_and_joins_anew() {
    let node = on_premises();
    node.write("etc/hostname", "web2.example.org\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d9999\n");
    node.emulator.inject("AssociateNode=503*forever".parse().unwrap());
    let mut daemon = Daemon::start_with(&node, &MACHINE);
    daemon.until("it asks", |daemon| daemon.node.asked("AssociateNode") > 1);
    assert_eq!(daemon.times("READY=1"), 0, "{:?}", daemon.told);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    daemon.ready();
    daemon.stop();
    assert!(node.read("log").contains("another machine's"), "{}", node.read("log"));
    assert_eq!(names(&node), ["web1.example.org", "web2.example.org"]);
}

/// A virtual machine that is copied while it runs wakes up as another one.
#[test]
fn a_machine_that_becomes_another_one_while_it_runs_joins_anew() {
    let node = on_premises();
    let mut daemon = Daemon::start_with(&node, &MACHINE);
    daemon.ready();
    node.write("etc/hostname", "web2.example.org\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d9999\n");
    daemon.until("the copy joins", |daemon| names(daemon.node).len() == 2);
    daemon.until("it is a member", |daemon| daemon.says("joined"));
    daemon.stop();
    assert_eq!(names(&node), ["web1.example.org", "web2.example.org"]);
}
