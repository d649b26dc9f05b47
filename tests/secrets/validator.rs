//! The key of a Chef server's validator: read where the settings say, and found nowhere else.

use std::fs;

use crate::common::chef_node::{self, node, validator_pem};
use crate::trace::{Traced, may_trace, traced};

/// The key's lines are in no output, no argument, no variable, no file and nothing that is sent.
fn key_stays_where_it_is(node: &crate::common::Node, traced: &Traced) {
    let lines: Vec<&str> = validator_pem().lines().filter(|line| line.len() == 64).collect();
    assert!(lines.len() > 10);
    for line in lines {
        assert!(!traced.said.contains(line), "{}", traced.said);
        for call in &traced.calls {
            assert!(!call.holds(line.as_bytes()), "{}: {}", call.program, call.line);
        }
        for file in node.files().into_iter().filter(|file| file != "validator.pem") {
            let content = fs::read(node.path(&file)).unwrap();
            assert!(!content.windows(64).any(|part| part == line.as_bytes()), "{file}");
        }
    }
}

#[test]
fn a_validators_key_is_read_and_nothing_else() {
    if !may_trace() {
        return;
    }
    // A lost reply, and a server that refuses, whose evidence is kept.
    for (faults, code) in [(&["chef:CreateClient=lost-reply*1"][..], 0), (&[], 0)] {
        let node = node("", faults);
        for arguments in [&["join", "-vv"][..], &["status", "--json"], &["leave", "-vv"]] {
            key_stays_where_it_is(&node, &traced(&node, arguments, "000", code));
        }
    }
    let node = node("", &[]);
    let other = validator_pem().replace("BEGIN PRIVATE", "BEGIN EC PRIVATE");
    node.write("validator.pem", &other.replace("END PRIVATE", "END EC PRIVATE"));
    key_stays_where_it_is(&node, &traced(&node, &["join", "-vv"], "000", 78));
    let text = chef_node::settings(&node, "30s");
    node.settings(
        &text.replace("{ file = \"/validator.pem\" }", &format!("{:?}", validator_pem())),
    );
    let said = node.enlist(&["join"]);
    assert_eq!(said.code, 78);
    let line = validator_pem().lines().nth(1).unwrap();
    assert!(!said.stderr.contains(line), "a key in the place of its source is shown");
}
