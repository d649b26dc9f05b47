//! Leaving: the authority is told first, then the installed files are removed. Pure.
//!
//! Each call can be repeated: a node, instance or activation that the authority does not know counts
//! as having left. So an interrupted leave begins again from the start, until the record says that the
//! authority was told. Its record is in phase `Leaving`, and `join` is refused until the leave is
//! finished.

use std::time::Duration;

use super::journal::Journal;
use super::probe::{member, sign};
use super::retry_schedule::RetrySchedule;
use super::steps::Steps;
use super::{Effect, Event, Now, Outcome, Phase, Record, StateMachine, Status, StepKind};
use crate::engines::{Authority, Engine, Engines, FactsWanted, Installed, Item, Observed};
use crate::facts::Facts;
use crate::facts::machine::{Difference, MachineIdentity};
use crate::fault::{Fault, Kind, Shows};
use crate::targets::{Answer, Departure, LONGEST_POLL, Question, Target, invariant, state_dir};

/// Takes this node out of one target.
pub struct Leave {
    target: Box<dyn Target>,
    engines: Engines,
    journal: Journal,
    facts: Option<(Facts, Observed)>,
    hand_over_is_settled: bool,
    answers: Vec<Answer>,
    progress: Progress,
    /// Whether this node is cleared also if the authority can't be told.
    is_forced: bool,
    /// What a person has to do at the authority.
    remains: Option<String>,
    /// The machine that leaves, for a leave that asks nobody.
    machine: Option<MachineIdentity>,
}

/// How far the leave is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There is no record. At most a temporary file of one, which `Forget` removes.
    NoRecord,
    /// The authority still has this node.
    Member,
    /// The authority does not have this node any more.
    Gone,
    /// The installed files are removed.
    Cleared,
}

impl Leave {
    /// Begins to leave, or continues. The record may be of a join that was not completed.
    #[must_use]
    pub fn new(
        target: Box<dyn Target>,
        engines: Engines,
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
        let progress = if record.is_some() { Progress::Member } else { Progress::NoRecord };
        let record = record.unwrap_or_else(|| Record::new(target.id(), &wanted, now.unix));
        let schedule = RetrySchedule::new(seed, budget, Duration::ZERO, now);
        let mut leave = Self {
            journal: Journal::new(record.clone(), record, schedule, outcome),
            target,
            engines,
            facts: None,
            hand_over_is_settled: false,
            answers: Vec::new(),
            progress,
            is_forced: false,
            remains: None,
            machine: None,
        };
        // A person has carried the messages, because this node can't reach the authority.
        if leave.journal.working.phase == Phase::Requested && !leave.journal.has_ended() {
            leave.clear_alone(
                now,
                "a person carries this node's messages, so the authority was not told",
            );
        }
        leave.decide(now, None);
        leave
    }

    /// Tells which machine leaves. Without it, a leave that asks nobody takes the record for this machine's.
    #[must_use]
    pub fn of_machine(mut self, machine: MachineIdentity) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Clears this node also if the authority can't be told: once the budget is spent, or at once where
    /// trying again can't help.
    #[must_use]
    pub fn forced(mut self) -> Self {
        self.is_forced = true;
        self
    }

    /// Clears this node without telling the authority, and without asking anybody.
    #[must_use]
    pub fn local(mut self, now: Now) -> Self {
        if self.progress == Progress::Member && !self.journal.has_ended() {
            self.journal.decided = None;
            self.clear_alone(now, "the authority was not told");
            self.decide(now, None);
        }
        self
    }

    fn clear_alone(&mut self, now: Now, why: &str) {
        let record = &self.journal.working;
        let other = self.machine.as_ref().and_then(|here| record.other_machine(here));
        // On a copied disk, the authority has the other machine, which is to stay.
        let was_attempted = record.may_be_known() && other.is_none();
        let why = match other {
            Some(difference) => format!("{why}; the other machine stays a member ({difference})"),
            None => why.to_owned(),
        };
        let grant = record.current_grant().cloned();
        if was_attempted {
            let has = if record.phase == Phase::Requested { "may have" } else { "still has" };
            let todo = self.target.remains(record.name.as_deref(), grant.as_ref());
            self.remains = todo.map(|todo| self.has_node(has, &todo));
        }
        if !matches!(record.phase, Phase::Leaving { .. }) {
            self.journal.enter(now, Phase::Leaving { grant, was_attempted, is_told: false });
        }
        let kind = if self.remains.is_some() { StepKind::Remains } else { StepKind::Departed };
        let remains = self.remains.iter().map(|remains| format!("; {remains}"));
        let result = format!("{why}{}", remains.collect::<String>());
        self.journal.step_done(kind, result);
        self.progress = Progress::Gone;
    }

