//! `--state` and kill -9, at many moments: what was answered is there, and all of it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::client::Reply;
use super::openssl::{self, Scratch};
use super::serving::Serving;
use super::{Outcome, shared_ca};

const ROUNDS: u64 = 24;

/// What a client knows of a node: it was associated, or it left, or nobody can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    There,
    Gone,
    InDoubt,
}

/// Associates and disassociates nodes until the emulator is gone.
fn work(serving: &Serving, names: &AtomicU32, known: &Mutex<BTreeMap<String, Known>>, key: &str) {
    let signing = serving.signing();
    let note = |name: &str, what: Known| {
        if let Ok(mut known) = known.lock() {
            known.insert(name.to_owned(), what);
        }
    };
    let ask = |action: &str, body: &Value| -> Option<Reply> {
        let target = format!("OpsWorksCM_V2016_11_01.{action}");
        serving.call(&signing, "opsworks-cm", &target, &body.to_string()).ok()
    };
    loop {
        let number = names.fetch_add(1, Ordering::Relaxed);
        let name = format!("node-{number}");
        let organization = json!({ "Name": "CHEF_ORGANIZATION", "Value": "default" });
        let key = json!({ "Name": "CHEF_NODE_PUBLIC_KEY", "Value": key });
        let mut body = json!({
            "ServerName": "chef", "NodeName": name, "EngineAttributes": [organization, key],
        });
        note(&name, Known::InDoubt);
        match ask("AssociateNode", &body) {
            Some(reply) => assert_eq!(reply.status, 200, "{}", reply.body),
            None => return,
        }
        note(&name, Known::There);
        if number.is_multiple_of(3) {
            body["EngineAttributes"] = json!([organization]);
            note(&name, Known::InDoubt);
            match ask("DisassociateNode", &body) {
                Some(reply) => assert_eq!(reply.status, 200, "{}", reply.body),
                None => return,
            }
            note(&name, Known::Gone);
        }
    }
}

#[test]
fn what_was_answered_is_there_after_kill_9() -> Outcome {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("state");
    let state = path.display().to_string();
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let (names, known) = (AtomicU32::new(0), Mutex::new(BTreeMap::new()));
    let mut bundles = Vec::new();
    for round in 0..ROUNDS {
        let options = ["--quiet", "--state", &state, "--throttle", "off", "--no-imds"];
        let server = ["--server", "name=chef,engine=Chef"];
        let mut serving = Serving::start(&[&options[..], &server].concat(), Stdio::null())?;
        std::thread::scope(|scope| {
            let serving = &serving;
            for _ in 0..3 {
                scope.spawn(|| work(serving, &names, &known, &key));
            }
            // From a start that has just listened to one that has written for a while.
            std::thread::sleep(Duration::from_millis(round * round / 2));
            serving.kill_9();
        });
        serving.child.wait()?;
        let emulator = Emulator::start(Options { state: Some(path.clone()), ..shared_ca() })?;
        bundles.push(emulator.ca_bundle());
        let known = known.lock().map_err(|_| "a client failed")?;
        check(&emulator, &known);
    }
    bundles.dedup();
    assert_eq!(bundles.len(), 1, "the CA is the same after each");
    let known = known.into_inner()?;
    let count = |what: Known| known.values().filter(|it| **it == what).count();
    assert!(count(Known::There) > 50 && count(Known::Gone) > 10, "{}", known.len());
    Ok(())
}

fn check(emulator: &Emulator, known: &BTreeMap<String, Known>) {
    let state = emulator.state();
    let rows = state["associations"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> = rows.iter().filter_map(|row| row["node"].as_str()).collect();
    for (name, what) in known {
        let there = found.contains(&name.as_str());
        match what {
            Known::There => assert!(there, "{name} was associated, and is not there"),
            Known::Gone => assert!(!there, "{name} has left, and is there"),
            Known::InDoubt => {}
        }
    }
    for row in rows {
        assert_eq!(row["status"], "SUCCESS", "{row}");
        assert_eq!(row["organization"], "default", "{row}");
    }
}

/// Killed while it starts: the first writing of the file is whole or not there.
#[test]
fn a_start_that_is_killed_leaves_a_file_that_can_be_used() -> Outcome {
    let scratch = Scratch::new()?;
    for milliseconds in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256] {
        let path = scratch.path().join(format!("state-{milliseconds}"));
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_enlist-emulator"))
            .args(["serve", "--quiet", "--state", &path.display().to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill()?;
        child.wait()?;
        let emulator = Emulator::start(Options { state: Some(path), ..shared_ca() })?;
        assert_eq!(emulator.state()["servers"][0]["name"], "puppet-test", "{milliseconds} ms");
    }
    Ok(())
}
