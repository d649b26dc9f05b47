//! What a fault means for a bootstrap: what is doubted, what is asked for again, and whether the
//! engine runs again.

use super::{Bootstrap, Now, Phase, PhaseName, clock_skew};
use crate::engines::Bundle;
use crate::fault::Fault;

impl Bootstrap {
    pub(super) fn fail(&mut self, now: Now, fault: Fault) {
        let fault = clock_skew::retry_when_wrong(fault, now);
        let phase = self.journal.working.phase.name();
        if phase == PhaseName::Creating && !self.is_in_doubt {
            self.is_in_doubt = fault.may_have_happened;
            if !self.is_in_doubt {
                // One more attempt, written ahead like the first.
                self.count_attempt();
            }
        }
        // A secret that was of no use once will not be of use again: another grant is asked for.
        if phase == PhaseName::Installing && self.secret.take().is_some() {
            self.journal.schedule.count_setback();
            self.doubt_the_grant(now);
        }
        self.journal.fail(now, fault, self.still_held());
        if self.journal.has_ended() {
            self.stay_with_former(now);
        }
    }

    /// The grant's secret is gone: the authority is asked to remove that grant, and for another one.
    pub(super) fn doubt_the_grant(&mut self, now: Now) {
        self.journal.enter(now, Phase::Creating);
        self.is_in_doubt = true;
        self.answers.clear();
        // Another registration may stand there than when we began.
        self.facts = None;
        self.hand_over_is_settled = false;
    }

    /// The count is read from a file, so it may be the largest number already.
    pub(super) fn count_attempt(&mut self) {
        let attempts = &mut self.journal.working.attempts;
        *attempts = attempts.saturating_add(1);
    }

    /// What lets the engine run as before. Where the installation was cut short it stays held: it
    /// would find half of what it needs. A member's engine was never held.
    pub(super) fn release(&self) -> Option<Bundle> {
        let record = &self.journal.working;
        let is_untouched = matches!(
            record.phase.name(),
            PhaseName::New | PhaseName::Creating | PhaseName::Watching
        );
        if !is_untouched || record.is_member() {
            return None;
        }
        record.engine.release()
    }

    /// What is said of an installation that was cut short.
    fn still_held(&self) -> Option<String> {
        let record = &self.journal.working;
        if record.phase.name() != PhaseName::Installing {
            return None;
        }
        let (path, _) = self.engine().held_by(&record.engine)?;
        Some(format!(
            "the agent stays held by {path}, since half of what it needs may be installed: `enlist join` goes on, `enlist leave` takes everything back"
        ))
    }
}
