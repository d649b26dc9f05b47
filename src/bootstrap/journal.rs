//! What joining and leaving have in common: the working record and the saved one, the transitions
//! between phases, the wait that is under way, and the outcome.

use std::time::Duration;

use super::backoff::Call;
use super::phase::{Phase, PhaseName};
use super::retry_schedule::RetrySchedule;
use super::{Effect, Event, FaultNote, Now, Outcome, Record, Status, Step, StepKind};
use crate::engines::Bundle;
use crate::fault::{Evidence, Fault};
use crate::targets::{Target, invariant};

pub(super) struct Journal {
    /// The current record. While it differs from `saved`, the only effect is `Persist`.
    pub working: Record,
    /// The record on disk. Where none exists yet, the new record as it was created.
    saved: Record,
    /// Set once the record could not be written. After that it is not written again.
    store_is_broken: bool,
    pub schedule: RetrySchedule,
    /// The effect that was decided. It is performed once nothing is due before it.
    pub decided: Option<Effect>,
    /// What a final fault refused, until it is on disk.
    evidence: Option<Evidence>,
    /// What lets the engine run again, to be done before the end.
    release: Option<Bundle>,
    outcome: Option<Outcome>,
    /// The steps done so far, for the log.
    steps: Vec<Step>,
}

impl Journal {
    pub fn new(
        working: Record,
        saved: Record,
        schedule: RetrySchedule,
        outcome: Option<Outcome>,
    ) -> Self {
        Self {
            working,
            saved,
            store_is_broken: false,
            schedule,
            decided: None,
            evidence: None,
            release: None,
            outcome,
            steps: Vec::new(),
        }
    }

    /// The effect to perform now: what is due, else what was decided.
    pub fn next_effect(&self) -> Effect {
        let next = self.due().or_else(|| self.decided.clone());
        next.unwrap_or_else(|| Effect::Finish(Outcome::Failed(invariant("nothing was decided"))))
    }

    /// The effect that comes before the decided one.
    fn due(&self) -> Option<Effect> {
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

    /// Handles the event of a due effect. Returns any other event.
    pub fn handle_due(&mut self, now: Now, event: Event) -> Option<Event> {
        match event {
            Event::Woke => {
                if self.schedule.waiting(now).is_none() {
                    self.schedule.clear_wait();
                }
                None
            }
            Event::Persisted => {
                self.saved = self.working.clone();
                None
            }
            Event::Failed(fault) if self.owes_persist() => {
                self.store_is_broken = true;
                self.outcome = Some(Outcome::Failed(fault));
                None
            }
            // A failure to keep the evidence must not hide the fault that it belongs to.
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
                self.add_cause(&format!(
                    "the engine could not be released and does not run: {fault}"
                ));
                None
            }
            event => {
                self.schedule.clear_wait();
                Some(event)
            }
        }
    }

    /// Enters a phase: sets the phase and its time, clears the fault, and saves how much of the budget
    /// is spent. Every transition is made here.
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

    /// After a failure, schedules what lets the engine run again.
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

    /// Schedules a retry after a fault that may pass, and ends with any other. `still_held` is added
    /// to the causes of a fault that ends it.
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
            // Which calls a phase makes. Installing may register an engine, which is a creating call.
            let call = match self.working.phase.name() {
                PhaseName::New | PhaseName::Requested | PhaseName::Leaving => Call::Discovery,
                PhaseName::Creating | PhaseName::Installing | PhaseName::Joined => Call::Creation,
                PhaseName::Watching => Call::Poll,
            };
            self.schedule.retry(now, call, &fault);
        }
    }

    /// The status while this effect is performed.
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

    /// When the time limits of the next effect end. What creates, installs or registers is not ended early.
    pub fn ends(&self) -> Option<Duration> {
        match self.next_effect() {
            Effect::GatherFacts(_) => self.schedule.ends(),
            Effect::Call(request) if !request.call().creates() => self.schedule.ends(),
            _ => None,
        }
    }

    /// Whether the next effect is still to be decided: none is, nothing is waited for, and this is
    /// not the end.
    pub fn needs_decision(&self) -> bool {
        self.decided.is_none() && self.outcome.is_none() && self.schedule.wait().is_none()
    }

    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    pub fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// Replaces the record of another machine, which was moved to the backups, with this new one.
    pub fn start_over(&mut self, record: Record) {
        self.saved = record.clone();
        self.working = record;
    }

    pub fn step_done(&mut self, kind: StepKind, result: impl Into<String>) {
        self.steps.push(Step { kind, result: result.into() });
    }

    /// Notes a step, unless it was done before with the same result.
    pub fn step_done_once(&mut self, kind: StepKind, result: String) {
        if !self.steps.iter().any(|step| step.kind == kind && step.result == result) {
            self.step_done(kind, result);
        }
    }

    fn owes_persist(&self) -> bool {
        self.saved != self.working && !self.store_is_broken
    }
}
