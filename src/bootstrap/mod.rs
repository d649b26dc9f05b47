//! The state machines that take a node from nothing to joined, keep it there, and take it out again.
//! Pure: they know neither a target nor an engine by name.
//!
//! [`phase`] lists the phases and every way from one to another. The rule that makes this safe
//! against crashes is to write ahead: while the working record differs from the one on disk, `poll`
//! returns nothing but `Persist`. So a record that is bound to this machine stands before anything
//! else is done, and each phase is on disk before what happens in it. All that happens within a
//! phase can be done again after a crash, but for the creating call. It has the phase `Creating` to
//! itself, and a start that finds that phase is in doubt: it asks the target what became of the call.
//!
//! A member whose certificate is renewed goes the same way again ([`Maintenance`]). It keeps the
//! former certificate until the new one is installed; a renewal that fails leads back to it.
//!
//! A fault that can pass (`Transient`, `Denied`) is waited out within the budget, in any phase. Any
//! other one ends the start with the phase kept, and the next start goes on from there.

pub mod backoff;
pub mod clock_skew;
mod decide;
mod effect;
mod failing;
mod handle;
mod journal;
mod leave;
mod maintenance;
mod monitor;
pub mod phase;
mod record;
mod retry_schedule;
mod status;

use std::time::Duration;

pub use crate::engines::{Finding, Installed};
pub use effect::{Effect, Event, Now, Outcome};
pub use leave::Leave;
pub use maintenance::Maintenance;
pub use monitor::{Monitor, Need};
pub use phase::{Phase, PhaseName};
pub use record::{FaultNote, Former, KeyFingerprints, Record, SCHEMA};
pub use status::{Report, Status, Step, StepKind, Waiting};

use crate::engines::{Authority, Engine, Engines, KeyReport, NodeContext, Observed};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::targets::{Answer, NameTemplate, Target, state_dir};
use journal::Journal;
use retry_schedule::RetrySchedule;

/// What one bootstrap is to do.
pub struct Plan {
    pub target: Box<dyn Target>,
    pub engines: Engines,
    /// None: the instance id on EC2, else the FQDN.
    pub name: Option<NameTemplate>,
    /// How long to wait for faults to pass and for the authority to decide.
    pub budget: Duration,
}

/// A state machine that the driver drives: it polls an effect, performs it, and hands in what became
/// of it.
pub trait StateMachine {
    /// What is to be done now: the same until it is handled.
    fn poll(&self) -> Effect;
    /// Takes in what became of that effect, and decides what comes next.
    fn handle(&mut self, now: Now, event: Event);
    /// For people and for the service manager.
    fn status(&self, now: Now) -> Status;
}

/// One bootstrap of one target.
pub struct Bootstrap {
    plan: Plan,
    journal: Journal,
    state_dir: String,
    /// What was gathered in this start.
    facts: Option<(Facts, Observed)>,
    hand_over_is_settled: bool,
    /// In the record only once the authority is asked under it.
    name: Option<String>,
    authority: Option<Authority>,
    /// Whether the hold is done: what will be written was checked, and the engine does not run.
    hold_is_done: bool,
    key: Key,
    /// Whether the creating call may have taken effect, which `reconcile` finds out.
    is_in_doubt: bool,
    /// The answers to the question that is being asked.
    answers: Vec<Answer>,
    /// What came with the grant: never written to disk.
    secret: Option<Secret>,
    /// Files of another machine, which are moved away first.
    other_machines_files: Option<Vec<String>>,
    maintenance: Maintenance,
    /// What comes next, once the journal has nothing due.
    decided: Option<Effect>,
}

enum Key {
    Unknown,
    NotNeeded,
    Known(KeyReport),
}

