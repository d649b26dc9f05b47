//! What is sent to the journal: `--log-format journal` speaks its native protocol.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::common::server::{Server, whole};
use crate::common::{Run, run};
use crate::{NASTY, clean, node};

/// A shell line that puts the directory `$JOURNAL` in the place of the journal's, in a mount
/// namespace of its own, and then runs its arguments.
const WITH_JOURNAL: &str = "mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/journal; mount --bind \"$JOURNAL\" /run/systemd/journal; exec \"$@\"";

fn may_mount(directory: &Path) -> bool {
    let tried = in_namespace(directory, &Command::new("true")).status();
    let may = tried.is_ok_and(|status| status.success());
    assert!(may || std::env::var("CI").as_deref() != Ok("true"), "CI needs unshare -m");
    if !may {
        println!("SKIPPED: this test can't make a mount namespace here");
    }
    may
}

fn in_namespace(directory: &Path, plain: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", WITH_JOURNAL, "sh"]);
    command.arg(plain.get_program()).args(plain.get_args()).env("JOURNAL", directory);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs the command, and returns the entries that it sent to the journal.
fn logged(directory: &Path, command: &Command) -> (Run, Vec<Vec<(String, String)>>) {
    let path = directory.join("socket");
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut entries, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
            loop {
                match socket.recv(&mut buffer) {
                    Ok(length) => entries.push(fields(&buffer[..length])),
                    Err(_) if is_over.load(Ordering::SeqCst) => return entries,
                    Err(_) => {}
                }
            }
        });
        let run = run(&mut in_namespace(directory, command));
        is_over.store(true, Ordering::SeqCst);
        (run, reader.join().unwrap())
    })
}

/// Parses an entry: lines of `NAME=value`, or `NAME`, a length of 8 bytes, and the value
/// (systemd's "Native Journal Protocol").
fn fields(mut entry: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value, rest) = if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            (&line[..at], &line[at + 1..], rest)
        } else {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let end = 8 + usize::try_from(length).unwrap();
            assert_eq!(rest[end], b'\n', "the value has another length");
            (line, &rest[8..end], &rest[end + 1..])
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        found.push((text(name), text(value)));
        entry = rest;
    }
    assert!(entry.is_empty(), "the entry ends in the middle");
    found
}

#[test]
fn the_journal_gets_clean_text_and_no_forged_field() {
    let directory = tempfile::tempdir().unwrap();
    if !may_mount(directory.path()) {
        return;
    }
    let error = |code: &str| json!({ "__type": code, "message": NASTY }).to_string();
    let waiting = json!({ "Servers": [{ "ServerName": "puppet-test", "Status": NASTY }] });
    for (what, status, body, code) in [
        ("refused", "400 Bad Request", error("ValidationException"), 69),
        ("denied", "403 Forbidden", error("AccessDeniedException"), 77),
        ("throttled", "400 Bad Request", error("ThrottlingException"), 75),
        ("a status", "200 OK", waiting.to_string(), 75),
    ] {
        let (node, server) = (node(), Server::saying(whole(status, &body)));
        let mut command = node.command(&["join", "-vv", "--log-format", "journal"]);
        command.env("AWS_ENDPOINT_URL", server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
        let (run, entries) = logged(directory.path(), &command);
        assert_eq!(run.code, code, "{what}: {}", run.stderr);
        let values = || entries.iter().flatten();
        assert!(values().any(|(name, _)| name == "MESSAGE"), "{what}: nothing was logged");
        for (name, value) in values() {
            clean(&format!("{what}: {name}"), value);
            let is_ours =
                name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit());
            assert!(is_ours && name != "FORGED", "{what}: a field {name:?}");
        }
        // Where the text is logged at all, it is one value.
        let is_logged =
            values().any(|(_, value)| value.contains("begin") && value.contains(" end"));
        assert!(is_logged || code == 69 || code == 77, "{what}: {entries:?}");
    }
}
