//! What a worker reports of its state machine: to the log, and to the status table.

use super::status_table::MembershipState;
use super::worker::TargetWorker;
use crate::bootstrap::{Finding, Now, Problem, Status};
use crate::driver::{Log, Observer, milestones};

/// Observes a target while it joins or leaves.
pub struct JoinObserver<'a, 'b> {
    worker: &'a TargetWorker<'b>,
    log: Log,
}

impl<'a, 'b> JoinObserver<'a, 'b> {
    pub fn new(worker: &'a TargetWorker<'b>) -> Self {
        Self { worker, log: Log::default() }
    }
}

impl Observer for JoinObserver<'_, '_> {
    fn observe(&mut self, status: &Status, now: Now) {
        self.log.observe(status, now);
        self.worker.update(|entry| {
            // It is tried again.
            if matches!(entry.state, MembershipState::GivenUp(_)) {
                entry.state = MembershipState::Pending;
            }
            entry.observe(status);
        });
    }
}

/// While a member is monitored. A finding is logged when it is new, and once more when it is gone.
pub struct DriftReporter<'a, 'b> {
    worker: &'a TargetWorker<'b>,
    known: Vec<Finding>,
}

impl<'a, 'b> DriftReporter<'a, 'b> {
    pub fn new(worker: &'a TargetWorker<'b>) -> Self {
        Self { worker, known: Vec::new() }
    }
}

impl Observer for DriftReporter<'_, '_> {
    fn observe(&mut self, status: &Status, now: Now) {
        let id = self.worker.id;
        for finding in status.findings.iter().filter(|finding| !self.known.contains(finding)) {
            tracing::warn!(
                message_id = milestones::DAMAGED,
                path = finding.path,
                "{finding}; to do: {}",
                Problem::of_file(id, finding).todo
            );
        }
        let is_repaired =
            |known: &&Finding| !status.findings.iter().any(|finding| finding.path == known.path);
        for known in self.known.iter().filter(is_repaired) {
            tracing::info!(
                message_id = milestones::REPAIRED,
                path = known.path,
                "the {} is as it should be again: {}",
                known.what(),
                known.path
            );
        }
        self.known.clone_from(&status.findings);
        self.worker.update(|entry| {
            entry.observe(status);
            entry.findings = status.findings.len();
            // It waits now, so the inspection has just ended.
            let is_well = entry.findings == 0 && status.fault.is_none();
            if is_well && status.waiting.is_some() {
                entry.last_success = Some(now.unix);
            }
        });
    }
}
