//! Renewal of certificates, and repair of damaged files.

use std::fs;
use std::time::Duration;

use enlist_emulator::Options;

use crate::common::{NAME, Node};
use crate::{Daemon, PUPPET, associations, serial};

#[test]
fn a_certificate_is_renewed_while_the_former_one_stays_in_place() {
    let node =
        Node::with(Options { certificate_lifetime: Duration::from_secs(12), ..Options::default() });
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let (first, key) = (serial(&node), fs::read(node.key()).unwrap());
    daemon.until("renewed", |daemon| serial(daemon.node) != first);
    daemon.until("it says so", |daemon| {
        daemon.node.read("log").contains("renewed at server puppet-test")
    });
    daemon.stop();
    assert_eq!(associations(&node), 1);
    assert_eq!(fs::read(node.key()).unwrap(), key);
    assert!(
        node.files()
            .iter()
            .any(|file| file.contains("backup") && file.ends_with(&format!("certs-{NAME}.pem")))
    );
    assert!(!node.files().iter().any(|file| file.ends_with("agent_disabled.lock")));
    assert_eq!(node.record()["phase"], "joined");
    assert!(node.record()["former"].is_null());
}

#[test]
fn a_failed_renewal_keeps_the_former_certificate() {
    let node =
        Node::with(Options { certificate_lifetime: Duration::from_secs(30), ..Options::default() });
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let first = serial(&node);
    node.emulator.inject("AssociateNode=cert:other-ca".parse().unwrap());
    daemon.until("it tried", |daemon| daemon.node.read("log").contains("no new certificate"));
    assert_eq!(serial(&node), first);
    assert_eq!(daemon.times("READY=1"), 1);
    daemon.stop();
    assert_eq!(node.record()["phase"], "joined");
    assert_eq!(node.record()["fault"]["kind"], "data");
    let status = node.enlist(&["status", "--json"]);
    assert_eq!(status.code, 65, "{}", status.stdout);
    assert!(status.stdout.contains("\"joined\": true"), "{}", status.stdout);
    assert!(status.stdout.contains("\"healthy\": false"), "{}", status.stdout);
}

#[test]
fn a_damaged_file_is_reported_and_repaired_only_if_set() {
    let node = Node::new();
    let settings = format!(
        "{PUPPET}[run]\ninspect = \"1s\"\n[metrics]\ntextfile = \"/metrics/enlist.prom\"\n"
    );
    node.settings(&settings);
    fs::create_dir(node.path("metrics")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let before = fs::read(node.certificate()).unwrap();
    fs::write(node.certificate(), "-----BEGIN CERTIFICATE-----\nnone\n").unwrap();
    daemon.until("it is noticed", |daemon| daemon.says("the certificate can't be used"));
    let metrics = node.read("metrics/enlist.prom");
    assert!(metrics.contains("enlist_findings{target=\"opsworks-cm\"} 1\n"), "{metrics}");
    assert!(metrics.contains("enlist_joined{target=\"opsworks-cm\"} 1\n"), "{metrics}");
    let status = node.enlist(&["status"]);
    assert!(status.stdout.contains("the certificate can't be used"), "{}", status.stdout);
    assert_ne!(fs::read(node.certificate()).unwrap(), before, "repair is not set");
    node.settings(&settings.replace("[run]\n", "[run]\nrepair = true\n"));
    daemon.signal("HUP");
    daemon.until("it is put back", |daemon| fs::read(daemon.node.certificate()).unwrap() == before);
    daemon.until("and said", |daemon| {
        daemon.says("joined server puppet-test") && !daemon.says("but")
    });
    assert!(
        node.read("metrics/enlist.prom").contains("enlist_findings{target=\"opsworks-cm\"} 0\n")
    );
    daemon.stop();
    assert_eq!(node.asked("AssociateNode"), 1);
}

#[test]
fn a_lost_key_is_replaced_by_a_leave_and_a_join_if_set() {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[run]\ninspect = \"1s\"\nrepair = true\n"));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    let before = fs::read(node.key()).unwrap();
    fs::remove_file(node.key()).unwrap();
    daemon.until("joined anew", |daemon| {
        daemon.node.asked("AssociateNode") == 2 && daemon.says("joined server puppet-test")
    });
    daemon.stop();
    assert_ne!(fs::read(node.key()).unwrap(), before);
    assert_eq!(node.asked("DisassociateNode"), 1);
    assert_eq!(associations(&node), 1);
    assert_eq!(node.enlist(&["status"]).code, 0);
}
