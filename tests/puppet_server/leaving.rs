//! Leaving: with the node's own certificate where the server lets it, else by an admin's command.

use std::fs;
use std::time::Duration;

use enlist_emulator::Options;
use enlist_emulator::control::{Autosign, CaPolicy};

use super::common::{NAME, Node, Run, expect};
use super::{admin, enlist, settings};

fn member(policy: CaPolicy) -> Node {
    let node = Node::with(Options {
        puppet_ca: policy,
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.settings(&settings(&node, "\"localhost\"", "2s"));
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
    let text = settings(&node, "\"localhost\"", "2s").replace("[node]\n", &name);
    let other = super::OtherMachine::new(&node, &text);
    fs::write(other.path("ca.pem"), node.emulator.ca_bundle()).unwrap();
    other.off_ec2(&["join"]);
    leaves(&node);
    assert_eq!(node.asked("DeleteCertificateStatus"), 0);
}
