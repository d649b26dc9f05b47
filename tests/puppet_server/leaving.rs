//! Leaving: with the node's own certificate where the server lets it, else by an admin's command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use enlist_emulator::Options;
use enlist_emulator::control::{Autosign, CaPolicy};

use super::common::{NAME, Node, Run, expect};
use super::{admin, enlist, settings};

fn member(policy: CaPolicy) -> Node {
    // A request that nobody signs is not waited for for long.
    let budget = if matches!(policy.autosign, Autosign::On) { "60s" } else { "5s" };
    let node = Node::with(Options {
        puppet_ca: policy,
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.settings(&settings(&node, "\"localhost\"", budget));
    enlist(&node, &["join"]);
    node
}

fn autosigned() -> CaPolicy {
    CaPolicy { autosign: Autosign::On, ..CaPolicy::default() }
}

/// It ends with 0, and nothing is left here.
fn leaves(node: &Node) -> Run {
    let left = enlist(node, &["leave"]);
    expect(&left, 0, &[]);
    assert!(!node.key().exists() && !node.certificate().exists());
    assert!(!node.path("var/lib/enlist/puppet-server/record.json").exists());
    left
}

fn says_clean(left: &Run) -> bool {
    let clean = format!("puppetserver ca clean --certname {NAME}");
    format!("{}{}", left.stdout, left.stderr).contains(&clean)
}

#[test]
fn a_packaged_server_lets_no_node_do_it_and_the_admins_command_is_said() {
    let node = member(autosigned());
    let left = leaves(&node);
    assert!(says_clean(&left) && left.stdout.contains("still has this node"), "{}", left.stdout);
    assert_eq!(node.asked("DeleteCertificateStatus"), 1);
    // The CA has it, so the name is taken.
    expect(&enlist(&node, &["join"]), 69, &["for another key"]);
}

#[test]
fn a_rule_in_auth_conf_lets_the_node_remove_itself() {
    let node = member(CaPolicy { self_delete: true, ..autosigned() });
    let left = leaves(&node);
    assert!(!says_clean(&left) && left.stderr.contains("not have this node any more"));
    let asked: Vec<_> = node.emulator.calls().iter().map(|call| call.action.clone()).collect();
    assert_eq!(asked.iter().filter(|action| action.ends_with("CertificateStatus")).count(), 2);
    // The name is free for another key.
    expect(&enlist(&node, &["join"]), 0, &[]);
}

#[test]
fn what_the_admin_has_cleaned_is_gone_and_what_is_revoked_stays() {
    let node = member(autosigned());
    admin(&node, "clean");
    assert!(!says_clean(&leaves(&node)));
    assert_eq!(node.asked("DeleteCertificateStatus"), 0);
    let node = member(autosigned());
    admin(&node, "revoke");
    assert!(says_clean(&leaves(&node)));
    assert_eq!(node.asked("DeleteCertificateStatus"), 0, "there would be no connection");
}

#[test]
fn an_expired_certificate_and_a_request_that_waits_are_left_to_the_admin() {
    let node = member(CaPolicy { ttl: 1, ..autosigned() });
    std::thread::sleep(Duration::from_secs(2));
    assert!(says_clean(&leaves(&node)));
    assert_eq!(node.asked("DeleteCertificateStatus"), 0);
    let node = member(CaPolicy::default());
    assert!(says_clean(&leaves(&node)));
}

/// A lost reply, or a start in between, is followed by looking again.
#[test]
fn an_interrupted_leave_begins_again() {
    for action in ["PutCertificateStatus", "DeleteCertificateStatus"] {
        let node = member(CaPolicy { self_delete: true, ..autosigned() });
        node.emulator.inject(format!("puppet-ca:{action}=lost-reply*1").parse().unwrap());
        assert!(!says_clean(&leaves(&node)), "{action}");
    }
}

/// Somebody else has the name meanwhile: it is none of this node's business.
#[test]
fn the_certificate_of_another_key_is_left_alone() {
    let node = member(CaPolicy { self_delete: true, ..autosigned() });
    admin(&node, "clean");
    let name = format!("[node]\nname = \"{NAME}\"\n");
    let text = settings(&node, "\"localhost\"", "5s").replace("[node]\n", &name);
    let other = super::OtherMachine::new(&node, &text);
    fs::write(other.path("ca.pem"), node.emulator.ca_bundle()).unwrap();
    other.off_ec2(&["join"]);
    leaves(&node);
    assert_eq!(node.asked("DeleteCertificateStatus"), 0);
}

/// What the CA has of a member is asked for, without the member's certificate.
#[test]
fn a_probe_finds_a_certificate_that_was_revoked_or_cleaned() {
    let probe = ["status", "--probe"];
    for (word, says) in [("revoke", "has revoked"), ("clean", "has no certificate of this node")] {
        let node = member(autosigned());
        let said = enlist(&node, &probe);
        expect(&said, 0, &[]);
        assert!(said.stdout.contains("not revoked"), "{}", said.stdout);
        admin(&node, word);
        let said = enlist(&node, &probe);
        assert_eq!(said.code, 69, "{}{}", said.stdout, said.stderr);
        let clean = format!("puppetserver ca clean --certname {NAME}");
        assert!(said.stdout.contains(says) && said.stdout.contains(&clean), "{}", said.stdout);
        let doctor = enlist(&node, &["doctor"]);
        assert!(doctor.code == 69 && doctor.stdout.contains(says), "{}", doctor.stdout);
    }
}

/// A secret that can't be used is found before the join, and not shown.
#[test]
fn the_doctor_reads_the_challenge_password() {
    let node = member(CaPolicy::default());
    expect(&enlist(&node, &["leave", "--local"]), 0, &[]);
    let base = settings(&node, "\"localhost\"", "5s");
    let table = "[puppet-server]\n";
    assert!(base.contains(table), "{base}");
    let with = format!("{table}challenge_password = {{ file = \"/password\" }}\n");
    node.settings(&base.replace(table, &with));
    let says = |code: i32, word: &str| {
        let said = enlist(&node, &["doctor"]);
        assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
        assert!(said.stdout.contains(word), "{}", said.stdout);
        assert!(!said.stdout.contains("correct horse"), "{}", said.stdout);
    };
    says(78, "a secret of the settings can't be read");
    node.write("password", "correct horse\nand another line\n");
    fs::set_permissions(node.path("password"), fs::Permissions::from_mode(0o600)).unwrap();
    says(78, "the challenge password can't be used");
    node.write("password", "correct horse\n");
    says(0, "password can be used");
    fs::set_permissions(node.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    says(78, "all users of this machine can read");
}
