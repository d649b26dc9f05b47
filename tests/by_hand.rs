//! A join without a network to the authority: a person carries the request there, and the answer here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "by_hand/chef.rs"]
mod chef;
mod common;

use std::fs;
use std::path::PathBuf;

use common::openssl_ca::OpensslCa;
use common::{NAME, Node, Run, expect, mode, openssl, text};
use serde_json::Value;

/// Nothing answers there.
const SERVER: &str = "[puppet-server]\nserver = \"puppet.invalid\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"5s\"\n";
const RECORD: &str = "var/lib/enlist/puppet-server/record.json";

/// A node that can reach no Puppet server; `trust` says how the CA is known.
fn node(trust: &str) -> Node {
    let node = Node::new();
    node.settings(&SERVER.replace("[puppet]\n", &format!("{trust}\n[puppet]\n")));
    node
}

fn requested(node: &Node) -> String {
    let run = node.enlist(&["csr", "--by-hand"]);
    expect(&run, 0, &["waits for the answer", "puppetserver ca sign --certname", "enlist accept"]);
    run.stdout
}

/// Writes an answer to a file outside of the node's root, and has it accepted.
fn accept(node: &Node, answer: &str) -> Run {
    let file = answer_file(answer);
    node.enlist(&["accept", text(file.path())])
}

fn answer_file(answer: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), answer).unwrap();
    file
}

fn status(node: &Node, code: i32) -> Value {
    let run = node.enlist(&["status", "--json"]);
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    let all: Value = serde_json::from_str(&run.stdout).unwrap();
    all["targets"][0].clone()
}

fn held(node: &Node) -> PathBuf {
    node.path("opt/puppetlabs/puppet/cache/state/agent_disabled.lock")
}

/// Nothing is installed, nothing keeps the engine from running, and the record still waits.
fn waits(node: &Node) {
    assert!(!node.certificate().exists() && !node.key().exists());
    assert!(!held(node).exists(), "the engine is released");
    assert!(node.read(RECORD).contains("\"phase\": \"requested\""));
}

#[test]
fn a_request_is_carried_there_and_the_answer_here() {
    let node = node("trust_on_first_use = true");
    let ca = OpensslCa::new("Puppet CA of the site");
    let csr = requested(&node);
    waits(&node);
    let said = status(&node, 75);
    assert_eq!((&said["membership"], &said["phase"]), (&"joining".into(), &"requested".into()));
    assert_eq!(said["attempts"], 0);
    let next = said["next"].as_str().unwrap();
    for part in
        ["csr --by-hand", "ca_crt.pem ca_crl.pem", &format!("{NAME}.puppet.answer"), "--root "]
    {
        assert!(next.contains(part), "{part}: {next}");
    }
    // What a member can do is not advised, and no name of the network is looked up.
    for command in ["renew", "repair"] {
        expect(&node.enlist(&[command]), 64, &["has not joined", "enlist accept --target"]);
    }
    let doctor = node.enlist(&["doctor"]);
    expect(&doctor, 0, &[]);
    for part in ["a person carries this node's messages", "carry the request", "nothing is wrong"] {
        assert!(doctor.stdout.contains(part), "{part}: {}", doctor.stdout);
    }
    // The same request as often as it is asked for, and a join does not ask the authority.
    assert_eq!(requested(&node), csr);
    let join = node.enlist(&["join"]);
    expect(&join, 75, &["waits for an answer that a person carries", "enlist accept"]);
    let answer = ca.answer(&csr);
    let joined = accept(&node, &answer);
    expect(&joined, 0, &[]);
    assert!(joined.stdout.contains("joined: Puppet server puppet.invalid as i-0"));
    assert!(joined.stdout.contains("puppet agent -t"), "{}", joined.stdout);
    let certificate = node.certificate();
    let installed = fs::read_to_string(&certificate).unwrap();
    assert!(answer.starts_with(&installed));
    assert_eq!(
        node.read("etc/puppetlabs/puppet/ssl/crl.pem").lines().count(),
        ca.list().lines().count()
    );
    let bundle = node.ssl("certs/ca.pem");
    openssl(&["verify", "-CAfile", text(&bundle), text(&certificate)]);
    let of_key = openssl(&["pkey", "-in", text(&node.key()), "-pubout"]);
    assert_eq!(openssl(&["x509", "-noout", "-pubkey", "-in", text(&certificate)]), of_key);
    assert!(node.read("etc/puppetlabs/puppet/puppet.conf").contains("server = puppet.invalid"));
    assert_eq!(mode(&node.key()), 0o640);
    let said = status(&node, 0);
    assert_eq!(said["membership"], "member");
    // Once more changes nothing.
    let again = accept(&node, &answer);
    assert!(again.code == 0 && again.stdout.contains("already joined"), "{}", again.stderr);
    expect(&node.enlist(&["csr", "--by-hand"]), 64, &["asked already"]);
    assert_eq!(status(&node, 0)["problems"].as_array().unwrap().len(), 0);
}

