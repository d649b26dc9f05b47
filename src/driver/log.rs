//! The log of one target: each step when it is done, each new reason to wait, recovery after
//! failures, and the milestones of a membership.

use std::time::Duration;

use super::{Observer, milestones};
use crate::bootstrap::{Now, PhaseName, Status, StepKind};

/// The span in which everything about a target is logged. It is an error's span, so that no level
/// of the log leaves it out.
#[must_use]
pub fn span(target: &str) -> tracing::Span {
    tracing::error_span!("target", enlist_target = %target)
}

/// Logs what is new since the last call.
#[derive(Clone, Debug, Default)]
pub struct Log {
    steps: usize,
    /// The reason, and until when.
    waiting: Option<(String, Duration)>,
    failures: u32,
    phase: Option<PhaseName>,
}

impl Log {
    fn steps(&mut self, status: &Status) {
        for step in status.steps.iter().skip(self.steps) {
            let (kind, result) = (step.kind, &step.result);
            if matches!(kind, StepKind::Remains | StepKind::Warning) {
                tracing::warn!(step = %kind, %result, "{kind}: {result}");
            } else {
                tracing::info!(step = %kind, %result, "{kind}: {result}");
            }
        }
        self.steps = status.steps.len();
    }

    fn recovery(&mut self, status: &Status) {
        if status.failures == 0 && self.failures > 0 {
            let noun = if self.failures == 1 { "failure" } else { "failures" };
            tracing::info!(
                message_id = milestones::RECOVERED,
                failures = self.failures,
                "recovered after {} {noun}",
                self.failures
            );
        }
        self.failures = status.failures;
    }

    fn waiting(&mut self, status: &Status, now: Now) {
        let waiting = status.waiting.as_ref().map(|wait| (wait.reason.clone(), wait.until));
        match &status.waiting {
            Some(wait) if self.waiting != waiting => {
                let seconds = wait.until.saturating_sub(now.mono).as_secs_f64();
                let seconds = (seconds * 10.0).round() / 10.0;
                let (reason, sentence) = (&wait.reason, wait.sentence(now));
                if wait.is_fault {
                    tracing::warn!(
                        message_id = milestones::FAILED,
                        kind = status.fault.map(crate::fault::Kind::word),
                        failures = status.failures,
                        %reason,
                        seconds,
                        "{sentence}"
                    );
                } else {
                    tracing::info!(%reason, seconds, "{sentence}");
                }
            }
            Some(_) => {}
            None => tracing::debug!("{}", status.doing),
        }
        self.waiting = waiting;
    }

    /// Logs a membership that is new, renewed or repaired, but not one that existed at the start.
    fn milestone(&mut self, status: &Status) {
        let before = self.phase.replace(status.phase);
        if status.phase != PhaseName::Joined
            || before.is_none_or(|before| before == PhaseName::Joined)
        {
            return;
        }
        let took = |kind| status.steps.iter().any(|step| step.kind == kind);
        let (granted, renewal) = (took(StepKind::Granted), took(StepKind::Renewal));
        if took(StepKind::Settings) {
            let name = status.name.as_deref().unwrap_or("?");
            tracing::info!("the changed settings of {name} are applied");
            return;
        }
        let (id, what) = match (granted, renewal, took(StepKind::Repair)) {
            (true, true, _) => (milestones::RENEWED, "renewed at"),
            // The renewal failed, and the former certificate is kept.
            (false, true, _) => return,
            (_, _, true) => (milestones::REPAIRED, "repaired, a member of"),
            _ => (milestones::JOINED, "joined"),
        };
        let (authority, name) = (&status.authority, status.name.as_deref().unwrap_or("?"));
        tracing::info!(message_id = id, %authority, name, "{what} {authority} as {name}");
    }
}

impl Observer for Log {
    fn observe(&mut self, status: &Status, now: Now) {
        self.steps(status);
        self.recovery(status);
        self.milestone(status);
        self.waiting(status, now);
    }
}
