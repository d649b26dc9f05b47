//! Handles the faults of a bootstrap: whether the creating call is in doubt, whether another grant is
//! needed, and whether the engine is released.

use super::{Bootstrap, Changes, Now, Phase, PhaseName, clock_skew};
use crate::engines::Bundle;
use crate::fault::{Fault, Kind, Shows};

impl Bootstrap {
    pub(super) fn take_fault(&mut self, now: Now, fault: Fault) {
        let fault = clock_skew::retry_when_wrong(fault, now).going_on_with(&self.again());
        if self.is_out_of_reach(&fault) {
            self.changes = Changes::Unreached;
            self.answers.clear();
            return;
        }
        let phase = self.journal.working.phase.name();
        if fault.may_have_happened {
            // What was answered before may not be so any more.
            self.answers.clear();
        }
        let is_counted = fault.is_unsent;
        let is_in_doubt = fault.may_have_happened && fault.shows != Some(Shows::MayRepeat);
        let is_repeated = phase == PhaseName::Creating && !self.calls.is_in_doubt && !is_in_doubt;
        if phase == PhaseName::Creating {
            self.calls.were_refused &= !fault.may_have_happened;
            self.calls.is_in_doubt |= is_in_doubt;
            self.calls.were_refused |= fault.shows == Some(Shows::NothingCreated);
        }
        // An installation that failed may have used up the secret, so another grant is asked for.
        if phase == PhaseName::Installing && self.secret.take().is_some() {
            self.journal.schedule.count_setback();
            self.replace_grant(now);
        }
        let shows = fault.shows;
        self.journal.fail(now, fault, self.still_held());
        if self.journal.has_ended() {
            self.journal.working.was_refused =
                phase == PhaseName::Creating && self.calls.were_refused;
            self.keep_refusal();
            self.return_to_former(now, shows);
        } else if is_repeated && !is_counted {
            // The call will be made again; its attempt is recorded before it, like the first. One that was not
            // sent is recorded already.
            self.count_attempt();
        }
        self.gather_again();
    }

    /// A request that was refused may be at the authority all the same, and would only be waited for then.
    fn keep_refusal(&mut self) {
        let record = &mut self.journal.working;
        let is_first = record.was_refused && record.former.is_none() && !self.calls.is_in_doubt;
        let refusal = record.fault.clone().filter(|fault| fault.kind == Kind::Rejected);
        if let (true, Some(refusal)) = (is_first, refusal) {
            record.refusal = Some(refusal);
        }
    }

    /// Has the facts gathered again before the authority is asked again for the first time: its first answer
    /// shows that the network is up, and until then DHCP or cloud-init may give this node its name. An EC2
    /// instance has its id.
    fn gather_again(&mut self) {
        let record = &self.journal.working;
        let is_early =
            record.phase == Phase::New && !record.is_member() && self.authority.is_none();
        if is_early && self.facts.as_ref().is_some_and(|(facts, _)| facts.ec2.is_none()) {
            // The engine is not asked again: its program may take a second to answer.
            self.observed_before = self.facts.take().map(|(_, observed)| observed);
        }
    }

    /// The command that goes on.
    fn again(&self) -> String {
        let command = match &self.maintenance {
            maintenance if maintenance.renew_now => "renew",
            maintenance if maintenance.is_of_member && maintenance.repair => "repair",
            _ => "join",
        };
        format!("`enlist {command} --target {}`", self.plan.target.id())
    }

    /// Goes back to `Creating` because the grant's secret is gone. `reconcile` has the authority remove
    /// that grant, and then another one is asked for.
    pub(super) fn replace_grant(&mut self, now: Now) {
        self.journal.enter(now, Phase::Creating);
        self.calls.is_in_doubt = true;
        self.answers.clear();
        // The engine's registration may have changed meanwhile, so the facts are gathered again.
        self.facts = None;
        self.hand_over_is_settled = false;
    }

    /// Saturates, because the count comes from a file.
    pub(super) fn count_attempt(&mut self) {
        let record = &mut self.journal.working;
        record.attempts = record.attempts.saturating_add(1);
        record.was_refused = false;
    }

    /// What lets the engine run as before. After an interrupted installation the engine stays held,
    /// because it would find only half of its files. A member's engine was never held.
    pub(super) fn release(&self) -> Option<Bundle> {
        let record = &self.journal.working;
        let is_untouched = matches!(
            record.phase.name(),
            PhaseName::New | PhaseName::Requested | PhaseName::Creating | PhaseName::Watching
        );
        if !is_untouched || record.is_member() {
            return None;
        }
        record.engine.release()
    }

    /// The cause that is added when an installation was interrupted and the engine stays held.
    fn still_held(&self) -> Option<String> {
        let record = &self.journal.working;
        // A member's engine was never held.
        if record.phase.name() != PhaseName::Installing || record.is_member() {
            return None;
        }
        self.engine().held_by(&record.engine)?;
        Some(format!(
            "the engine is kept from running, because its files may be incomplete; `enlist join --target {0}` continues, `enlist leave --target {0}` removes everything",
            record.target
        ))
    }
}
