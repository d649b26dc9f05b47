//! Several targets at once, and the IAM policy for them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{STACK, expect, list, target_node};
use serde_json::Value;

#[test]
fn several_targets_join_in_parallel_and_a_failure_delays_no_other() {
    let settings = format!(
        "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[opsworks]\nstack_id = \"{STACK}\"\n"
    );
    let node = target_node(&settings, &["RegisterInstance=denied*forever"]);
    let run = node.enlist(&["join"]);
    expect(&run, 77, &["RegisterInstance was denied"]);
    assert!(run.stdout.contains("joined: server puppet-test"), "{}", run.stdout);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    let run = node.join();
    assert!(
        run.stdout.contains("already joined: server")
            && run.stdout.contains(&format!("joined: stack {STACK}")),
        "{}",
        run.stdout
    );
    assert_eq!(node.asked("AssociateNode"), 1);
    let left = node.enlist(&["leave", "--target", "opsworks"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1, "the other target stays");
    assert_eq!(node.enlist(&["status"]).code, 75);
}

#[test]
fn each_line_of_the_log_names_its_target() {
    let settings = format!(
        "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[opsworks]\nstack_id = \"{STACK}\"\n"
    );
    for format in ["text", "json"] {
        let node = target_node(&settings, &[]);
        let run = node.enlist(&["join", "--log-format", format]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        for (id, authority) in [("opsworks-cm", "server puppet-test"), ("opsworks", "stack")] {
            let joined = format!("joined {authority}");
            let line = run.stderr.lines().find(|line| line.contains(&joined)).unwrap();
            if format == "text" {
                assert!(line.contains(&format!(" INFO {id}: {joined}")), "{line}");
                assert!(!line.contains('='), "a value is said twice: {line}");
            } else {
                let event: Value = serde_json::from_str(line).unwrap();
                assert_eq!(event["span"]["enlist_target"], id, "{line}");
                assert!(event["fields"]["name"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn the_policy_has_exactly_the_actions_that_are_called() {
    let settings = format!(
        "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[opsworks]\nstack_id = \"{STACK}\"\n"
    );
    let node = target_node(&settings, &["RegisterInstance=lost-reply"]);
    let run = node.enlist(&["policy"]);
    let policy: Value = serde_json::from_str(&run.stdout).unwrap();
    let actions: Vec<&str> = list(&policy, "Statement")
        .iter()
        .flat_map(|statement| list(statement, "Action"))
        .map(|action| action.as_str().unwrap().split(':').nth(1).unwrap())
        .collect();
    node.join();
    assert_eq!(node.enlist(&["leave"]).code, 0);
    let called: Vec<String> =
        node.emulator.calls().iter().map(|call| call.action.clone()).collect();
    for action in &called {
        assert!(actions.contains(&action.as_str()), "{action} is called, and not in {actions:?}");
    }
    for action in actions {
        assert!(
            called.iter().any(|one| one == action),
            "{action} is in the policy, and never called: {called:?}"
        );
    }
}