/// Each is refused, and the right answer still works afterwards.
#[test]
fn an_answer_is_checked_like_any_other() {
    let node = node("trust_on_first_use = true");
    let (ca, other) = (OpensslCa::new("the CA"), OpensslCa::new("another CA"));
    let csr = requested(&node);
    let good = ca.answer(&csr);
    let (certificate, bundle, list) = (ca.sign(&csr), ca.certificate(), ca.list());
    let key = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    let key = answer_file(&key);
    let request = |name: &str| {
        let subject = format!("/CN={name}");
        openssl(&["req", "-new", "-key", text(key.path()), "-subj", &subject])
    };
    let strangers = ca.sign(&request(NAME));
    let revoked = ca.sign(&csr);
    ca.revoke(&revoked);
    // A key in a refused answer does not take the place of the node's own.
    let foreign = fs::read_to_string(key.path()).unwrap();
    let cases: [(String, &[&str]); 13] = [
        (format!("{foreign}{good}"), &["certificate was refused", "key"]),
        (format!("{foreign}{strangers}{bundle}"), &["no revocation list", "ca_crl.pem"]),
        (format!("{foreign}{bundle}{list}"), &["no certificate of this node"]),
        (String::new(), &["not the answer", "no PEM block"]),
        (csr.clone(), &["not the answer", "certificate request"]),
        (good.replace("END CERT", "ENT CERT"), &["not the answer", "cut short"]),
        (format!("{certificate}{list}"), &["no CA certificate", "ca_crt.pem"]),
        (format!("{certificate}{bundle}"), &["no revocation list", "ca_crl.pem"]),
        (format!("{bundle}{list}"), &["no certificate of this node"]),
        (format!("{strangers}{bundle}{list}"), &["certificate was refused", "key"]),
        (format!("{revoked}{bundle}{}", ca.list()), &["certificate was refused", "revoked"]),
        (format!("{certificate}{}{}", other.certificate(), other.list()), &["was refused"]),
        (format!("{certificate}{bundle}{}", other.list()), &["can't be used", "is missing"]),
    ];
    for (answer, words) in cases {
        let refused = accept(&node, &answer);
        expect(&refused, 65, words);
        waits(&node);
        assert_eq!(node.enlist(&["csr", "-q"]).stdout, csr, "the same request as before");
    }
    let said = status(&node, 65);
    assert!(said["next"].as_str().unwrap().contains("enlist accept"), "{said}");
    expect(&accept(&node, &good), 0, &[]);
    assert_eq!(status(&node, 0)["membership"], "member");
}

#[test]
fn a_ca_of_the_settings_counts_whatever_was_carried() {
    let (ca, other) = (OpensslCa::new("the CA"), OpensslCa::new("another CA"));
    // Pinned.
    let node = node(&format!("ca_fingerprint = \"{}\"", ca.fingerprint()));
    let csr = requested(&node);
    expect(&accept(&node, &other.answer(&csr)), 65, &["can't be trusted", "ca_fingerprint"]);
    waits(&node);
    expect(&accept(&node, &ca.answer(&csr)), 0, &[]);
    // A file: the answer needs no CA then.
    let node = self::node("ca_file = \"/ca.pem\"");
    node.write("ca.pem", &ca.certificate());
    let csr = requested(&node);
    expect(&accept(&node, &other.answer(&csr)), 65, &["can't be used"]);
    expect(&accept(&node, &format!("{}{}", ca.sign(&csr), ca.list())), 0, &[]);
    assert_eq!(fs::read_to_string(node.ssl("certs/ca.pem")).unwrap(), ca.certificate());
}

