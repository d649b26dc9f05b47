//! OpsWorks Stacks, end to end: registration, lost replies, and instances of other hosts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;

use common::{
    NAME, Node, Run, STACK, expect, list, mode, off_ec2, openssl, target_node, target_node_with,
    text,
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
    // The agent's file has the same key.
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
            // A protocol error ends the join. The next one finds out what happened.
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
        &["the stack is in region eu-west-1, and this instance is in us-east-1"],
    );
    assert_eq!(elsewhere.asked("RegisterInstance"), 0);
    let unknown = node_with_stack("00000000-0000-4000-8000-000000000000");
    expect(&unknown.enlist(&["join"]), 69, &["no such stack"]);
}

fn node_with_stack(id: &str) -> Node {
    target_node(&format!("[opsworks]\nstack_id = \"{id}\"\n"), &[])
}

/// A host on premises with this name and address.
fn rack7(options: &str, faults: &[&str]) -> Node {
    let stack = format!("id={STACK}{options}").parse().unwrap();
    let node = target_node_with(
        ON_PREMISES,
        faults,
        Options { stacks: vec![stack], ..Options::default() },
    );
    node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    node
}

const ON_PREMISES: &str = "[opsworks]\nstack_id = \"2f18b4cb-4de5-4429-a149-ff7da9f0d8ee\"\ninfrastructure = \"on-premises\"\nhostname = \"rack7.example\"\nprivate_ip = \"10.1.2.3\"\n";
const OFF_EC2: [&str; 4] = ["--set", "node.name=rack7", "--set", "aws.region=us-east-1"];

fn on_premises(node: &Node, word: &str) -> Run {
    off_ec2(node, &[&[word], &OFF_EC2[..]].concat())
}

