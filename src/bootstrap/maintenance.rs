//! What is done again for a member: a certificate is renewed in time, files are installed once more.

use std::time::Duration;

use super::{Bootstrap, Former, Now, Outcome, Phase, StepKind};

/// What a bootstrap may do on a node that has joined already; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Maintenance {
    /// Renews a certificate that is due, and gives up after this.
    pub renew: Option<Duration>,
    /// Installs what was granted once more.
    pub reinstall: bool,
}

impl Bootstrap {
    /// Allows maintenance. A renewal that is under way goes on within that budget.
    #[must_use]
    pub fn with(mut self, maintenance: Maintenance, now: Now) -> Self {
        if let (Some(_), Some(budget)) = (&self.journal.working.former, maintenance.renew) {
            self.journal.schedule.restart_budget(budget, now);
        }
        self.maintenance = maintenance;
        self
    }

    /// Begins what is due on a member.
    pub(super) fn begin_maintenance(&mut self, now: Now) {
        let record = &self.journal.working;
        let Phase::Joined { grant } = record.phase.clone() else { return };
        let since = record.since;
        let is_due = record.renewal_at().is_some_and(|at| at <= now.unix);
        match self.maintenance {
            Maintenance { reinstall: true, .. } => {
                self.journal.step_done(StepKind::Repair, "everything is installed once more");
                // A repair has a budget of its own, whatever the join used of its budget.
                let budget = self.journal.schedule.budget();
                self.journal.schedule.restart_budget(budget, now);
                self.journal.enter(now, Phase::Installing { grant, planned: Vec::new() });
                // It is the same membership, and its certificate is no younger.
                self.journal.working.since = since;
            }
            Maintenance { renew: Some(budget), .. } if is_due => {
                self.journal.schedule.restart_budget(budget, now);
                self.journal.step_done(StepKind::Renewal, "the certificate is due");
                self.journal.enter(now, Phase::New);
                // The authority may be another one after all this time, so it is discovered anew.
                self.authority = None;
                self.hold_is_done = true;
                let record = &mut self.journal.working;
                let authority = record.authority.take();
                record.former = Some(Former { grant, authority, since });
            }
            _ => {}
        }
    }

    /// A renewal came to nothing: the node is what it was before, and the record says why.
    pub(super) fn stay_with_former(&mut self, now: Now) {
        let record = &mut self.journal.working;
        let Some(Former { grant, authority, since }) = record.former.take() else { return };
        let fault = record.fault.take();
        self.journal.enter(now, Phase::Joined { grant });
        let record = &mut self.journal.working;
        (record.authority, record.since, record.fault) = (authority, since, fault);
        let outcome = Outcome::Joined { already: true, record: Box::new(record.clone()) };
        self.journal.end(outcome);
    }
}