    fn has_node(&self, has: &str, todo: &str) -> String {
        format!("{} {has} this node; {todo}", self.target.authority_name())
    }

    fn engine(&self) -> &dyn Engine {
        let authority = self.journal.working.membership().authority;
        self.engines.get(authority.map_or_else(|| self.target.engine(), Authority::engine))
    }

    fn gather(&self) -> Effect {
        let engine = self.engine();
        if engine.registers_itself() && !self.hand_over_is_settled {
            return Effect::SettleHandOver;
        }
        let engine = engine.wanted(&self.journal.working.engine);
        Effect::GatherFacts(FactsWanted { engine, early_key: None })
    }

    fn tell_authority(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        let question = self.ask_target(now);
        match question {
            Ok(Question::Ask(request)) => Ok(Some(Effect::Call(request))),
            Ok(Question::AskLater(_)) if self.journal.schedule.is_spent(now) => {
                Err(self.takes_too_long())
            }
            Ok(Question::AskLater(request)) => {
                self.answers.pop();
                self.journal.schedule.poll_later(
                    now,
                    "the authority still has this node",
                    LONGEST_POLL,
                );
                Ok(Some(Effect::Call(request)))
            }
            Ok(Question::Sign(to_sign)) => {
                let record = &self.journal.working;
                let facts = self.facts.as_ref();
                sign(to_sign, &*self.target, self.engine(), record, facts).map(Some)
            }
            Ok(Question::Done(departure)) => {
                let authority = self.target.authority_name();
                let result = match departure {
                    Departure::Complete => format!("{authority} does not have this node any more"),
                    Departure::Remains(todo) => {
                        self.remains.insert(self.has_node("still has", &todo)).clone()
                    }
                    Departure::Unclear(why) => {
                        self.remains.insert(self.has_node("may still have", &why)).clone()
                    }
                };
                let kind =
                    if self.remains.is_some() { StepKind::Remains } else { StepKind::Departed };
                self.journal.step_done(kind, result);
                // On disk before the files go: without its key, the node could not ask again.
                if let Phase::Leaving { is_told, .. } = &mut self.journal.working.phase {
                    *is_told = true;
                }
                self.progress = Progress::Gone;
                Ok(None)
            }
            Err(fault) => {
                self.answers.clear();
                Err(fault)
            }
        }
    }

    fn ask_target(&self, now: Now) -> Result<Question<Departure>, Fault> {
        let record = &self.journal.working;
        let (facts, observed) =
            self.facts.as_ref().ok_or_else(|| invariant("the facts were not gathered"))?;
        let member = member(record, facts, observed);
        self.target.leave(&member, &self.answers, now.unix)
    }

    /// Removes planned files too: an interrupted installation may have written some of them.
    fn clear(&self) -> Effect {
        let record = &self.journal.working;
        let files = record.installed.iter().chain(&record.planned);
        let is_kept = |file: &&Installed| record.key_was_there && file.item == Item::Key;
        let files: Vec<Installed> = files.filter(|file| !is_kept(file)).cloned().collect();
        let state_dir = state_dir(self.target.id());
        Effect::Clear(self.engine().clear(&files, &record.engine, &state_dir))
    }

