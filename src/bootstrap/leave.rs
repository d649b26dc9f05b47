//! The way out: told to the authority first, cleared away here afterwards. Pure.
//!
//! Every call on the way out finds it already done where it was done before (an unknown node,
//! instance or activation is one that has left), so a departure that was cut short is simply
//! begun again: its record says `leaving`, and `join` keeps off.

use std::time::Duration;

use super::journal::Journal;
use super::pace::RetrySchedule;
use super::{Effect, Event, Now, Outcome, Phase, Record, StateMachine, Status};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::targets::{Answer, Leaving, Member, Target, invariant};

/// One departure, in the middle of it.
pub struct Leave {
    target: Box<dyn Target>,
    journal: Journal,
    facts: Option<Facts>,
    answers: Vec<Answer>,
    /// Where there is none, nothing was done here but, perhaps, half of writing one.
    has_record: bool,
    is_gone: bool,
    is_cleared: bool,
}

impl Leave {
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
            Some(record) if record.authority_name != wanted && record.phase != Phase::New => {
                Some(Outcome::Failed(super::other_authority(record, &wanted)))
            }
            _ => None,
        };
        let has_record = record.is_some();
        let record = record.unwrap_or_else(|| Record::new(target.id(), &wanted, now.unix));
        let pace = RetrySchedule::new(seed, budget, Duration::ZERO, now);
        let journal = Journal::new(record.clone(), record, pace, outcome);
        Self {
            target,
            journal,
            facts: None,
            answers: Vec::new(),
            has_record,
            is_gone: false,
            is_cleared: false,
        }
    }

    fn step(&self) -> Result<Effect, Fault> {
        if !self.has_record || self.is_cleared {
            return Ok(Effect::Forget);
        }
        if self.facts.is_none() {
            return Ok(Effect::GatherFacts(self.inquiry()));
        }
        if !self.is_gone {
            return match self.departing()? {
                Leaving::Ask(request) | Leaving::AskLater(request) => Ok(Effect::Call(request)),
                Leaving::Gone => Err(invariant("it was not noticed that this node is gone")),
            };
        }
        let record = &self.journal.working;
        // Where it was cut short, what was planned stands in part.
        let files: Vec<(String, String)> = record
            .installed
            .iter()
            .chain(&record.planned)
            .map(|file| (file.what.clone(), file.path.clone()))
            .collect();
        Ok(Effect::Clear(self.target.clear(&files, record.puppet.as_ref())))
    }

    fn inquiry(&self) -> crate::targets::FactsWanted {
        let mut inquiry = self.target.inquiry();
        inquiry.key = None;
        if let Some(site) = &mut inquiry.puppet {
            site.known = self.journal.working.puppet.clone().map(Box::new);
        }
        inquiry
    }

    fn departing(&self) -> Result<Leaving, Fault> {
        let record = &self.journal.working;
        let facts = self.facts.as_ref().ok_or_else(|| invariant("the facts are not known"))?;
        let member = Member {
            name: record.name.as_deref(),
            authority: record.authority.as_ref(),
            grant: record.standing(),
            is_installed: !record.installed.is_empty(),
            was_attempted: record.was_attempted,
            mark: record.mark.as_deref().unwrap_or_default(),
            machine: record.machine.as_ref(),
            key_sha1: record.key_sha1.as_deref(),
            facts,
        };
        self.target.depart(&member, &self.answers)
    }

    fn take(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::Facts(facts) => self.learn(now, *facts)?,
            Event::Answered(answer) => self.answers.push(answer),
            Event::Cleared => self.is_cleared = true,
            Event::Forgotten => {
                self.forgotten();
                return Ok(());
            }
            Event::Failed(fault) => return Err(fault),
            other => return Err(invariant(&format!("nobody asked for {other:?}"))),
        }
        if !self.is_gone {
            match self.departing()? {
                Leaving::Ask(_) => {}
                Leaving::AskLater(_) if self.journal.pace.is_spent(now) => {
                    return Err(self.takes_too_long());
                }
                Leaving::AskLater(_) => {
                    self.journal.pace.watch(now, "the authority has not let go yet");
                }
                Leaving::Gone => {
                    self.journal.step_done(
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
        if let Some(difference) = self.journal.working.other_machine(&facts.machine()) {
            return Err(Fault::new(
                Kind::Config,
                "the record is another machine's (a copied disk), and that machine has not asked to leave",
                self.target.authority_name(),
                "run `enlist join`, which sets that record aside, then `enlist leave`",
            )
            .cause(difference.to_string()));
        }
        let record = &mut self.journal.working;
        // A hand-over that had succeeded, and did not come to say so.
        let installed = record
            .grant
            .as_ref()
            .and_then(|grant| self.target.is_installed(&facts, record.before.as_deref(), grant));
        record.grant = installed.or_else(|| record.grant.take());
        // From here on it is on disk that this node is leaving.
        if record.phase != Phase::Leaving {
            record.was_attempted = record.phase != Phase::New || record.is_member();
            record.phase = Phase::Leaving;
            record.since = now.unix;
        }
        self.facts = Some(facts);
        Ok(())
    }

    fn forgotten(&mut self) {
        let record = Some(Box::new(self.journal.working.clone()));
        let record = record.filter(|record| record.was_attempted);
        if record.is_some() {
            let result = "backups of keys and certificates are kept";
            self.journal.step_done("left", result.to_owned());
        }
        self.journal.end(Outcome::Left { record });
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
}

impl StateMachine for Leave {
    fn poll(&self, now: Now) -> Effect {
        if let Some(effect) = self.journal.due(now) {
            return effect;
        }
        self.step().unwrap_or_else(|fault| Effect::Finish(Outcome::Failed(fault)))
    }

    fn handle(&mut self, now: Now, event: Event) {
        let Some(event) = self.journal.settle(event) else { return };
        match self.take(now, event) {
            Ok(()) => self.journal.pace.succeeded(),
            Err(fault) => self.journal.fail(now, fault, None),
        }
    }

    fn status(&self, now: Now) -> Status {
        let name = self.journal.working.name.clone();
        self.journal.status(&*self.target, name, &self.poll(now), now)
    }
}
