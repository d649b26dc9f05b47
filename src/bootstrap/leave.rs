//! The way out: told to the authority first, cleared away here afterwards. Pure.
//!
//! Every call on the way out finds it already done where it was done before (an unknown node,
//! instance or activation is one that has left), so a departure that was cut short is simply
//! begun again: its record says `leaving`, and `join` keeps off.

use std::time::Duration;

use super::pace::Pace;
use super::{Effect, Event, FaultNote, Machine, Now, Outcome, Phase, Record, Status, Step, record};
use crate::facts::Facts;
use crate::fault::{Evidence, Fault, Kind};
use crate::target::{Answer, Departing, Membership, Target, invariant};

/// One departure, in the middle of it.
pub struct Departure {
    target: Box<dyn Target>,
    pace: Pace,
    working: Record,
    durable: Record,
    store_is_broken: bool,
    facts: Option<Facts>,
    answers: Vec<Answer>,
    is_gone: bool,
    is_cleared: bool,
    evidence: Option<Evidence>,
    outcome: Option<Outcome>,
    steps: Vec<Step>,
}

impl Departure {
    /// From the record of what was joined, or of how far that came.
    #[must_use]
    pub fn new(
        target: Box<dyn Target>,
        record: Option<Record>,
        budget: Duration,
        seed: u64,
        now: Now,
    ) -> Self {
        let wanted = target.authority_name();
        let outcome = match &record {
            None => Some(Outcome::Left { record: None }),
            Some(record) if record.authority_name != wanted && record.phase != Phase::New => {
                Some(Outcome::Failed(super::other_authority(record, &wanted)))
            }
            Some(_) => None,
        };
        let record = record.unwrap_or_else(|| Record::new(target.word(), &wanted, now.unix));
        let mut working = record.clone();
        working.was_attempted |= !matches!(record.phase, Phase::New);
        Self {
            target,
            pace: Pace::new(seed, budget, Duration::ZERO, now),
            working,
            durable: record,
            store_is_broken: false,
            facts: None,
            answers: Vec::new(),
            is_gone: false,
            is_cleared: false,
            evidence: None,
            outcome,
            steps: Vec::new(),
        }
    }

    fn owes_persist(&self) -> bool {
        self.durable != self.working
            && !self.store_is_broken
            && self.working.phase == Phase::Leaving
    }

    fn step(&self) -> Result<Effect, Fault> {
        if self.facts.is_none() {
            return Ok(Effect::GatherFacts(self.inquiry()));
        }
        if !self.is_gone {
            return match self.departing()? {
                Departing::Ask(request) | Departing::AskLater(request) => Ok(Effect::Call(request)),
                Departing::Gone => Err(invariant("it was not noticed that this node is gone")),
            };
        }
        if self.is_cleared {
            return Ok(Effect::Forget);
        }
        let files: Vec<(String, String)> = self
            .working
            .installed
            .iter()
            .map(|file| (file.what.clone(), file.path.clone()))
            .collect();
        Ok(Effect::Clear(self.target.clear(&files, self.working.puppet.as_ref())))
    }

    fn inquiry(&self) -> crate::target::Inquiry {
        let mut inquiry = self.target.inquiry();
        inquiry.key = None;
        if let Some(site) = &mut inquiry.puppet {
            site.known.clone_from(&self.working.puppet);
        }
        inquiry
    }

    fn departing(&self) -> Result<Departing, Fault> {
        let mark = record::mark(self.working.machine.as_ref(), self.target.word());
        let member = Membership {
            name: self.working.name.as_deref(),
            grant: self.working.grant.as_ref(),
            was_attempted: self.working.was_attempted,
            mark: &mark,
            machine: self.working.machine.as_ref(),
        };
        self.target.depart(&member, &self.answers)
    }

