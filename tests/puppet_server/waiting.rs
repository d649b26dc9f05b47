//! What changes at the CA while a request waits.

use enlist_emulator::control::{Autosign, CaPolicy};

use super::common::{NAME, OtherMachine, expect};
use super::{admin, enlist, node, port, settings};

const SERVER: &str = "puppet-test";

#[test]
fn a_certificate_that_was_revoked_while_the_request_waited_is_not_installed() {
    let node = node(Autosign::Off, &[]);
    node.settings(&settings(&node, "\"localhost\"", "5s"));
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    admin(&node, "sign");
    admin(&node, "revoke");
    node.settings(&settings(&node, "\"localhost\"", "30s"));
    let clean = format!("puppetserver ca clean --certname {NAME}");
    for _ in 0..2 {
        expect(&enlist(&node, &["join"]), 65, &["is revoked", &clean]);
        assert!(!node.certificate().exists());
    }
    // As the message says.
    admin(&node, "clean");
    node.emulator.with(|control| {
        let policy = CaPolicy { autosign: Autosign::On, ..CaPolicy::default() };
        control.puppet_ca_mut().set_policy(SERVER, policy);
    });
    expect(&enlist(&node, &["join"]), 0, &[]);
    expect(&enlist(&node, &["status"]), 0, &[]);
}

/// With allow-duplicate-certs, the CA has the older certificate of the name until it signs.
#[test]
fn an_older_certificate_of_the_name_is_no_answer_to_an_accepted_request() {
    let node = node(Autosign::Off, &[]);
    let text = settings(&node, "\"localhost\"", "5s")
        .replace("[node]\n", &format!("[node]\nname = \"{NAME}\"\n"));
    node.settings(&text);
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    let ours = node.emulator.with(|control| {
        let mut waiting = control.puppet_ca_mut().requests(SERVER);
        waiting.next().unwrap().1.to_owned()
    });
    admin(&node, "clean");
    let set = |autosign, allow_duplicate_certs| {
        let policy = CaPolicy { autosign, allow_duplicate_certs, ..CaPolicy::default() };
        node.emulator.with(|control| control.puppet_ca_mut().set_policy(SERVER, policy));
    };
    set(Autosign::On, false);
    let other = OtherMachine::new(&node, &text);
    std::fs::write(other.path("ca.pem"), node.emulator.ca_bundle()).unwrap();
    other.off_ec2(&["join"]);
    // The request arrives after the other machine's certificate was issued.
    set(Autosign::Off, true);
    node.write("ours.pem", &ours);
    let url = format!("https://localhost:{}/puppet-ca/v1/certificate_request/{NAME}", port(&node));
    let body = format!("@{}", node.path("ours.pem").display());
    let mut curl = std::process::Command::new("curl");
    curl.args(["-skf", "--noproxy", "*", "-X", "PUT", "-H", "content-type: text/plain"]);
    assert!(curl.args(["--data-binary", &body, &url]).status().unwrap().success());
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    admin(&node, "sign");
    expect(&enlist(&node, &["join"]), 0, &[]);
    // Without a request of ours, the name is the other machine's.
    assert!(node.certificate().exists());
}
