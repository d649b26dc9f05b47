//! On premises, where the authority's list does not prove which node an instance is. A start in doubt
//! stops, and the next one continues after an operator has decided. It neither registers a second
//! instance nor uses another host's.

use enlist::bootstrap::Outcome;
use enlist::fault::Kind;

use super::cases::{OPSWORKS, OPSWORKS_WITHOUT_KEYS as CASE, PUPPET_SERVER, PUPPET_SERVER_BY_HAND};
use super::checks;
use super::explore::{Reference, Story, finish_join, finish_leave};
use super::node::{End, Node};
use super::replies::{Loss, REPLIES, When};

/// What an operator does who knows that the instance belongs to this node.
fn deregister(node: &mut Node) {
    let ids: Vec<String> = node.plane.opsworks().instances().keys().cloned().collect();
    assert_eq!(ids.len(), 1, "one instance");
    for id in &ids {
        node.plane.opsworks_mut().remove_instance(id);
    }
}

/// Whether a start stopped and named the instance. Starts that end with a protocol fault are repeated.
fn stops(node: &mut Node, mut start: impl FnMut(&mut Node) -> End) -> bool {
    for _ in 0..3 {
        match start(node) {
            End::Finished(Outcome::Joined { .. } | Outcome::Left { .. }) => return false,
            End::Finished(Outcome::Failed(fault)) if fault.kind == Kind::Protocol => {}
            End::Finished(Outcome::Failed(fault)) => {
                assert_eq!(fault.kind, Kind::Rejected, "{fault:?}");
                let id = node.plane.opsworks().instances().keys().next().expect("an instance");
                assert!(fault.causes.iter().any(|cause| cause.contains(id)), "{fault:?}");
                return true;
            }
            End::Finished(Outcome::Due(_) | Outcome::Probed(_) | Outcome::Requested(_))
            | End::Crashed => {
                panic!("another end")
            }
        }
    }
    panic!("no end after three starts");
}

fn join(reference: &Reference, crash: Option<usize>, losses: &[Loss]) -> (bool, bool) {
    let mut node = Node::new(&CASE);
    node.losses = losses.to_vec();
    let story = Story(format!("{}: crash at {crash:?}, losses {losses:?}", CASE.name));
    let crashed = crash.is_some_and(|at| matches!(node.join(&CASE, Some(at)), End::Crashed));
    let stopped = stops(&mut node, |node| node.join(&CASE, None));
    if stopped {
        assert!(stops(&mut node, |node| node.join(&CASE, None)), "the next start stops too");
        deregister(&mut node);
        finish_join(&mut node, &CASE);
    }
    checks::joined(&node, &CASE, &reference.shape);
    drop(story);
    (crashed, stopped)
}

#[test]
fn without_keys_it_joins_or_stops_whenever_it_crashes() {
    let reference = Reference::of(&CASE);
    let (mut points, mut stopped) = (0, 0);
    for crash in 0..reference.points {
        let (crashed, stops) = join(&reference, Some(crash), &[]);
        assert!(crashed, "there is a point {crash}");
        points += 1;
        stopped += usize::from(stops);
    }
    assert!(stopped > 0 && stopped < points, "{stopped} of {points}");
    for call in 0..reference.calls {
        for reply in REPLIES {
            stopped += usize::from(join(&reference, None, &[(When::Nth(call), reply)]).1);
        }
    }
    println!("{}: {points} crash points, {stopped} starts that stopped", CASE.name);
}

#[test]
fn without_keys_an_interrupted_join_leaves_or_stops() {
    let reference = Reference::of(&CASE);
    let mut stopped = 0;
    for crash in 0..reference.points {
        let mut node = Node::new(&CASE);
        let story = Story(format!("{}: joining until {crash}, then leaving", CASE.name));
        assert!(matches!(node.join(&CASE, Some(crash)), End::Crashed));
        if stops(&mut node, |node| node.leave(&CASE, None)) {
            stopped += 1;
            deregister(&mut node);
        }
        finish_leave(&mut node, &CASE);
        checks::nothing_half_written(&node);
        checks::left(&node, &CASE, false);
        drop(story);
    }
    assert!(stopped > 0, "no crash left a doubt");
}

/// The record is gone and the agent's file exists: the node is reconciled, not registered again.
#[test]
fn a_registration_without_a_record_is_adopted_whenever_it_crashes() {
    for case in [&CASE, &OPSWORKS, &PUPPET_SERVER, &PUPPET_SERVER_BY_HAND] {
        let reference = Reference::of(case);
        for crash in 0.. {
            let mut node = Node::new(case);
            finish_join(&mut node, case);
            std::fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
            let story = Story(format!("{}: without its record, crash at {crash}", case.name));
            let crashed = matches!(node.join(case, Some(crash)), End::Crashed);
            finish_join(&mut node, case);
            checks::joined(&node, case, &reference.shape);
            let registered = node.asked.iter().filter(|(action, _)| action == case.creating);
            assert_eq!(registered.count(), 1);
            drop(story);
            if !crashed {
                break;
            }
        }
    }
}
