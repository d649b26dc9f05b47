//! Leaving with a crash at every point and at pairs of points, after a complete and an interrupted
//! join, and joining again.

use enlist::bootstrap::Outcome;

use super::cases::{
    CHEF, CHEF_SERVER, Case, OPSWORKS, OPSWORKS_ON_PREMISES, PUPPET, PUPPET_SERVER,
    PUPPET_SERVER_BY_HAND, SSM, SSM_FILE, SSM_REGISTERED,
};
use super::checks;
use super::explore::{Failures, Reference, Story, finish_join, finish_leave, join, sample};
use super::node::{End, Node};

/// Joins, leaves with these crashes, checks, and joins again. False where a start ended before its
/// crash.
fn leave(case: &Case, reference: &Reference, crashes: &[usize]) -> (Node, bool) {
    let (mut node, _) = join(case, reference, &[], &[]);
    let story = Story(format!("{}: leaving, crashes at {crashes:?}", case.name));
    let contents = checks::contents(&node, case);
    let all = crashes.iter().all(|crash| matches!(node.leave(case, Some(*crash)), End::Crashed));
    finish_leave(&mut node, case);
    checks::nothing_half_written(&node);
    checks::left(&node, case, true);
    checks::kept(&node, &contents);
    drop(story);
    (node, all)
}

fn every_point(case: &Case) {
    let reference = Reference::of(case);
    let (mut node, _) = join(case, &reference, &[], &[]);
    let end = node.leave(case, Some(usize::MAX));
    assert!(matches!(end, End::Finished(Outcome::Left { .. })));
    let points = node.points;
    let (mut pairs, mut again, mut cut_short) = (0, 0, 0);
    for first in 0..points {
        let (mut node, crashed) = leave(case, &reference, &[first]);
        assert!(crashed, "{}: there is a point {first}", case.name);
        node.admin_cleans();
        finish_join(&mut node, case);
        checks::joined(&node, case, &again_shape(&reference, &node));
        again += 1;
        for second in sample(first) {
            if !leave(case, &reference, &[first, second]).1 {
                break;
            }
            pairs += 1;
        }
    }
    let mut failures = Failures::default();
    for crash in 0..reference.points {
        for second in [None, Some(2), Some(5), Some(9)] {
            let way = format!("{}: joining until {crash}, leaving until {second:?}", case.name);
            failures.run(&way, || leave_half_joined(case, crash, second));
            cut_short += 1;
        }
    }
    println!(
        "{}: leave, {points} crash points, {points} runs, {pairs} pairs, {again} joins after it, {cut_short} joins cut short",
        case.name
    );
    failures.end();
}

/// The files after joining again, without those that a leave keeps.
fn again_shape(reference: &Reference, node: &Node) -> checks::Shape {
    let mut shape = reference.shape.clone();
    // A leave keeps the CA and the directories.
    shape.extend(checks::shape(node).into_iter().filter(|(path, _)| node.is_directory(path)));
    shape
}

/// A leave after a join that crashed.
fn leave_half_joined(case: &Case, crash: usize, second: Option<usize>) {
    let mut node = Node::new(case);
    assert!(matches!(node.join(case, Some(crash)), End::Crashed));
    let member = agent_registered(&node);
    if second.is_some() {
        node.leave(case, second);
    }
    finish_leave(&mut node, case);
    checks::nothing_half_written(&node);
    checks::left(&node, case, member);
}

/// Whether the agent has another registration than the former one.
fn agent_registered(node: &Node) -> bool {
    super::agent::registered(node).is_some_and(|id| id != super::cases::FORMER)
}

#[test]
fn puppet_leaves_whenever_it_crashes() {
    every_point(&PUPPET);
}

#[test]
fn puppet_leaves_its_own_server_whenever_it_crashes() {
    every_point(&PUPPET_SERVER);
}

#[test]
fn a_node_that_waits_for_a_signature_leaves_whenever_it_crashes() {
    every_point(&PUPPET_SERVER_BY_HAND);
}

#[test]
fn chef_leaves_whenever_it_crashes() {
    every_point(&CHEF);
}

#[test]
fn a_chef_server_forgets_the_node_whenever_it_crashes() {
    every_point(&CHEF_SERVER);
}

#[test]
fn an_instance_deregisters_whenever_it_crashes() {
    every_point(&OPSWORKS);
}

#[test]
fn an_instance_on_premises_deregisters_whenever_it_crashes() {
    every_point(&OPSWORKS_ON_PREMISES);
}

#[test]
fn the_managed_instance_is_deregistered_whenever_it_crashes() {
    every_point(&SSM);
}

#[test]
fn the_managed_instance_that_replaced_another_is_deregistered_whenever_it_crashes() {
    every_point(&SSM_REGISTERED);
}

#[test]
fn an_activation_is_deleted_whenever_it_crashes() {
    every_point(&SSM_FILE);
}
