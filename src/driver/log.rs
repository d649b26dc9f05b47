//! What is logged while a machine is driven: each step once it is done, what is waited for, and
//! that it goes on again.

use std::time::Duration;

use super::{Observer, milestones};
use crate::bootstrap::{Now, PhaseName, Status, StepKind};

#[derive(Clone, Debug, Default)]
pub struct Log {
    /// In front of each line, where there are several targets.
    word: Option<&'static str>,
    shown: usize,
    waiting: Option<(String, Duration)>,
    failures: u32,
    phase: Option<PhaseName>,
}

impl Log {
    #[must_use]
    pub fn of(word: Option<&'static str>) -> Self {
        Self { word, ..Self::default() }
    }

    fn prefix(&self) -> String {
        self.word.map(|word| format!("{word}: ")).unwrap_or_default()
    }

    fn failure(&mut self, status: &Status) {
        let prefix = self.prefix();
        if status.failures == 0 && self.failures > 0 {
            let times = if self.failures == 1 { "failure" } else { "failures" };
            tracing::info!(
                message_id = milestones::RECOVERED,
                "{prefix}it goes on again, after {} {times}",
                self.failures
            );
        }
        self.failures = status.failures;
    }

    fn wait(&mut self, status: &Status, now: Now) {
        let waiting = status.waiting.as_ref().map(|wait| (wait.reason.clone(), wait.until));
        match &status.waiting {
            Some(wait) if self.waiting != waiting => {
                let (prefix, sentence) = (self.prefix(), wait.sentence(now));
                if wait.is_fault {
                    tracing::warn!(message_id = milestones::FAILED, "{prefix}{sentence}");
                } else {
                    tracing::info!("{prefix}{sentence}");
                }
            }
            Some(_) => {}
            None => tracing::debug!("{}{}", self.prefix(), status.doing),
        }
        self.waiting = waiting;
    }

    /// Joined just now, not long ago.
    fn milestone(&mut self, status: &Status) {
        let before = self.phase.replace(status.phase);
        if status.phase != PhaseName::Joined
            || before.is_none_or(|before| before == PhaseName::Joined)
        {
            return;
        }
        let took = |kind| status.steps.iter().any(|step| step.kind == kind);
        let (granted, renewal) = (took(StepKind::Granted), took(StepKind::Renewal));
        let (id, what) = match (granted, renewal, took(StepKind::Repair)) {
            (true, true, _) => (milestones::RENEWED, "renewed at"),
            // A renewal that came to nothing led back here.
            (false, true, _) => return,
            (_, _, true) => (milestones::REPAIRED, "repaired, a member of"),
            _ => (milestones::JOINED, "joined"),
        };
        let name = status.name.as_deref().unwrap_or("?");
        tracing::info!(message_id = id, "{}{what} {} as {name}", self.prefix(), status.authority);
    }
}

impl Observer for Log {
    fn observe(&mut self, status: &Status, now: Now) {
        for step in status.steps.iter().skip(self.shown) {
            tracing::info!("{}{}: {}", self.prefix(), step.kind, step.result);
        }
        self.shown = status.steps.len();
        self.failure(status);
        self.milestone(status);
        self.wait(status, now);
    }
}
