//! What a member does again: ask for a certificate anew in time, put everything back in place.

use std::time::Duration;

use super::{Bootstrap, Former, Now, Outcome, Phase};

/// What a bootstrap may do on a node that has joined already; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Maintenance {
    /// Asks for a new certificate once its time has come, and gives up after this.
    pub renew: Option<Duration>,
    /// Installs what was granted once more.
    pub reinstall: bool,
}

impl Bootstrap {
    /// Allows upkeep. Where a renewal is under way already, it goes on within that budget.
    #[must_use]
    pub fn with(mut self, maintenance: Maintenance, now: Now) -> Self {
        if let (Some(_), Some(budget)) = (&self.journal.working.former, maintenance.renew) {
            self.journal.pace.begin_anew(budget, now);
        }
        self.maintenance = maintenance;
        self
    }

    /// Takes up what is due on a member.
    pub(super) fn begin_maintenance(&mut self, now: Now) {
        let record = &mut self.journal.working;
        if record.phase != Phase::Joined {
            return;
        }
        let is_due = record.renewal_at().is_some_and(|at| at <= now.unix);
        match self.maintenance {
            Maintenance { reinstall: true, .. } if record.grant.is_some() => {
                let since = record.since;
                self.journal.step_done("repair", "everything is put in place anew".to_owned());
                // A repair has a budget of its own, whatever the join used of its.
                let budget = self.journal.pace.budget();
                self.journal.pace.begin_anew(budget, now);
                self.enter(now, Phase::Installing);
                // It is the same membership, and its certificate is no younger.
                self.journal.working.since = since;
            }
            Maintenance { renew: Some(budget), .. } if is_due => {
                let Some(grant) = record.grant.take() else { return };
                let (authority, since) = (record.authority.take(), record.since);
                record.former = Some(Former { grant, authority, since });
                // Who the authority is may have changed in all this time.
                self.authority = None;
                self.is_held = true;
                self.journal.pace.begin_anew(budget, now);
                self.journal.step_done("renewal", "the certificate's time has come".to_owned());
                self.ask_anew(now, Phase::New);
            }
            _ => {}
        }
    }

    /// A renewal came to nothing: the node is what it was before, and the record says why.
    pub(super) fn stay_with_former(&mut self) {
        let record = &mut self.journal.working;
        let Some(Former { grant, authority, since }) = record.former.take() else { return };
        record.grant = Some(grant);
        record.authority = authority;
        record.since = since;
        record.ticket = None;
        record.phase = Phase::Joined;
        let outcome = Outcome::Joined { already: true, record: Box::new(record.clone()) };
        self.journal.end(outcome);
    }
}
