//! Attacks on the daemon, which uses the same paths repeatedly.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::NAME;
use crate::races::{Attacker, races};
use crate::victim::{Victim, directory, ended, give, is_root};

const LIMIT: Duration = Duration::from_mins(1);

struct Daemon<'a> {
    victim: &'a Victim,
    child: Child,
}

impl<'a> Daemon<'a> {
    fn start(victim: &'a Victim) -> Self {
        let log = fs::File::create(victim.path("log")).unwrap();
        let mut command = victim.node.command(&["run"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { victim, child }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits until its log has these words this many times.
    fn says(&mut self, words: &str, times: usize) {
        let began = Instant::now();
        while self.victim.node.read("log").matches(words).count() < times {
            assert!(
                began.elapsed() < LIMIT && self.child.try_wait().unwrap().is_none(),
                "it does not say {words:?}: {}",
                self.victim.node.read("log")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stops(&mut self, after: &str) {
        self.signal("TERM");
        let code = ended(&mut self.child, Duration::from_secs(20));
        assert_eq!(code, Some(0), "after {after}: {}", self.victim.node.read("log"));
    }
}

type Attack<'a> = (&'a str, &'a dyn Fn(&Victim));

#[test]
fn a_repair_is_not_redirected_and_a_stop_works() {
    if !is_root() {
        return;
    }
    let certificate = format!("var/lib/puppet/ssl/certs/{NAME}.pem");
    let attacks: [Attack<'_>; 5] = [
        ("a link in the place of certs", &|victim| {
            let certs = victim.path("var/lib/puppet/ssl/certs");
            fs::rename(&certs, certs.with_file_name("former")).unwrap();
            planted("/srv/roots-own/cron.d", &certs);
        }),
        ("a link in the place of the ssldir", &|victim| {
            let ssl = victim.path("var/lib/puppet/ssl");
            fs::rename(&ssl, ssl.with_file_name("former")).unwrap();
            planted("/srv/roots-own/completion.d", &ssl);
        }),
        ("a link in the place of the certificate", &|victim| {
            fs::remove_file(victim.path(&certificate)).unwrap();
            planted("/srv/roots-own/cron.d/planted", &victim.path(&certificate));
        }),
        ("a pipe in the place of the certificate", &|victim| {
            fs::remove_file(victim.path(&certificate)).unwrap();
            let path = victim.path(&certificate);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        }),
        ("a pipe in the place of the lock", &|victim| {
            fs::remove_file(victim.path(&certificate)).unwrap();
            let path = victim.path("var/lib/puppet/ssl/ssl.lock");
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        }),
    ];
    for repair in [true, false] {
        for (what, set) in &attacks {
            let victim = Victim::with(&format!("[run]\nrepair = {repair}\ninspect = \"1s\"\n"));
            let mut daemon = Daemon::start(&victim);
            daemon.says("joined", 1);
            set(&victim);
            daemon.says("WARN", 1);
            std::thread::sleep(Duration::from_secs(2));
            victim.unharmed(what);
            daemon.stops(what);
            victim.unharmed(what);
        }
    }
}

fn planted(target: &str, at: &Path) {
    symlink(target, at).unwrap();
    give(at);
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_background_process_follows_no_link_and_makes_strict_modes() {
    if !is_root() {
        return;
    }
    for (option, path) in
        [("--pid-file", "/var/lib/puppet/pid"), ("--log-file", "/var/lib/puppet/log")]
    {
        let victim = Victim::new();
        planted("/srv/roots-own/shadow", &victim.path(path));
        let (code, said) = victim.enlist(&["run", "--daemonize", option, path]);
        assert_eq!(code, 78, "{said}");
        victim.unharmed(option);
        fs::remove_file(victim.path(path)).unwrap();
        fs::hard_link(victim.path("srv/roots-own/shadow"), victim.path(path)).unwrap();
        if option == "--log-file" {
            assert_eq!(victim.enlist(&["run", "--daemonize", option, path]).0, 78);
        }
        victim.unharmed(option);
    }
    let victim = Victim::new();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_enlist");
    command.args([
        "-c",
        &format!(
            "umask 0; exec {program} run --daemonize --root {}",
            victim.node.root.path().display()
        ),
    ]);
    command.envs(victim.node.emulator.env());
    assert!(command.status().unwrap().success());
    let pid_file = victim.path("run/enlist/enlist.pid");
    let began = Instant::now();
    while !pid_file.exists() || !victim.node.read("var/log/enlist.log").contains("joined") {
        assert!(began.elapsed() < LIMIT, "{}", victim.node.read("var/log/enlist.log"));
        std::thread::sleep(Duration::from_millis(20));
    }
    for (path, mode) in [
        ("run/enlist", 0o755),
        ("run/enlist/enlist.pid", 0o644),
        ("var/log/enlist.log", 0o600),
        ("var/lib/enlist", 0o700),
        ("var/lib/enlist/opsworks-cm", 0o700),
    ] {
        let found = fs::metadata(victim.path(path)).unwrap().mode() & 0o7777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
    // Only now: it removes its pid file when it stops.
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
}

#[test]
fn the_metrics_socket_replaces_no_other_file() {
    if !is_root() {
        return;
    }
    let settings = "[metrics]\nsocket = \"/var/lib/puppet/metrics/socket\"\ntextfile = \"/var/lib/puppet/metrics/enlist.prom\"\n";
    let victim = Victim::with(settings);
    let place = victim.path("var/lib/puppet/metrics");
    directory(&place);
    let mut daemon = Daemon::start(&victim);
    daemon.says("joined", 1);
    let attacker = Attacker::start(&victim, "socket", &place);
    for round in 1..=races() {
        daemon.signal("HUP");
        daemon.says("have been reloaded", round);
    }
    attacker.stop();
    victim.unharmed("the race for the socket");
    // Without the attacker, it serves metrics, and has its mode from the beginning.
    let _ = fs::remove_dir_all(&place);
    directory(&place);
    daemon.signal("HUP");
    let socket = place.join("socket");
    let began = Instant::now();
    let answer = loop {
        if let Ok(mut stream) = UnixStream::connect(&socket) {
            let mut answer = String::new();
            std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
            stream.read_to_string(&mut answer).unwrap();
            break answer;
        }
        assert!(began.elapsed() < LIMIT, "{}", victim.node.read("log"));
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(answer.contains("enlist_joined"), "{answer}");
    assert_eq!(fs::metadata(&socket).unwrap().permissions(), Permissions::from_mode(0o140_666));
    daemon.stops("the race for the socket");
}
