//! Waits for the authority's decision.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use super::{Bootstrap, Effect, Fault, FaultNote, Kind, Now, Phase, StepKind};
use crate::engines::Grant;
use crate::targets::{Decision, Question, Undecided};

/// After this time without a decision, what a person can do about it is said.
const LONG_WAIT: Duration = Duration::from_mins(1);

/// How long revocation lists are used for a new certificate after they were fetched.
const LISTS_ARE_NEW: Duration = Duration::from_mins(1);

impl Bootstrap {
    pub(super) fn wait(&mut self, now: Now, ticket: &str) -> Result<Option<Effect>, Fault> {
        let question = self.plan.target.wait(&self.node()?, ticket, &self.answers, now.unix);
        if self.is_by_old_lists(&question, now) {
            self.answers.clear();
            self.outdated = self.authority.take();
            return Ok(None);
        }
        if let Ok(Question::AskLater(_)) = &question {
            self.wait_longer(now)?;
        }
        match self.ask(question) {
            Ok(Break(effect)) => Ok(Some(effect)),
            Ok(Continue(Decision::Granted(grant))) => {
                self.granted(now, grant);
                Ok(None)
            }
            Ok(Continue(Decision::Forgotten)) => {
                self.journal.schedule.count_setback();
                self.journal.enter(now, Phase::Creating);
                Err(self.ticket_forgotten())
            }
            Err(fault) => {
                // The ticket is of no further use: the next start makes a new creating call.
                if fault.kind == Kind::Rejected {
                    self.journal.enter(now, Phase::New);
                }
                Err(fault)
            }
        }
    }

    /// Has the revocation lists that an earlier start has fetched fetched again: the certificate that is waited
    /// for may be in the authority's present ones.
    pub(super) fn doubt_lists_of_earlier_start(&mut self) {
        let is_waiting = matches!(self.journal.working.phase, Phase::Watching { .. });
        let is_of_earlier = is_waiting && self.by_hand.is_none() && self.authority_since.is_none();
        if is_of_earlier && self.has_lists() {
            self.outdated = self.authority.take();
        }
    }

    fn has_lists(&self) -> bool {
        self.authority.as_ref().is_some_and(|known| known.crl().is_some())
    }

    /// Whether a certificate was judged by revocation lists that may be out of date. Then they are fetched
    /// again, and the certificate after them: it may have been revoked while the request waited.
    fn is_by_old_lists(&self, question: &Result<Question<Decision>, Fault>, now: Now) -> bool {
        let is_judged = match question {
            Ok(Question::Done(Decision::Granted(_))) => true,
            Err(fault) => fault.kind == Kind::Data,
            Ok(_) => false,
        };
        let age = self.authority_since.map(|since| now.mono.saturating_sub(since));
        is_judged && self.has_lists() && age.is_none_or(|age| age >= LISTS_ARE_NEW)
    }

    fn wait_longer(&mut self, now: Now) -> Result<(), Fault> {
        let name = self.name.as_deref().unwrap_or("?");
        let undecided = self.plan.target.undecided(name);
        let Undecided { what, todo, longest_poll, gives_up_after } = undecided;
        let on = format!("node {name}, {}", self.plan.target.authority_name());
        let (what, todo) = match &self.journal.working.refusal {
            Some(refusal) => {
                let why = refusal.causes.join("; ");
                (format!("{what}, and has refused it before: {why}"), refusal.todo.clone())
            }
            None => (what, todo),
        };
        let waited = now.unix.saturating_sub(self.journal.working.since);
        // By both clocks: earlier starts have waited too, and the time of day may jump.
        let waited = Duration::from_secs(u64::try_from(waited).unwrap_or(0));
        let waited = waited.max(self.journal.schedule.polling_for(now));
        if gives_up_after.is_some_and(|limit| waited >= limit && self.plan.will_renew) {
            self.answers.clear();
            let cause = format!("waited for {} h", waited.as_secs() / 3600);
            return Err(Fault::new(Kind::Rejected, what, on, todo).cause(cause));
        }
        if self.journal.schedule.is_spent(now) {
            if !self.plan.will_renew {
                self.answers.clear();
                return Err(Fault::new(Kind::Transient, what, on, todo));
            }
            // A node that stays waits for a person as long as it takes.
            self.journal.schedule.continue_budget(now);
        }
        let mut reason = what;
        if waited >= LONG_WAIT {
            // For `status`, which reads the record.
            if self.journal.working.fault.is_none() {
                let fault = Fault::new(Kind::Transient, &reason, on, &todo);
                self.journal.working.fault = Some(FaultNote::of(&fault, now.unix, 0, false));
            }
            reason = format!("{reason}: {todo}");
        }
        self.journal.schedule.poll_later(now, &reason, longest_poll);
        Ok(())
    }

    /// The authority has what it needs to decide, and is asked with this ticket.
    pub(super) fn await_decision(&mut self, now: Now, ticket: String) {
        self.has_effect();
        self.journal.enter(now, Phase::Watching { ticket });
        self.journal
            .schedule
            .begin_polling(now, "the authority is busy; the first poll is delayed");
    }

    pub(super) fn granted(&mut self, now: Now, grant: Grant) {
        let result = grant.describe();
        self.granted_as(now, grant, result);
    }

    pub(super) fn granted_as(&mut self, now: Now, grant: Grant, result: String) {
        self.has_effect();
        self.journal.working.refusal = None;
        self.journal.step_done(StepKind::Granted, result);
        self.journal.enter(now, Phase::Installing { grant });
    }

    /// A creating call had an effect, whatever becomes of later ones.
    fn has_effect(&mut self) {
        self.calls.were_refused = false;
        self.journal.working.was_refused = false;
    }

    fn ticket_forgotten(&self) -> Fault {
        Fault::new(
            Kind::Transient,
            "the authority no longer knows this node's association",
            self.plan.target.authority_name(),
            "nothing to do: enlist asks again, with the same key",
        )
    }
}
