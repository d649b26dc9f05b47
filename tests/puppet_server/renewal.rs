//! Renewal with the node's own certificate, and servers that do not renew.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use enlist_emulator::Options;
use enlist_emulator::control::{Autosign, CaPolicy};
use serde_json::Value;

use super::common::{NAME, Node, Run, expect, openssl, text};
use super::{admin, enlist, settings};

const RECORD: &str = "var/lib/enlist/puppet-server/record.json";

fn node(policy: CaPolicy) -> Node {
    let node = Node::with(Options {
        puppet_ca: CaPolicy { autosign: Autosign::On, ..policy },
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.settings(&settings(&node, "\"localhost\"", "30s"));
    node
}

/// It renews for longer than it signs for, so that a join takes the new certificate.
fn renews() -> CaPolicy {
    const YEAR: u64 = 365 * 24 * 3600;
    CaPolicy { allow_auto_renewal: true, auto_renewal_ttl: 10 * YEAR, ..CaPolicy::default() }
}

/// A member whose certificate is due: by its record, it has joined long ago.
fn due(policy: CaPolicy) -> Node {
    let node = node(policy);
    expect(&enlist(&node, &["join"]), 0, &[]);
    make_due(&node);
    node
}

fn make_due(node: &Node) {
    let mut record = record(node);
    record["since"] = 0.into();
    record["fault"] = Value::Null;
    node.write(RECORD, &record.to_string());
}

fn record(node: &Node) -> Value {
    serde_json::from_str(&node.read(RECORD)).unwrap()
}

fn serial(node: &Node) -> String {
    openssl(&["x509", "-in", text(&node.certificate()), "-noout", "-serial"])
}

fn renewals(node: &Node) -> usize {
    node.asked("PostCertificateRenewal")
}

/// The join keeps the former certificate, says why, and does not ask again the same day.
fn keeps(node: &Node, said: &[&str]) -> Run {
    let (before, key) = (serial(node), fs::read(node.key()).unwrap());
    let run = enlist(node, &["join"]);
    expect(&run, 0, said);
    expect(&run, 0, &["this node keeps what it has"]);
    assert!(!run.stderr.contains("renewed at"), "{}", run.stderr);
    assert_eq!((serial(node), fs::read(node.key()).unwrap()), (before, key));
    assert_eq!(record(node)["phase"], "joined");
    assert_eq!(record(node)["fault"]["retry_after"], 86_400);
    let status = enlist(node, &["status"]);
    assert!(status.stdout.contains(said[0]), "{}", status.stdout);
    let asked = node.emulator.calls().len();
    expect(&enlist(node, &["join"]), 0, &[]);
    assert_eq!(node.emulator.calls().len(), asked, "it is asked once a day");
    run
}

#[test]
fn a_certificate_is_renewed_with_the_key_and_the_certificate_of_the_node() {
    let node = due(renews());
    let (before, key) = (serial(&node), fs::read(node.key()).unwrap());
    expect(&enlist(&node, &["join"]), 0, &["renewal"]);
    assert_ne!(serial(&node), before);
    assert_eq!(fs::read(node.key()).unwrap(), key);
    assert_eq!((renewals(&node), node.asked("PutCertificateRequest")), (1, 1));
    let (ca, certificate) = (node.ssl("certs/ca.pem"), node.certificate());
    openssl(&["verify", "-CAfile", text(&ca), text(&certificate)]);
    assert_eq!(record(&node)["former"], Value::Null);
    // It is not due again.
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(renewals(&node), 1);
}

/// The CA answered GET certificate with the certificate that it had, and that was called a renewal.
#[test]
fn a_server_that_renews_nothing_is_asked_once_a_day_and_nothing_is_called_renewed() {
    let node = due(CaPolicy::default());
    keeps(&node, &["the CA renews no certificates", "allow-auto-renewal", "puppetserver ca clean"]);
    assert_eq!(renewals(&node), 1);
}

#[test]
fn a_renewal_by_hand_that_was_not_due_does_not_decide_health() {
    let node = node(CaPolicy::default());
    expect(&enlist(&node, &["join"]), 0, &[]);
    expect(&enlist(&node, &["renew"]), 69, &["the CA renews no certificates"]);
    for command in ["status", "doctor", "join"] {
        let run = enlist(&node, &[command]);
        assert_eq!(run.code, 0, "{command}: {}{}", run.stdout, run.stderr);
    }
    let status = enlist(&node, &["status", "--json"]);
    assert!(status.stdout.contains("\"healthy\": true"), "{}", status.stdout);
    // One that is due counts, also by hand.
    make_due(&node);
    expect(&enlist(&node, &["renew"]), 69, &["the CA renews no certificates"]);
    assert_eq!(enlist(&node, &["status"]).code, 69);
}

#[test]
fn a_server_before_8_1_is_named_by_its_refusal() {
    let node = due(CaPolicy { renewal_rule: false, ..CaPolicy::default() });
    keeps(&node, &["does not let this node renew", "auth.conf", "Forbidden request"]);
    assert_eq!(renewals(&node), 1);
}

#[test]
fn a_ca_that_was_made_anew_is_named_by_its_refusal() {
    let node = due(CaPolicy { signed_none: true, ..renews() });
    let text = "Certificate present, but does not match signature";
    keeps(
        &node,
        &["has not signed this node's certificate", "ca_fingerprint", "enlist join", text],
    );
    assert_eq!(renewals(&node), 1);
    expect(&enlist(&node, &["status"]), 69, &[]);
}

#[test]
fn an_expired_or_revoked_certificate_is_not_sent() {
    let node = due(renews());
    admin(&node, "revoke");
    keeps(&node, &["the certificate is revoked", "puppetserver ca clean"]);
    assert_eq!(renewals(&node), 0);

    let node = node_that_expires();
    keeps(&node, &["the certificate has expired", "puppetserver ca clean"]);
    assert_eq!(renewals(&node), 0);
}

fn node_that_expires() -> Node {
    let node = node(CaPolicy { ttl: 2, ..renews() });
    expect(&enlist(&node, &["join"]), 0, &[]);
    std::thread::sleep(Duration::from_secs(3));
    make_due(&node);
    node
}

#[test]
fn a_renewal_whose_reply_is_lost_is_found_at_the_ca() {
    let node = due(renews());
    let before = serial(&node);
    node.emulator.inject("puppet-ca:PostCertificateRenewal=lost-reply*1".parse().unwrap());
    expect(&enlist(&node, &["join"]), 0, &["retrying"]);
    assert_ne!(serial(&node), before);
    assert_eq!(renewals(&node), 1);
}

/// The CA signs for five years and renews for 60 days. A join ends, and may not be run again in time.
#[test]
fn a_join_keeps_the_certificate_that_ends_later() {
    let node = due(CaPolicy { allow_auto_renewal: true, ..CaPolicy::default() });
    keeps(&node, &["would end before the present one", "enlist.service"]);
    assert_eq!(renewals(&node), 1);
    // The CA has the new one now, and is not asked for more of them.
    make_due(&node);
    keeps(&node, &["would end before the present one"]);
    assert_eq!(renewals(&node), 1);
}

#[test]
fn what_is_trusted_on_first_use_is_not_trusted_anew_at_a_renewal() {
    let node = node(renews());
    let good = settings(&node, "\"localhost\"", "30s");
    node.settings(&good.replace("ca_file = \"/ca.pem\"", "trust_on_first_use = true"));
    expect(&enlist(&node, &["join"]), 0, &["trusted without a check"]);
    make_due(&node);
    let before = node.asked("GetCertificate");
    let renewed = enlist(&node, &["join"]);
    expect(&renewed, 0, &["renewal"]);
    assert!(!renewed.stderr.contains("trusted without"), "{}", renewed.stderr);
    // The node's own, to see whether it is renewed already.
    assert_eq!(node.asked("GetCertificate"), before + 1);
}

/// Who will renew gets a short lifetime.
#[test]
fn only_the_daemon_says_that_it_renews() {
    let days = |node: &Node| {
        let seconds = |days: u64| (days * 24 * 3600).to_string();
        let ends_within = |days: u64| {
            let at = node.certificate();
            let arguments = ["x509", "-in", text(&at), "-noout", "-checkend", &seconds(days)];
            !std::process::Command::new("openssl")
                .args(arguments)
                .output()
                .unwrap()
                .status
                .success()
        };
        if ends_within(61) { 60 } else { 0 }
    };
    let renews = || CaPolicy { allow_auto_renewal: true, ..CaPolicy::default() };
    let by_join = node(renews());
    expect(&enlist(&by_join, &["join"]), 0, &[]);
    assert_eq!(days(&by_join), 0);

    let by_daemon = node(renews());
    let mut command = by_daemon.command(&["run"]);
    let mut daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut tries = 0;
    while !by_daemon.certificate().exists() && tries < 600 {
        tries += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    // What says so is no secret.
    let request = by_daemon.ssl(&format!("certificate_requests/{NAME}.pem"));
    let shown = openssl(&["req", "-in", text(&request), "-noout", "-text"]);
    assert!(shown.contains("1.3.6.1.4.1.34380.1.3.2"), "{shown}");
    assert_eq!(days(&by_daemon), 60);
}

/// The budget of the settings counts where it is shorter than a minute, and a renewal names no first run.
#[test]
fn a_renewal_ends_with_the_budget_and_names_no_first_run() {
    let node = node(renews());
    expect(&enlist(&node, &["join"]), 0, &[]);
    let renewed = enlist(&node, &["renew"]);
    expect(&renewed, 0, &[]);
    assert!(renewed.stdout.starts_with("renewed: "), "{}", renewed.stdout);
    assert!(renewed.stderr.contains("a new certificate is asked for"), "{}", renewed.stderr);
    assert!(!renewed.stdout.contains("puppet agent"), "{}", renewed.stdout);
    node.emulator.inject("puppet-ca:PostCertificateRenewal=500*forever".parse().unwrap());
    let said = enlist(&node, &["renew", "--set", "node.budget=1s"]);
    expect(&said, 75, &["no new certificate"]);
    // A minute would have had many more.
    assert!(renewals(&node) < 8, "{}", said.stderr);
}
