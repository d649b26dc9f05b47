//! Runs with a crash at every point, at pairs of points, and at random triples.

use enlist::bootstrap::Outcome;
use enlist::fault::Kind;

use super::cases::Case;
use super::checks::{self, Shape};
use super::node::{End, Node};
use super::replies::Loss;

/// The most starts that a run may need after its last crash.
const STARTS: usize = 6;

/// Of the runs with two failures, one in so many is made by default.
const ONE_IN: usize = 10;

/// Which of them are made, with another offset for each `row`. All with `HARNESS=all`, one in three with
/// `HARNESS=3`.
pub fn sample(row: usize) -> impl Iterator<Item = usize> {
    let step = step();
    (row % step..).step_by(step)
}

/// A part of `all` by default, all with `HARNESS=all`.
pub fn share(all: usize) -> usize {
    all.div_ceil(step())
}

fn step() -> usize {
    match std::env::var("HARNESS").as_deref() {
        Ok("all") => 1,
        Ok(other) => match other.parse() {
            Ok(step) if step > 0 => step,
            _ => panic!("HARNESS={other}: it can be \"all\", or a number from 1 on"),
        },
        Err(_) => ONE_IN,
    }
}

/// How many crash points and runs there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub points: usize,
    pub runs: usize,
}

/// A node that joined without a failure. All others must end in the same state.
pub struct Reference {
    pub shape: Shape,
    pub points: usize,
    pub calls: usize,
}

impl Reference {
    pub fn of(case: &Case) -> Self {
        let mut node = Node::new(case);
        // A crash that is never reached, so that every point is counted.
        let end = node.join(case, Some(usize::MAX));
        assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "{}", case.name);
        let reference =
            Self { shape: checks::shape(&node), points: node.points, calls: node.asked.len() };
        checks::joined(&node, case, &reference.shape);
        reference
    }
}

/// Joins with these crashes and losses, and checks the end. False where a start ended before its
/// crash.
pub fn join(
    case: &Case,
    reference: &Reference,
    crashes: &[usize],
    losses: &[Loss],
) -> (Node, bool) {
    let mut node = Node::new(case);
    node.losses = losses.to_vec();
    let story = Story(format!("{}: crashes at {crashes:?}, losses {losses:?}", case.name));
    let all = crashes.iter().all(|crash| matches!(node.join(case, Some(*crash)), End::Crashed));
    finish_join(&mut node, case);
    checks::joined(&node, case, &reference.shape);
    drop(story);
    (node, all)
}

/// Starts until it has joined, as a service manager would.
pub fn finish_join(node: &mut Node, case: &Case) {
    for _ in 0..STARTS {
        match node.join(case, None) {
            End::Finished(Outcome::Joined { .. }) => return,
            // A protocol fault ends a start, and the next one continues.
            End::Finished(Outcome::Failed(fault)) if fault.kind == Kind::Protocol => {}
            End::Finished(other) => panic!("{other:?}"),
            End::Crashed => panic!("an unplanned crash"),
        }
    }
    panic!("not joined after {STARTS} starts");
}

pub fn finish_leave(node: &mut Node, case: &Case) {
    for _ in 0..STARTS {
        match node.leave(case, None) {
            End::Finished(Outcome::Left { .. }) => return,
            End::Finished(Outcome::Failed(fault)) if fault.kind == Kind::Protocol => {}
            End::Finished(other) => panic!("{other:?}"),
            End::Crashed => panic!("an unplanned crash"),
        }
    }
    panic!("not left after {STARTS} starts");
}

/// Prints which run it was when a check fails.
pub struct Story(pub String);

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the run: {}", self.0);
        }
    }
}

/// Collects the failures of all runs, so that one does not hide the next.
#[derive(Default)]
pub struct Failures {
    failures: std::collections::BTreeMap<String, (usize, String)>,
}

impl Failures {
    /// Makes one run, and keeps its failure.
    pub fn run(&mut self, name: &str, run: impl FnOnce()) {
        let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) else {
            return;
        };
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let first = self.failures.entry(text.unwrap_or_default());
        first.or_insert_with(|| (0, name.to_owned())).0 += 1;
    }

    /// Panics if any run failed.
    pub fn end(self) {
        let lines = self.failures.iter();
        let lines = lines.map(|(what, (times, run))| format!("\n{times} x {what}\n  first: {run}"));
        let text: String = lines.collect();
        assert!(text.is_empty(), "{text}");
    }
}
