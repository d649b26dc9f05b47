//! One budget, and what is being waited for within it.

use std::time::Duration;

use super::{Now, Waiting, backoff};
use crate::fault::Fault;

/// A crowd is over when it was quiet for as long as it lasted, and this.
const QUIET: Duration = Duration::from_mins(1);

/// Counts what is spent of the budget over every start, and spaces the tries.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    seed: u64,
    budget: Duration,
    started: Duration,
    /// By earlier starts.
    spent_before: Duration,
    /// In a row, of every kind.
    failures: u32,
    /// Those in a row that were more than being put off.
    faults: u32,
    /// Successes in between do not shorten the waits after these.
    setbacks: u32,
    crowd: Option<Crowd>,
    /// Since when the authority is deciding.
    watched_from: Option<Duration>,
    asked: u32,
    wait: Option<Waiting>,
}

/// Others ask the same authority, which has put us off.
#[derive(Clone, Debug)]
struct Crowd {
    from: Duration,
    last: Duration,
    times: u32,
}

impl Crowd {
    fn is_there(&self, now: Now) -> bool {
        now.mono.saturating_sub(self.last) <= self.last.saturating_sub(self.from) + QUIET
    }
}

impl Pace {
    pub fn new(seed: u64, budget: Duration, spent_before: Duration, now: Now) -> Self {
        Self {
            seed,
            budget,
            started: now.mono,
            spent_before,
            failures: 0,
            faults: 0,
            setbacks: 0,
            crowd: None,
            watched_from: None,
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
        (self.failures, self.faults) = (0, 0);
    }

    /// How often it failed in a row, this time included.
    pub fn failed(&mut self, now: Now, fault: &Fault) -> u32 {
        self.failures += 1;
        if fault.is_put_off {
            self.put_off(now);
        } else {
            self.faults += 1;
        }
        self.failures
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Another budget, from now on.
    pub fn begin_anew(&mut self, budget: Duration, now: Now) {
        *self = Self::new(self.seed, budget, Duration::ZERO, now);
    }

    /// What was asked for has to be asked for anew.
    pub fn set_back(&mut self) {
        self.setbacks += 1;
        self.watched_from = None;
    }

    /// Before a failed try is made again.
    pub fn retry(&mut self, now: Now, fault: &Fault) {
        let wait = match (&self.crowd, self.crowded_for(now)) {
            (Some(crowd), Some(lasted)) if fault.is_put_off => {
                backoff::put_off(self.seed, crowd.times, lasted).max(self.patience(now, lasted))
            }
            _ => backoff::retry(self.seed, self.faults + self.setbacks),
        };
        self.wait_for(now, wait, fault.to_string(), true);
    }

    /// The authority begins to decide: it is asked how far it is at once, in a crowd later.
    pub fn watch_anew(&mut self, now: Now, reason: &str) {
        self.asked = 0;
        self.watched_from = Some(now.mono);
        if let Some(lasted) = self.crowded_for(now) {
            self.wait_for(now, self.patience(now, lasted), reason.to_owned(), false);
        }
    }

    /// Before an authority that takes its time is asked again.
    pub fn watch(&mut self, now: Now, reason: &str) {
        self.asked += 1;
        let from = *self.watched_from.get_or_insert(now.mono);
        let since = now.mono.saturating_sub(from);
        let wait = match self.crowded_for(now) {
            Some(lasted) => backoff::watch_in_crowd(self.seed, self.asked, since, lasted)
                .max(self.patience(now, lasted)),
            None => backoff::watch(self.seed, self.asked, since),
        };
        self.wait_for(now, wait, reason.to_owned(), false);
    }

    fn put_off(&mut self, now: Now) {
        match self.crowd.as_mut().filter(|crowd| crowd.is_there(now)) {
            Some(crowd) => {
                crowd.last = now.mono;
                crowd.times += 1;
            }
            None => self.crowd = Some(Crowd { from: now.mono, last: now.mono, times: 1 }),
        }
    }

    /// How long others have been asking too. A start that is put off after another one takes it
    /// that the crowd is the same: it does not begin with quick tries.
    fn crowded_for(&self, now: Now) -> Option<Duration> {
        let crowd = self.crowd.as_ref().filter(|crowd| crowd.is_there(now))?;
        Some(self.spent_before + now.mono.saturating_sub(crowd.from))
    }

    /// What is left of the time that the authority of a crowd is given before it is asked.
    fn patience(&self, now: Now, crowded_for: Duration) -> Duration {
        let Some(from) = self.watched_from else { return Duration::ZERO };
        let until = from + backoff::patience(self.seed, crowded_for);
        until.saturating_sub(now.mono)
    }

    /// The last try comes when the budget ends, not after it.
    fn wait_for(&mut self, now: Now, wait: Duration, reason: String, is_fault: bool) {
        let rest = self.budget.saturating_sub(self.spent(now));
        self.wait = Some(Waiting { reason, until: now.mono + wait.min(rest), is_fault });
    }
}
