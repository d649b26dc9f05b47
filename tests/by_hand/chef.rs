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

/// The key that makes clients is no node's key, and the words promise no more than is known.
#[test]
fn the_validators_key_is_refused_and_an_open_file_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let node = node("", &[]);
    requested(&node);
    let validator = super::common::chef_node::validator_pem();
    expect(&accept(&node, validator), 65, &["not that of this node's client", "/validator.pem"]);
    let key = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    node.write("default-validator.pem", &key);
    let named = node.path("default-validator.pem");
    expect(&node.enlist(&["accept", text(&named)]), 65, &["default-validator is not this node"]);
    assert!(!node.path(CLIENT).exists());
    let file = answer_file(&key);
    fs::set_permissions(file.path(), PermissionsExt::from_mode(0o644)).unwrap();
    let said = node.enlist(&["accept", text(file.path())]);
    let chmod = format!("chmod 0600 {}", file.path().display());
    let remove = format!("rm {}", file.path().display());
    expect(&said, 0, &[&chmod, &remove, "was not asked"]);
    assert!(!said.stderr.contains("accepted this node"), "{}", said.stderr);
    genuine(&node);
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

/// What has changed in the settings of such a member, `join` brings to the server, once it is reached.
#[test]
fn a_changed_run_list_is_applied_to_a_member_by_hand() {
    let node = node("run_list = [\"recipe[base]\"]\n", &[]);
    let public = requested(&node).stdout;
    expect(&accept(&node, &public), 0, &[]);
    admin(&node, "PUT", &format!("clients/{NAME}"), &json!({ "public_key": public }));
    let text = node.read("etc/enlist/enlist.toml");
    node.settings(&text.replace("recipe[base]", "role[web]"));
    expect(&node.enlist(&["status"]), 78, &[]);
    expect(&node.enlist(&["join"]), 0, &[]);
    assert!(node.read("etc/chef/first-boot.json").contains("role[web]"));
    let objects = node.emulator.state();
    assert_eq!(objects["chef_nodes"][0]["object"]["run_list"], json!(["role[web]"]));
    expect(&node.enlist(&["status", "--probe"]), 0, &[]);
    // The server can't be reached: a person brings the change there.
    let text =
        text.replace("recipe[base]", "role[db]").replace("budget = \"30s\"", "budget = \"5s\"");
    let port = node.emulator.chef_url().unwrap();
    let port = port.trim_end_matches('/').rsplit(':').next().unwrap();
    node.settings(&text.replace(port, "9"));
    let record = node.read(NAME_OF_RECORD).replace(port, "9");
    node.write(NAME_OF_RECORD, &record);
    let command = format!("knife node run_list set {NAME} 'role[db]'");
    expect(&node.enlist(&["join"]), 0, &["can't be reached", &command]);
    assert!(node.read("etc/chef/first-boot.json").contains("role[db]"));
    expect(&node.enlist(&["status"]), 0, &[]);
}
