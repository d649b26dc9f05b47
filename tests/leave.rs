//! `enlist leave`, end to end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Node, expect, list, openssl, target_node, text};

#[test]
fn leaving_chef_removes_our_files_and_joining_again_works() {
    let node = target_node(
        "[opsworks-cm]\nserver = \"chef-test\"\n[chef]\nrun_list = [\"recipe[base]\"]\n",
        &[],
    );
    node.write("etc/chef/client.rb", "log_level :info\n");
    node.join();
    let key = node.read("etc/chef/client.pem");
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(list(&node.emulator.state(), "associations").is_empty());
    assert_eq!(node.read("etc/chef/client.rb"), "log_level :info\n");
    assert!(!node.path("etc/chef/client.pem").exists());
    let backups: Vec<String> =
        node.files().into_iter().filter(|file| file.contains("/backup/")).collect();
    assert!(backups.iter().any(|file| node.read(file) == key), "the key is kept: {backups:?}");
    let again = node.enlist(&["leave"]);
    assert!(again.code == 0 && again.stdout.contains("nothing to leave"), "{}", again.stdout);
    node.join();
    assert_ne!(node.read("etc/chef/client.pem"), key, "a new key");
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
}

#[test]
fn leaving_puppet_restores_the_former_settings() {
    let node = Node::new();
    let conf = "[main]\nserver = former.example\n# a comment\n";
    node.write("etc/puppetlabs/puppet/puppet.conf", conf);
    node.join();
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert_eq!(node.asked("DisassociateNode"), 1);
    assert!(list(&node.emulator.state(), "associations").is_empty());
    assert_eq!(node.read("etc/puppetlabs/puppet/puppet.conf"), conf);
    assert!(!node.key().exists() && !node.certificate().exists() && !node.ssl("ssl.lock").exists());
    let status = node.enlist(&["status"]);
    assert!(status.stdout.contains("not joined"), "{}", status.stdout);
    node.join();
    openssl(&["verify", "-CAfile", text(&node.ssl("certs/ca.pem")), text(&node.certificate())]);
}

#[test]
fn an_interrupted_leave_is_finished_and_a_join_is_refused_meanwhile() {
    let node = Node::new();
    node.join();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[node]\nbudget = \"1s\"\n");
    node.emulator.inject("DisassociateNode=500*forever".parse().unwrap());
    expect(&node.enlist(&["leave"]), 75, &["DisassociateNode"]);
    assert!(node.certificate().exists(), "nothing is cleared before the authority has answered");
    expect(&node.enlist(&["join"]), 78, &["begun to leave", "enlist leave --target opsworks-cm"]);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    // The reply to the first request is lost. The second request finds no node.
    node.emulator.inject("DisassociateNode=lost-reply".parse().unwrap());
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(!node.certificate().exists());
}

/// The admin's key, and that of an agent that ran before, stay where they were.
#[test]
fn a_key_that_was_there_before_the_join_stays() {
    let key = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    for (settings, path) in [
        (
            "[opsworks-cm]\nserver = \"puppet-test\"\n",
            "etc/puppetlabs/puppet/ssl/private_keys/i-0123456789abcdef0.pem",
        ),
        ("[opsworks-cm]\nserver = \"chef-test\"\n", "etc/chef/client.pem"),
    ] {
        let node = target_node(settings, &[]);
        node.write(path, &key);
        node.join();
        // A repair and another join do not make it enlist's.
        assert_eq!(node.enlist(&["repair"]).code, 0);
        node.join();
        let left = node.enlist(&["leave"]);
        assert_eq!(left.code, 0, "{}", left.stderr);
        assert_eq!(node.read(path), key);
        assert!(!node.certificate().exists() && !node.path("etc/chef/first-boot.json").exists());
    }
}

/// Another machine has the name: a refused node must not take it away from that one.
#[test]
fn a_node_that_was_refused_tells_the_authority_nothing() {
    for settings in
        ["[opsworks-cm]\nserver = \"puppet-test\"\n", "[opsworks-cm]\nserver = \"chef-test\"\n"]
    {
        let node = target_node(settings, &[]);
        node.join();
        // The same name, without the key and the record of the first one.
        for directory in ["etc/puppetlabs", "etc/chef", "var/lib/enlist"] {
            let _ = std::fs::remove_dir_all(node.path(directory));
        }
        // A second try meets the record of the first one.
        for _ in 0..2 {
            expect(&node.enlist(&["join"]), 69, &["already associated"]);
        }
        let left = node.enlist(&["leave"]);
        assert_eq!(left.code, 0, "{}", left.stderr);
        assert!(left.stdout.contains("nothing to leave"), "{}", left.stdout);
        assert_eq!(node.asked("DisassociateNode"), 0);
        assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
    }
}

/// The reply to the first try was lost, so the refusal of a later one says nothing about it.
#[test]
fn a_node_in_doubt_is_taken_out_although_a_later_try_was_refused() {
    let node = target_node(
        "[opsworks-cm]\nserver = \"puppet-test\"\n",
        &["AssociateNode=lost-reply", "AssociateNode=denied*forever"],
    );
    expect(&node.enlist(&["join"]), 77, &["AssociateNode"]);
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert_eq!(node.asked("DisassociateNode"), 1);
    assert!(list(&node.emulator.state(), "associations").is_empty());
}

/// A fault in the settings does not keep a member: its record says how the authority is reached.
#[test]
fn a_member_leaves_also_where_the_settings_can_not_be_read() {
    let base = "[node]\nbudget = \"2m\"\n[puppet]\nkey_bits = 2048\n";
    let server = "[opsworks-cm]\nserver = \"puppet-test\"\n";
    for (broken, word) in [
        (format!("{base}{server}servr = \"x\"\n"), "there is no setting"),
        (format!("{base}[opsworks-cm\n"), "the file is not TOML"),
        (format!("{base}{server}ca_file = \"/gone.pem\"\n"), "/gone.pem"),
    ] {
        let node = Node::new();
        node.join();
        // A mistake in the command itself is corrected, not passed over.
        expect(&node.enlist(&["leave", "--set", "node.none=1"]), 78, &[]);
        node.settings(&broken);
        expect(&node.enlist(&["join"]), 78, &[word]);
        let left = node.enlist(&["leave"]);
        expect(&left, 0, &["the settings can't be used", word]);
        assert!(left.stdout.contains("left: server puppet-test"), "{}", left.stdout);
        assert!(list(&node.emulator.state(), "associations").is_empty());
        assert!(!node.certificate().exists());
        // Nothing is known of the node now, so the settings have to be right.
        expect(&node.enlist(&["leave"]), 78, &[word]);
    }
}
