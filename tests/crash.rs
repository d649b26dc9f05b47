//! SIGKILL at each write of the record: the next start finishes, with one association and one key.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::disallowed_types)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::{NAME, Node};
use enlist_emulator::Options;

/// The records of a join without faults: creating, watching, installing, joined.
const WRITES: usize = 4;

#[test]
fn after_a_kill_at_any_record_the_next_start_finishes() {
    let mut killed = 0;
    for write in 1..=WRITES {
        let node = Node::with(Options {
            association_time: Duration::from_millis(100),
            ..Options::default()
        });
        killed += usize::from(kill_at(&node, write));
        node.join();
        let state = node.emulator.state();
        let associations = state["associations"].as_array().unwrap();
        assert_eq!(associations.len(), 1, "killed at write {write}: {state}");
        // Every request had the key that is installed now.
        let requests: BTreeSet<String> = node
            .emulator
            .calls()
            .iter()
            .filter(|call| call.action == "AssociateNode")
            .map(|call| call.request["EngineAttributes"].to_string())
            .collect();
        assert_eq!(requests.len(), 1, "killed at write {write}: two different requests");
        assert!(node.asked("AssociateNode") <= 2);
        let record = node.record();
        assert_eq!(record["phase"], "joined");
        let public = common::openssl(&["pkey", "-in", common::text(&node.key()), "-pubout"]);
        let certified = common::openssl(&[
            "x509",
            "-in",
            common::text(&node.certificate()),
            "-noout",
            "-pubkey",
        ]);
        assert_eq!(public, certified);
        let left: Vec<String> = node
            .files()
            .into_iter()
            .filter(|file| {
                file.contains("enlist-new")
                    || file.ends_with("opsworks-cm/key.pem")
                    || file.ends_with("ssl.lock")
            })
            .collect();
        assert!(left.is_empty(), "killed at write {write}: {left:?}");
    }
    assert!(killed >= WRITES - 1, "only {killed} of {WRITES} starts were killed before their end");
}

/// Starts a join, and kills it after this many writes of the record. Returns whether it was still
/// running.
fn kill_at(node: &Node, writes: usize) -> bool {
    let record = node.path("var/lib/enlist/opsworks-cm/record.json");
    let mut child =
        node.command(&["join"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut seen = 0;
    let mut last = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let now = fs::read(&record).unwrap_or_default();
        if !now.is_empty() && now != last {
            last = now;
            seen += 1;
            if seen == writes {
                child.kill().unwrap();
                break;
            }
        }
    }
    let status = child.wait().unwrap();
    assert!(status.code().is_none() || status.success(), "{NAME}: the join failed");
    status.code().is_none()
}
