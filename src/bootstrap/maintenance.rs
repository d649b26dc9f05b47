//! Maintenance of a member: its certificate is renewed, its files are repaired.

use std::time::Duration;

use super::{Bootstrap, Former, Now, Phase, StepKind};

/// What a bootstrap may do on a node that has joined already. The default is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Maintenance {
    /// Renew a certificate that is due, within this budget.
    pub renew: Option<Duration>,
    /// Repair the installed files: install the grant again, whatever is there.
    pub repair: bool,
}

impl Bootstrap {
    /// Allows this maintenance. A renewal that is under way gets the given budget.
    #[must_use]
    pub fn allowing(mut self, maintenance: Maintenance, now: Now) -> Self {
        if let (Some(_), Some(budget)) = (&self.journal.working.former, maintenance.renew) {
            self.journal.schedule.restart_budget(budget, now);
        }
        self.maintenance = maintenance;
        self
    }

    /// Begins the maintenance that is allowed and due. Does nothing in any phase but `Joined`.
    pub(super) fn begin_maintenance(&mut self, now: Now) {
        let record = &self.journal.working;
        let Phase::Joined { grant } = record.phase.clone() else { return };
        let since = record.since;
        let is_due = record.is_renewal_due(now.unix);
        match self.maintenance {
            Maintenance { repair: true, .. } => {
                self.journal.step_done(StepKind::Repair, "installing the grant's files again");
                // A repair gets a new budget, whatever the join has spent of its own.
                let budget = self.journal.schedule.budget();
                self.journal.schedule.restart_budget(budget, now);
                self.journal.enter(now, Phase::Installing { grant });
                // The date of the renewal is counted from the join, so its time is kept.
                self.journal.working.since = since;
            }
            Maintenance { renew: Some(budget), .. } if is_due => {
                self.journal.schedule.restart_budget(budget, now);
                self.journal.step_done(StepKind::Renewal, "the certificate is due for renewal");
                self.journal.enter(now, Phase::New);
                // The authority's endpoint or CA may have changed since the join: discover it again.
                self.authority = None;
                self.needs_hold = false;
                let record = &mut self.journal.working;
                let authority = record.authority.take();
                record.former = Some(Former { grant, authority, since });
            }
            _ => {}
        }
    }

    /// Ends a renewal that failed: the node keeps its former grant, and the record keeps the fault.
    pub(super) fn return_to_former(&mut self, now: Now) {
        let record = &mut self.journal.working;
        let Some(Former { grant, authority, since }) = record.former.take() else { return };
        let fault = record.fault.take();
        self.journal.enter(now, Phase::Joined { grant });
        let record = &mut self.journal.working;
        (record.authority, record.since, record.fault) = (authority, since, fault);
        let outcome = self.joined(true);
        self.journal.end(outcome);
    }
}
