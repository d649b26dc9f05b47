//! Leaving with the key of the record only, and without it.

use std::fs;

use super::common::chef_node::{self, admin, enlist, names, node};
use super::common::{NAME, expect, openssl};
use serde_json::{Value, json};

const KEY: &str = "etc/chef/client.pem";
const STAGED: &str = "var/lib/enlist/chef-server/key.pem";

fn other_key() -> String {
    openssl(&["genpkey", "-quiet", "-algorithm", "RSA"])
}

/// An administrator has made a client of the same name by hand, with another key.
#[test]
fn a_client_of_another_key_is_not_deleted() {
    let node = node("", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let (ours, theirs) = (node.read(KEY), other_key());
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", chef_node::public_der(&theirs)));
    admin(&node, "PUT", &format!("clients/{NAME}"), &json!({ "public_key": public }));
    node.write(KEY, &theirs);
    let calls = node.emulator.calls().len();
    let moved = "/client.pem.other && enlist leave --target chef-server";
    expect(&enlist(&node, &["leave"]), 65, &["is not the one that the authority", moved]);
    assert_eq!(node.emulator.calls().len(), calls, "nothing was asked");
    assert_eq!(names(&node.emulator.state(), "chef_clients"), [NAME]);
    assert_eq!(node.read(KEY), theirs);
    // The server knows the key of the record again, which lies in the state directory.
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", chef_node::public_der(&ours)));
    admin(&node, "PUT", &format!("clients/{NAME}"), &json!({ "public_key": public }));
    node.write(STAGED, &ours);
    expect(&enlist(&node, &["leave"]), 0, &[]);
    assert!(names(&node.emulator.state(), "chef_clients").is_empty());
}

#[test]
fn a_node_without_its_key_leaves_and_says_what_stays() {
    for damaged in [None, Some("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n")] {
        let node = node("", &[]);
        expect(&enlist(&node, &["join"]), 0, &[]);
        fs::remove_file(node.path(KEY)).unwrap();
        if let Some(text) = damaged {
            node.write(KEY, text);
        }
        let left = enlist(&node, &["leave"]);
        expect(&left, 0, &[]);
        let command = format!("run `knife node delete {NAME}; knife client delete {NAME}`");
        assert!(left.stdout.contains(&command), "{}", left.stdout);
        assert!(left.stderr.contains("WARN") && left.stderr.contains(&command), "{}", left.stderr);
        assert!(!node.read("etc/chef/client.rb").contains("chef_server_url"));
        assert_eq!(
            names(&node.emulator.state(), "chef_clients"),
            [NAME],
            "it could not be deleted"
        );
        // With the former client out of the way, the node joins with a new key.
        admin(&node, "DELETE", &format!("nodes/{NAME}"), &Value::Null);
        admin(&node, "DELETE", &format!("clients/{NAME}"), &Value::Null);
        expect(&enlist(&node, &["join"]), 0, &[]);
    }
}

#[test]
fn what_stays_on_the_server_is_a_warning() {
    for (fault, words) in
        [("forbidden", "still has this node"), ("gone", "may still have this node")]
    {
        let node = node("", &[]);
        expect(&enlist(&node, &["join"]), 0, &[]);
        if fault == "gone" {
            admin(&node, "DELETE", &format!("clients/{NAME}"), &Value::Null);
        } else {
            node.emulator.inject("chef:DeleteNode=denied*1".parse().unwrap());
        }
        let left = enlist(&node, &["leave"]);
        expect(&left, 0, &[]);
        let warned = left.stderr.lines().any(|line| line.contains("WARN") && line.contains(words));
        assert!(warned && left.stdout.contains("knife node delete"), "{}", left.stderr);
    }
}
