//! The ways around a join that does not work: the plan, leaving alone, and what is said of settings.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::process::Command;

use common::{Node, Run, STACK, bare, expect, list, run, target_node};
use serde_json::Value;

const PUPPET: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";

#[test]
fn a_plan_shows_name_requests_files_and_calls_and_sends_nothing() {
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nextension_requests = { pp_role = \"web\", pp_preshared_key = \"psk-1\" }\n");
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        "extension_requests:\n  pp_service: from-the-file\n",
    );
    let before = node.files();
    let plan = node.enlist(&["join", "--plan"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    for word in [
        "opsworks-cm: a join would do this",
        common::NAME,
        "AssociateNode",
        "pp_role = web  (settings)",
        "pp_service = from-the-file  (csr_attributes.yaml)",
        "pp_region = us-east-1  (this node)",
        "pp_preshared_key = (secret)  (settings)",
        "private_keys/i-0123456789abcdef0.pem  (mode 0640, owner puppet if it exists)",
    ] {
        assert!(plan.stdout.contains(word), "{word}: {}", plan.stdout);
    }
    assert!(!plan.stdout.contains("psk-1"));
    let json = node.enlist(&["join", "--plan", "--json"]);
    let parsed: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(parsed["schema"], 1);
    assert_eq!(parsed["targets"][0]["name"], common::NAME);
    assert_eq!((node.emulator.calls().len(), node.files()), (0, before));
    expect(&node.enlist(&["join", "--json"]), 64, &["--plan"]);
}

#[test]
fn leaving_alone_clears_this_node_and_says_what_stays() {
    let node = Node::new();
    node.settings(&format!("[node]\nbudget = \"1s\"\n{PUPPET}"));
    node.join();
    node.emulator.inject("DisassociateNode=500*forever".parse().unwrap());
    let left = node.enlist(&["leave", "--local"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    let command = "aws opsworks-cm disassociate-node --server-name puppet-test --node-name i-0123456789abcdef0";
    assert!(
        left.stdout.contains("still has this node") && left.stdout.contains(command),
        "{}",
        left.stdout
    );
    assert_eq!(node.asked("DisassociateNode"), 0);
    assert!(!node.certificate().exists() && !node.key().exists());
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
    expect(&node.enlist(&["leave", "--force", "--local"]), 64, &["cannot be used with"]);
}

/// The authority is told; where that fails, this node is cleared all the same.
#[test]
fn a_forced_leave_goes_on_without_the_authority() {
    let node = Node::new();
    node.settings(&format!("[node]\nbudget = \"1s\"\n{PUPPET}"));
    node.join();
    node.emulator.inject("DisassociateNode=500*forever".parse().unwrap());
    let command = "aws opsworks-cm disassociate-node --server-name puppet-test";
    expect(&node.enlist(&["leave"]), 75, &["DisassociateNode"]);
    let left = node.enlist(&["leave", "--force"]);
    assert!(left.code == 0 && left.stdout.contains(command), "{}{}", left.stdout, left.stderr);
    assert!(node.asked("DisassociateNode") >= 2 && !node.certificate().exists());
    // Where the authority answers, force changes nothing.
    let node = Node::new();
    node.join();
    let left = node.enlist(&["leave", "--force"]);
    assert!(left.code == 0 && !left.stdout.contains("still has this node"), "{}", left.stdout);
    assert!(list(&node.emulator.state(), "associations").is_empty());
}

/// Without a network, and without the metadata service.
#[test]
fn leaving_alone_needs_nobody() {
    let node = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    node.join();
    let mut command = node.command(&["leave", "--local"]);
    for name in ["AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let left = run(&mut command);
    assert!(
        left.code == 0 && left.stdout.contains("deregister-instance --instance-id"),
        "{}",
        left.stderr
    );
    assert!(!node.path("etc/aws/opsworks/instance-agent.yml").exists());
}

#[test]
fn every_error_of_the_settings_is_reported_at_once() {
    let node = Node::new();
    node.settings("[opsworks-cm]\nsever = \"x\"\nengine = \"ansible\"\n[node]\nbudget = 5\n[puppet]\nkey_bits = 1024\n[what]\n");
    node.write("etc/enlist/config.d/x.toml", "[run]\nready = \"soon\"\n[broken\n");
    let said = node.enlist(&["check", "--set", "chef.key_bits=1"]);
    expect(
        &said,
        78,
        &[
            "opsworks-cm.sever",
            "node.budget can't be 5",
            "\"what\"",
            "not TOML",
            "puppet.key_bits",
            "chef.key_bits",
            "opsworks-cm.server is missing",
        ],
    );
    let errors = said.stderr.matches("enlist: ").count();
    assert!(errors >= 7, "{}", said.stderr);
}

#[test]
fn an_error_is_reported_once_and_says_where() {
    let node = Node::new();
    let said = check(&node, "[puppet-server]\nserver = \"p\"\nca_fingerprint = \"abc\"\n", &[]);
    expect(&said, 78, &["puppet-server.ca_fingerprint can't be", "64 hexadecimal digits"]);
    assert_eq!(said.stderr.matches("enlist: ").count(), 1, "{}", said.stderr);
    let said = check(&node, "[node]\nbudget = \"1m\"\n", &[]);
    expect(&said, 78, &["no target is configured"]);
    let on = said.stderr.lines().find(|line| line.starts_with("  on: ")).unwrap();
    assert!(on.contains("etc/enlist/enlist.toml"), "{on}");
}

fn check(node: &Node, settings: &str, arguments: &[&str]) -> Run {
    node.settings(settings);
    node.enlist(&[&["check"], arguments].concat())
}

#[test]
fn what_is_wrong_with_a_setting_is_said_where_it_is() {
    let node = Node::new();
    let cases: [(&str, &[&str]); 7] = [
        // Names that `join` refuses.
        (&format!("[node]\nname = \"Bad Name\"\n{PUPPET}"), &["the node's name can't be used"]),
        (
            &format!("[node]\nname = \"{{hostname}}_/x\"\n{PUPPET}"),
            &["the node's name can't be used"],
        ),
        (
            "server = \"puppet-test\"\n[opsworks-cm]\n",
            &["\"server\" is not in its table", "[opsworks-cm] or [puppet-server]"],
        ),
        (
            "[opsworks-cm]\nserver = \"s\"\n[puppet]\nstack_id = \"x\"\n",
            &["\"puppet.stack_id\" is not in its table", "[opsworks]"],
        ),
        (
            "[opsworks-cm]\nserver = \"s\"\n[puppet]\nextension_requests = { pp_role = 5 }\n",
            &[
                "puppet.extension_requests.pp_role can't be a value of type integer",
                "text in quotes",
            ],
        ),
        (
            "[opsworks-cm]\nserver = \"s\"\n[chef]\npolicy_name = \"p\"\n",
            &["chef.policy_group is missing", "enlist.toml, line 4"],
        ),
        (
            "[ssm]\niam_role = \"r\"\nactivation_id = \"0b1c2d3e-0b1c-4d3e-8b1c-0123456789ab\"\nactivation_code_file = \"/c\"\n",
            &["ssm.iam_role", "not both"],
        ),
    ];
    for (settings, words) in cases {
        expect(&check(&node, settings, &[]), 78, words);
    }
    fs::write(node.path("etc/enlist/enlist.toml"), b"[node]\nname = \"caf\xe9\"\n").unwrap();
    expect(&node.enlist(&["check"]), 78, &["not UTF-8 text, from byte 19", "iconv"]);
    let set = [
        "--set",
        "ssm.activation_id=0b1c2d3e-0b1c-4d3e-8b1c-0123456789ab",
        "--set",
        "ssm.activation_code_file=/c",
    ];
    expect(&check(&node, "[ssm]\niam_role = \"r\"\n", &set), 78, &["ssm.iam_role", "not both"]);
}

#[test]
fn the_version_has_the_commit_and_completions_need_no_package() {
    let version = run(&mut bare(&["--version"]));
    assert!(
        version.stdout.contains("commit ") && version.stdout.contains("build "),
        "{}",
        version.stdout
    );
    assert_eq!(run(&mut bare(&["-V"])).stdout.lines().count(), 1);
    for shell in ["bash", "zsh", "fish"] {
        let said = run(&mut bare(&["completions", shell]));
        assert!(said.code == 0 && said.stdout.contains("doctor"), "{shell}");
    }
    for command in
        ["join", "leave", "status", "check", "doctor", "run", "facts", "policy", "completions"]
    {
        let help = run(&mut bare(&[command, "--help"]));
        assert!(help.stdout.contains("Examples:"), "{command}: {}", help.stdout);
    }
    for arguments in [&["run", "--log-file", "/x"][..], &["run", "--pid-file", "/x"]] {
        expect(&run(&mut bare(arguments)), 64, &["--daemonize"]);
    }
}

#[test]
fn more_is_logged_with_each_v() {
    let node = Node::new();
    let lines = |arguments: &[&str]| {
        let said = node.enlist(&[&["join"], arguments].concat());
        assert_eq!(said.code, 0, "{}", said.stderr);
        node.enlist(&["leave"]);
        said.stderr
    };
    let (little, calls, all) = (lines(&[]), lines(&["-v"]), lines(&["-vv"]));
    assert!(!little.contains("DEBUG") && calls.contains("calling") && !calls.contains("TRACE"));
    assert!(all.contains("TRACE") && all.contains("effect: ") && all.contains("HTTP"), "{all}");
}

#[test]
fn an_interrupted_join_says_what_happens_next() {
    let node = Node::new();
    node.emulator.inject("DescribeNodeAssociationStatus=500*forever".parse().unwrap());
    let mut command = node.command(&["join"]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    while !node.path("var/lib/enlist/opsworks-cm/record.json").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted") && said.contains("the same command continues"), "{said}");
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    let joined = node.join();
    assert!(
        joined.stdout.contains("next") && joined.stdout.contains("puppet agent -t"),
        "{}",
        joined.stdout
    );
}

#[test]
fn a_log_for_programs_has_the_last_fault_too() {
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"none\"\n");
    let said = node.enlist(&["join", "--log-format", "json"]);
    assert_eq!(said.code, 69, "{}", said.stderr);
    let mut lines = said.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = lines.next_back().unwrap();
    assert_eq!((&last["level"], &last["fields"]["kind"]), (&"ERROR".into(), &"rejected".into()));
}
