//! The state machines that take one target from nothing to joined, and back. Pure.
//!
//! ```text
//!          facts, survey, hold, key               create            watch
//!   New ───────────────────────────▶ Creating ───────────▶ Watching ───────▶ Installing ──▶ Joined
//!    ▲                               │  ▲  │                  │ │                ▲   │
//!    │                       in doubt└──┘  └───── adopted ────┼─┼────────────────┘   │
//!    │                                  ▲───────── forgotten ─┘ │   secret lost      │
//!    │                                  └───────────────────────┼────────────────────┘
//!    └──────────────────────── FAILED ──────────────────────────┘
//! ```
//!
//! Every arrow is persisted before what stands behind it happens (the write-ahead rule): while
//! the working record differs from the durable one, [`Bootstrap::poll`] returns nothing but
//! `Persist`. So a record, bound to this machine, stands before anything else of ours does. What lies within a phase is idempotent and simply done again after a crash; the one
//! exception, the creating call, has the phase `Creating` to itself. Resuming there is a doubt:
//! the target says how it is settled, by asking, by adopting what it finds, or by repeating.
//!
//! A member whose certificate is to be renewed goes the same way once more (`upkeep`), with the
//! former certificate in hand until the new one is in place: whatever goes wrong on the way leads
//! back to `Joined` with that one.
//!
//! A fault that can pass (`Transient`, `Denied`) is waited out within the budget, in any phase.
//! Every other one ends the bootstrap with the phase kept, so that the next start goes on there.

pub mod backoff;
pub mod clock;
mod effect;
mod failing;
mod handle;
mod held;
mod inspection;
mod journal;
mod leave;
mod maintenance;
mod monitor;
mod pace;
mod record;
mod status;

use std::time::Duration;

pub use effect::{Effect, Event, Installed, Now, Outcome};
pub use inspection::{Finding, Found, ObservedFile, findings, used};
pub use leave::Leave;
pub use maintenance::Maintenance;
pub use monitor::{Monitor, Need};
pub use record::{FaultNote, Former, Phase, Record, SCHEMA};
pub use status::{Report, Status, Step, Waiting};

use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::targets::{
    Answer, Authority, Creation, Discovery, Doubt, FactsWanted, Installation, KeyReport, KeySpec,
    NameTemplate, NodeContext, Target, invariant,
};
use journal::Journal;
use pace::RetrySchedule;

/// What one bootstrap is to do.
pub struct Plan {
    pub target: Box<dyn Target>,
    /// None: the instance id on EC2, else the FQDN.
    pub name: Option<NameTemplate>,
    /// How long faults that can pass, and an authority that takes its time, are waited for.
    pub budget: Duration,
}

/// A state machine that the driver can drive.
pub trait StateMachine {
    /// What is to be done now: the same answer until it is handled.
    fn poll(&self, now: Now) -> Effect;
    /// Takes in what became of the effect that `poll` last returned.
    fn handle(&mut self, now: Now, event: Event);
    /// For people and for the service manager.
    fn status(&self, now: Now) -> Status;
}

/// One bootstrap, in the middle of it.
pub struct Bootstrap {
    plan: Plan,
    journal: Journal,
    facts: Option<Facts>,
    /// In the record only once we ask under it.
    name: Option<String>,
    authority: Option<Authority>,
    is_held: bool,
    key: Key,
    /// Some: the creating call may have taken effect; the answers to what was asked about it.
    doubt: Option<Vec<Answer>>,
    /// What came with the grant and is nobody's to write down.
    secret: Option<Secret>,
    aside: Option<Vec<String>>,
    maintenance: Maintenance,
}

enum Key {
    Unknown,
    NotNeeded,
    Known(KeyReport),
}

/// Takes up a bootstrap where its record says it is, or begins one. The seed spreads the nodes
/// of a fleet: make it from the instance or machine id.
#[must_use]
pub fn resume(plan: Plan, record: Option<Record>, seed: u64, now: Now) -> Bootstrap {
    let word = plan.target.id();
    let authority_name = plan.target.authority_name();
    let anew = || Record::new(word, &authority_name, now.unix);
    let mut working = record.clone().unwrap_or_else(anew);
    let mut outcome = None;
    if working.phase == Phase::Leaving {
        outcome = Some(Outcome::Failed(leaving(&working)));
    } else if working.authority_name != authority_name {
        match working.phase {
            Phase::New => {
                let bound = (working.machine.take(), working.mark.take());
                working = anew();
                (working.machine, working.mark) = bound;
            }
            _ => outcome = Some(Outcome::Failed(other_authority(&working, &authority_name))),
        }
    }
    // The last start came to a verdict, so this one has a budget of its own.
    if working.fault.as_ref().is_some_and(|fault| fault.is_final) {
        working.elapsed_ms = 0;
    }
    let is_asked = working.phase != Phase::New;
    // The engine goes on with the former certificate meanwhile.
    let is_renewal = working.former.is_some();
    let pace =
        RetrySchedule::new(seed, plan.budget, Duration::from_millis(working.elapsed_ms), now);
    Bootstrap {
        name: working.name.clone(),
        // Before anything was asked under it, what was known of the authority may be out of date.
        authority: working.authority.clone().filter(|_| is_asked),
        doubt: (working.phase == Phase::Creating).then(Vec::new),
        // Nothing is owed to disk before there is something to say.
        journal: Journal::new(working.clone(), record.unwrap_or(working), pace, outcome),
        facts: None,
        is_held: is_renewal,
        key: Key::Unknown,
        secret: None,
        aside: None,
        maintenance: Maintenance::default(),
        plan,
    }
}

