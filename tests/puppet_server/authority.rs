//! A CA or revocation lists that can't work.

use std::fs;

use enlist_emulator::control::{Autosign, CaPolicy};
use enlist_emulator::{CaSource, Emulator, Options};
use serde_json::Value;

use super::common::{Node, expect, openssl, self_signed, text};
use super::{admin, asked, enlist, node, settings};

const RECORD: &str = "var/lib/enlist/puppet-server/record.json";

#[test]
fn lists_that_lack_the_roots_are_noticed_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["root", "signer"] {
        let key = at(&format!("{name}.key"));
        openssl(&["genpkey", "-algorithm", "RSA", "-out", text(&key)]);
        let (subject, made) = (format!("/CN=The {name}"), at(&format!("{name}.pem")));
        let mut arguments = vec!["req", "-x509", "-new", "-days", "3000", "-subj", &subject];
        arguments.extend(["-key", text(&key), "-out", text(&made)]);
        let (root, root_key) = (at("root.pem"), at("root.key"));
        if name == "signer" {
            arguments.extend(["-CA", text(&root), "-CAkey", text(&root_key)]);
        }
        openssl(&arguments);
    }
    let bundle = ["signer.pem", "root.pem"].map(|name| fs::read_to_string(at(name)).unwrap());
    fs::write(at("ca.pem"), bundle.concat()).unwrap();
    // The emulator has no list of the root's: it has no key of the root.
    let emulator = Emulator::start(Options {
        ca: CaSource::Files { certificates: at("ca.pem"), key: at("signer.key") },
        puppet_ca: CaPolicy { autosign: Autosign::On, ..CaPolicy::default() },
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    });
    let node = Node { emulator: emulator.unwrap(), root: tempfile::tempdir().unwrap() };
    node.write("ca.pem", &bundle.concat());
    node.settings(&settings(&node, "\"localhost\"", "30s"));
    let said = enlist(&node, &["join"]);
    expect(&said, 65, &["revocation list of the CA CN=The root is missing", "ca_crl.pem"]);
    assert_eq!(asked(&node), ["GetCertificateRevocationList"]);
}

/// The record of a node that waits: it has lists that can't be used, as they were when it asked.
#[test]
fn lists_that_were_bad_when_the_node_asked_are_fetched_again() {
    let node = node(Autosign::Off, &[]);
    node.settings(&settings(&node, "\"localhost\"", "5s"));
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    let mut record: Value = serde_json::from_str(&node.read(RECORD)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    record["authority"]["crl"] = foreign_list(directory.path()).into();
    node.write(RECORD, &record.to_string());
    admin(&node, "sign");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.asked("PutCertificateRequest"), 1);
    expect(&enlist(&node, &["status"]), 0, &[]);
    let record: Value = serde_json::from_str(&node.read(RECORD)).unwrap();
    assert_eq!(
        record["authority"]["crl"].as_str().unwrap(),
        fs::read_to_string(node.ssl("crl.pem")).unwrap()
    );
}

/// The agent refuses such lists in its next run.
#[test]
fn damaged_lists_of_a_member_are_found_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(Autosign::On, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let good = fs::read(node.ssl("crl.pem")).unwrap();
    let foreign = foreign_list(directory.path());
    for content in ["hello\n", "", foreign.as_str()] {
        fs::write(node.ssl("crl.pem"), content).unwrap();
        let said = enlist(&node, &["status"]);
        expect(&said, 65, &[]);
        assert!(
            said.stdout.contains("is damaged") && said.stdout.contains("enlist repair"),
            "{said:?}"
        );
        expect(&enlist(&node, &["repair"]), 0, &[]);
        expect(&enlist(&node, &["status"]), 0, &[]);
        assert_eq!(fs::read(node.ssl("crl.pem")).unwrap(), good);
    }
}

/// A list of another CA.
fn foreign_list(directory: &std::path::Path) -> String {
    let (key, made, config, list) = (
        directory.join("key"),
        directory.join("ca.pem"),
        directory.join("ca.cnf"),
        directory.join("crl.pem"),
    );
    self_signed("another", &key, &made, &[]);
    fs::write(directory.join("index.txt"), "").unwrap();
    let said = format!(
        "[ca]\ndefault_ca = it\n[it]\ndatabase = {}\ndefault_md = sha256\ndefault_crl_days = 30\n",
        directory.join("index.txt").display()
    );
    fs::write(&config, said).unwrap();
    openssl(&[
        "ca",
        "-gencrl",
        "-config",
        text(&config),
        "-keyfile",
        text(&key),
        "-cert",
        text(&made),
        "-out",
        text(&list),
    ]);
    fs::read_to_string(list).unwrap()
}
