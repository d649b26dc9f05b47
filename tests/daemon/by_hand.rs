//! The service, while a person carries the messages.

use std::fs;

use crate::Daemon;
use crate::common::openssl_ca::OpensslCa;
use crate::common::{Node, expect, text};

#[test]
fn it_waits_for_the_carried_answer_and_asks_nobody() {
    let node = Node::new();
    node.settings("[puppet-server]\nserver = \"puppet.invalid\"\ntrust_on_first_use = true\n[puppet]\nkey_bits = 2048\n");
    let csr = node.enlist(&["csr", "--by-hand"]);
    assert_eq!(csr.code, 0, "{}", csr.stderr);
    let mut daemon = Daemon::start(&node);
    let waits = "waiting for the answer that a person carries";
    daemon.until("it waits", |daemon| daemon.node.read("log").contains(waits));
    let answer = tempfile::NamedTempFile::new().unwrap();
    fs::write(answer.path(), OpensslCa::new("the CA").answer(&csr.stdout)).unwrap();
    expect(&node.enlist(&["accept", text(answer.path())]), 0, &[]);
    daemon.until("it sees the membership", |daemon| {
        daemon.notified.iter().any(|line| line.contains("joined Puppet server"))
    });
    assert!(!node.read("log").contains("retrying"), "{}", node.read("log"));
}