impl StateMachine for Bootstrap {
    fn poll(&self, now: Now) -> Effect {
        if let Some(effect) = self.journal.due(now) {
            return effect;
        }
        if let Some(paths) = &self.aside {
            return Effect::SetAside(paths.clone());
        }
        self.step(now).unwrap_or_else(|fault| Effect::Finish(Outcome::Failed(fault)))
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.take_in(now, event);
    }

    fn status(&self, now: Now) -> Status {
        self.journal.status(&*self.plan.target, self.name.clone(), &self.poll(now), now)
    }
}

impl Bootstrap {
    /// The step that the phase and what is known ask for.
    fn step(&self, now: Now) -> Result<Effect, Fault> {
        let Some(facts) = &self.facts else {
            return Ok(Effect::GatherFacts(self.inquiry()));
        };
        if self.journal.working.phase == Phase::Joined {
            return Ok(Effect::Finish(self.joined(true)));
        }
        let target = &self.plan.target;
        let (Some(name), Some(authority)) = (&self.name, &self.authority) else {
            return match target.survey() {
                Discovery::Ask(request) => Ok(Effect::Call(request)),
                Discovery::Known(_) => {
                    Err(invariant("what is known of the authority was not taken"))
                }
            };
        };
        let known = NodeContext { facts, name, authority, key: self.key.report() };
        if !self.is_held
            && let Some(bundle) = target.hold(&known)
        {
            return Ok(Effect::Hold(bundle));
        }
        if let Key::Unknown = self.key {
            let spec =
                target.key(&known)?.ok_or_else(|| invariant("there is no key to be made"))?;
            let must_stand = self.journal.working.former.is_some();
            return Ok(Effect::EnsureKey(Box::new(KeySpec { must_stand, ..spec })));
        }
        match (
            self.journal.working.phase,
            &self.journal.working.ticket,
            &self.journal.working.grant,
        ) {
            (Phase::Creating, _, _) => self.creating(&known, now),
            (Phase::Watching, Some(ticket), _) => Ok(Effect::Call(target.watch(ticket))),
            (Phase::Installing, _, Some(grant)) => {
                match target.install(&known, grant, self.secret.as_ref())? {
                    Some(Installation::Bundle(bundle)) => Ok(Effect::Install(bundle)),
                    Some(Installation::HandOver(hand_over)) => {
                        Ok(Effect::HandOver(Box::new(hand_over)))
                    }
                    None => Err(invariant("the grant's secret is not known")),
                }
            }
            (phase, _, _) => {
                Err(invariant(&format!("the record lacks what phase {phase:?} needs")))
            }
        }
    }

    fn creating(&self, known: &NodeContext<'_>, now: Now) -> Result<Effect, Fault> {
        if let Some(Doubt::Ask(request)) = self.doubted(known)? {
            return Ok(Effect::Call(request));
        }
        match self.plan.target.create(known, &self.mark(), now.unix)? {
            Creation::Call(request) => Ok(Effect::Call(request)),
            Creation::Given(_) => Err(invariant("there is nothing to create")),
        }
    }

    /// How the doubt stands, if there is one.
    fn doubted(&self, known: &NodeContext<'_>) -> Result<Option<Doubt>, Fault> {
        let Some(answers) = &self.doubt else {
            return Ok(None);
        };
        self.plan.target.in_doubt(known, &self.mark(), answers).map(Some)
    }

    /// Everything that is needed to ask; none while something is missing.
    fn known(&self) -> Option<NodeContext<'_>> {
        let (Some(facts), Some(name), Some(authority)) = (&self.facts, &self.name, &self.authority)
        else {
            return None;
        };
        Some(NodeContext { facts, name, authority, key: self.key.report() })
    }

    fn inquiry(&self) -> FactsWanted {
        let mut inquiry = self.plan.target.inquiry();
        if let Some(site) = &mut inquiry.puppet {
            site.known = self.journal.working.puppet.clone().map(Box::new);
            // Nothing stands there yet; Puppet may have been installed since.
            site.known.take_if(|_| self.journal.working.phase == Phase::New);
        }
        let is_first =
            self.journal.working.phase == Phase::New && !self.journal.working.is_member();
        inquiry.key = inquiry.key.filter(|_| is_first);
        inquiry
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

fn leaving(record: &Record) -> Fault {
    Fault::new(
        Kind::Config,
        "this node is leaving, and has not finished",
        format!("target {}, {}", record.target, record.authority_name),
        "finish it with `enlist leave`, then join anew",
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
