//! How joining and leaving advance: an event is applied, and the next effect is decided, once.

use super::effect::EffectKind;
use super::journal::Journal;
use super::{Effect, Event, Now};
use crate::fault::Fault;

/// A state machine that keeps a journal and decides one effect at a time.
pub(super) trait Steps {
    fn journal(&mut self) -> &mut Journal;

    /// Takes in the event of the effect that was decided.
    ///
    /// # Errors
    /// What failed.
    fn apply(&mut self, now: Now, event: Event) -> Result<(), Fault>;

    /// The next effect. None: the state has advanced without an effect, so ask once more.
    ///
    /// # Errors
    /// What an answer means, where it is not acceptable.
    fn next_effect(&mut self, now: Now) -> Result<Option<Effect>, Fault>;

    /// Takes in a fault. The journal schedules a retry, or ends.
    fn fail(&mut self, now: Now, fault: Fault);

    fn handle_event(&mut self, now: Now, event: Event) {
        let event = self.journal().handle_due(now, event);
        // None: the effect was one of the journal's own, such as a wait. That does not count as progress.
        let Some(event) = event else {
            self.decide(now, None);
            return;
        };
        let phase = self.journal().working.phase.name();
        let performed = self.journal().decided.take().map(|effect| effect.kind());
        let mut without_fault = true;
        if let Err(fault) = self.apply(now, event) {
            without_fault = false;
            self.journal().schedule.failing(performed);
            self.fail(now, fault);
        }
        without_fault &= self.decide(now, performed);
        if without_fault {
            let has_advanced = self.journal().working.phase.name() != phase;
            self.journal().schedule.succeeded(performed, has_advanced);
        }
    }

    /// Decides the next effect, unless one is decided already, or the journal is waiting or over.
    /// Returns whether there was no fault. `performed` is the effect whose event was handled just now.
    fn decide(&mut self, now: Now, performed: Option<EffectKind>) -> bool {
        let mut without_fault = true;
        while self.journal().needs_decision() {
            match self.next_effect(now) {
                Ok(effect) => self.journal().decided = effect,
                Err(fault) => {
                    without_fault = false;
                    self.journal().schedule.failing(performed);
                    self.fail(now, fault);
                }
            }
        }
        without_fault
    }
}
