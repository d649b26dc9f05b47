//! By hand, with a Chef server.

use std::fs;

use super::common::chef_node::{NAME_OF_RECORD, admin, node};
use super::common::{NAME, Node, Run, expect, mode, openssl, text};
use super::{accept, answer_file};
use serde_json::json;

const CLIENT: &str = "etc/chef/client.pem";

/// The server is there, and is not asked.
fn requested(node: &Node) -> Run {
    let run = node.enlist(&["csr", "--by-hand"]);
    expect(&run, 0, &["knife client create", "knife client key show", "enlist accept"]);
    assert!(run.stdout.starts_with("-----BEGIN PUBLIC KEY-----"), "{}", run.stdout);
    run
}

fn unasked(node: &Node) {
    let calls = node.emulator.calls();
    assert!(calls.is_empty(), "{calls:?}");
}

fn genuine(node: &Node) {
    assert_eq!(mode(&node.path(CLIENT)), 0o600);
    assert!(node.read("etc/chef/client.rb").contains(NAME));
    assert!(node.read("etc/chef/first-boot.json").contains("run_list"));
}

#[test]
fn a_client_is_made_with_the_public_key_of_the_node() {
    let node = node("", &[]);
    expect(&node.enlist(&["csr"]), 64, &["sends no certificate request", "csr --by-hand"]);
    let public = requested(&node).stdout;
    let other = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    let file = answer_file(&other);
    let others = openssl(&["pkey", "-in", text(file.path()), "-pubout"]);
    expect(&accept(&node, &others), 65, &["another key than this node", "knife client key edit"]);
    assert!(!node.path(CLIENT).exists());
    // As `knife client key show` has it.
    let indented: String = public.lines().map(|line| format!("  {line}\n")).collect();
    let shown = format!("expiration_date: infinity\nname: default\npublic_key: {indented}");
    expect(&accept(&node, &shown), 0, &[]);
    unasked(&node);
    genuine(&node);
    let installed = openssl(&["pkey", "-in", text(&node.path(CLIENT)), "-pubout"]);
    assert_eq!(installed, public);
    // The server knows it once the client is made there.
    admin(&node, "PUT", &format!("clients/{NAME}"), &json!({ "public_key": public }));
    let probed = node.enlist(&["status", "--probe"]);
    assert_eq!(probed.code, 0, "{}{}", probed.stdout, probed.stderr);
}

/// The private key of a client that was made on the server replaces the one that was not used.
#[test]
fn a_private_key_is_carried_here() {
    let node = node("", &[]);
    requested(&node);
    let staged = node.read("var/lib/enlist/chef-server/key.pem");
    let key = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    let joined = accept(&node, &key);
    expect(&joined, 0, &[]);
    unasked(&node);
    genuine(&node);
    let file = answer_file(&key);
    let of = |path: &str| openssl(&["pkey", "-in", path, "-pubout"]);
    assert_eq!(of(text(&node.path(CLIENT))), of(text(file.path())));
    let backups = node.path("var/lib/enlist/chef-server/backup");
    let is_staged = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap() == staged;
    assert!(
        fs::read_dir(backups).unwrap().any(|entry| is_staged(entry.unwrap())),
        "a copy is kept"
    );
    assert!(!node.read(NAME_OF_RECORD).contains("PRIVATE KEY"));
    assert_eq!(node.enlist(&["status"]).code, 0);
}

#[test]
fn a_private_key_that_can_not_be_used_changes_nothing() {
    let node = node("", &[]);
    requested(&node);
    let staged = node.read("var/lib/enlist/chef-server/key.pem");
    let curve =
        openssl(&["genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let short =
        openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    for (key, word) in [(&curve, "not an RSA key"), (&short, "1024 bits")] {
        let refused = accept(&node, key);
        expect(&refused, 65, &["carried here can't be used", word]);
        let body = key.lines().nth(1).unwrap();
        assert!(!refused.stderr.contains(body) && !refused.stdout.contains(body));
        assert_eq!(node.read("var/lib/enlist/chef-server/key.pem"), staged);
    }
    // Another key that the node has already stays.
    node.write(CLIENT, &staged);
    let other = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    expect(&accept(&node, &other), 65, &["another private key is installed", "mv "]);
    assert_eq!(node.read(CLIENT), staged);
}
