//! A server whose own certificate is revoked by its CA gets nothing.

use std::net::TcpListener;

use enlist_emulator::control::{Autosign, CaPolicy};
use enlist_emulator::{CaSource, Emulator, Options};

use super::common::{Node, expect};
use super::{asked, check, enlist, node, port, settings};

const REVOKED: [&str; 2] =
    ["the CA has revoked the certificate", "puppetserver ca generate --ca-client"];

fn policy(server_is_revoked: bool) -> CaPolicy {
    let (autosign, allow_auto_renewal) = (Autosign::On, true);
    CaPolicy { autosign, allow_auto_renewal, server_is_revoked, ..CaPolicy::default() }
}

fn revoke(node: &Node) {
    node.emulator.with(|control| control.puppet_ca_mut().set_policy("puppet-test", policy(true)));
}

#[test]
fn a_join_sends_nothing_after_the_lists() {
    let node = node(Autosign::On, &[]);
    revoke(&node);
    check(&node, 65, &REVOKED);
    let before = asked(&node).len();
    expect(&enlist(&node, &["join"]), 65, &REVOKED);
    assert_eq!(asked(&node)[before..], ["GetCertificateRevocationList"]);
    assert!(!node.ssl("certs/ca.pem").exists(), "nothing is installed");
    // The server has a new certificate.
    node.emulator.with(|control| control.puppet_ca_mut().set_policy("puppet-test", policy(false)));
    expect(&enlist(&node, &["join"]), 0, &[]);
    check(&node, 0, &[]);
}

#[test]
fn the_next_server_of_a_list_is_asked() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("SKIPPED: this machine has no IPv6");
        return;
    }
    let node = node(Autosign::On, &[]);
    let first = Emulator::start(Options {
        ca: CaSource::Shared,
        puppet_ca: policy(true),
        puppet_listen: Some(format!("[::1]:{}", port(&node)).parse().unwrap()),
        ..Options::default()
    });
    let first = first.unwrap();
    node.settings(&settings(&node, "[\"::1\", \"127.0.0.1\"]", "30s"));
    expect(&enlist(&node, &["join"]), 0, &[]);
    let at_first: Vec<String> = first.calls().iter().map(|call| call.action.clone()).collect();
    assert_eq!(at_first, ["GetCertificateRevocationList"]);
    assert_eq!(node.asked("PutCertificateRequest"), 1);
    // Nor does the agent show its certificate to the revoked one.
    let conf = node.read("etc/puppetlabs/puppet/puppet.conf");
    assert!(conf.contains("server = 127.0.0.1\n"), "{conf}");
}

#[test]
fn a_member_shows_it_no_certificate() {
    let node = node(Autosign::On, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    revoke(&node);
    check(&node, 65, &REVOKED);
    // Each names the command that goes on, not a join.
    for (command, again) in [
        ("renew", "then here `enlist renew --target puppet-server --root"),
        ("leave", "then here `enlist leave --target puppet-server --root"),
        ("leave", "without telling the authority, `enlist leave --local"),
    ] {
        let said = enlist(&node, &[command]);
        expect(&said, 65, &[REVOKED.as_slice(), &[again]].concat());
        assert!(!said.stderr.contains("enlist join"), "{}", said.stderr);
    }
    assert_eq!(node.asked("PostCertificateRenewal"), 0);
    assert_eq!(node.asked("PutCertificateStatus") + node.asked("DeleteCertificateStatus"), 0);
    expect(&enlist(&node, &["leave", "--force"]), 0, &["the CA has revoked the certificate"]);
    assert!(!node.certificate().exists());
}
