//! A renewal with a crash at every point and at pairs of points. The engine always finds a complete
//! certificate, the former or the new one, and its key.

use std::time::Duration;

use enlist::bootstrap::{Maintenance, Outcome};
use enlist::fault::Kind;
use enlist_emulator::ca::{LIFETIME, WrongCertificate};
use enlist_emulator::control::{Fault, FaultKind, Outcome as Association};

use super::cases::PUPPET;
use super::checks::{self, Shape};
use super::explore::{self, Story, finish_join};
use super::node::{End, Node};

const RENEWAL: Maintenance = Maintenance {
    renew: Some(Duration::from_mins(30)),
    repair: false,
    renew_now: false,
    apply: None,
};

/// A member whose certificate is due: a little after two thirds of its lifetime.
fn due() -> Node {
    let mut node = Node::new(&PUPPET);
    finish_join(&mut node, &PUPPET);
    node.clock += u64::try_from(LIFETIME.as_millis()).unwrap() / 3 * 2 + 60_000;
    node
}

fn installed(node: &Node) -> String {
    let record = node.store(&PUPPET).load().unwrap().expect("there is a record");
    let file = record
        .installed
        .iter()
        .find(|file| file.item == enlist::engines::Item::Certificate)
        .unwrap();
    std::fs::read_to_string(node.path(&file.path)).expect("the certificate is installed")
}

fn granted(node: &Node) -> String {
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
fn renew(shape: &Shape, crashes: &[usize]) -> (Node, bool) {
    let mut node = due();
    let former = granted(&node);
    let key = std::fs::read(node.path(PUPPET.key.unwrap())).unwrap();
    let story = Story(format!("renewal: crashes at {crashes:?}"));
    let all = crashes.iter().all(|crash| {
        let ended = matches!(node.maintain(&PUPPET, RENEWAL, Some(*crash)), End::Crashed);
        let now = installed(&node);
        assert!(same(&now, &former) || same(&now, &granted(&node)), "half a renewal: {now}");
        assert!(node.store(&PUPPET).load().unwrap().unwrap().is_member());
        ended
    });
    let end = node.maintain(&PUPPET, RENEWAL, None);
    assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "renewed, or renewed before");
    assert!(!same(&granted(&node), &former), "there is a new certificate");
    assert!(same(&installed(&node), &granted(&node)), "the new certificate is installed");
    assert_eq!(std::fs::read(node.path(PUPPET.key.unwrap())).unwrap(), key);
    let record = node.store(&PUPPET).load().unwrap().unwrap();
    assert!(record.former.is_none() && record.fault.is_none(), "{record:?}");
    if !shape.is_empty() {
        checks::joined(&node, &PUPPET, shape);
    }
    drop(story);
    (node, all)
}

#[test]
fn a_renewal_survives_every_crash_and_pair() {
    let (node, _) = renew(&Shape::new(), &[]);
    let shape = checks::shape(&node);
    let points = {
        let mut node = due();
        node.maintain(&PUPPET, RENEWAL, Some(usize::MAX));
        node.points
    };
    let mut runs = 0;
    for first in 0..points {
        renew(&shape, &[first]);
        runs += 1;
        for second in explore::sample(first) {
            runs += 1;
            if !renew(&shape, &[first, second]).1 {
                break;
            }
        }
    }
    println!("renewal: {points} points, {runs} runs");
    assert!(points > 30, "only {points} points");
}

/// The new certificate is refused: the node keeps the former one, and the record has the fault.
#[test]
fn a_renewal_that_is_refused_leaves_the_former_certificate() {
    for wrong in [WrongCertificate::OtherCa, WrongCertificate::OtherKey, WrongCertificate::Expired]
    {
        let mut node = due();
        let former = installed(&node);
        node.plane.inject(Fault::new("AssociateNode", FaultKind::Certificate(wrong)));
        let End::Finished(Outcome::Joined { record, already: true }) =
            node.maintain(&PUPPET, RENEWAL, None)
        else {
            panic!("it is not a member any more");
        };
        assert_eq!(record.fault.as_ref().map(|fault| fault.kind), Some(Kind::Data));
        assert!(record.former.is_none());
        assert_eq!(installed(&node), former);
        checks::nothing_half_written(&node);
    }
}
