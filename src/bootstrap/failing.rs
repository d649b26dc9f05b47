//! What a fault means for a bootstrap: what is doubted, what is asked for again.

use super::{Bootstrap, Now, Phase, clock};
use crate::fault::Fault;
use crate::targets::Doubt;

impl Bootstrap {
    pub(super) fn fail(&mut self, now: Now, fault: Fault) {
        let fault = clock::waits(fault, now);
        if self.journal.working.phase == Phase::Creating && self.doubt.is_none() {
            self.creation_failed(&fault);
        }
        // A secret that was of no use once is of none again: another grant is asked for.
        if self.journal.working.phase == Phase::Installing && self.secret.take().is_some() {
            self.grant_was_useless(now);
        }
        self.journal.fail(now, fault, self.still_held());
        if self.journal.has_ended() {
            self.stay_with_former();
        }
    }

    /// The creating call will be made again, unless asking is how its doubt is settled.
    fn creation_failed(&mut self, fault: &Fault) {
        self.doubt = fault.may_have_happened.then(Vec::new);
        let is_asked = self
            .known()
            .is_some_and(|known| matches!(self.doubted(&known), Ok(Some(Doubt::Ask(_)))));
        if !is_asked {
            self.doubt = None;
            // An attempt more, written ahead like the first.
            self.attempted_once_more();
        }
    }

    fn grant_was_useless(&mut self, now: Now) {
        self.journal.pace.set_back();
        self.doubt_the_grant(now);
    }

    /// Its secret is gone: it is let go, and another one asked for.
    pub(super) fn doubt_the_grant(&mut self, now: Now) {
        self.journal.working.grant = None;
        self.doubt = Some(Vec::new());
        // What is installed by now may be another than when we began.
        self.facts = None;
        self.enter(now, Phase::Creating);
    }

    /// Counts an attempt. The count is read from a file, so it may be the largest number already.
    pub(super) fn attempted_once_more(&mut self) {
        let attempts = &mut self.journal.working.attempts;
        *attempts = attempts.saturating_add(1);
    }
}
