//! Settings that changed since a node joined: its node object is changed at the server, its CA files here.

use serde_json::{Value, json};

use super::common::chef_node::{NAME_OF_RECORD, admin, enlist, node, settings};
use super::common::{NAME, Node, expect, list, openssl, text};

fn object(node: &Node) -> Value {
    list(&node.emulator.state(), "chef_nodes")[0]["object"].clone()
}

fn with_chef(node: &Node, lines: &str) {
    node.settings(&settings(node, "30s").replace("[chef]\n", &format!("[chef]\n{lines}")));
}

#[test]
fn a_changed_run_list_environment_and_policy_reach_the_server() {
    let node = node("run_list = [\"recipe[base]\"]\n", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    with_chef(&node, "run_list = [\"recipe[base]\", \"role[web]\"]\n");
    let status = enlist(&node, &["status"]);
    expect(&status, 78, &[]);
    assert!(status.stdout.contains("chef.run_list"), "{}", status.stdout);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let now = object(&node);
    assert_eq!(now["run_list"], json!(["recipe[base]", "role[web]"]));
    assert!(node.read("etc/chef/first-boot.json").contains("role[web]"));
    expect(&enlist(&node, &["status"]), 0, &[]);
    let calls = node.emulator.calls().len();
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.emulator.calls().len(), calls, "it is applied once");
    with_chef(&node, "run_list = [\"recipe[base]\", \"role[web]\"]\nenvironment = \"prod\"\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(object(&node)["chef_environment"], "prod");
    // What people have changed at the server stays, if its setting has not changed: here as if the node
    // had joined with another environment.
    let record = node.read(NAME_OF_RECORD).replace("\"prod\"", "\"dev\"");
    node.write(NAME_OF_RECORD, &record);
    with_chef(&node, "run_list = [\"role[web]\"]\nenvironment = \"dev\"\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    let now = object(&node);
    assert_eq!(
        (&now["run_list"], &now["chef_environment"]),
        (&json!(["role[web]"]), &json!("prod"))
    );
    with_chef(&node, "policy_name = \"web\"\npolicy_group = \"prod\"\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    let now = object(&node);
    assert_eq!((&now["policy_name"], &now["policy_group"]), (&json!("web"), &json!("prod")));
    assert_eq!((&now["run_list"], &now["chef_environment"]), (&json!([]), &json!("_default")));
    with_chef(&node, "run_list = [\"recipe[base]\"]\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    let now = object(&node);
    assert_eq!((now.get("policy_name"), &now["run_list"]), (None, &json!(["recipe[base]"])));
}

/// The rights do not allow it: nothing is applied, and the message has the command.
#[test]
fn without_the_right_the_command_is_said_and_nothing_changes() {
    let node = node("run_list = [\"recipe[base]\"]\n", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    node.emulator.inject("chef:UpdateNode=denied*1".parse().unwrap());
    with_chef(&node, "run_list = [\"role[web]\", \"role[db]\"]\n");
    let command = format!("knife node run_list set {NAME} 'role[web],role[db]'");
    let said = enlist(&node, &["join"]);
    expect(
        &said,
        77,
        &[&command, "the changed settings are not applied", "may not change its node"],
    );
    assert!(!node.read("etc/chef/first-boot.json").contains("role[web]"));
    assert_eq!(object(&node)["run_list"], json!(["recipe[base]"]));
    let status = enlist(&node, &["status"]);
    assert!(status.stdout.contains("knife node run_list set"), "{}", status.stdout);
    // Lost replies: it is done again.
    for fault in ["lost-reply", "lost-before", "500"] {
        node.emulator.inject(format!("chef:UpdateNode={fault}*1").parse().unwrap());
        with_chef(&node, &format!("run_list = [\"role[{fault}]\"]\n"));
        expect(&enlist(&node, &["join"]), 0, &[]);
        assert_eq!(object(&node)["run_list"], json!([format!("role[{fault}]")]));
    }
    // Somebody has deleted the node object.
    admin(&node, "DELETE", &format!("nodes/{NAME}"), &Value::Null);
    with_chef(&node, "run_list = [\"role[new]\"]\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(object(&node)["run_list"], json!(["role[new]"]));
}

#[test]
fn a_changed_ca_file_is_installed_after_the_server_was_reached_with_it() {
    let node = node("", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let ca = node.read("ca.pem");
    let cas = || node.files().iter().filter(|it| it.contains("trusted_certs/enlist-ca")).count();
    let before = cas();
    let other = openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        text(&node.path("k")),
        "-subj",
        "/CN=another CA",
        "-days",
        "9",
    ]);
    // The server's CA is not in the new file: nothing changes.
    node.write("ca.pem", &other);
    let installed = node.read("etc/chef/trusted_certs/enlist-ca.pem");
    expect(&enlist(&node, &["status"]), 78, &[]);
    expect(&enlist(&node, &["join"]), 78, &["the changed settings are not applied", "ca_file"]);
    assert_eq!(node.read("etc/chef/trusted_certs/enlist-ca.pem"), installed);
    // Both are, while the server gets a certificate of another CA.
    node.write("ca.pem", &format!("{other}{ca}"));
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(cas(), before + 1);
    expect(&enlist(&node, &["status"]), 0, &[]);
    // The former one is gone.
    node.write("ca.pem", &ca);
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(cas(), before);
    assert_eq!(node.read("etc/chef/trusted_certs/enlist-ca.pem"), installed);
    expect(&enlist(&node, &["status"]), 0, &[]);
    expect(&enlist(&node, &["leave"]), 0, &[]);
    assert_eq!(cas(), 0);
}
