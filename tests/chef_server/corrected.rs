//! A join that was refused follows the settings that are corrected after it.

use std::fs;

use super::common::chef_node::{NAME_OF_RECORD, enlist, names, node, settings, url};
use super::common::{OtherMachine, expect};

const OTHER: &str = "web-2";

#[test]
fn after_a_name_clash_another_name_is_enough() {
    let node = node("", &[]);
    let named = |name: &str| {
        settings(&node, "30s").replace("[node]\n", &format!("[node]\nname = \"{name}\"\n"))
    };
    let other = OtherMachine::new(&node, &named("web-1"));
    for file in ["ca.pem", "validator.pem"] {
        fs::copy(node.path(file), other.path(file)).unwrap();
    }
    assert_eq!(other.off_ec2(&["join"]).code, 0);
    node.settings(&named("web-1"));
    for _ in 0..2 {
        expect(
            &enlist(&node, &["join"]),
            69,
            &["set node.name to another name", "`enlist join --root "],
        );
    }
    node.settings(&named(OTHER));
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(names(&node.emulator.state(), "chef_clients"), ["web-1", OTHER]);
}

#[test]
fn after_a_wrong_organization_the_corrected_url_is_enough() {
    let node = node("", &[]);
    let right = url(&node);
    let wrong = right.replace("organizations/default", "organizations/other");
    node.settings(&settings(&node, "30s").replace(&right, &wrong));
    expect(&enlist(&node, &["join"]), 78, &["correct url in [chef-server]"]);
    node.settings(&settings(&node, "30s"));
    expect(&enlist(&node, &["join"]), 0, &[]);
}

/// The record of the first join has version 0. The second one asks again.
#[test]
fn after_a_refused_version_the_versions_are_asked_again() {
    let node = node("", &[]);
    let denied = "chef:CreateClient=denied*1";
    node.emulator.inject(denied.parse().unwrap());
    expect(&enlist(&node, &["join"]), 77, &[]);
    let record = node.read(NAME_OF_RECORD);
    assert!(record.contains("\"api_version\""), "{record}");
    let before = node.asked("GetServerApiVersion");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.asked("GetServerApiVersion"), before + 1);
}
