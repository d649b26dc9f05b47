//! A CA that was made anew with the same key, which Puppet's agent fetches by itself.

use std::fs;
use std::path::Path;

use enlist_emulator::control::{Autosign, CaPolicy};
use enlist_emulator::{CaSource, Emulator, Options};

use super::common::{Node, expect, openssl, text};
use super::{enlist, settings};

/// A CA of so many days with this key.
fn ca(directory: &std::path::Path, key: &str, days: &str) -> String {
    let (key, made) = (directory.join(key), directory.join("made.pem"));
    if !key.exists() {
        openssl(&["genpkey", "-algorithm", "RSA", "-out", text(&key)]);
    }
    openssl(&[
        "req",
        "-x509",
        "-new",
        "-key",
        text(&key),
        "-days",
        days,
        "-subj",
        "/CN=The CA",
        "-out",
        text(&made),
    ]);
    fs::read_to_string(made).unwrap()
}

/// A node, and a server with this CA that signs and renews.
fn of_ca(directory: &Path) -> Node {
    let options = Options {
        ca: CaSource::Files { certificates: directory.join("ca.pem"), key: directory.join("key") },
        puppet_ca: CaPolicy {
            autosign: Autosign::On,
            allow_auto_renewal: true,
            auto_renewal_ttl: 6 * 365 * 86_400,
            ..CaPolicy::default()
        },
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    let emulator = Emulator::start(options).unwrap();
    Node { emulator, root: tempfile::tempdir().unwrap() }
}

#[test]
fn a_ca_that_the_agent_has_fetched_anew_is_no_damage_and_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let old = ca(directory.path(), "key", "3000");
    let renewed = ca(directory.path(), "key", "4000");
    let foreign = ca(directory.path(), "another", "4000");
    fs::write(directory.path().join("ca.pem"), &old).unwrap();
    let node = of_ca(directory.path());
    node.write("ca.pem", &old);
    node.settings(&settings(&node, "\"localhost\"", "30s"));
    expect(&enlist(&node, &["join"]), 0, &[]);

    let installed = node.ssl("certs/ca.pem");
    fs::write(&installed, &renewed).unwrap();
    let status = enlist(&node, &["status"]);
    assert_eq!(status.code, 0, "{}", status.stdout);
    // Installing again, as a repair does, does not put the old one back.
    fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(fs::read_to_string(&installed).unwrap(), renewed);

    // Nor one that the server has more by now.
    let more = format!("{renewed}{foreign}");
    for what in ["repair", "renew"] {
        fs::write(&installed, &more).unwrap();
        if what == "repair" {
            fs::remove_file(node.certificate()).unwrap();
        }
        let said = enlist(&node, &[what]);
        expect(&said, 0, &[]);
        assert_eq!(fs::read_to_string(&installed).unwrap(), more, "{what}");
        assert!(node.ssl("crl.pem").exists());
        expect(&enlist(&node, &["status"]), 0, &[]);
    }

    // A CA of the same name with another key verifies nothing.
    fs::write(&installed, &foreign).unwrap();
    let status = enlist(&node, &["status"]);
    assert_ne!(status.code, 0);
    assert!(
        status.stdout.contains("is not the one that this node joined with"),
        "{}",
        status.stdout
    );
    fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(fs::read_to_string(&installed).unwrap(), old);
}