#[test]
fn an_answer_without_a_request_is_a_usage_error() {
    let node = node("trust_on_first_use = true");
    let ca = OpensslCa::new("the CA");
    let csr = node.enlist(&["csr", "-q"]).stdout;
    expect(&accept(&node, &ca.answer(&csr)), 64, &["made no request", "csr --by-hand"]);
    expect(&node.enlist(&["accept", "/nonexistent"]), 65, &["can't be read", "/nonexistent"]);
    let aws = Node::new();
    expect(&aws.enlist(&["csr", "--by-hand"]), 64, &["can't be joined by hand"]);
    expect(&accept(&aws, &ca.answer(&csr)), 64, &["made no request"]);
}

/// An answer to the request that was carried is of no use without it, so no other key is made in its place.
#[test]
fn a_request_whose_key_is_lost_is_not_made_anew() {
    let node = node("trust_on_first_use = true");
    let csr = requested(&node);
    let key = node.path("var/lib/enlist/puppet-server/key.pem");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let again = "enlist leave --target puppet-server";
    let words = ["the private key of this node is missing", "puppet-server/key.pem", again];
    expect(&node.enlist(&["csr", "--by-hand"]), 74, &words);
    expect(&accept(&node, &OpensslCa::new("the CA").answer(&csr)), 74, &words);
    assert!(!key.exists(), "no other key is made");
    let said = status(&node, 65);
    assert!(said["next"].as_str().unwrap().contains("enlist csr --by-hand"), "{said}");
    let doctor = node.enlist(&["doctor"]);
    assert_eq!(doctor.code, 65, "{}", doctor.stdout);
    assert!(doctor.stdout.contains("first failed check: puppet-server: membership"));
    fs::write(&key, kept).unwrap();
    assert_eq!(requested(&node), csr);
    // The other way: a new request.
    fs::remove_file(&key).unwrap();
    expect(&node.enlist(&["leave"]), 0, &[]);
    assert_ne!(requested(&node), csr);
}

/// Nobody is asked, because nobody can be reached.
#[test]
fn leaving_says_what_may_remain() {
    let node = node("trust_on_first_use = true");
    requested(&node);
    let left = node.enlist(&["leave"]);
    expect(&left, 0, &[]);
    let words = format!("may have this node; run `puppetserver ca clean --certname {NAME}`");
    assert!(left.stdout.contains(&words), "{}", left.stdout);
    assert!(!node.path(RECORD).exists());
    assert!(!node.path("var/lib/enlist/puppet-server/key.pem").exists());
}

/// The key and the certificate were both made on the server.
#[test]
fn a_key_that_was_made_elsewhere_needs_no_request() {
    let node = node("trust_on_first_use = true");
    let ca = OpensslCa::new("the CA");
    let key = openssl(&["genpkey", "-quiet", "-algorithm", "RSA"]);
    let file = answer_file(&key);
    let subject = format!("/CN={NAME}");
    let csr = openssl(&["req", "-new", "-key", text(file.path()), "-subj", &subject]);
    let joined = accept(&node, &format!("{key}{}", ca.answer(&csr)));
    expect(&joined, 0, &[]);
    assert!(!joined.stderr.contains("PRIVATE KEY"));
    let of = |path: &str| openssl(&["pkey", "-in", path, "-pubout"]);
    assert_eq!(of(text(&node.key())), of(text(file.path())));
    assert_eq!(status(&node, 0)["membership"], "member");
    assert!(!node.path("var/lib/enlist/puppet-server/key.pem").exists());
}
