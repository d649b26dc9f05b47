//! The books that joining and leaving keep alike: what is on disk and what is owed to it, what is
//! being waited for, how it ended.

use super::backoff::Call;
use super::pace::RetrySchedule;
use super::{Effect, Event, FaultNote, Now, Outcome, Phase, Record, Status, Step};
use crate::engines::Bundle;
use crate::fault::{Evidence, Fault};
use crate::targets::Target;

pub(super) struct Journal {
    /// What the record is to say. While it differs from what is on disk, nothing else happens.
    pub working: Record,
    durable: Record,
    /// Set once the record could not be written: then nothing more is.
    store_is_broken: bool,
    pub pace: RetrySchedule,
    evidence: Option<Evidence>,
    /// What is still to be let go of before the end.
    release: Option<Bundle>,
    outcome: Option<Outcome>,
    pub steps: Vec<Step>,
}

impl Journal {
    pub fn new(
        working: Record,
        durable: Record,
        pace: RetrySchedule,
        outcome: Option<Outcome>,
    ) -> Self {
        Self {
            working,
            durable,
            store_is_broken: false,
            pace,
            evidence: None,
            release: None,
            outcome,
            steps: Vec::new(),
        }
    }

    /// What has to be done before anything new is.
    pub fn due(&self, now: Now) -> Option<Effect> {
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
        self.pace.waiting(now).map(|wait| Effect::WaitUntil(wait.until))
    }

    /// Takes in what became of that; gives back an event that is about something else.
    pub fn settle(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Woke => None,
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
                self.pace.clear_wait();
                Some(event)
            }
        }
    }

    /// Lets go of this before the end, where the end is a failure.
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

    /// Waits out what can pass, and stops at what can't; `still_held` is said of that.
    pub fn fail(&mut self, now: Now, fault: Fault, still_held: Option<String>) {
        let times = self.pace.failed(now, &fault);
        let is_final = !fault.is_retried() || self.pace.is_spent(now);
        let fault = match still_held.filter(|_| is_final) {
            Some(held) => fault.cause(held),
            None => fault,
        };
        self.working.fault = Some(FaultNote::of(&fault, now.unix, times, is_final));
        self.working.elapsed_ms = self.pace.spent_ms(now);
        if is_final {
            self.evidence.clone_from(&fault.evidence);
            self.outcome = Some(Outcome::Failed(fault.given_up_after(self.pace.budget())));
        } else {
            let call = match self.working.phase {
                Phase::New | Phase::Leaving => Call::Discovery,
                Phase::Creating | Phase::Installing | Phase::Joined => Call::Creation,
                Phase::Watching => Call::Poll,
            };
            self.pace.retry(now, call, &fault);
        }
    }

    /// How it stands, while this is what is to be done.
    pub fn status(
        &self,
        target: &dyn Target,
        name: Option<String>,
        effect: &Effect,
        now: Now,
    ) -> Status {
        let authority = target.authority_name();
        let waiting = self.pace.waiting(now);
        Status {
            target: target.id(),
            phase: self.working.phase,
            name,
            doing: match (effect, waiting) {
                (Effect::WaitUntil(_), Some(wait)) => wait.sentence(now),
                _ => effect.describe(&authority),
            },
            waiting: waiting.cloned(),
            failures: self.pace.failures(),
            fault: self.working.fault.as_ref().map(|fault| fault.kind),
            findings: Vec::new(),
            steps: self.steps.clone(),
            authority,
        }
    }

    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    pub fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// What is on disk is another machine's no more: it was moved away, and this is not on disk.
    pub fn start_over(&mut self, record: Record) {
        self.durable = record.clone();
        self.working = record;
    }

    pub fn step_done(&mut self, word: &'static str, result: String) {
        self.steps.push(Step { word, result });
    }

    fn owes_persist(&self) -> bool {
        self.durable != self.working && !self.store_is_broken
    }
}
