//! The state machines that join a node ([`Bootstrap`]), watch over a member ([`Monitor`]) and let a
//! node leave ([`Leave`]). Pure: they know neither a target nor an engine by name.
//!
//! [`phase`] lists the phases and the transitions between them. Crash safety comes from writing
//! ahead: while the working record differs from the record on disk, `poll` returns only `Persist`.
//! So the record is bound to this machine before anything else is done, and each phase is on disk
//! before its work begins. After a crash, all work within a phase can be repeated, except the
//! creating call. That call has a phase of its own, `Creating`. A start that finds this phase on
//! disk does not know whether the call took effect, and asks the target (`reconcile`).
//!
//! A renewal runs through the same phases ([`Maintenance`]). The node keeps the former certificate
//! until the new one is installed, and returns to it if the renewal fails.
//!
//! A fault that may pass (`Transient`, `Denied`) is retried within the budget, in any phase. Any
//! other fault ends this start. The record keeps the phase, and the next start continues there.

pub mod backoff;
mod by_hand;
pub mod clock_skew;
mod decide;
mod effect;
mod failing;
mod handle;
mod health;
mod journal;
mod leave;
mod maintenance;
mod monitor;
pub mod phase;
mod probe;
mod record;
mod retry_schedule;
mod status;
mod steps;
mod waiting;

use std::time::Duration;

pub use crate::engines::{Finding, Installed};
pub use by_hand::{ByHand, new_request};
pub use effect::{Effect, Event, Now, Outcome, Signing, SigningKeyPlace};
pub use health::{MembershipName, Problem, problems};
pub use leave::Leave;
pub use maintenance::Maintenance;
pub use monitor::{Monitor, Need};
pub use phase::{Phase, PhaseName};
pub use probe::Probe;
pub use record::{FaultNote, Former, KeyFingerprints, Record, SCHEMA, SettingValues};
pub use status::{ChangedSetting, Probed, Report, Status, Step, StepKind, Waiting};

use crate::engines::{Authority, Engine, Engines, KeyReport, NodeContext, Observed};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::targets::{Answer, NameTemplate, Target, state_dir};
use journal::Journal;
use retry_schedule::RetrySchedule;
use steps::Steps;

/// The input of one bootstrap.
pub struct Plan {
    pub target: Box<dyn Target>,
    pub engines: Engines,
    /// None: the name is the instance id on EC2, else the FQDN.
    pub name: Option<NameTemplate>,
    /// How long faults are retried and the authority's decision is waited for.
    pub budget: Duration,
    /// Whether this program stays, and renews the certificate.
    pub will_renew: bool,
}

/// A state machine. The driver polls the next effect, performs it, and passes the resulting event to
/// `handle`.
pub trait StateMachine {
    /// The effect to perform now. Returns the same effect until its event is handled.
    fn poll(&self) -> Effect;
    /// Handles the event of that effect, and decides the next effect.
    fn handle(&mut self, now: Now, event: Event);
    /// The state, for log lines, `enlist status` and the service manager.
    fn status(&self, now: Now) -> Status;
    /// When the time limits of the effect end, by [`Now::mono`]: with the time budget. None: they are its own.
    fn ends(&self) -> Option<Duration> {
        None
    }
}

/// Joins this node to one target, and performs the [`Maintenance`] that it is allowed.
pub struct Bootstrap {
    plan: Plan,
    journal: Journal,
    state_dir: String,
    /// What this start has gathered.
    facts: Option<(Facts, Observed)>,
    /// What was found of the engine, while only the node's names are read again.
    observed_before: Option<Observed>,
    /// Whether an interrupted hand-over to the engine has been settled in this start.
    hand_over_is_settled: bool,
    /// The node's name. The record gets it when the authority is first asked to accept the node.
    name: Option<String>,
    authority: Option<Authority>,
    /// When this start found it ([`Now::mono`]). None: an earlier start has.
    authority_since: Option<Duration>,
    /// The authority whose revocation lists are fetched again.
    outdated: Option<Authority>,
    /// Whether the hold has yet to be done: check what will be written, and keep the engine from
    /// running. A renewal needs none, because the engine runs on with the former certificate.
    needs_hold: bool,
    key: Key,
    request: Request,
    calls: CreatingCalls,
    /// The answers so far to the target's current question.
    answers: Vec<Answer>,
    /// The secret that came with the grant; never written to disk.
    secret: Option<Secret>,
    /// Set when the record belongs to another machine: that machine's identity files. They are moved
    /// to the backups before anything else.
    other_machines_files: Option<Vec<String>>,
    end: End,
    /// What this start may do if the node has joined already.
    maintenance: Maintenance,
    /// Set where a person carries the messages.
    by_hand: Option<ByHand>,
    changes: Changes,
    /// The settings, as the record of a new membership keeps them.
    settings: SettingValues,
}

