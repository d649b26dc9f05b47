//! Puppet's `csr_attributes.yaml`.

use std::fs;

use crate::common::{self, NAME, Node};
use crate::{CONF, CSR, LOCK, MAPPING, expect};

#[test]
fn lines_that_puppet_would_refuse_or_read_differently_are_named() {
    for (text, line) in [
        ("extension_request:\n  pp_role: web\n", 1),
        ("agent:\n  extension_requests:\n    pp_role: web\n", 1),
        ("custom_attributes:\n  extension_requests:\n    pp_role: web\n", 3),
        ("extension_requests:\n  pp_role: web\n  pp_rôle: web\n", 3),
        ("extension_requests:\n  pp_rolle: web\n", 2),
        ("extension_requests:\n  1.3.6.1..4: web\n", 2),
        ("extension_requests:\n  1.40.1: web\n", 2),
        ("extension_requests:\n  .1.3.6.1: web\n", 2),
        ("extension_requests:\n  1.3.6.1.: web\n", 2),
        ("extension_requests:\n  subjectAltName: web\n", 2),
        ("extension_requests:\n  2.5.29.17: web\n", 2),
        ("extension_requests:\n  pp_auth_role: admin\n", 2),
        ("custom_attributes:\n  1.2.840.113549.1.9.14: web\n", 2),
        ("custom_attributes:\n  password: web\n", 2),
        ("extension_requests:\n  pp_cost_center: 00123\n", 2),
        ("extension_requests:\n  pp_role: web\n  pp_cost_center: 1_000\n", 3),
        ("extension_requests:\n  pp_cost_center: 0x1F\n", 2),
        ("extension_requests:\n  pp_cost_center: yes\n", 2),
        ("extension_requests:\n  pp_cost_center: off\n", 2),
        ("extension_requests:\n  pp_cost_center: 2024-01-01\n", 2),
        ("extension_requests:\n  pp_cost_center: ~\n", 2),
        ("extension_requests:\n  pp_software_version: 1.10\n", 2),
        ("extension_requests:\n  pp_cost_center: 1:30\n", 2),
        ("extension_requests:\n  pp_cost_center: 1,000\n", 2),
        ("extension_requests:\n  pp_cost_center: :sym\n", 2),
        ("extension_requests:\n  - pp_role: web\n", 2),
        ("- extension_requests\n", 1),
    ] {
        let node = Node::new();
        node.write(CSR, text);
        expect(&node, &["join"], 78, &[&format!("{CSR}, line {line}"), "to do"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{text:?}");
        assert!(!node.path(LOCK).exists(), "{text:?}");
    }
    for path in [CSR, MAPPING] {
        let node = Node::new();
        node.write(CSR, "extension_requests:\n  pp_role: web\n");
        fs::write(node.path(path), b"pp_role: caf\xe9\n").unwrap();
        expect(&node, &["join"], 78, &[&format!("on: /{path}"), "utf-8", "UTF-8", "to do"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{path}");
    }
    let secret = "custom_attributes:\n  challengePassword: 0x5ec2e7\n";
    let node = Node::new();
    node.write(CSR, secret);
    let run = node.enlist(&["join", "-vv"]);
    assert_eq!(run.code, 78);
    assert!(!run.stderr.contains("5ec2e7"), "{}", run.stderr);
}

#[test]
fn the_file_and_the_names_are_those_of_puppets_settings() {
    let node = Node::new();
    node.write(CONF, "[main]\ncsr_attributes = /etc/elsewhere.yaml\n[agent]\ntrusted_oid_mapping_file = $confdir/names.yaml\n");
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        "extension_requests: {pp_role: not-this}\n",
    );
    node.write(
        "etc/elsewhere.yaml",
        "extension_requests: &x\n  rack: r7\n  pp_cost_center: \"00123\"\n  pp_role: web\n",
    );
    node.write(
        "etc/puppetlabs/puppet/names.yaml",
        "oid_mapping:\n  1.3.6.1.4.1.34380.1.2.7:\n    shortname: rack\n    longname: The rack\n",
    );
    node.join();
    let request = node.ssl(&format!("certificate_requests/{NAME}.pem"));
    let text = common::openssl(&["req", "-in", common::text(&request), "-noout", "-text"]);
    for wanted in ["1.3.6.1.4.1.34380.1.2.7", "r7", "00123", "web"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("not-this"), "{text}");
    let node = Node::new();
    node.write(CSR, "extension_requests: {rack: r7}\n");
    node.write("etc/puppetlabs/puppet/custom_trusted_oid_mapping.yaml", "oid_mapping: []\n");
    expect(&node, &["join"], 78, &["custom_trusted_oid_mapping.yaml, line 1"]);
}

#[test]
fn an_alias_bomb_ends_at_once() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let one = format!("*a{}, ", level - 1);
        let all = one.repeat(9);
        bomb.extend([format!("a{level}: &a{level} [{}]\n", all.trim_end_matches(", "))]);
    }
    for text in [
        bomb,
        "extension_requests: ".to_owned() + &"[".repeat(20_000),
        "x: &x {y: *x}\n".to_owned(),
    ] {
        let node = Node::new();
        node.write(CSR, &text);
        expect(&node, &["join"], 78, &["csr_attributes.yaml"]);
    }
}
