//! The wall clock jumps by years after each effect of a join, as on a board with an empty battery.

use enlist::bootstrap::Outcome;

use super::cases::{
    CHEF, Case, OPSWORKS, OPSWORKS_ON_PREMISES, PUPPET, PUPPET_SERVER, PUPPET_SERVER_BY_HAND, SSM,
    SSM_FILE, SSM_REGISTERED,
};
use super::checks;
use super::explore::{Reference, Story, finish_join};
use super::node::{End, Node};

const YEARS: i64 = 20 * 365 * 86_400;

/// The join ends, joined or with a fault. Once the clock is correct, the next start continues with the
/// same key, and nothing is created twice.
fn every_jump(case: &Case) -> (usize, usize) {
    let reference = Reference::of(case);
    let (mut joined, mut refused) = (0, 0);
    for seconds in [YEARS, -YEARS] {
        for effects in 0.. {
            let mut node = Node::new(case);
            let story = Story(format!("{}: {seconds} s after {effects} effects", case.name));
            node.jump = Some((effects, seconds));
            match node.join(case, None) {
                End::Finished(Outcome::Joined { .. }) => joined += 1,
                End::Finished(Outcome::Failed(_)) => refused += 1,
                _ => panic!("no end"),
            }
            let jumped = node.jump.take().is_some_and(|(left, _)| left == 0);
            assert!(node.clock < 30 * 60 * 1000, "the budget does not depend on the wall clock");
            finish_join(&mut node, case);
            // A refused certificate is kept as evidence.
            let shape = checks::shape(&node).into_iter();
            let kept = shape.filter(|(path, _)| path.to_string_lossy().contains("/evidence"));
            let mut wanted = reference.shape.clone();
            wanted.extend(kept);
            checks::joined(&node, case, &wanted);
            drop(story);
            if !jumped {
                break;
            }
        }
    }
    println!(
        "{}: clock jumps, {joined} joined at once, {refused} after the clock was set",
        case.name
    );
    (joined, refused)
}

#[test]
fn a_clock_that_jumps_by_years_creates_nothing_twice() {
    for case in [&CHEF, &OPSWORKS, &OPSWORKS_ON_PREMISES] {
        assert_eq!(every_jump(case).1, 0, "{}: nothing there depends on the time", case.name);
    }
    for case in [&PUPPET, &PUPPET_SERVER, &PUPPET_SERVER_BY_HAND, &SSM, &SSM_REGISTERED, &SSM_FILE]
    {
        let (joined, refused) = every_jump(case);
        assert!(joined > 0 && refused > 0, "{}: the time of a certificate matters", case.name);
    }
}
