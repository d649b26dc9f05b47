//! Systems Manager, end to end, with a fake SSM agent that has the real agent's pitfalls.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{Node, expect, install_agent, list, mode, off_ec2, target_node, text};
use serde_json::Value;

/// A node that is not an EC2 instance, with the fake SSM agent.
fn ssm(more: &str, faults: &[&str]) -> Node {
    let node = target_node(&format!("[ssm]\niam_role = \"service-role/SSM\"\n{more}"), faults);
    node.write("etc/hostname", "db1.example.org\n");
    node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    install_agent(&node);
    node
}

#[test]
fn the_agent_registers_and_no_code_is_left() {
    let node = ssm("description = \"rack 7\"\ntags = { team = \"db\" }\n", &[]);
    let run = off_ec2(&node, &["join", "-vv", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    let managed = &list(&state, "managed_instances")[0];
    let id = managed["id"].as_str().unwrap();
    assert!(id.starts_with("mi-") && run.stdout.contains(id), "{}", run.stdout);
    let calls = node.emulator.calls();
    let sent = &calls.iter().find(|call| call.action == "CreateActivation").unwrap().request;
    assert_eq!(sent["IamRole"], "service-role/SSM");
    assert_eq!(sent["RegistrationLimit"], 1);
    assert_eq!(sent["DefaultInstanceName"], "db1.example.org");
    assert!(sent["Description"].as_str().unwrap().starts_with("rack 7 (enlist "), "{sent}");
    // Only the agent has the code.
    let calls =
        serde_json::to_string(&calls.iter().map(|call| call.request.clone()).collect::<Vec<_>>())
            .unwrap();
    let code = calls
        .split("\"ActivationCode\":\"")
        .nth(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned());
    let code = code.expect("the agent sent the code to the API");
    for file in node.files().iter().filter(|file| !file.starts_with("var/lib/amazon")) {
        assert!(!fs::read_to_string(node.path(file)).unwrap_or_default().contains(&code), "{file}");
    }
    assert!(!run.stderr.contains(&code) && !run.stdout.contains(&code));
    assert!(node.read("agent-arguments").contains("-y"));
    let left = off_ec2(&node, &["leave", "--set", "aws.region=us-east-1"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    let state = node.emulator.state();
    assert!(
        list(&state, "managed_instances").is_empty() && list(&state, "activations").is_empty(),
        "{state}"
    );
    assert_eq!(off_ec2(&node, &["leave", "--set", "aws.region=us-east-1"]).code, 0);
}

#[test]
fn a_failed_hand_over_keeps_the_former_registration() {
    let node = ssm("", &["RegisterManagedInstance=500*forever"]);
    let vault = "var/lib/amazon/ssm/Vault/Store/RegistrationKey";
    let former =
        "{\"instanceID\":\"mi-0aaaaaaaaaaaaaaaa\",\"region\":\"us-east-1\",\"privateKey\":\"x\"}";
    node.write(vault, former);
    node.write(
        "var/lib/amazon/ssm/registration",
        "{\"ManagedInstanceID\":\"mi-0aaaaaaaaaaaaaaaa\",\"Region\":\"us-east-1\"}",
    );
    node.write("var/lib/amazon/ssm/Vault/Manifest", "{}");
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    expect(
        &run,
        75,
        &["did not register", "its registration mi-0aaaaaaaaaaaaaaaa was restored", "budget"],
    );
    assert_eq!(node.read(vault), former);
    assert_eq!(node.read("var/lib/amazon/ssm/Vault/Manifest"), "{}", "the whole vault");
    assert!(
        !node.files().iter().any(|file| file.starts_with("var/lib/enlist/ssm/vault")),
        "the copies hold keys"
    );
    // The next join deletes the lost activation, and creates another one.
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(list(&state, "activations").len(), 1, "no leftover activation: {state}");
    assert_eq!(list(&state, "managed_instances").len(), 1);
    assert_ne!(node.read(vault), former);
}

/// Only enlist is killed. The agent continues, and writes its vault during the next join.
#[test]
fn the_next_join_waits_for_an_agent_that_still_runs() {
    let node = ssm("", &[]);
    let (sign, go) = (node.path("agent-started"), node.path("agent-may-go-on"));
    let program = node.read("usr/bin/amazon-ssm-agent");
    let waits = format!(
        "#!/bin/sh\nif [ ! -e {sign} ]; then touch {sign}; until [ -e {go} ]; do sleep 0.05; done; fi\n",
        sign = text(&sign),
        go = text(&go),
    );
    node.write("usr/bin/amazon-ssm-agent", &program.replacen("#!/bin/sh\n", &waits, 1));
    let start = || {
        let mut command = node.command(&["join", "--set", "aws.region=us-east-1"]);
        command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut first = start();
    while !sign.exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended before the agent began");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = start();
    let mut said = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waiting = said.any(|line| line.contains("waiting for it"));
    fs::write(&go, "").unwrap();
    assert!(waiting, "the next join does not wait for the agent");
    let rest: Vec<String> = said.collect();
    assert!(second.wait().unwrap().success(), "{rest:?}");
    let state = node.emulator.state();
    let managed = list(&state, "managed_instances");
    assert_eq!((managed.len(), list(&state, "activations").len()), (1, 1), "{state}");
    let vault: Value =
        serde_json::from_str(&node.read("var/lib/amazon/ssm/Vault/Store/RegistrationKey")).unwrap();
    assert_eq!(vault["instanceID"], managed[0]["id"]);
    assert!(!node.path("var/lib/enlist/ssm/vault").exists(), "no copy of the vault is left");
}

#[test]
fn a_registration_whose_reply_was_lost_leaves_no_second_node() {
    // The agent tries again by itself, and the activation is used up. So another one is created.
    let node = ssm("", &["RegisterManagedInstance=lost-reply"]);
    let run =
        off_ec2(&node, &["join", "--set", "aws.region=us-east-1", "--set", "node.budget=20s"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(list(&state, "activations").len(), 1, "{state}");
    assert_eq!(list(&state, "managed_instances").len(), 1, "{state}");
    let id = list(&state, "managed_instances")[0]["id"].as_str().unwrap();
    assert!(node.read("var/lib/amazon/ssm/Vault/Store/RegistrationKey").contains(id));
}

#[test]
fn a_lost_activation_is_deleted_and_replaced() {
    for fault in
        ["CreateActivation=lost-reply", "CreateActivation=lost-before", "CreateActivation=500"]
    {
        let node = ssm("", &[fault]);
        let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
        assert_eq!(run.code, 0, "{fault}: {}", run.stderr);
        let state = node.emulator.state();
        assert_eq!(list(&state, "activations").len(), 1, "{fault}: {state}");
        assert_eq!(list(&state, "managed_instances").len(), 1, "{fault}");
    }
}

#[test]
fn a_damaged_answer_that_may_hold_a_code_is_not_kept() {
    let node = ssm("", &["CreateActivation=garbage"]);
    let run = off_ec2(&node, &["join", "-vv", "--set", "aws.region=us-east-1"]);
    expect(&run, 76, &["is not from the API"]);
    let evidence: Vec<String> =
        node.files().into_iter().filter(|file| file.contains("/evidence/")).collect();
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    let kept = node.read(&evidence[0]);
    assert!(
        kept.contains("HTTP status 200")
            && kept.contains("bytes, not kept")
            && !kept.contains("Association"),
        "{kept}"
    );
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(list(&node.emulator.state(), "activations").len(), 1);
}

#[test]
fn an_activation_can_be_left_in_a_file_or_come_from_elsewhere() {
    let node = ssm("hand_over = \"file\"\n", &[]);
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let path = "var/lib/enlist/ssm/activation.json";
    assert_eq!(mode(&node.path(path)), 0o600);
    let file: Value = serde_json::from_str(&node.read(path)).unwrap();
    assert!(!node.path("agent-arguments").exists(), "the agent was not called");
    let (id, code) =
        (file["ActivationId"].as_str().unwrap(), file["ActivationCode"].as_str().unwrap());
    // Another node uses this activation.
    let other = ssm("", &[]);
    let given = format!(
        "[node]\nbudget = \"15s\"\n[ssm]\nactivation_id = \"{id}\"\nactivation_code_file = \"/etc/enlist/code\"\n"
    );
    other.settings(&given);
    other.write("etc/enlist/code", &format!("{code}\n"));
    fs::write(
        other.path("usr/bin/amazon-ssm-agent"),
        node.read("usr/bin/amazon-ssm-agent")
            .replace(text(node.root.path()), text(other.root.path())),
    )
    .unwrap();
    let run = off_ec2(&other, &["join", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(other.asked("CreateActivation"), 0);
    assert_eq!(list(&node.emulator.state(), "managed_instances").len(), 1);
    // Now it is used up. The next message says so.
    other.write("var/lib/amazon/ssm/Vault/Store/RegistrationKey", "{}");
    fs::remove_file(other.path("var/lib/enlist/ssm/record.json")).unwrap();
    let run = off_ec2(&other, &["join", "--set", "aws.region=us-east-1"]);
    expect(&run, 69, &["used up"]);
    assert!(!run.stderr.contains(code));
}

/// An installation was interrupted, and its code is lost. The next start can't get another activation.
#[test]
fn leaving_removes_the_file_of_an_interrupted_installation() {
    let node = ssm("hand_over = \"file\"\n", &["CreateActivation=500*99@2"]);
    let region = ["--set", "aws.region=us-east-1"];
    let budget = ["--set", "node.budget=1s"];
    let run = off_ec2(&node, &["join", region[0], region[1]]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (record, file) = ("var/lib/enlist/ssm/record.json", "var/lib/enlist/ssm/activation.json");
    let mut interrupted: Value = serde_json::from_str(&node.read(record)).unwrap();
    interrupted["phase"] = "installing".into();
    interrupted["planned"] = interrupted["installed"].take();
    interrupted["installed"] = Value::Array(Vec::new());
    node.write(record, &interrupted.to_string());
    node.write(file, "damaged");
    let run = off_ec2(&node, &["join", region[0], region[1], budget[0], budget[1]]);
    assert_ne!(run.code, 0, "{}", run.stdout);
    assert!(node.read(record).contains("\"phase\": \"creating\""), "{}", node.read(record));
    let run = off_ec2(&node, &["leave", region[0], region[1]]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!node.path(file).exists(), "the file is still there");
}

#[test]
fn invalid_settings_are_refused_before_any_request() {
    let long = |n: usize| "x".repeat(n);
    let cases = [
        ("iam_role = \"arn:aws:iam::1:role/x\"\n".to_owned(), "not its ARN"),
        (format!("iam_role = \"{}\"\n", long(65)), "1 to 64"),
        (String::new(), "ssm.iam_role is missing"),
        ("iam_role = \"r\"\nregistration_limit = 0\n".to_owned(), "1 to 1000"),
        ("iam_role = \"r\"\nregistration_limit = 1001\n".to_owned(), "1 to 1000"),
        ("iam_role = \"r\"\nexpires_in = \"31d\"\n".to_owned(), "30days"),
        (format!("iam_role = \"r\"\ndefault_instance_name = \"{}\"\n", long(257)), "at most 256"),
        ("iam_role = \"r\"\ndefault_instance_name = \"a;b\"\n".to_owned(), "at most 256"),
        (format!("iam_role = \"r\"\ndescription = \"{}\"\n", long(231)), "at most 230"),
        ("iam_role = \"r\"\ntags = { \"aws:x\" = \"y\" }\n".to_owned(), "aws:"),
        (format!("iam_role = \"r\"\ntags = {{ \"{}\" = \"y\" }}\n", long(129)), "1 to 128"),
        (
            "activation_id = \"e488f2f6-e686-4afb-8a04-ef6dfe000000\"\n".to_owned(),
            "activation_code_file is missing",
        ),
    ];
    for (settings, word) in cases {
        let node = target_node(&format!("[ssm]\n{settings}"), &[]);
        expect(&off_ec2(&node, &["join"]), 78, &[word]);
        assert!(node.emulator.calls().is_empty());
    }
    let at_limits = format!(
        "[ssm]\niam_role = \"{}\"\nregistration_limit = 1000\nexpires_in = \"29d 23h\"\ndefault_instance_name = \"{}\"\ndescription = \"{}\"\ntags = {{ \"{}\" = \"{}\" }}\nhand_over = \"file\"\n",
        long(64),
        long(256),
        long(230),
        long(128),
        long(256)
    );
    let node = target_node(&at_limits, &[]);
    let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1", "--set", "node.name=x"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn an_ec2_instance_needs_no_activation_and_others_need_the_agent() {
    let on_ec2 = ssm("", &[]);
    expect(&on_ec2.enlist(&["join"]), 78, &["needs no activation", "on_ec2 = true"]);
    assert!(on_ec2.emulator.calls().is_empty());
    let bare = target_node("[ssm]\niam_role = \"r\"\n", &[]);
    expect(&off_ec2(&bare, &["join"]), 74, &["amazon-ssm-agent is not installed"]);
}