    fn take_facts(&mut self, now: Now, facts: Facts, observed: Observed) -> Result<(), Fault> {
        if let Some(difference) = self.journal.working.other_machine(&facts.machine()) {
            let todo = format!(
                "to clear this copy alone, run `enlist leave --local --target {0}`; to join this machine, `enlist join --target {0}`, which moves that record to the backups",
                self.target.id()
            );
            return Err(other_machines_record(&*self.target, &difference, &todo));
        }
        let record = &self.journal.working;
        let was_attempted = record.may_be_known();
        let fault = record.fault.clone();
        let grant = record.phase.grant();
        // A hand-over may have succeeded just before a crash, without a record of it.
        let installed =
            grant.and_then(|grant| self.engine().installed_grant(&observed, &record.engine, grant));
        let grant = installed.or_else(|| grant.cloned());
        // This phase is on disk before the authority is told.
        if let Phase::Leaving { grant: recorded, is_told, .. } = &mut self.journal.working.phase {
            *recorded = grant;
            if *is_told {
                self.progress = Progress::Gone;
            }
        } else {
            self.journal.enter(now, Phase::Leaving { grant, was_attempted, is_told: false });
            self.journal.working.fault = fault;
        }
        self.facts = Some((facts, observed));
        Ok(())
    }

    fn finish(&mut self) {
        let record = &self.journal.working;
        let was_attempted = matches!(record.phase, Phase::Leaving { was_attempted: true, .. });
        let record = was_attempted.then(|| Box::new(record.clone()));
        if record.is_some() {
            let result = "backups of keys and certificates are kept in the state directory";
            self.journal.step_done(StepKind::Left, result);
        }
        self.journal.end(Outcome::Left { record, remains: self.remains.take() });
    }

    fn takes_too_long(&self) -> Fault {
        Fault::new(
            Kind::Transient,
            "the authority has not removed this node yet",
            self.target.authority_name(),
            format!(
                "check the server's state, then run `enlist leave --target {}`, which continues",
                self.target.id()
            ),
        )
    }
}

/// The fault where only this machine's membership can be worked on, and the record is another machine's.
pub(super) fn other_machines_record(
    target: &dyn Target,
    difference: &Difference,
    todo: &str,
) -> Fault {
    let what =
        "the record belongs to another machine (this disk was copied), which is still a member";
    Fault::new(Kind::Config, what, target.authority_name(), todo).cause(difference.to_string())
}

impl Steps for Leave {
    fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    fn apply(&mut self, now: Now, event: Event) -> Result<(), Fault> {
        match event {
            Event::HandOverSettled => self.hand_over_is_settled = true,
            Event::Facts(facts, observed) => self.take_facts(now, *facts, *observed)?,
            Event::Answered(answer) => self.answers.push(answer),
            Event::Signed(signature) => self.answers.push(Answer::Signature(signature)),
            Event::Cleared => self.progress = Progress::Cleared,
            Event::Forgotten => self.finish(),
            Event::Failed(fault) => return Err(fault),
            other => return Err(invariant(&format!("unexpected event {other:?}"))),
        }
        Ok(())
    }

    fn next_effect(&mut self, now: Now) -> Result<Option<Effect>, Fault> {
        match self.progress {
            Progress::NoRecord | Progress::Cleared => Ok(Some(Effect::Forget)),
            Progress::Member if self.facts.is_none() => Ok(Some(self.gather())),
            Progress::Member => self.tell_authority(now),
            Progress::Gone => Ok(Some(self.clear())),
        }
    }

    fn fail(&mut self, now: Now, fault: Fault) {
        let is_retried = fault.is_retried() && !self.journal.schedule.is_spent(now);
        // A member without its key can't prove who it is, and no later attempt could.
        let is_alone = fault.shows == Some(Shows::KeyLost) || (self.is_forced && !is_retried);
        if is_alone && self.progress == Progress::Member {
            self.clear_alone(now, &format!("the authority was not told: {}", fault.sentence()));
            return;
        }
        let id = self.target.id();
        let again = format!(
            "`enlist leave --target {id}`; to clear this node without telling the authority, `enlist leave --local --target {id}`"
        );
        self.journal.fail(now, fault.going_on_with(&again), None);
    }
}

impl StateMachine for Leave {
    fn poll(&self) -> Effect {
        self.journal.next_effect()
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.handle_event(now, event);
    }

    fn status(&self, now: Now) -> Status {
        let name = self.journal.working.name.clone();
        self.journal.status(&*self.target, name, &self.poll(), now)
    }

    fn ends(&self) -> Option<Duration> {
        self.journal.ends()
    }
}
