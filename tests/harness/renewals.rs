//! A renewal with a crash at every point and at pairs of points. The engine always finds a complete
//! certificate, the former or the new one, and its key.

use std::time::Duration;

use enlist::bootstrap::{Maintenance, Outcome};
use enlist::fault::Kind;
use enlist_emulator::ca::{LIFETIME, WrongCertificate};
use enlist_emulator::control::{Fault, FaultKind, Outcome as Association};

use super::cases::{Case, PUPPET, PUPPET_SERVER};
use super::checks::{self, Shape};
use super::explore::{self, Story, finish_join};
use super::node::{End, Node};

const RENEWAL: Maintenance = Maintenance {
    renew: Some(Duration::from_mins(30)),
    repair: false,
    renew_now: false,
    apply: None,
    is_of_member: false,
};

/// A member whose certificate is due: a little after two thirds of its lifetime.
fn due(case: &'static Case) -> Node {
    let mut node = Node::new(case);
    finish_join(&mut node, case);
    node.clock += u64::try_from(LIFETIME.as_millis()).unwrap() / 3 * 2 + 60_000;
    node
}

fn installed(node: &Node, case: &Case) -> String {
    let record = node.store(case).load().unwrap().expect("there is a record");
    let file = record
        .installed
        .iter()
        .find(|file| file.item == enlist::engines::Item::Certificate)
        .unwrap();
    std::fs::read_to_string(node.path(&file.path)).expect("the certificate is installed")
}

fn granted(node: &Node) -> String {
    if let Some(certificate) = node.certificate_at_ca() {
        return certificate;
    }
    let (_, association) = node.plane.opsworks_cm().associations().iter().next().unwrap();
    match &*association.outcome {
        Association::Joined { certificate: Some(certificate) } => certificate.clone(),
        other => panic!("{other:?}"),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// Renews with these crashes. False where a start ended before its crash.
fn renew(case: &'static Case, shape: &Shape, crashes: &[usize]) -> (Node, bool) {
    let mut node = due(case);
    let former = granted(&node);
    let key = std::fs::read(node.path(case.key.unwrap())).unwrap();
    let story = Story(format!("renewal, {}: crashes at {crashes:?}", case.name));
    let all = crashes.iter().all(|crash| {
        let ended = matches!(node.maintain(case, RENEWAL, Some(*crash)), End::Crashed);
        let now = installed(&node, case);
        assert!(same(&now, &former) || same(&now, &granted(&node)), "half a renewal: {now}");
        assert!(node.store(case).load().unwrap().unwrap().is_member());
        ended
    });
    let end = node.maintain(case, RENEWAL, None);
    assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "renewed, or renewed before");
    assert!(!same(&granted(&node), &former), "there is a new certificate");
    assert!(same(&installed(&node, case), &granted(&node)), "the new certificate is installed");
    assert_eq!(std::fs::read(node.path(case.key.unwrap())).unwrap(), key);
    let record = node.store(case).load().unwrap().unwrap();
    assert!(record.former.is_none() && record.fault.is_none(), "{record:?}");
    if !shape.is_empty() {
        checks::joined(&node, case, shape);
    }
    drop(story);
    (node, all)
}

/// Crashes at every point, and at pairs of them.
fn every_point(case: &'static Case, with_pairs: bool) {
    let (node, _) = renew(case, &Shape::new(), &[]);
    let shape = checks::shape(&node);
    let points = {
        let mut node = due(case);
        node.maintain(case, RENEWAL, Some(usize::MAX));
        node.points
    };
    let mut runs = 0;
    for first in 0..points {
        renew(case, &shape, &[first]);
        runs += 1;
        for second in explore::sample(first) {
            if !with_pairs {
                break;
            }
            runs += 1;
            if !renew(case, &shape, &[first, second]).1 {
                break;
            }
        }
    }
    println!("renewal, {}: {points} points, {runs} runs", case.name);
    assert!(points > 25, "only {points} points");
}

#[test]
fn a_renewal_survives_every_crash_and_pair() {
    every_point(&PUPPET, true);
}

#[test]
fn a_renewal_at_its_own_server_survives_every_crash() {
    every_point(&PUPPET_SERVER, false);
}

/// The answer is lost at each call, with and without its effect: the CA has made two certificates.
#[test]
fn a_renewal_whose_replies_are_lost_makes_one_certificate() {
    for kind in [FaultKind::LostBefore, FaultKind::LostReply, FaultKind::InternalFailure] {
        let mut node = due(&PUPPET_SERVER);
        node.plane.inject(Fault::new("PostCertificateRenewal", kind).times(1));
        let end = node.maintain(&PUPPET_SERVER, RENEWAL, None);
        assert!(matches!(end, End::Finished(Outcome::Joined { .. })));
        assert_eq!(node.issued_at_ca(), 2, "{kind:?}");
        assert!(same(&installed(&node, &PUPPET_SERVER), &granted(&node)));
    }
}

/// The new certificate is refused: the node keeps the former one, and the record has the fault.
#[test]
fn a_renewal_that_is_refused_leaves_the_former_certificate() {
    for wrong in [WrongCertificate::OtherCa, WrongCertificate::OtherKey, WrongCertificate::Expired]
    {
        let mut node = due(&PUPPET);
        let former = installed(&node, &PUPPET);
        node.plane.inject(Fault::new("AssociateNode", FaultKind::Certificate(wrong)));
        let End::Finished(Outcome::Joined { record, already: true }) =
            node.maintain(&PUPPET, RENEWAL, None)
        else {
            panic!("it is not a member any more");
        };
        assert_eq!(record.fault.as_ref().map(|fault| fault.kind), Some(Kind::Data));
        assert!(record.former.is_none());
        assert_eq!(installed(&node, &PUPPET), former);
        checks::nothing_half_written(&node);
    }
}