/// What is known of the creating calls, those of earlier starts among them.
#[derive(Clone, Copy, Debug)]
struct CreatingCalls {
    /// Whether one may have taken effect without a known reply. `reconcile` finds out.
    is_in_doubt: bool,
    /// Whether each of them was refused, or none was made.
    were_refused: bool,
}

/// Whether the authority has the changed settings that this start applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    Untold,
    /// It can't be reached, and is not told.
    Unreached,
    /// It has them, or a person was told to bring them.
    Told,
}

/// What is known at the end, in phase `Joined`.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// Whether this start has joined. Else an earlier one has.
    is_new: bool,
    /// Whether what the join has used up is removed.
    is_tidy: bool,
}

/// The certificate request that was made with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// It has all that the settings add, and may be sent until this moment ([`Now::mono`]). None: always.
    Whole(Option<Duration>),
    /// Without the additions that are made or read only when it is sent.
    Partial,
}

impl Request {
    fn can_be_sent(self, now: Now) -> bool {
        match self {
            Self::Whole(until) => until.is_none_or(|until| now.mono < until),
            Self::Partial => false,
        }
    }
}

/// The node's key, as far as this start knows it.
enum Key {
    Unknown,
    /// The engine needs no key from enlist.
    NotNeeded,
    Known(KeyReport),
}

/// Continues a bootstrap from its record, or begins a new one. The seed gives each node of a fleet
/// its own jitter; derive it from the instance or machine id.
#[must_use]
pub fn resume(plan: Plan, record: Option<Record>, seed: u64, now: Now) -> Bootstrap {
    let id = plan.target.id();
    let authority_name = plan.target.authority_name();
    let new_record = || Record::new(id, &authority_name, now.unix);
    let mut working = record.clone().unwrap_or_else(new_record);
    // The authority has nothing of this node, so the settings count again: authority, name, version.
    if working.phase == Phase::Creating && working.was_refused && !working.is_member() {
        working.phase = Phase::New;
    }
    if working.authority_name != authority_name && working.phase == Phase::New {
        let (machine, mark) = (working.machine.take(), working.mark.take());
        working = Record { machine, mark, ..new_record() };
    }
    // The last start ended with a final fault, so this one gets a new budget.
    if working.fault.as_ref().is_some_and(|fault| fault.is_final) {
        working.elapsed_ms = 0;
    }
    let keeps_authority = working.phase != Phase::New && !doubts_authority(&working);
    let is_renewal = working.former.is_some();
    let schedule =
        RetrySchedule::new(seed, plan.budget, Duration::from_millis(working.elapsed_ms), now);
    let mut bootstrap = Bootstrap {
        state_dir: state_dir(id),
        name: working.name.clone(),
        // In phase New the recorded authority may be out of date, so it is discovered again.
        authority: working.authority.clone().filter(|_| keeps_authority),
        authority_since: None,
        outdated: None,
        calls: CreatingCalls {
            is_in_doubt: working.phase == Phase::Creating,
            were_refused: working.attempts == 0 || working.was_refused,
        },
        // A new record counts as saved, so that an empty one is never written.
        journal: Journal::new(working.clone(), record.unwrap_or(working), schedule, None),
        facts: None,
        observed_before: None,
        hand_over_is_settled: false,
        needs_hold: !is_renewal,
        key: Key::Unknown,
        request: Request::Partial,
        answers: Vec::new(),
        secret: None,
        other_machines_files: None,
        end: End::default(),
        maintenance: Maintenance::default(),
        by_hand: None,
        changes: Changes::Untold,
        settings: SettingValues::new(),
        plan,
    };
    bootstrap.decide(now, None);
    bootstrap
}

