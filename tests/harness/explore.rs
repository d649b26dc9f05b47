//! Walking through every crash point, every pair, and triples at random.

use enlist::bootstrap::Outcome;
use enlist::fault::Kind;

use super::cases::Case;
use super::checks::{self, Shape};
use super::node::{End, Node};
use super::replies::Loss;

/// More starts than any run may need once nothing crashes any more.
const STARTS: usize = 6;

/// Of the ways with two things going wrong, how many are gone by default: one in so many.
const ONE_IN: usize = 10;

/// Which of them are gone, beginning elsewhere for another `row`: all with `HARNESS=all`.
pub fn sample(row: usize) -> impl Iterator<Item = usize> {
    let step = step();
    (row % step..).step_by(step)
}

/// So many by default, and `all` of them where all are asked for.
pub fn share(all: usize) -> usize {
    all.div_ceil(step())
}

fn step() -> usize {
    match std::env::var("HARNESS").as_deref() {
        Ok("all") => 1,
        Ok(other) => panic!("HARNESS={other}: it can be \"all\""),
        Err(_) => ONE_IN,
    }
}

/// How one way of joining or leaving went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub points: usize,
    pub runs: usize,
}

/// A node that joined without any trouble: what all others have to look like.
pub struct Reference {
    pub shape: Shape,
    pub points: usize,
    pub calls: usize,
}

impl Reference {
    pub fn of(case: &Case) -> Self {
        let mut node = Node::new(case);
        // So far that it is never reached, but every point is counted.
        let end = node.join(case, Some(usize::MAX));
        assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "{}", case.name);
        let reference =
            Self { shape: checks::shape(&node), points: node.points, calls: node.asked.len() };
        checks::joined(&node, case, &reference.shape);
        reference
    }
}

/// Joins with these crashes and losses, and checks the end. False where a start ended before the
/// crash that was meant for it.
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
            // What is not the API ends a start, and the next one goes on.
            End::Finished(Outcome::Failed(fault)) if fault.kind == Kind::Protocol => {}
            End::Finished(other) => panic!("{other:?}"),
            End::Crashed => panic!("a crash that nobody asked for"),
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
            End::Crashed => panic!("a crash that nobody asked for"),
        }
    }
    panic!("not left after {STARTS} starts");
}

/// Says which way it was when a check fails in the middle of it.
pub struct Story(pub String);

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the way there: {}", self.0);
        }
    }
}

/// Every way that went wrong, so that one does not hide the next.
#[derive(Default)]
pub struct Discovery {
    failures: std::collections::BTreeMap<String, (usize, String)>,
}

impl Discovery {
    /// Goes one way; what is wrong with it is kept.
    pub fn go(&mut self, way: &str, walk: impl FnOnce()) {
        let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(walk)) else {
            return;
        };
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let first = self.failures.entry(text.unwrap_or_default());
        first.or_insert_with(|| (0, way.to_owned())).0 += 1;
    }

    /// Fails where anything did.
    pub fn end(self) {
        let lines = self.failures.iter();
        let lines = lines.map(|(what, (times, way))| format!("\n{times} x {what}\n  first: {way}"));
        let text: String = lines.collect();
        assert!(text.is_empty(), "{text}");
    }
}