    fn take(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::Facts(facts) => self.learn(now, *facts)?,
            Event::Answered(answer) => self.answers.push(answer),
            Event::Cleared => self.is_cleared = true,
            Event::Forgotten => {
                self.step_done("left", "backups of keys and certificates are kept".to_owned());
                self.outcome = Some(Outcome::Left { record: Some(Box::new(self.working.clone())) });
                return Ok(());
            }
            Event::Failed(fault) => return Err(fault),
            other => return Err(invariant(&format!("nobody asked for {other:?}"))),
        }
        if !self.is_gone {
            match self.departing()? {
                Departing::Ask(_) => {}
                Departing::AskLater(_) if self.pace.is_spent(now) => {
                    return Err(self.takes_too_long());
                }
                Departing::AskLater(_) => self.pace.watch(now, "the authority has not let go yet"),
                Departing::Gone => {
                    self.step_done(
                        "departed",
                        format!("{} does not have this node", self.target.authority_name()),
                    );
                    self.is_gone = true;
                }
            }
        }
        Ok(())
    }

    fn learn(&mut self, now: Now, facts: Facts) -> Result<(), Fault> {
        let bound = self.working.machine.as_ref();
        if bound.is_some_and(|bound| !bound.is_same(&facts.machine())) {
            return Err(Fault::new(
                Kind::Config,
                "the record is another machine's (a copied disk), and that machine has not asked to leave",
                self.target.authority_name(),
                "join this machine, which sets that record aside; then leave",
            ));
        }
        self.facts = Some(facts);
        // From here on it is on disk that this node is leaving.
        if self.working.phase != Phase::Leaving {
            self.working.phase = Phase::Leaving;
            self.working.since = now.unix;
        }
        Ok(())
    }

    fn fail(&mut self, now: Now, fault: Fault) {
        let times = self.pace.failed();
        let is_final = !fault.kind.is_retried() || self.pace.is_spent(now);
        self.working.fault = Some(FaultNote::of(&fault, now.unix, times, is_final));
        if is_final {
            self.evidence.clone_from(&fault.evidence);
            self.outcome = Some(Outcome::Failed(fault.given_up_after(self.pace.budget())));
        } else {
            self.pace.retry(now, fault.to_string());
        }
    }

    fn takes_too_long(&self) -> Fault {
        let todo = "look into the server; the next `enlist leave` goes on";
        Fault::new(
            Kind::Transient,
            "leaving is still in progress",
            self.target.authority_name(),
            todo,
        )
    }

    fn step_done(&mut self, word: &'static str, result: String) {
        self.steps.push(Step { word, result });
    }
}

impl Machine for Departure {
    fn poll(&self, now: Now) -> Effect {
        if self.owes_persist() && !matches!(self.outcome, Some(Outcome::Left { .. })) {
            return Effect::Persist(Box::new(self.working.clone()));
        }
        if let Some(evidence) = &self.evidence {
            return Effect::Keep(evidence.clone());
        }
        if let Some(outcome) = &self.outcome {
            return Effect::Finish(outcome.clone());
        }
        if let Some(wait) = self.pace.waiting(now) {
            return Effect::WaitUntil(wait.until);
        }
        self.step().unwrap_or_else(|fault| Effect::Finish(Outcome::Failed(fault)))
    }

    fn handle(&mut self, now: Now, event: Event) {
        match event {
            Event::Woke => {}
            Event::Persisted => self.durable = self.working.clone(),
            Event::Failed(fault) if self.owes_persist() => {
                self.store_is_broken = true;
                self.outcome = Some(Outcome::Failed(fault));
            }
            Event::Kept => self.evidence = None,
            Event::Failed(_) if self.evidence.is_some() => self.evidence = None,
            event => {
                self.pace.stirred();
                match self.take(now, event) {
                    Ok(()) => self.pace.succeeded(),
                    Err(fault) => self.fail(now, fault),
                }
            }
        }
    }

    fn status(&self, now: Now) -> Status {
        let authority = self.target.authority_name();
        Status {
            target: self.target.word(),
            phase: self.working.phase,
            name: self.working.name.clone(),
            doing: self.poll(now).describe(&authority, self.pace.waiting(now)),
            waiting: self.pace.waiting(now).cloned(),
            steps: self.steps.clone(),
            authority,
        }
    }
}