impl StateMachine for Bootstrap {
    fn poll(&self) -> Effect {
        self.journal.next_effect()
    }

    fn handle(&mut self, now: Now, event: Event) {
        let had_ended = self.journal.has_ended();
        self.handle_event(now, event);
        if self.journal.has_ended() && !had_ended {
            let release = self.release();
            self.journal.release_before_end(release);
        }
    }

    fn status(&self, now: Now) -> Status {
        self.journal.status(&*self.plan.target, self.name.clone(), &self.poll(), now)
    }

    /// The creating call keeps its time limit, because an early end would leave it in doubt.
    fn ends(&self) -> Option<Duration> {
        let is_creating =
            self.journal.working.phase.name() == PhaseName::Creating && !self.calls.is_in_doubt;
        self.journal.ends().filter(|_| !is_creating)
    }
}

impl Bootstrap {
    /// Gives the settings, which the record of a new membership keeps.
    #[must_use]
    pub fn with_settings(mut self, settings: SettingValues) -> Self {
        self.settings = settings;
        self
    }

    /// The authority's engine. Before the authority is known, the engine that the target expects.
    fn engine(&self) -> &dyn Engine {
        let known = self.authority.as_ref().or(self.journal.working.authority.as_ref());
        let id = known.map_or_else(|| self.plan.target.engine(), Authority::engine);
        self.plan.engines.get(id)
    }

    /// The facts, name and authority together, as a target or an engine takes them.
    ///
    /// # Errors
    /// `Invariant` where one of them is not known yet.
    fn node(&self) -> Result<NodeContext<'_>, Fault> {
        let (Some((facts, observed)), Some(name), Some(authority)) =
            (&self.facts, &self.name, &self.authority)
        else {
            return Err(not_gathered());
        };
        Ok(NodeContext {
            facts,
            observed,
            name,
            authority,
            additions: self.plan.target.additions(),
            key: self.key.report(),
            former: self.journal.working.former.as_ref().and(self.journal.working.identity()),
            former_key: self.journal.working.former_key(),
            will_renew: self.plan.will_renew,
            state_dir: &self.state_dir,
        })
    }

    fn observed(&self) -> Result<&Observed, Fault> {
        self.facts.as_ref().map(|(_, observed)| observed).ok_or_else(not_gathered)
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

/// Whether what the record has of the authority may be the reason why the last start ended: a CA or lists that
/// can't be used. The authority may have better ones now.
fn doubts_authority(record: &Record) -> bool {
    let is_waiting = matches!(record.phase, Phase::Creating | Phase::Watching { .. });
    let is_data = |fault: &FaultNote| fault.is_final && fault.kind == Kind::Data;
    is_waiting && record.fault.as_ref().is_some_and(is_data)
}

fn not_gathered() -> Fault {
    crate::targets::invariant("this step needs facts, name and authority, and one is not known")
}

/// Why this record can't be joined with, if it is this machine's: the node leaves, or has another authority.
fn unfit(record: &Record, authority_name: &str) -> Option<Fault> {
    if record.phase.name() != PhaseName::Leaving {
        let is_other = record.authority_name != authority_name && record.phase != Phase::New;
        return is_other.then(|| other_authority(record, authority_name));
    }
    let id = &record.target;
    let what = "this node has begun to leave and has not finished";
    let on = format!("target {id}, {}", record.authority_name);
    let todo = format!("run `enlist leave --target {id}`, then `enlist join --target {id}`");
    Some(Fault::new(Kind::Config, what, on, todo))
}

/// The fault where the record is for another authority than the settings name.
#[must_use]
pub fn other_authority(record: &Record, wanted: &str) -> Fault {
    Fault::new(
        Kind::Config,
        format!(
            "this node's record is for {}, and the settings name {wanted}",
            record.authority_name
        ),
        format!("target {}, node {}", record.target, record.name.as_deref().unwrap_or("?")),
        if record.settings.is_empty() {
            format!(
                "set the settings back to {}; to change the authority, run `enlist leave --target {1}` first, then change the settings and run `enlist join --target {1}`",
                record.authority_name, record.target
            )
        } else {
            format!(
                "set the settings back to {}; to change the authority, run `enlist leave --target {1} && enlist join --target {1}`, which leaves the former one first",
                record.authority_name, record.target
            )
        },
    )
}
