//! What joining and leaving have in common: the record as it is to be and as it is on disk, the one
//! way from phase to phase, what is waited for, and how it ended.

use super::backoff::Call;
use super::phase::{Phase, PhaseName};
use super::retry_schedule::RetrySchedule;
use super::{Effect, Event, FaultNote, Now, Outcome, Record, Status, Step, StepKind};
use crate::engines::{Bundle, Installed};
use crate::fault::{Evidence, Fault};
use crate::targets::{Target, invariant};

pub(super) struct Journal {
    /// What the record is to say. While it differs from the record on disk, nothing else happens.
    pub working: Record,
    durable: Record,
    /// Set once the record could not be written: then nothing more is.
    store_is_broken: bool,
    pub schedule: RetrySchedule,
    evidence: Option<Evidence>,
    /// What is still to be done before the end, so that the engine runs again.
    release: Option<Bundle>,
    outcome: Option<Outcome>,
    steps: Vec<Step>,
}

impl Journal {
    pub fn new(
        working: Record,
        durable: Record,
        schedule: RetrySchedule,
        outcome: Option<Outcome>,
    ) -> Self {
        Self {
            working,
            durable,
            store_is_broken: false,
            schedule,
            evidence: None,
            release: None,
            outcome,
            steps: Vec::new(),
        }
    }

    /// What has to be done before anything that was decided.
    pub fn due(&self) -> Option<Effect> {
        if self.owes_persist() {
            return Some(Effect::Persist(Box::new(self.working.clone())));
        }
        if let Some(evidence) = &self.evidence {
            return Some(Effect::Keep(evidence.clone()));
        }
        if let Some(bundle) = &self.release {
            return Some(Effect::Release(bundle.clone()));
        }
        if let Some(outcome) = &self.outcome {
            return Some(Effect::Finish(outcome.clone()));
        }
        self.schedule.wait().map(|wait| Effect::WaitUntil(wait.until))
    }

    /// Takes in what became of that; gives back an event of another effect.
    pub fn absorb(&mut self, now: Now, event: Event) -> Option<Event> {
        match event {
            Event::Woke => {
                if self.schedule.waiting(now).is_none() {
                    self.schedule.clear_wait();
                }
                None
            }
            Event::Persisted => {
                self.durable = self.working.clone();
                None
            }
            Event::Failed(fault) if self.owes_persist() => {
                self.store_is_broken = true;
                self.outcome = Some(Outcome::Failed(fault));
                None
            }
            // Evidence that can't be kept must not hide the fault it belongs to.
            Event::Kept | Event::Failed(_) if self.evidence.is_some() => {
                self.evidence = None;
                None
            }
            Event::Released if self.release.is_some() => {
                self.release = None;
                None
            }
            Event::Failed(fault) if self.release.is_some() => {
                self.release = None;
                self.add_cause(&format!("and the engine is still held: {fault}"));
                None
            }
            event => {
                self.schedule.clear_wait();
                Some(event)
            }
        }
    }

    /// Enters a phase: the only way from one to another. A new phase has no fault yet, and what was
    /// spent of the budget is saved with it.
    pub fn enter(&mut self, now: Now, phase: Phase) {
        let (from, to) = (self.working.phase.name(), phase.name());
        if !from.next().contains(&to) {
            let fault = invariant(&format!("phase {} can't follow phase {}", to.id(), from.id()));
            self.outcome = Some(Outcome::Failed(fault));
            return;
        }
        self.working.phase = phase;
        self.working.since = now.unix;
        self.working.fault = None;
        self.working.elapsed_ms = self.schedule.spent_ms(now);
    }

    /// Records what is going to be installed.
    pub fn plan(&mut self, files: Vec<Installed>) {
        if let Phase::Installing { planned, .. } = &mut self.working.phase {
            *planned = files;
        }
    }

    /// Before the end, where that is a failure, lets the engine run again.
    pub fn release_before_end(&mut self, bundle: Option<Bundle>) {
        if matches!(self.outcome, Some(Outcome::Failed(_))) {
            self.release = bundle;
        }
    }

    fn add_cause(&mut self, cause: &str) {
        if let Some(Outcome::Failed(fault)) = &mut self.outcome {
            *fault = fault.clone().cause(cause);
        }
    }

    /// Waits out a fault that can pass, and ends with any other; `still_held` is said of the end.
    pub fn fail(&mut self, now: Now, fault: Fault, still_held: Option<String>) {
        let times = self.schedule.failed(now, &fault);
        let is_final = !fault.is_retried() || self.schedule.is_spent(now);
        let fault = match still_held.filter(|_| is_final) {
            Some(held) => fault.cause(held),
            None => fault,
        };
        self.working.fault = Some(FaultNote::of(&fault, now.unix, times, is_final));
        self.working.elapsed_ms = self.schedule.spent_ms(now);
        if is_final {
            self.evidence.clone_from(&fault.evidence);
            self.outcome = Some(Outcome::Failed(fault.given_up_after(self.schedule.budget())));
        } else {
            let call = match self.working.phase.name() {
                PhaseName::New | PhaseName::Leaving => Call::Discovery,
                PhaseName::Creating | PhaseName::Installing | PhaseName::Joined => Call::Creation,
                PhaseName::Watching => Call::Poll,
            };
            self.schedule.retry(now, call, &fault);
        }
    }

    /// How it stands while this effect is performed.
    pub fn status(
        &self,
        target: &dyn Target,
        name: Option<String>,
        effect: &Effect,
        now: Now,
    ) -> Status {
        let authority = target.authority_name();
        let waiting = self.schedule.waiting(now);
        Status {
            target: target.id(),
            phase: self.working.phase.name(),
            name,
            doing: match (effect, waiting) {
                (Effect::WaitUntil(_), Some(wait)) => wait.sentence(now),
                _ => effect.describe(&authority),
            },
            waiting: waiting.cloned(),
            failures: self.schedule.failures(),
            fault: self.working.fault.as_ref().map(|fault| fault.kind),
            findings: Vec::new(),
            steps: self.steps.clone(),
            authority,
        }
    }

    /// Whether nothing but time or the end is ahead.
    pub fn is_waiting_or_over(&self) -> bool {
        self.outcome.is_some() || self.schedule.wait().is_some()
    }

    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    pub fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// The record on disk was another machine's and was moved away; this one is not on disk yet.
    pub fn start_over(&mut self, record: Record) {
        self.durable = record.clone();
        self.working = record;
    }

    pub fn step_done(&mut self, kind: StepKind, result: impl Into<String>) {
        self.steps.push(Step { kind, result: result.into() });
    }

    fn owes_persist(&self) -> bool {
        self.durable != self.working && !self.store_is_broken
    }
}
