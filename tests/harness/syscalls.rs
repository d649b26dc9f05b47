//! Checks with strace what the crash model assumes: every file is written under a temporary name,
//! fsynced and renamed, and its directory is fsynced before the next change. Every removal is followed
//! by an fsync of the directory.

use std::path::Path;
use std::process::Command;

use super::cases::PUPPET;
use super::explore::{finish_join, finish_leave};
use super::node::Node;
use super::tree::TEMPORARY;

/// The process that strace traces: a join and a leave.
#[test]
fn a_join_and_a_leave_to_trace() {
    let mut node = Node::new(&PUPPET);
    println!("ROOT={}", node.directory.path().display());
    finish_join(&mut node, &PUPPET);
    finish_leave(&mut node, &PUPPET);
}

#[test]
fn every_file_is_synced_before_and_after_its_rename() {
    let Some(trace) = trace() else { return };
    let mut last: Vec<(&str, String)> = Vec::new();
    let (mut renamed, mut removed) = (0, 0);
    for (call, path) in trace.lines().filter_map(event) {
        match call {
            "write" => assert!(
                path.ends_with(TEMPORARY) || path.contains("ssl.lock"),
                "{path} is written in place"
            ),
            "rename" => {
                let expected = ("fsync", path.clone());
                let before = last.iter().rfind(|(_, known)| *known == path);
                assert_eq!(before, Some(&expected), "{path} is renamed, and was not synced");
                renamed += 1;
            }
            "unlink" if !path.ends_with(TEMPORARY) && !path.contains("ssl.lock") => removed += 1,
            _ => {}
        }
        let changed = last.iter().rfind(|(call, _)| matches!(*call, "rename" | "removed"));
        if let (Some((_, path)), "rename" | "unlink") = (changed, call) {
            let parent = Path::new(path).parent().unwrap().display().to_string();
            let synced = last.iter().rev().take_while(|entry| *entry != changed.unwrap());
            let mut synced = synced.filter(|(call, _)| *call == "fsync");
            assert!(
                synced.any(|(_, directory)| *directory == parent),
                "{parent} is not synced after {path} changed in it"
            );
        }
        let is_removal = call == "unlink" && !path.ends_with(TEMPORARY);
        let is_removal = is_removal && !path.contains("ssl.lock");
        last.push((if is_removal { "removed" } else { call }, path));
    }
    assert!(renamed > 15 && removed > 3, "{renamed} renames, {removed} removals");
}

/// The system calls on the node's files. None where strace can't be used.
fn trace() -> Option<String> {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("harness-{}.strace", std::process::id()));
    let test = "syscalls::a_join_and_a_leave_to_trace";
    let ran = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-s",
            "0",
            "-e",
            "trace=write,fsync,rename,renameat,renameat2,unlink,unlinkat,rmdir",
        ])
        .arg("-o")
        .arg(&output)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .output();
    let root = ran.ok().filter(|ran| ran.status.success()).and_then(|ran| {
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        said.lines().find_map(|line| Some(line.split_once("ROOT=")?.1.to_owned()))
    });
    let Some(root) = root else {
        println!("SKIPPED: strace is not installed or may not trace processes here");
        return None;
    };
    let calls = std::fs::read_to_string(&output).unwrap();
    std::fs::remove_file(&output).unwrap();
    let ours = calls.lines().filter(|line| line.contains(&root));
    // The harness's own preparations come before the first temporary file.
    let mut ours: Vec<&str> = ours.skip_while(|line| !line.contains(TEMPORARY)).collect();
    // The harness's clean-up comes after the last fsync.
    let last = ours.iter().rposition(|line| line.contains("fsync(")).unwrap();
    ours.truncate(last + 1);
    Some(ours.join("\n"))
}

/// The call and its file; of a rename, the former name. Calls on names have a directory's descriptor,
/// which strace shows with its path.
fn event(line: &str) -> Option<(&'static str, String)> {
    let calls =
        [("write(", "write"), ("fsync(", "fsync"), ("renameat", "rename"), ("unlinkat(", "unlink")];
    let (_, call) = calls.into_iter().find(|(name, _)| line.contains(name))?;
    if line.contains(" = -1 ") {
        return None;
    }
    let descriptor = line.split_once('<')?.1.split_once('>')?.0;
    let path = match call {
        "write" | "fsync" => descriptor.to_owned(),
        _ => format!("{descriptor}/{}", line.split_once('"')?.1.split_once('"')?.0),
    };
    Some((call, path))
}
