//! Revocation lists that have expired or are not valid yet: by default Puppet's agent does not run with them.

use std::fs;

use enlist_emulator::control::{Autosign, CaPolicy};
use serde_json::Value;

use super::common::{Node, expect};
use super::{asked, check, enlist, node};

const HOUR: i64 = 3600;
const CONF: &str = "etc/puppetlabs/puppet/puppet.conf";

/// The CA's own list is valid from and until then, in seconds after it was made.
fn dated(node: &Node, list_begins: i64, list_ends: i64) {
    let policy = CaPolicy { autosign: Autosign::On, list_begins, list_ends, ..CaPolicy::default() };
    node.emulator.with(|control| control.puppet_ca_mut().set_policy("puppet-test", policy));
}

#[test]
fn the_agents_first_run_would_fail_so_nothing_is_sent_or_installed() {
    for (begins, ends, said) in [
        (-48 * HOUR, -HOUR, ["expired at", "renew the list on the server"]),
        (HOUR, 9000 * HOUR, ["is valid from", "timedatectl set-ntp true"]),
    ] {
        let node = node(Autosign::On, &[]);
        dated(&node, begins, ends);
        check(&node, 65, &said);
        let before = asked(&node).len();
        let ran = enlist(&node, &["join"]);
        expect(
            &ran,
            65,
            &["revocation list of the CA CN=Puppet CA: puppet-test", said[0], said[1]],
        );
        assert_eq!(asked(&node)[before..], ["GetCertificateRevocationList"]);
        assert!(!node.ssl("crl.pem").exists() && !node.ssl("certs/ca.pem").exists());
        let evidence = node.path("var/lib/enlist/puppet-server/evidence");
        let kept: Vec<_> = fs::read_dir(evidence).unwrap().collect();
        assert_eq!(kept.len(), 1, "the list");
        // The server has a new list.
        dated(&node, -24 * HOUR, 9000 * HOUR);
        expect(&enlist(&node, &["join"]), 0, &[]);
        check(&node, 0, &[]);
        // The renewal of a member would fail, too.
        dated(&node, begins, ends);
        check(&node, 65, &said);
        expect(&enlist(&node, &["renew"]), 65, &said);
    }
}

#[test]
fn a_list_of_this_second_is_good_by_a_clock_that_is_a_little_behind() {
    let node = node(Autosign::On, &[]);
    dated(&node, 240, 9000 * HOUR);
    expect(&enlist(&node, &["join"]), 0, &[]);
}

#[test]
fn an_agent_that_looks_at_no_list_joins_with_a_warning_and_a_problem() {
    let node = node(Autosign::On, &[]);
    dated(&node, -48 * HOUR, -HOUR);
    node.write(CONF, "[main]\ncertificate_revocation = false\n");
    let says = "the agent runs, because its certificate_revocation is false";
    expect(&enlist(&node, &["join"]), 0, &["WARN", "expired at", says]);
    assert!(!node.ssl("crl.pem").exists(), "a list that has expired is not installed");
    expect(&enlist(&node, &["status"]), 0, &[]);
    // The agent has fetched it.
    let record: Value =
        serde_json::from_str(&node.read("var/lib/enlist/puppet-server/record.json")).unwrap();
    fs::write(node.ssl("crl.pem"), record["authority"]["crl"].as_str().unwrap()).unwrap();
    let said = enlist(&node, &["status"]);
    expect(&said, 65, &[]);
    for part in ["the CRL is not current", says, "the engine's next run fetches it"] {
        assert!(said.stdout.contains(part), "{said:?}");
    }
}

#[test]
fn a_members_list_that_expires_is_a_problem_that_no_repair_corrects() {
    let node = node(Autosign::On, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    // A list of the same CA that has expired.
    let other = super::node(Autosign::On, &[]);
    dated(&other, -48 * HOUR, -HOUR);
    other.write(CONF, "[main]\ncertificate_revocation = false\n");
    expect(&enlist(&other, &["join"]), 0, &[]);
    let record: Value =
        serde_json::from_str(&other.read("var/lib/enlist/puppet-server/record.json")).unwrap();
    let old = record["authority"]["crl"].as_str().unwrap();
    fs::write(node.ssl("crl.pem"), old).unwrap();
    let said = enlist(&node, &["status"]);
    expect(&said, 65, &[]);
    assert!(said.stdout.contains("the agent does not run"), "{said:?}");
    assert!(said.stdout.contains(&format!("rm {}", node.ssl("crl.pem").display())), "{said:?}");
    // As the message says: then the agent fetches it.
    fs::remove_file(node.ssl("crl.pem")).unwrap();
    let said = enlist(&node, &["status"]);
    expect(&said, 74, &[]);
    expect(&enlist(&node, &["repair"]), 0, &[]);
    expect(&enlist(&node, &["status"]), 0, &[]);
}

/// The agent has fetched a list that has this node's certificate.
#[test]
fn a_members_list_that_revokes_its_certificate_is_a_problem() {
    let node = node(Autosign::On, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    super::admin(&node, "revoke");
    let url = format!(
        "https://localhost:{}/puppet-ca/v1/certificate_revocation_list/ca",
        super::port(&node)
    );
    let list = node.ssl("crl.pem");
    let mut curl = std::process::Command::new("curl");
    curl.args(["-skf", "--noproxy", "*", "-o"]).arg(&list).arg(&url);
    assert!(curl.status().unwrap().success());
    let said = enlist(&node, &["status"]);
    expect(&said, 65, &[]);
    let clean = format!("puppetserver ca clean --certname {}", super::common::NAME);
    let again = ["enlist leave --target puppet-server", "enlist join --target puppet-server"];
    for part in ["the CRL revokes this node's certificate", &clean, again[0], again[1]] {
        assert!(said.stdout.contains(part), "{part}: {said:?}");
    }
}
