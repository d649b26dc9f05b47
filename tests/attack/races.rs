//! Races: a process of the other account exchanges the files that root is about to use, as fast as
//! possible, while the program joins, edits, listens and leaves.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::victim::{ACCOUNT, Victim, directory, give, is_all, is_root};

/// The process of the other account.
pub struct Attacker {
    child: Child,
    stop: PathBuf,
}

impl Attacker {
    /// Starts this test program again, as the other account.
    pub fn start(victim: &Victim, what: &str, directory: &Path) -> Self {
        // Copy it to where the account can start it.
        let program = victim.path("attacker");
        if !program.exists() {
            // Another process copies it: a child of another test would hold a descriptor of this
            // process open, and the copy would be busy (ETXTBSY).
            let mut cp = Command::new("cp");
            assert!(
                cp.arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success()
            );
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        }
        let stop = victim.path("stop");
        let child = Command::new(&program)
            .args(["--exact", "the_other_account", "--nocapture"])
            .env("ATTACKER", what)
            .env("DIRECTORY", directory)
            .env("STOP", &stop)
            .uid(ACCOUNT)
            .gid(ACCOUNT)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, stop }
    }

    pub fn stop(mut self) {
        fs::write(&self.stop, "").unwrap();
        assert!(self.child.wait().unwrap().success(), "the attacker failed");
        fs::remove_file(&self.stop).unwrap();
    }
}

/// A test that fails must not leave the process behind.
impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Repeats an attack until the test ends it.
pub fn attack(what: &str, directory: &Path) {
    assert_eq!(rustix::process::geteuid().as_raw(), ACCOUNT);
    let stop = PathBuf::from(std::env::var_os("STOP").unwrap());
    let mut round = 0_usize;
    while !stop.exists() {
        for _ in 0..100 {
            round += 1;
            match what {
                "exchange" => exchange(directory, round),
                "temporary" => temporary(directory, round),
                "settings" => settings(directory),
                "socket" => socket(directory),
                "lock" => stale_lock(directory),
                "vanish" => vanish(directory),
                other => panic!("{other}"),
            }
        }
    }
}

/// Exchanges each directory of the ssldir with a link to a directory of root's, and back.
fn exchange(ssl: &Path, round: usize) {
    let names = ["certs", "private_keys", "certificate_requests", "public_keys"];
    let target = if round.is_multiple_of(2) {
        "/srv/roots-own/cron.d"
    } else {
        "../../../../srv/roots-own/completion.d"
    };
    let path = ssl.join(names[round % names.len()]);
    let trap = ssl.join(".trap");
    let _ = fs::remove_file(&trap);
    let _ = symlink(target, &trap);
    let _ = renameat_with(CWD, &path, CWD, &trap, RenameFlags::EXCHANGE);
    let _ = renameat_with(CWD, &path, CWD, &trap, RenameFlags::EXCHANGE);
}

/// Exchanges a file or directory that is being made, under its temporary name.
fn temporary(ssl: &Path, round: usize) {
    let places = ["", "certs", "", "private_keys", "", "certificate_requests"];
    let place = match places[round % places.len()] {
        "" => ssl.to_owned(),
        below => ssl.join(below),
    };
    let up = if place == ssl { "../../../.." } else { "../../../../.." };
    let (made, trap) = (place.join(".enlist-new"), place.join(".trap"));
    let _ = fs::remove_file(&trap);
    let _ = match round / places.len() % 3 {
        0 | 1 => symlink(format!("{up}/srv/roots-own/shadow"), &trap),
        _ => fs::write(&trap, "planted"),
    };
    // A directory can't be replaced by a link, but it can be exchanged with one.
    for _ in 0..200 {
        if renameat_with(CWD, &trap, CWD, &made, RenameFlags::EXCHANGE).is_ok() {
            break;
        }
    }
}

/// Exchanges a file that only root can read with one that everybody can write.
fn settings(confdir: &Path) {
    let (conf, other) = (confdir.join("puppet.conf"), confdir.join("loose"));
    let _ = renameat_with(CWD, &conf, CWD, &other, RenameFlags::EXCHANGE);
}

/// Exchanges the new socket with a link to a file of root's.
fn socket(place: &Path) {
    let (socket, trap) = (place.join("socket"), place.join(".trap"));
    let _ = fs::remove_file(&trap);
    let _ = symlink("../../../../srv/roots-own/shadow", &trap);
    for _ in 0..2000 {
        if renameat_with(CWD, &trap, CWD, &socket, RenameFlags::EXCHANGE).is_ok() {
            break;
        }
    }
}

