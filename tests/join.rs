//! `enlist join` end to end: the program, an emulator over HTTP, and checks by OpenSSL.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
#[path = "join/request.rs"]
mod request;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use common::{NAME, Node, mode, openssl, run, text};
use enlist_emulator::Options;

#[test]
fn a_node_joins_and_openssl_agrees() {
    let node = Node::new();
    let run = node.join();
    let (key, certificate, ca) = (node.key(), node.certificate(), node.ssl("certs/ca.pem"));
    openssl(&["verify", "-CAfile", text(&ca), text(&certificate)]);
    let of_key = openssl(&["pkey", "-in", text(&key), "-pubout"]);
    assert_eq!(of_key, openssl(&["x509", "-in", text(&certificate), "-noout", "-pubkey"]));
    let request = node.ssl(&format!("certificate_requests/{NAME}.pem"));
    assert_eq!(of_key, openssl(&["req", "-in", text(&request), "-noout", "-pubkey", "-verify"]));
    let subject =
        openssl(&["x509", "-in", text(&certificate), "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert_eq!(subject.trim(), format!("subject=CN={NAME}"));
    for path in [&key, &certificate, &ca] {
        assert!(run.stdout.contains(text(path)), "{} is not in {}", path.display(), run.stdout);
    }
    let asked: Vec<String> = node.emulator.calls().iter().map(|call| call.action.clone()).collect();
    assert_eq!(asked, ["DescribeServers", "AssociateNode", "DescribeNodeAssociationStatus"]);
}

#[test]
fn files_have_puppets_modes_and_our_own_are_for_root_only() {
    let node = Node::new();
    node.join();
    let expected = [
        ("", 0o771),
        ("certs", 0o755),
        ("public_keys", 0o755),
        ("certificate_requests", 0o755),
        ("private_keys", 0o750),
        ("private", 0o750),
    ];
    for (path, wanted) in expected {
        assert_eq!(mode(&node.ssl(path)), wanted, "{path}");
    }
    assert_eq!(mode(&node.key()), 0o640);
    for path in [
        node.certificate(),
        node.ssl("certs/ca.pem"),
        node.path("etc/puppetlabs/puppet/puppet.conf"),
    ] {
        assert_eq!(mode(&path), 0o644, "{}", path.display());
    }
    assert_eq!(mode(&node.path("var/lib/enlist")), 0o700);
    assert_eq!(mode(&node.path("var/lib/enlist/opsworks-cm/record.json")), 0o600);
    let leftovers: Vec<String> = node
        .files()
        .into_iter()
        .filter(|file| {
            ["enlist-new", "key.pem", "ssl.lock", "disabled.lock"]
                .iter()
                .any(|left| file.contains(left))
        })
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn a_member_that_joins_again_makes_no_request() {
    let node = Node::new();
    node.join();
    let before = node.emulator.calls().len();
    let (key, record) = (fs::read(node.key()).unwrap(), node.record());
    let run = node.join();
    assert!(run.stdout.starts_with("already joined: server puppet-test"), "{}", run.stdout);
    assert_eq!(node.emulator.calls().len(), before);
    assert_eq!(fs::read(node.key()).unwrap(), key);
    assert_eq!(node.record(), record);
}

#[test]
fn an_existing_key_is_used_unchanged_in_both_forms() {
    for (form, label) in [("-traditional", "BEGIN RSA PRIVATE KEY"), ("", "BEGIN PRIVATE KEY")] {
        let node = Node::new();
        let made = openssl(&["genrsa", "2048"]);
        let scratch = node.root.path().join("k.pem");
        fs::write(&scratch, &made).unwrap();
        let mut arguments = vec!["rsa", "-in", text(&scratch)];
        if form.is_empty() {
            arguments = vec!["pkcs8", "-topk8", "-nocrypt", "-in", text(&scratch)];
        } else {
            arguments.push(form);
        }
        let pem = openssl(&arguments);
        assert!(pem.contains(label), "{pem}");
        node.write(&format!("etc/puppetlabs/puppet/ssl/private_keys/{NAME}.pem"), &pem);
        node.join();
        assert_eq!(fs::read_to_string(node.key()).unwrap(), pem, "not overwritten");
        openssl(&["verify", "-CAfile", text(&node.ssl("certs/ca.pem")), text(&node.certificate())]);
        assert_eq!(
            openssl(&["pkey", "-in", text(&node.key()), "-pubout"]),
            openssl(&["x509", "-in", text(&node.certificate()), "-noout", "-pubkey"])
        );
    }
}

#[test]
fn keys_of_every_size_are_made() {
    for bits in ["3072", "4096"] {
        let node = Node::new();
        let run = node.enlist(&["join", "--set", &format!("puppet.key_bits={bits}")]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let shown = openssl(&["pkey", "-in", text(&node.key()), "-noout", "-text"]);
        assert!(shown.starts_with(&format!("Private-Key: ({bits} bit")), "{shown}");
        openssl(&["rsa", "-in", text(&node.key()), "-check", "-noout"]);
    }
}

#[test]
fn puppet_conf_keeps_the_admins_lines() {
    let node = Node::new();
    let before = "# fleet\n[main]\nvardir = /opt/x\n# old\nserver = former.example\n\n[agent]\nruninterval = 1h\n";
    node.write("etc/puppetlabs/puppet/puppet.conf", before);
    node.join();
    let after = node.read("etc/puppetlabs/puppet/puppet.conf");
    for line in before.lines().filter(|line| !line.starts_with("server")) {
        assert!(after.lines().any(|kept| kept == line), "{line:?} is gone from {after}");
    }
    assert!(
        after.contains("# before enlist: server = former.example\nserver = puppet-test.example\n"),
        "{after}"
    );
    assert!(after.contains(&format!("certname = {NAME}\n")), "{after}");
}

#[test]
fn puppet_does_not_run_until_everything_is_installed() {
    let node =
        Node::with(Options { association_time: Duration::from_millis(1500), ..Options::default() });
    let lock = node.path("opt/puppetlabs/puppet/cache/state/agent_disabled.lock");
    let mut child = node.command(&["join"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut seen = false;
    while child.try_wait().unwrap().is_none() {
        seen |= lock.exists() && !node.certificate().exists();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    assert!(seen, "no lock during the join");
    assert!(!lock.exists(), "the lock was left");
    // A lock that somebody else made stays.
    let node = Node::new();
    node.write(
        "opt/puppetlabs/puppet/cache/state/agent_disabled.lock",
        "{\"disabled_message\":\"change freeze\"}",
    );
    let run = node.join();
    assert!(
        node.read("opt/puppetlabs/puppet/cache/state/agent_disabled.lock")
            .contains("change freeze")
    );
    assert!(run.stderr.contains("not from enlist"), "{}", run.stderr);
}

#[test]
fn another_ca_replaces_the_former_one_and_its_revocation_list() {
    let node = Node::new();
    node.write("etc/puppetlabs/puppet/ssl/certs/ca.pem", "a former CA\n");
    node.write("etc/puppetlabs/puppet/ssl/crl.pem", "a former list\n");
    node.join();
    assert!(!node.ssl("crl.pem").exists());
    let backups: Vec<String> =
        node.files().into_iter().filter(|file| file.contains("/backup/")).collect();
    assert_eq!(backups.len(), 2, "{backups:?}");
    let kept: String = backups.iter().map(|file| node.read(file)).collect();
    assert!(kept.contains("a former CA") && kept.contains("a former list"));
}

#[test]
fn a_pinned_endpoint_and_ca_save_the_call() {
    let node = Node::new();
    node.write("etc/enlist/ca.pem", &node.emulator.ca_bundle());
    node.settings(
        "[opsworks-cm]\nserver = \"puppet-test\"\nendpoint = \"puppet.example:8141\"\nca_file = \"/etc/enlist/ca.pem\"\n[puppet]\nkey_bits = 2048\n",
    );
    node.join();
    assert_eq!(node.asked("DescribeServers"), 0);
    assert_eq!(node.emulator.calls().len(), 2);
    let conf = node.read("etc/puppetlabs/puppet/puppet.conf");
    assert!(
        conf.contains("server = puppet.example\n") && conf.contains("serverport = 8141\n"),
        "{conf}"
    );
}

#[test]
fn status_shows_membership_and_its_json_is_stable() {
    let node = Node::new();
    let before = node.enlist(&["status"]);
    assert_eq!(before.code, 75, "{}", before.stderr);
    assert!(before.stdout.contains("not joined"), "{}", before.stdout);
    node.join();
    let after = node.enlist(&["status", "--json"]);
    assert_eq!(after.code, 0);
    let parsed: serde_json::Value = serde_json::from_str(&after.stdout).unwrap();
    assert_eq!((&parsed["schema"], &parsed["well"]), (&1.into(), &true.into()));
    let report = &parsed["targets"][0];
    assert_eq!(report["target"], "opsworks-cm");
    assert_eq!(report["joined"], true);
    assert_eq!(report["name"], NAME);
    assert_eq!(report["endpoint"], "puppet-test.example");
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "attempts",
            "authority",
            "certificate_not_after",
            "certificate_serial",
            "changes",
            "configured",
            "endpoint",
            "fault",
            "findings",
            "healthy",
            "held_by",
            "installed",
            "joined",
            "key_sha256",
            "member_id",
            "membership",
            "name",
            "next",
            "other_machine",
            "phase",
            "probe",
            "problems",
            "renewal_at",
            "since",
            "target",
            "warnings"
        ]
    );
}

#[test]
fn facts_have_the_identity_document_byte_for_byte() {
    let node = Node::new();
    let facts = node.enlist(&["facts", "--json"]);
    assert_eq!(facts.code, 0, "{}", facts.stderr);
    let parsed: serde_json::Value = serde_json::from_str(&facts.stdout).unwrap();
    let served = node.emulator.with_imds(|imds| imds.instance_mut().identity_document());
    assert_eq!(parsed["ec2"]["identity"]["document"], served);
    assert_eq!(parsed["ec2"]["zone"], "us-east-1a");
    assert!(parsed["ec2"]["identity"]["signature"].as_str().unwrap().len() > 100);
}

#[test]
fn without_ec2_firmware_no_metadata_is_asked_and_the_fqdn_is_the_name() {
    let node = Node::new();
    node.write("etc/hostname", "web7\n");
    node.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 Web7.example.org web7\n");
    let mut command = node.command(&["join"]);
    command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("as web7.example.org"), "{}", run.stdout);
    assert!(node.emulator.imds_calls().is_empty());
}

#[test]
fn two_joins_at_the_same_time_make_one_association() {
    let node = Node::new();
    // No association ends before both have started.
    node.emulator.inject("DescribeNodeAssociationStatus=throttle*forever".parse().unwrap());
    let start = |()| {
        let mut command = node.command(&["join"]);
        command.stderr(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut children = [(); 2].map(start);
    let (send, said) = std::sync::mpsc::channel();
    let readers = [0, 1].map(|index: usize| {
        let lines = BufReader::new(children[index].stderr.take().unwrap()).lines();
        let send = send.clone();
        std::thread::spawn(move || lines.for_each(|line| drop(send.send((index, line.unwrap())))))
    });
    drop(send);
    let mut said = said.into_iter();
    let is_waiting =
        |(_, line): &(usize, String)| line.contains("another enlist is running; waiting for it");
    let (waiting, _) = said.find(is_waiting).expect("one says that it waits");
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    let rest: Vec<String> = said.map(|(_, line)| line).collect();
    for (index, child) in children.into_iter().enumerate() {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{rest:?}");
        let words: &[u8] = if index == waiting { b"already joined:" } else { b"joined:" };
        assert!(ended.stdout.starts_with(words), "{}", String::from_utf8_lossy(&ended.stdout));
    }
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(node.asked("AssociateNode"), 1);
    assert_eq!(common::list(&node.emulator.state(), "associations").len(), 1);
}

#[test]
fn credentials_come_from_the_instances_role() {
    let node = Node::with(Options { role: Some("node".to_owned()), ..Options::default() });
    assert!(!node.emulator.env().iter().any(|(name, _)| name == "AWS_SECRET_ACCESS_KEY"));
    let mut command = node.command(&["join"]);
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
}
