//! Crashes while the files of a copied disk are set aside, and while evidence is kept.

use std::collections::BTreeSet;

use enlist::bootstrap::{Outcome, Phase};
use enlist::fault::Kind;
use enlist_emulator::ca::WrongCertificate;
use enlist_emulator::control::{Fault, FaultKind};

use super::cases::{OPSWORKS_ON_PREMISES, PUPPET};
use super::explore::{Reference, Story, finish_join, join};
use super::node::{End, Node};
use super::{checks, keys};

/// On premises, machines differ in their machine-id. The copy has another host name too.
#[test]
fn a_copied_disk_becomes_a_separate_machine_whenever_it_crashes() {
    let case = &OPSWORKS_ON_PREMISES;
    let reference = Reference::of(case);
    let mut points = 0;
    for crash in 0.. {
        let (mut node, _) = join(case, &reference, &[], &[]);
        let story = Story(format!("a copied disk, crash at {crash}"));
        let former = std::fs::read(node.path(case.key.unwrap())).unwrap();
        node.write("etc/machine-id", "fedcba9876543210fedcba9876543210\n");
        node.write("etc/hostname", "web2\n");
        let crashed = matches!(node.join(case, Some(crash)), End::Crashed);
        finish_join(&mut node, case);
        checks::nothing_half_written(&node);
        assert_eq!(node.plane.opsworks().instances().len(), 2, "the original and the copy");
        let sent = node.asked.iter().filter(|(action, _)| action == "RegisterInstance");
        let sent: BTreeSet<String> =
            sent.map(|(_, body)| body["RsaPublicKey"].to_string()).collect();
        assert_eq!(sent.len(), 2, "the copy makes one new key");
        assert_ne!(std::fs::read(node.path(case.key.unwrap())).unwrap(), former);
        let aside = node.tree().files.into_iter().any(|(path, (content, _))| {
            path.to_string_lossy().contains("/aside-") && content == former
        });
        assert!(aside, "the former key is set aside, not lost");
        drop(story);
        if !crashed {
            break;
        }
        points += 1;
    }
    println!("a copied disk: {points} crash points");
}

/// A refused certificate is kept as evidence and not installed. The next start refuses it again.
#[test]
fn a_wrong_certificate_is_refused_whenever_it_crashes() {
    let wrong = [
        WrongCertificate::OtherKey,
        WrongCertificate::OtherName,
        WrongCertificate::OtherCa,
        WrongCertificate::Expired,
        WrongCertificate::NotYet,
        WrongCertificate::Two,
        WrongCertificate::NotPem,
        WrongCertificate::None,
    ];
    let mut runs = 0;
    for kind in wrong {
        for crash in 0.. {
            let mut node = Node::new(&PUPPET);
            let story = Story(format!("{kind:?}, crash at {crash}"));
            node.plane.inject(Fault::new("AssociateNode", FaultKind::Certificate(kind)));
            let crashed = matches!(node.join(&PUPPET, Some(crash)), End::Crashed);
            let End::Finished(Outcome::Failed(fault)) = node.join(&PUPPET, None) else {
                panic!("it joined with a wrong certificate");
            };
            assert_eq!(fault.kind, Kind::Data);
            assert!(!node.path(PUPPET.key.unwrap()).exists(), "nothing is installed");
            let evidence = node.tree().files.into_iter().find(|(path, _)| {
                path.to_string_lossy().contains("/evidence/") && path.extension().is_some()
            });
            let (path, (content, _)) = evidence.expect("it is kept");
            node.assert_no_secret(&String::from_utf8_lossy(&content), &path.to_string_lossy());
            drop(story);
            runs += 1;
            if !crashed {
                break;
            }
        }
    }
    println!("wrong certificates: {runs} runs");
}

/// A node that has asked with a key continues only with that key.
#[test]
fn a_key_that_was_replaced_during_a_join_is_refused() {
    let case = &PUPPET;
    let mut exchanged = 0;
    for crash in 0..Reference::of(case).points {
        let mut node = Node::new(case);
        assert!(matches!(node.join(case, Some(crash)), End::Crashed));
        let phase = node.store(case).load().unwrap().map(|record| record.phase);
        if phase.is_none_or(|phase| matches!(phase, Phase::New | Phase::Joined { .. })) {
            continue;
        }
        let places = [case.key.unwrap(), "var/lib/enlist/opsworks-cm/key.pem"];
        for place in places.into_iter().filter(|place| node.path(place).exists()) {
            node.write(place, keys::nth(3));
        }
        let story = Story(format!("another key, crash at {crash}"));
        let End::Finished(Outcome::Failed(fault)) = node.join(case, None) else {
            panic!("it continued with another key");
        };
        assert_eq!(fault.kind, Kind::Data);
        drop(story);
        exchanged += 1;
    }
    assert!(exchanged > 30, "only {exchanged} points come after asking");
}