fn instances(node: &Node) -> Vec<String> {
    let state = node.emulator.state();
    let ids = list(&state, "instances").iter().map(|one| one["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// Deregisters an instance, as an operator does.
fn deregister(node: &Node, id: &str) {
    node.emulator.with(|plane| plane.opsworks_mut().remove_instance(id));
}

#[test]
fn on_premises_an_instance_registers_its_addresses() {
    let node = rack7("", &[]);
    let run = on_premises(&node, "join");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let state = node.emulator.state();
    let instance = &list(&state, "instances")[0];
    assert_eq!(
        (&instance["hostname"], &instance["private_ip"]),
        (&"rack7".into(), &"10.1.2.3".into())
    );
}

/// If the authority shows fingerprints, no operator is needed after a lost reply.
#[test]
fn on_premises_an_instance_is_found_again_by_its_key() {
    for fault in ["lost-reply", "lost-before", "500", "truncated"] {
        let node = rack7(",fingerprints=true", &[&format!("RegisterInstance={fault}")]);
        let mut last = on_premises(&node, "join");
        if last.code == 76 {
            last = on_premises(&node, "join");
        }
        assert_eq!(last.code, 0, "{fault}: {}", last.stderr);
        assert_eq!(instances(&node).len(), 1, "{fault}");
    }
}

/// Nothing in the documented API proves which host an instance is: an operator decides.
#[test]
fn on_premises_without_a_proof_it_stops_and_shows_what_it_found() {
    let node = rack7("", &["RegisterInstance=lost-reply"]);
    let run = on_premises(&node, "join");
    let [id] = &instances(&node)[..] else { panic!("one instance") };
    let command =
        format!("`aws opsworks deregister-instance --instance-id {id}`, then `enlist join");
    expect(
        &run,
        69,
        &["nothing proves it", id, "\"rack7\"", "\"10.1.2.3\"", "created \"20", &command],
    );
    // A second join shows the same, and registers nothing.
    expect(&on_premises(&node, "join"), 69, &[id]);
    assert_eq!(node.asked("RegisterInstance"), 1);
    deregister(&node, id);
    let run = on_premises(&node, "join");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(instances(&node).len(), 1);
}

/// A case from practice: two hosts with the same name and address, and a lost reply for one of them.
#[test]
fn another_hosts_instance_is_neither_adopted_nor_deregistered() {
    for (options, code, count) in [("", 69, 1), (",fingerprints=true", 0, 2)] {
        let node = rack7(options, &[]);
        assert_eq!(on_premises(&node, "join").code, 0);
        let theirs = instances(&node);
        let agents = node.read("etc/aws/opsworks/instance-agent.yml");
        // Another host with the same settings.
        let other = common::OtherMachine::new(&node, ON_PREMISES);
        node.emulator.inject("RegisterInstance=500*1".parse().unwrap());
        let run = other.off_ec2(&[&["join"], &OFF_EC2[..]].concat());
        assert_eq!(run.code, code, "{options}: {}", run.stderr);
        assert_eq!(instances(&node).len(), count, "{options}");
        if code == 69 {
            assert!(run.stderr.contains(&theirs[0]), "{}", run.stderr);
            assert!(run.stderr.contains("set hostname in [opsworks]"), "{}", run.stderr);
            // A leave stops likewise.
            let left = other.off_ec2(&[&["leave"], &OFF_EC2[..]].concat());
            expect(&left, 69, &[&theirs[0], "`rm /var/lib/enlist/opsworks/record.json`"]);
            // With a name of its own, it joins.
            std::fs::remove_file(other.path("var/lib/enlist/opsworks/record.json")).unwrap();
            let named = [&["join", "--set", "opsworks.hostname=rack8"], &OFF_EC2[..]].concat();
            assert_eq!(other.off_ec2(&named).code, 0);
        }
        assert!(instances(&node).contains(&theirs[0]), "{options}: the other host's is gone");
        assert_eq!(node.read("etc/aws/opsworks/instance-agent.yml"), agents);
    }
}

fn forget(node: &Node) {
    fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
}

#[test]
fn a_registration_without_a_record_is_adopted() {
    let node = opsworks(&[]);
    node.write("etc/hostname", "app-1.example.org\n");
    node.join();
    let (id, agent) = (instances(&node), node.read("etc/aws/opsworks/instance-agent.yml"));
    forget(&node);
    let run = node.join();
    assert!(run.stdout.contains(&id[0]), "{}", run.stdout);
    assert_eq!((instances(&node), node.asked("RegisterInstance")), (id.clone(), 1));
    assert_eq!(node.read("etc/aws/opsworks/instance-agent.yml"), agent, "the same id and key");
    // It can leave like any other member.
    assert_eq!(node.enlist(&["leave"]).code, 0);
    assert!(instances(&node).is_empty());
}

#[test]
fn on_premises_a_registration_is_adopted_if_name_address_and_key_agree() {
    let node = rack7("", &[]);
    assert_eq!(on_premises(&node, "join").code, 0);
    let id = instances(&node);
    forget(&node);
    let run = on_premises(&node, "join");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!((instances(&node), node.asked("RegisterInstance")), (id, 1));
}

#[test]
fn a_registration_that_is_not_provably_ours_stops_the_join() {
    // The key is lost.
    let node = opsworks(&[]);
    node.join();
    let id = instances(&node);
    forget(&node);
    fs::remove_file(node.path("etc/aws/opsworks/instance-key.pem")).unwrap();
    let run = node.enlist(&["join"]);
    expect(&run, 69, &[&id[0], "deregister-instance", "instance-agent.yml"]);
    assert_eq!((instances(&node), node.asked("RegisterInstance")), (id.clone(), 1));
    deregister(&node, &id[0]);
    node.join();
    assert_eq!(instances(&node).len(), 1);
    // A copied disk without the record: the authority has another host name.
    let node = rack7("", &[]);
    assert_eq!(on_premises(&node, "join").code, 0);
    let id = instances(&node);
    forget(&node);
    let copy = [&["join", "--set", "opsworks.hostname=rack8"], &OFF_EC2[..]].concat();
    expect(&off_ec2(&node, &copy), 69, &[&id[0], "\"rack7\""]);
    assert_eq!(instances(&node), id);
}

#[test]
fn a_registration_that_the_stack_does_not_have_is_replaced() {
    let node = opsworks(&[]);
    node.join();
    let former = instances(&node);
    forget(&node);
    deregister(&node, &former[0]);
    node.join();
    assert_eq!(instances(&node).len(), 1);
    assert_ne!(instances(&node), former);
    let agent = node.read("etc/aws/opsworks/instance-agent.yml");
    assert!(agent.contains(&instances(&node)[0]) && !agent.contains(&former[0]), "{agent}");
}