/// Makes a lock without a holder, again and again.
fn stale_lock(ssl: &Path) {
    let made = fs::File::create_new(ssl.join("ssl.lock"));
    let _ = made.and_then(|mut lock| std::io::Write::write_all(&mut lock, b"none"));
}

/// Moves away the directories that root has just made.
fn vanish(ssl: &Path) {
    for name in ["certs", "private_keys", "certificate_requests", "public_keys"] {
        let path = ssl.join(name);
        if fs::remove_dir(&path).is_err() && path.is_dir() {
            let _ = fs::rename(&path, ssl.join(".away"));
            let _ = fs::remove_dir_all(ssl.join(".away"));
        }
    }
}

/// How often each race is run.
pub fn races() -> usize {
    match std::env::var("RACES") {
        Ok(wanted) => wanted.parse().unwrap(),
        Err(_) if is_all() => 60,
        Err(_) => 10,
    }
}

/// Joins and leaves while the account attacks the ssldir.
fn raced(what: &str) {
    if !is_root() {
        return;
    }
    let victim = Victim::new();
    let ssl = victim.path("var/lib/puppet/ssl");
    let attacker = Attacker::start(&victim, what, &ssl);
    let (mut joined, mut refused) = (0, 0);
    for round in 0..races() {
        let (code, said) = victim.enlist(&["join"]);
        match code {
            0 => joined += 1,
            74 | 78 => refused += 1,
            65 | 70 => {}
            code => panic!("{code}: {said}"),
        }
        victim.unharmed(&format!("join {round} in a race ({what})"));
        let (_, said) = victim.enlist(&["leave"]);
        victim.unharmed(&format!("leave {round} in a race ({what}): {said}"));
        // Start again without directories, so that they are made.
        if round % 3 == 0 {
            let _ = fs::rename(&ssl, ssl.with_file_name(format!("former-{round}")));
            directory(&ssl);
            let _ = fs::remove_dir_all(victim.path("var/lib/enlist"));
        }
    }
    attacker.stop();
    println!("{what}: {joined} joined, {refused} refused of {}", races());
}

#[test]
fn exchanged_directories_do_not_redirect_root() {
    raced("exchange");
}

#[test]
fn exchanged_temporary_files_do_not_redirect_root() {
    raced("temporary");
}

#[test]
fn a_settings_file_keeps_the_mode_that_goes_with_its_content() {
    if !is_root() {
        return;
    }
    let (mut kept, mut loose) = (0, 0);
    for _ in 0..races() {
        let victim = Victim::new();
        let confdir = victim.path("etc/puppet");
        give(&confdir);
        let secret = "[main]\n# only root reads this\n";
        victim.node.write("etc/puppet/puppet.conf", secret);
        fs::set_permissions(confdir.join("puppet.conf"), Permissions::from_mode(0o600)).unwrap();
        victim.node.write("etc/puppet/loose", "[main]\n# everybody's\n");
        give(&confdir.join("loose"));
        fs::set_permissions(confdir.join("loose"), Permissions::from_mode(0o666)).unwrap();
        let attacker = Attacker::start(&victim, "settings", &confdir);
        let (code, said) = victim.enlist(&["join"]);
        attacker.stop();
        assert!([0, 74, 78].contains(&code), "{code}: {said}");
        for name in ["puppet.conf", "loose"] {
            let path = confdir.join(name);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let meta = fs::metadata(&path).unwrap();
            if text.contains("only root reads this") {
                kept += 1;
                assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o600), "{text}");
            } else {
                loose += 1;
            }
        }
        victim.unharmed("a race for puppet.conf");
    }
    println!("{kept} files of root's as they were, {loose} of the account's");
    assert!(kept > 0, "the race had no effect");
}

#[test]
fn a_step_that_is_always_undone_is_given_up() {
    if !is_root() {
        return;
    }
    for what in ["lock", "vanish"] {
        let victim = Victim::with("");
        let attacker = Attacker::start(&victim, what, &victim.path("var/lib/puppet/ssl"));
        for round in 0..5 {
            let (code, said) = victim.enlist(&["join"]);
            assert!([0, 65, 70, 74, 75, 78].contains(&code), "{what}: {code}: {said}");
            println!(
                "{what} {round}: {code} {}",
                said.lines().rev().take(4).collect::<Vec<_>>().join(" | ")
            );
            let _ = victim.enlist(&["leave"]);
        }
        attacker.stop();
        victim.unharmed(what);
    }
}
