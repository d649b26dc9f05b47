//! What becomes of the hold on the engine where a bootstrap fails.

use super::{Bootstrap, Phase};
use crate::engines::{Bundle, puppet};
use crate::targets::Authority;

impl Bootstrap {
    /// What lets the engine run as before. Where the installation was cut short it stays held: it
    /// would find half of what it needs. A member's was never held.
    pub(super) fn release(&self) -> Option<Bundle> {
        let record = &self.journal.working;
        let is_untouched = matches!(record.phase, Phase::New | Phase::Creating | Phase::Watching);
        let site = record.puppet.as_ref().filter(|_| is_untouched && !record.is_member())?;
        self.plan.target.release(Some(site))
    }

    /// What is said of an installation that was cut short.
    pub(super) fn still_held(&self) -> Option<String> {
        let record = &self.journal.working;
        let is_puppet = matches!(self.authority, Some(Authority::Puppet { .. }));
        let is_cut_short = record.phase == Phase::Installing && is_puppet;
        let site = record.puppet.as_ref().filter(|_| is_cut_short)?;
        let (path, _) = puppet::held_by(site);
        Some(format!(
            "the agent stays held by {path}, since half of what it needs may be installed: `enlist join` goes on, `enlist leave` takes everything back"
        ))
    }
}