/// Goes on with a bootstrap where its record says it is, or begins one. The seed spreads the nodes
/// of a fleet in time: make it from the instance or machine id.
#[must_use]
pub fn resume(plan: Plan, record: Option<Record>, seed: u64, now: Now) -> Bootstrap {
    let id = plan.target.id();
    let authority_name = plan.target.authority_name();
    let new_record = || Record::new(id, &authority_name, now.unix);
    let mut working = record.clone().unwrap_or_else(new_record);
    let mut outcome = None;
    if working.phase.name() == PhaseName::Leaving {
        outcome = Some(Outcome::Failed(is_leaving(&working)));
    } else if working.authority_name != authority_name {
        if working.phase == Phase::New {
            let (machine, mark) = (working.machine.take(), working.mark.take());
            working = Record { machine, mark, ..new_record() };
        } else {
            outcome = Some(Outcome::Failed(other_authority(&working, &authority_name)));
        }
    }
    // The last start came to a verdict, so this one has a budget of its own.
    if working.fault.as_ref().is_some_and(|fault| fault.is_final) {
        working.elapsed_ms = 0;
    }
    let was_asked = working.phase != Phase::New;
    // During a renewal the engine goes on with the former certificate.
    let is_renewal = working.former.is_some();
    let schedule =
        RetrySchedule::new(seed, plan.budget, Duration::from_millis(working.elapsed_ms), now);
    let mut bootstrap = Bootstrap {
        state_dir: state_dir(id),
        name: working.name.clone(),
        // Before the node is asked for under its name, what was discovered may be out of date.
        authority: working.authority.clone().filter(|_| was_asked),
        is_in_doubt: working.phase == Phase::Creating,
        // Nothing is owed to disk before there is something to say.
        journal: Journal::new(working.clone(), record.unwrap_or(working), schedule, outcome),
        facts: None,
        hand_over_is_settled: false,
        hold_is_done: is_renewal,
        key: Key::Unknown,
        answers: Vec::new(),
        secret: None,
        other_machines_files: None,
        maintenance: Maintenance::default(),
        decided: None,
        plan,
    };
    bootstrap.decide(now);
    bootstrap
}

impl StateMachine for Bootstrap {
    fn poll(&self) -> Effect {
        let next = self.journal.due().or_else(|| self.decided.clone());
        next.unwrap_or_else(|| {
            let fault = crate::targets::invariant("nothing was decided");
            Effect::Finish(Outcome::Failed(fault))
        })
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.take_in(now, event);
    }

    fn status(&self, now: Now) -> Status {
        self.journal.status(&*self.plan.target, self.name.clone(), &self.poll(), now)
    }
}

impl Bootstrap {
    /// The engine that the authority works with; before that is known, the likeliest one.
    fn engine(&self) -> &dyn Engine {
        let known = self.authority.as_ref().or(self.journal.working.authority.as_ref());
        let id = known.map_or_else(|| self.plan.target.engine(), Authority::engine);
        self.plan.engines.get(id)
    }

    /// Everything that is needed to ask the authority; none while something is missing.
    fn node(&self) -> Option<NodeContext<'_>> {
        let ((facts, observed), name, authority) =
            (self.facts.as_ref()?, self.name.as_ref()?, self.authority.as_ref()?);
        let key = self.key.report();
        Some(NodeContext { facts, observed, name, authority, key, state_dir: &self.state_dir })
    }

    fn mark(&self) -> String {
        self.journal.working.mark.clone().unwrap_or_default()
    }

    fn joined(&self, already: bool) -> Outcome {
        Outcome::Joined { already, record: Box::new(self.journal.working.clone()) }
    }
}

impl Key {
    fn report(&self) -> Option<&KeyReport> {
        match self {
            Self::Known(report) => Some(report),
            Self::Unknown | Self::NotNeeded => None,
        }
    }
}

fn is_leaving(record: &Record) -> Fault {
    Fault::new(
        Kind::Config,
        "this node is leaving, and has not finished",
        format!("target {}, {}", record.target, record.authority_name),
        format!("run `enlist leave --target {0}`, then `enlist join --target {0}`", record.target),
    )
}

fn other_authority(record: &Record, wanted: &str) -> Fault {
    Fault::new(
        Kind::Config,
        format!("the record is of {}, and the settings say {wanted}", record.authority_name),
        format!("target {}, {:?}", record.target, record.name.as_deref().unwrap_or("?")),
        "leave the former first, or set the settings back",
    )
}
