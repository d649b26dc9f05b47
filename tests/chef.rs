//! Chef through OpsWorks CM, end to end. Ruby parses the settings that are written.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::process::Command;

use common::{Node, list, mode, openssl, target_node, text};
use serde_json::Value;

fn chef(more: &str) -> Node {
    target_node(&format!("[opsworks-cm]\nserver = \"chef-test\"\n[chef]\n{more}"), &[])
}

#[test]
fn chef_gets_the_registered_key_and_settings_that_ruby_can_parse() {
    let node = chef("run_list = [\"recipe[base]\", \"role[web]\"]\nenvironment = \"prod\"\n");
    node.write("etc/chef/client.rb", "# ours\nlog_level :info");
    node.join();
    let key = node.path("etc/chef/client.pem");
    assert_eq!(mode(&key), 0o600);
    let state = node.emulator.state();
    let association = &list(&state, "associations")[0];
    assert_eq!(
        openssl(&["pkey", "-in", text(&key), "-pubout"]),
        association["public_key"].as_str().unwrap()
    );
    let rb = node.read("etc/chef/client.rb");
    assert!(rb.starts_with("# ours\nlog_level :info\n# BEGIN enlist"), "{rb}");
    assert!(
        rb.contains("chef_server_url 'https://chef-test.example/organizations/default'"),
        "{rb}"
    );
    ruby_reads(&node);
    let boot: Value = serde_json::from_str(&node.read("etc/chef/first-boot.json")).unwrap();
    assert_eq!(boot, serde_json::json!({ "run_list": ["recipe[base]", "role[web]"] }));
    // A second join changes nothing.
    node.join();
    assert_eq!(node.read("etc/chef/client.rb"), rb);
    assert_eq!(node.asked("AssociateNode"), 1);
    // A value that somebody changes in enlist's own lines is found, and a repair writes it anew.
    for (before, after) in
        [("chef-test.example", "other.example"), ("node_name 'i-", "node_name 'j-")]
    {
        node.write("etc/chef/client.rb", &rb.replace(before, after));
        for command in ["status", "join"] {
            let run = node.enlist(&[command]);
            assert_eq!(run.code, 74, "{command}: {}{}", run.stdout, run.stderr);
            let said = run.stdout + &run.stderr;
            assert!(said.contains(after) && said.contains("enlist repair"), "{command}: {said}");
        }
        let repaired = node.enlist(&["repair"]);
        assert_eq!(repaired.code, 0, "{}", repaired.stderr);
        assert_eq!(node.read("etc/chef/client.rb"), rb);
    }
}

/// Checks the settings with Ruby's parser, if Ruby is installed.
fn ruby_reads(node: &Node) {
    match Command::new("ruby").arg("-c").arg(node.path("etc/chef/client.rb")).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(_) => eprintln!("SKIPPED: there is no ruby to read client.rb with"),
    }
}

#[test]
fn policies_are_written_and_hostile_values_are_refused() {
    let node = chef("policy_name = \"web\"\npolicy_group = \"prod\"\n");
    node.join();
    assert!(node.read("etc/chef/client.rb").contains("policy_group 'prod'"));
    ruby_reads(&node);
    let long = "x".repeat(10_000);
    for hostile in ["a'; system('id') #", "#{`id`}", "a\\nb", "ü", "", long.as_str()] {
        for key in ["organization", "environment", "run_list", "policy_name", "key_attribute"] {
            let value = if key == "run_list" {
                format!("[\"{hostile}\"]")
            } else {
                format!("\"{hostile}\"")
            };
            let node = chef(&format!("{key} = {value}\n"));
            let run = node.enlist(&["join"]);
            assert_eq!(run.code, 78, "{key} = {value}: {}", run.stderr);
            assert!(run.stderr.len() < 1500, "a message is short: {} characters", run.stderr.len());
            assert!(node.emulator.calls().is_empty());
        }
    }
}
