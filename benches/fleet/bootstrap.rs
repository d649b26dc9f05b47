//! A node that runs the real core. What is on its disk is the last record; all that takes no call
//! takes no time.

use std::time::Duration;

use enlist::bootstrap::{Bootstrap, Effect, Event, Now, Outcome, Record, StateMachine, resume};
use enlist::engines::{Installed, Item, KeyReport};
use enlist::fault::Fault;
use enlist::secret::Secret;
use enlist::targets::Answer;

use super::authority::shared_key;
use super::puppet_node::{self, opsworks_cm};
use super::rng::Rng;
use super::simulation::{Client, Step};

/// Long enough for the largest fleet; what the default of half an hour is good for is said in
/// docs/fleet.md.
const BUDGET: Duration = Duration::from_hours(48);
/// 2025-01-01T00:00:00Z.
pub const START: i64 = 1_735_689_600;

pub struct Node {
    index: usize,
    seed: u64,
    machine: Bootstrap,
    disk: Option<Record>,
    /// When this start began: milliseconds.
    started: u64,
}

impl Node {
    pub fn new(index: usize, now_ms: u64, seed: u64) -> Self {
        // As different as the ids that a seed is made from.
        let seed = Rng(seed ^ Rng(u64::try_from(index).unwrap()).next()).next();
        let machine = begin(seed, None);
        Self { index, seed, machine, disk: None, started: now_ms }
    }

    fn now(&self, now_ms: u64) -> Now {
        Now {
            mono: Duration::from_millis(now_ms - self.started),
            unix: START + i64::try_from(now_ms / 1000).unwrap(),
            skew: 0,
        }
    }
}

impl Client for Node {
    fn step(&mut self, now_ms: u64) -> Step {
        let now = self.now(now_ms);
        loop {
            let event = match self.machine.poll() {
                Effect::Call(request) => return Step::Call(Box::new(request)),
                Effect::WaitUntil(mono) if mono <= now.mono => Event::Woke,
                Effect::WaitUntil(mono) => {
                    // A whole millisecond, never before the moment.
                    let until = u64::try_from(mono.as_nanos().div_ceil(1_000_000)).unwrap();
                    return Step::WaitUntil(self.started + until);
                }
                Effect::Finish(Outcome::Joined { .. }) => return Step::Joined,
                Effect::Finish(_) => return Step::GaveUp,
                Effect::GatherFacts(_) => puppet_node::facts(&name(self.index)),
                Effect::EnsureKey(_) => Event::Key(Box::new(KeyReport {
                    public: shared_key().clone(),
                    csr: Some(Secret::new(name(self.index))),
                    is_installed: false,
                })),
                Effect::Persist(record) => {
                    self.disk = Some(*record);
                    Event::Persisted
                }
                Effect::Hold(_) => Event::Held,
                Effect::Install(_) => Event::Installed(vec![Installed::new(Item::Key, "/k")]),
                Effect::Keep(_) => Event::Kept,
                other => panic!("{other:?} in a join of a Puppet server"),
            };
            self.machine.handle(now, event);
        }
    }

    fn reply(&mut self, now_ms: u64, reply: Result<Answer, Fault>) {
        let now = self.now(now_ms);
        self.machine.handle(now, reply.map_or_else(Event::Failed, Event::Answered));
    }

    fn restart(&mut self, now_ms: u64) {
        self.started = now_ms;
        self.machine = begin(self.seed, self.disk.clone());
    }
}

pub fn name(index: usize) -> String {
    format!("i-{index:017x}")
}

fn begin(seed: u64, record: Option<Record>) -> Bootstrap {
    let plan = puppet_node::plan(opsworks_cm("puppet-test"), BUDGET);
    let unix = record.as_ref().map_or(START, |record| record.since);
    resume(plan, record, seed, Now { mono: Duration::ZERO, unix, skew: 0 })
}
