//! One budget, and what is being waited for within it.

use std::time::Duration;

use super::{Now, Waiting, backoff};

/// Counts what is spent of the budget over every start, and spaces the tries.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    seed: u64,
    budget: Duration,
    started: Duration,
    /// By earlier starts.
    spent_before: Duration,
    failures: u32,
    /// Successes in between do not shorten the waits after these.
    setbacks: u32,
    asked: u32,
    wait: Option<Waiting>,
}

impl Pace {
    pub fn new(seed: u64, budget: Duration, spent_before: Duration, now: Now) -> Self {
        Self {
            seed,
            budget,
            started: now.mono,
            spent_before,
            failures: 0,
            setbacks: 0,
            asked: 0,
            wait: None,
        }
    }

    /// Spent of the budget, by earlier starts and this one.
    pub fn spent(&self, now: Now) -> Duration {
        self.spent_before + now.mono.saturating_sub(self.started)
    }

    /// As a record holds it.
    pub fn spent_ms(&self, now: Now) -> u64 {
        u64::try_from(self.spent(now).as_millis()).unwrap_or(u64::MAX)
    }

    pub fn budget(&self) -> Duration {
        self.budget
    }

    pub fn is_spent(&self, now: Now) -> bool {
        self.spent(now) >= self.budget
    }

    /// What is being waited for, until when, while it is not due.
    pub fn waiting(&self, now: Now) -> Option<&Waiting> {
        self.wait.as_ref().filter(|wait| wait.until > now.mono)
    }

    /// Something happened: nothing is waited for any more.
    pub fn stirred(&mut self) {
        self.wait = None;
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How often it failed in a row, this time included.
    pub fn failed(&mut self) -> u32 {
        self.failures += 1;
        self.failures
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Another budget, from now on.
    pub fn begin_anew(&mut self, budget: Duration, now: Now) {
        *self = Self::new(self.seed, budget, Duration::ZERO, now);
    }

    pub fn set_back(&mut self) {
        self.setbacks += 1;
    }

    /// Before a failed try is made again.
    pub fn retry(&mut self, now: Now, reason: String) {
        let wait = backoff::retry(self.seed, self.failures + self.setbacks);
        self.wait_for(now, wait, reason, true);
    }

    /// Before an authority that takes its time is asked again.
    pub fn watch(&mut self, now: Now, reason: &str) {
        self.asked += 1;
        let wait = backoff::watch(self.seed, self.asked);
        self.wait_for(now, wait, reason.to_owned(), false);
    }

    /// Something new is watched.
    pub fn watch_anew(&mut self) {
        self.asked = 0;
    }

    /// The last try comes when the budget ends, not after it.
    fn wait_for(&mut self, now: Now, wait: Duration, reason: String, is_fault: bool) {
        let rest = self.budget.saturating_sub(self.spent(now));
        self.wait = Some(Waiting { reason, until: now.mono + wait.min(rest), is_fault });
    }
}
