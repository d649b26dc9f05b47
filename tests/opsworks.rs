//! OpsWorks Stacks, end to end; OpenSSL agrees; lost replies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;

use common::{
    NAME, Node, STACK, expect, list, mode, off_ec2, openssl, target_node, target_node_with, text,
};
use enlist_emulator::Options;

fn opsworks(faults: &[&str]) -> Node {
    target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), faults)
}

#[test]
fn an_instance_registers_with_its_identity_and_openssl_agrees_on_the_fingerprint() {
    let node = opsworks(&[]);
    node.write("etc/hostname", "app-1.example.org\n");
    node.join();
    let state = node.emulator.state();
    let instance = &list(&state, "instances")[0];
    assert_eq!(instance["ec2_instance_id"], NAME);
    assert_eq!(instance["hostname"], "app-1");
    let calls = node.emulator.calls();
    let sent = &calls.iter().find(|call| call.action == "RegisterInstance").unwrap().request;
    let document = node.emulator.with_imds(|imds| imds.instance_mut().identity_document());
    assert_eq!(sent["InstanceIdentity"]["Document"], document, "byte for byte");
    let key = node.path("etc/aws/opsworks/instance-key.pem");
    assert_eq!(
        sent["RsaPublicKey"].as_str().unwrap(),
        openssl(&["pkey", "-in", text(&key), "-pubout"])
    );
    let der = node.path("spki.der");
    openssl(&["pkey", "-in", text(&key), "-pubout", "-outform", "DER", "-out", text(&der)]);
    let digest = openssl(&["dgst", "-sha1", "-r", text(&der)]);
    assert_eq!(
        sent["RsaPublicKeyFingerprint"].as_str().unwrap(),
        digest.split(' ').next().unwrap()
    );
    // The agent's file: the key in it is the key.
    let agent = node.path("etc/aws/opsworks/instance-agent.yml");
    assert_eq!(mode(&agent), 0o600);
    let yaml = fs::read_to_string(&agent).unwrap();
    let pem: String = yaml
        .split(":instance_private_key: |\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with("  "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    assert_eq!(pem, fs::read_to_string(&key).unwrap());
    assert!(
        yaml.contains(&format!(":identity: {:?}\n", instance["id"].as_str().unwrap())),
        "{yaml}"
    );
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(list(&node.emulator.state(), "instances").is_empty());
    assert!(!agent.exists() && !key.exists());
    assert_eq!(node.enlist(&["leave"]).code, 0);
}

#[test]
fn a_lost_reply_makes_no_second_instance() {
    for fault in [
        "RegisterInstance=lost-reply",
        "RegisterInstance=lost-before",
        "RegisterInstance=500",
        "RegisterInstance=truncated",
    ] {
        let node = opsworks(&[fault]);
        let mut last = node.enlist(&["join"]);
        if last.code == 76 {
            // What is not the API ends a start; the next one settles the doubt.
            last = node.enlist(&["join"]);
        }
        assert_eq!(last.code, 0, "{fault}: {}", last.stderr);
        let state = node.emulator.state();
        assert_eq!(list(&state, "instances").len(), 1, "{fault}");
        let id = list(&state, "instances")[0]["id"].as_str().unwrap().to_owned();
        assert!(node.read("etc/aws/opsworks/instance-agent.yml").contains(&id), "{fault}");
    }
}

#[test]
fn opsworks_refuses_what_does_not_fit_before_anything_is_sent() {
    let cases = [
        ("", "stack_id = \"nope\"\n", "UUID"),
        (
            "",
            &format!("stack_id = \"{STACK}\"\nprivate_ip = \"10.0.0.1\"\n"),
            "infrastructure = \"on-premises\"",
        ),
        ("", &format!("stack_id = \"{STACK}\"\ninfrastructure = \"mars\"\n"), "on-premises"),
        ("", &format!("stack_id = \"{STACK}\"\nhostname = \"-x\"\n"), "1 to 63"),
        ("", &format!("stack_id = \"{STACK}\"\nhostname = \"{}\"\n", "a".repeat(64)), "1 to 63"),
        (
            "",
            &format!(
                "stack_id = \"{STACK}\"\ninfrastructure = \"on-premises\"\npublic_ip = \"::1\"\n"
            ),
            "IPv4",
        ),
        ("web_1\n", &format!("stack_id = \"{STACK}\"\n"), "host name"),
    ];
    for (hostname, settings, word) in cases {
        let node = target_node(&format!("[opsworks]\n{settings}"), &[]);
        if !hostname.is_empty() {
            node.write("etc/hostname", hostname);
        }
        expect(&node.enlist(&["join"]), 78, &[word]);
        assert_eq!(node.asked("RegisterInstance"), 0);
    }
    // At the limit: 63 characters.
    let node = target_node(
        &format!("[opsworks]\nstack_id = \"{STACK}\"\nhostname = \"{}\"\n", "a".repeat(63)),
        &[],
    );
    node.join();
    // Another region than the stack's.
    let options =
        Options { stacks: vec!["region=eu-west-1".parse().unwrap()], ..Options::default() };
    let elsewhere =
        target_node_with(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[], options);
    expect(
        &elsewhere.enlist(&["join"]),
        78,
        &["the stack is in eu-west-1, and this instance in us-east-1"],
    );
    assert_eq!(elsewhere.asked("RegisterInstance"), 0);
    let unknown = node_with_stack("00000000-0000-4000-8000-000000000000");
    expect(&unknown.enlist(&["join"]), 69, &["no such stack"]);
}

fn node_with_stack(id: &str) -> Node {
    target_node(&format!("[opsworks]\nstack_id = \"{id}\"\n"), &[])
}

#[test]
fn on_premises_an_instance_registers_its_addresses() {
    let node = target_node(
        &format!(
            "[opsworks]\nstack_id = \"{STACK}\"\ninfrastructure = \"on-premises\"\nhostname = \"rack7.example\"\nprivate_ip = \"10.1.2.3\"\n"
        ),
        &["RegisterInstance=lost-reply"],
    );
    let run =
        off_ec2(&node, &["join", "--set", "node.name=rack7", "--set", "aws.region=us-east-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(list(&state, "instances").len(), 1, "found again by its host name and address");
    let instance = &list(&state, "instances")[0];
    assert_eq!(
        (&instance["hostname"], &instance["private_ip"]),
        (&"rack7".into(), &"10.1.2.3".into())
    );
}
