//! The state machine that takes one target from nothing to joined. Pure.
//!
//! ```text
//!          facts, survey, hold, key                create            watch
//!   New ────────────────────────────▶ Creating ───────────▶ Watching ───────▶ Installing ──▶ Joined
//!    ▲                                   ▲                      │ │               install
//!    │                                   └──── forgotten ───────┘ │
//!    └──────────────────────── FAILED ────────────────────────────┘
//! ```
//!
//! Every arrow is persisted before what stands behind it happens (the write-ahead rule): while
//! the working record differs from the durable one, [`Bootstrap::poll`] returns nothing but
//! `Persist`. What lies within a phase is idempotent and simply done again after a crash; the one
//! exception, the creating call, has the phase `Creating` to itself. For AssociateNode, going on
//! from there means to ask again with the same name and the same key: see decision 0001.
//!
//! A fault that can pass (`Transient`, `Denied`) is waited out within the budget, in any phase.
//! Every other one ends the bootstrap with the phase kept, so that the next start goes on there.

pub mod backoff;
mod effect;
mod handle;
mod record;
mod status;

use std::time::Duration;

pub use effect::{Effect, Event, Inquiry, Installed, LikelyKey, Now, Outcome};
pub use record::{FaultNote, Phase, Record, SCHEMA};
pub use status::{Report, Status, Step, Waiting};

use crate::facts::Facts;
use crate::fault::{Evidence, Fault, Kind};
use crate::target::{Authority, KeyReport, Known, NameTemplate, Survey, Target};

/// What one bootstrap is to do.
pub struct Plan {
    pub target: Box<dyn Target>,
    /// None: the instance id on EC2, else the FQDN.
    pub name: Option<NameTemplate>,
    /// How long faults that can pass, and an authority that takes its time, are waited for.
    pub budget: Duration,
}

/// One bootstrap, in the middle of it.
pub struct Bootstrap {
    plan: Plan,
    seed: u64,
    started: Duration,
    /// Spent of the budget by earlier starts.
    spent_before: Duration,
    working: Record,
    durable: Option<Record>,
    /// Set once the record could not be written: then nothing more is.
    store_is_broken: bool,
    facts: Option<Facts>,
    /// In the record only once we ask under it.
    name: Option<String>,
    authority: Option<Authority>,
    is_held: bool,
    key: Option<KeyReport>,
    aside: Option<Vec<String>>,
    wait: Option<Waiting>,
    failures: u32,
    /// How often the authority forgot us: successes in between do not shorten these waits.
    forgotten: u32,
    asked: u32,
    evidence: Option<Evidence>,
    outcome: Option<Outcome>,
    steps: Vec<Step>,
}

/// Takes up a bootstrap where its record says it is, or begins one. The seed spreads the nodes
/// of a fleet: make it from the instance or machine id.
#[must_use]
pub fn resume(plan: Plan, record: Option<Record>, seed: u64, now: Now) -> Bootstrap {
    let word = plan.target.word();
    let authority_name = plan.target.authority_name();
    let mut working =
        record.clone().unwrap_or_else(|| Record::new(word, &authority_name, now.unix));
    let mut outcome = None;
    if working.authority_name != authority_name {
        match working.phase {
            Phase::New => working = Record::new(word, &authority_name, now.unix),
            _ => outcome = Some(Outcome::Failed(other_authority(&working, &authority_name))),
        }
    }
    // The last start came to a verdict, so this one has a budget of its own.
    if working.fault.as_ref().is_some_and(|fault| fault.is_final) {
        working.elapsed_ms = 0;
    }
    Bootstrap {
        seed,
        started: now.mono,
        spent_before: Duration::from_millis(working.elapsed_ms),
        name: working.name.clone(),
        // Before anything was asked under it, what was known of the authority may be out of date.
        authority: working.authority.clone().filter(|_| working.phase != Phase::New),
        // Nothing is owed to disk before there is something to say.
        durable: Some(record.unwrap_or_else(|| working.clone())),
        working,
        store_is_broken: false,
        facts: None,
        is_held: false,
        key: None,
        aside: None,
        wait: None,
        failures: 0,
        forgotten: 0,
        asked: 0,
        evidence: None,
        outcome,
        steps: Vec::new(),
        plan,
    }
}

