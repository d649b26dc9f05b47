//! A list of servers, of which the first is not the CA.

use std::net::TcpListener;

use enlist_emulator::control::{Autosign, CaPolicy};
use enlist_emulator::{CaSource, Emulator, Options};

use super::common::expect;
use super::{enlist, node, port, settings};

#[test]
fn a_request_is_sent_to_the_server_that_answered_the_look() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("SKIPPED: this machine has no IPv6");
        return;
    }
    for fault in ["503", "500", "lost-before"] {
        let node = node(Autosign::On, &[]);
        let reads = ["GetCertificateRevocationList", "GetCertificate", "GetCertificateRequest"];
        let faults = reads.iter().map(|read| format!("puppet-ca:{read}={fault}*99"));
        let first = Emulator::start(Options {
            ca: CaSource::Shared,
            puppet_ca: CaPolicy { autosign: Autosign::On, ..CaPolicy::default() },
            puppet_listen: Some(format!("[::1]:{}", port(&node)).parse().unwrap()),
            faults: faults.map(|fault| fault.parse().unwrap()).collect(),
            ..Options::default()
        })
        .unwrap();
        node.settings(&settings(&node, "[\"::1\", \"127.0.0.1\"]", "30s"));
        expect(&enlist(&node, &["join"]), 0, &[]);
        let puts = |calls: Vec<String>| {
            calls.iter().filter(|call| *call == "PutCertificateRequest").count()
        };
        let at_first: Vec<String> = first.calls().iter().map(|call| call.action.clone()).collect();
        assert!(!at_first.is_empty(), "it is asked first");
        assert_eq!(puts(at_first), 0, "{fault}");
        assert_eq!(puts(super::asked(&node)), 1, "{fault}");
    }
}
