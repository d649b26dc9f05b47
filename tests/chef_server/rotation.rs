//! A new key for a member, by `enlist renew` and when it is due.

use std::fs;

use super::common::chef_node::{self, NAME_OF_RECORD, admin, enlist, names, node, settings};
use super::common::{NAME, Node, expect, list, mode, openssl, text};
use serde_json::{Value, json};

const KEY: &str = "etc/chef/client.pem";

/// A member, and the key that it joined with.
fn member(chef: &str) -> (Node, String) {
    let node = node(chef, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let key = node.read(KEY);
    (node, key)
}

fn public(node: &Node) -> String {
    openssl(&["pkey", "-in", text(&node.path(KEY)), "-pubout"])
}

fn at_server(node: &Node) -> Value {
    list(&node.emulator.state(), "chef_clients")[0]["public_key"].clone()
}

/// As if the node had joined so many seconds earlier.
fn age(node: &Node, seconds: i64) {
    let mut record: Value = serde_json::from_str(&node.read(NAME_OF_RECORD)).unwrap();
    record["since"] = json!(record["since"].as_i64().unwrap() - seconds);
    node.write(NAME_OF_RECORD, &record.to_string());
}

#[test]
fn renew_gives_the_client_a_new_key_and_keeps_a_backup_of_the_former() {
    let (node, former) = member("run_list = [\"recipe[base]\"]\n");
    let calls = node.emulator.calls().len();
    expect(&enlist(&node, &["renew"]), 0, &[]);
    let asked: Vec<_> = node.emulator.calls()[calls..].iter().map(|it| it.action.clone()).collect();
    assert_eq!(asked, ["GetServerApiVersion", "UpdateClientKey", "GetClient"]);
    assert_ne!(node.read(KEY), former);
    assert_eq!(mode(&node.path(KEY)), 0o600);
    assert_eq!(at_server(&node), public(&node));
    let backups = node.files().into_iter().filter(|file| file.contains("chef-server/backup/"));
    let of_key: Vec<_> = backups.filter(|file| node.read(file) == former).collect();
    assert_eq!(of_key.len(), 1, "a vault may still be encrypted for it: {of_key:?}");
    assert_eq!(mode(&node.path(&of_key[0])), 0o600);
    assert!(!node.path("var/lib/enlist/chef-server/key.pem").exists());
    // It is a whole member with it.
    let said = enlist(&node, &["status", "--probe"]);
    expect(&said, 0, &[]);
    assert!(said.stdout.contains("with the installed key"), "{}", said.stdout);
    expect(&enlist(&node, &["join"]), 0, &[]);
    expect(&enlist(&node, &["leave"]), 0, &[]);
    assert!(names(&node.emulator.state(), "chef_clients").is_empty());
}

#[test]
fn a_key_that_is_due_is_renewed_by_the_next_join() {
    let (node, former) = member("rotate_key = \"30d\"\n");
    let json = || -> Value {
        let said = enlist(&node, &["status", "--json"]);
        serde_json::from_str(&said.stdout).unwrap()
    };
    let report = json()["targets"][0].clone();
    let days = |n: i64| n * 86_400;
    let due = report["renewal_at"].as_i64().unwrap() - report["since"].as_i64().unwrap();
    assert!((days(27)..=days(30)).contains(&due), "{due}");
    expect(&enlist(&node, &["join"]), 0, &[]);
    age(&node, days(26));
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.read(KEY), former, "it is not due");
    age(&node, days(4));
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_ne!(node.read(KEY), former);
    assert_eq!(at_server(&node), public(&node));
    // Counted anew.
    let (again, calls) = (node.read(KEY), node.emulator.calls().len());
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!((node.read(KEY), node.emulator.calls().len()), (again, calls));
}

/// The server does not accept the key any more: nothing is installed, and the command says what to do.
#[test]
fn a_client_with_another_key_is_not_given_a_new_one() {
    let (node, former) = member("");
    let other = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    let public = pem::encode(&pem::Pem::new("PUBLIC KEY", chef_node::public_der(&other)));
    admin(&node, "PUT", &format!("clients/{NAME}"), &json!({ "public_key": public }));
    let clean = format!("knife node delete {NAME}; knife client delete {NAME}");
    expect(&enlist(&node, &["renew"]), 69, &["neither the new key", &clean, "no new key"]);
    assert_eq!(node.read(KEY), former);
    let status = enlist(&node, &["status"]);
    expect(&status, 69, &[]);
    assert!(status.stdout.contains("no new key"), "{}", status.stdout);
}

/// A refusal leaves the former key. After an answer that is not the server's, both keys stay, and the next
/// command finds out which one the server has.
#[test]
fn a_renewal_that_fails_is_continued_or_leaves_the_former_key() {
    for (fault, code, word) in [("denied", 77, "no new key: PUT keys"), ("html", 76, "PUT keys")] {
        let (node, former) = member("");
        node.emulator.inject(format!("chef:UpdateClientKey={fault}*1").parse().unwrap());
        expect(&enlist(&node, &["renew"]), code, &[word]);
        assert_eq!(node.read(KEY), former);
        let staged = node.path("var/lib/enlist/chef-server/key.pem");
        assert_eq!(mode(&staged), 0o600);
        let sent = node.asked("UpdateClientKey");
        let probed = enlist(&node, &["status", "--probe"]);
        assert_eq!((probed.code, probed.stdout.contains("is not finished")), (code, code == 76));
        // A repair neither goes on with the renewal nor forgets why it failed.
        fs::remove_file(node.path("etc/chef/client.rb")).unwrap();
        expect(&enlist(&node, &["repair"]), 0, &[]);
        assert!(node.path("etc/chef/client.rb").exists());
        assert_eq!((node.asked("UpdateClientKey"), node.read(KEY)), (sent, former.clone()));
        expect(&enlist(&node, &["status"]), code, &[]);
        expect(&enlist(&node, &["renew"]), 0, &[]);
        assert_ne!(node.read(KEY), former);
        assert_eq!(at_server(&node), public(&node));
        assert!(!staged.exists());
        expect(&enlist(&node, &["status", "--probe"]), 0, &[]);
    }
}

#[test]
fn a_foreign_key_in_the_place_of_ours_is_never_overwritten() {
    let (node, _) = member("");
    let foreign = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    node.write(KEY, &foreign);
    let calls = node.asked("UpdateClientKey");
    expect(&enlist(&node, &["renew"]), 65, &["is not the one that the authority was asked with"]);
    assert_eq!((node.read(KEY), node.asked("UpdateClientKey")), (foreign, calls));
}

#[test]
fn the_setting_is_checked() {
    let node = node("", &[]);
    let good = settings(&node, "30s");
    for value in ["often", "30m", "-1d"] {
        node.settings(&good.replace("[chef]\n", &format!("[chef]\nrotate_key = \"{value}\"\n")));
        expect(&enlist(&node, &["check"]), 78, &["chef.rotate_key", "an hour or more"]);
    }
    node.settings(
        "[opsworks-cm]\nserver = \"s\"\nengine = \"chef\"\n[chef]\nrotate_key = \"90d\"\n",
    );
    expect(&enlist(&node, &["check"]), 78, &["chef.rotate_key", "[chef-server]"]);
}