impl Bootstrap {
    /// What is to be done now: the same answer until it is handled.
    #[must_use]
    pub fn poll(&self, now: Now) -> Effect {
        if self.owes_persist() {
            return Effect::Persist(Box::new(self.working.clone()));
        }
        if let Some(evidence) = &self.evidence {
            return Effect::Keep(evidence.clone());
        }
        if let Some(outcome) = &self.outcome {
            return Effect::Finish(outcome.clone());
        }
        if let Some(wait) = &self.wait
            && wait.until > now.mono
        {
            return Effect::WaitUntil(wait.until);
        }
        if let Some(paths) = &self.aside {
            return Effect::SetAside(paths.clone());
        }
        self.step().unwrap_or_else(|fault| Effect::Finish(Outcome::Failed(fault)))
    }

    /// For people and for the service manager.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let waiting = self.wait.clone().filter(|wait| wait.until > now.mono);
        Status {
            target: self.plan.target.word(),
            authority: self.plan.target.authority_name(),
            phase: self.working.phase,
            name: self.name.clone(),
            doing: self.doing(now),
            waiting,
            steps: self.steps.clone(),
        }
    }

    fn owes_persist(&self) -> bool {
        self.durable.as_ref() != Some(&self.working) && !self.store_is_broken
    }

    /// The step that the phase and what is known ask for.
    fn step(&self) -> Result<Effect, Fault> {
        let Some(facts) = &self.facts else {
            return Ok(Effect::GatherFacts(self.inquiry()));
        };
        if self.working.phase == Phase::Joined {
            return Ok(Effect::Finish(self.joined(true)));
        }
        let (Some(name), Some(authority)) = (&self.name, &self.authority) else {
            return self.survey();
        };
        let known = Known { facts, name, authority };
        let target = &self.plan.target;
        if !self.is_held
            && let Some(bundle) = target.hold(&known)
        {
            return Ok(Effect::Hold(bundle));
        }
        let Some(key) = &self.key else {
            return Ok(Effect::EnsureKey(target.key(&known)?));
        };
        match (self.working.phase, &self.working.ticket, &self.working.grant) {
            (Phase::Creating, _, _) => Ok(Effect::Call(target.create(&known, key)?)),
            (Phase::Watching, Some(ticket), _) => Ok(Effect::Call(target.watch(ticket))),
            (Phase::Installing, _, Some(grant)) => {
                Ok(Effect::Install(target.install(&known, key, grant)?))
            }
            (phase, _, _) => {
                Err(invariant(&format!("the record lacks what phase {phase:?} needs")))
            }
        }
    }

    fn survey(&self) -> Result<Effect, Fault> {
        match self.plan.target.survey() {
            Survey::Ask(request) => Ok(Effect::Call(request)),
            Survey::Pinned(_) => Err(invariant("the pinned authority was not taken")),
        }
    }

    fn inquiry(&self) -> Inquiry {
        let puppet = self.plan.target.puppet_site().map(|mut site| {
            site.known = self.working.puppet.clone();
            site
        });
        let is_new = self.working.phase == Phase::New;
        let key = self.plan.target.likely_key().filter(|_| is_new);
        let key = key.map(|(bits, staged)| LikelyKey { bits, staged });
        Inquiry { puppet, key }
    }

    fn joined(&self, already: bool) -> Outcome {
        Outcome::Joined { already, record: Box::new(self.working.clone()) }
    }

    fn doing(&self, now: Now) -> String {
        let authority = self.plan.target.authority_name();
        match self.poll(now) {
            Effect::GatherFacts(_) => "gathering facts".to_owned(),
            Effect::EnsureKey(spec) => format!("making or reading the {}-bit key", spec.bits),
            Effect::Persist(_) => "writing the record".to_owned(),
            Effect::Call(request) => format!("asking: {}, {authority}", request.action()),
            Effect::WaitUntil(_) => {
                let reason = self.wait.as_ref().map_or("", |wait| wait.reason.as_str());
                format!("waiting: {reason}")
            }
            Effect::Hold(_) => "holding the engine still".to_owned(),
            Effect::Install(_) => "installing".to_owned(),
            Effect::Keep(_) => "keeping evidence".to_owned(),
            Effect::SetAside(_) => "setting another machine's identity aside".to_owned(),
            Effect::Finish(Outcome::Joined { .. }) => format!("joined {authority}"),
            Effect::Finish(Outcome::Failed(fault)) => format!("failed: {fault}"),
        }
    }
}

fn other_authority(record: &Record, wanted: &str) -> Fault {
    Fault::new(
        Kind::Config,
        format!("the record is of {}, and the settings say {wanted}", record.authority_name),
        format!("target {}, {:?}", record.target, record.name.as_deref().unwrap_or("?")),
        "leave the former first, or set the settings back",
    )
}

fn invariant(what: &str) -> Fault {
    Fault::new(
        Kind::Invariant,
        what,
        "the bootstrap",
        "this is a bug in enlist or a damaged record; please report it with the record",
    )
}
