//! One budget, and what is being waited for within it.

use std::time::Duration;

use super::backoff::Call;
use super::{Now, Waiting, backoff};
use crate::fault::Fault;

/// A throttle episode is over when it was quiet for as long as it lasted, and this.
const QUIET: Duration = Duration::from_mins(1);

/// Counts what is spent of the budget over every start, and spaces the tries.
#[derive(Clone, Debug)]
pub(super) struct RetrySchedule {
    seed: u64,
    budget: Duration,
    started: Duration,
    /// By earlier starts.
    spent_before: Duration,
    /// In a row, of every kind.
    failures: u32,
    /// Those in a row that were more than throttling.
    faults: u32,
    /// Successes in between do not shorten the waits after these.
    setbacks: u32,
    episode: Option<ThrottleEpisode>,
    /// Since when the authority is deciding.
    watched_from: Option<Duration>,
    asked: u32,
    /// How long the node had been throttled when the authority began to decide.
    throttled_until_watched: Option<Duration>,
    wait: Option<Waiting>,
}

/// Others ask the same authority, which throttles us all.
#[derive(Clone, Debug)]
struct ThrottleEpisode {
    from: Duration,
    last: Duration,
    times: u32,
}

impl ThrottleEpisode {
    /// From the first throttled call to the last one: how long the node was kept from its next
    /// step, and so a measure of how many others there are.
    fn lasted(&self) -> Duration {
        self.last.saturating_sub(self.from)
    }

    fn goes_on(&self, now: Now) -> bool {
        now.mono.saturating_sub(self.last) <= self.lasted() + QUIET
    }
}

impl RetrySchedule {
    pub fn new(seed: u64, budget: Duration, spent_before: Duration, now: Now) -> Self {
        Self {
            seed,
            budget,
            started: now.mono,
            spent_before,
            failures: 0,
            faults: 0,
            setbacks: 0,
            episode: None,
            watched_from: None,
            asked: 0,
            throttled_until_watched: None,
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

    /// What is being waited for, be it that its time has come.
    pub fn wait(&self) -> Option<&Waiting> {
        self.wait.as_ref()
    }

    /// What is being waited for, until when, while it is not due.
    pub fn waiting(&self, now: Now) -> Option<&Waiting> {
        self.wait.as_ref().filter(|wait| wait.until > now.mono)
    }

    /// Something happened: nothing is waited for any more.
    pub fn clear_wait(&mut self) {
        self.wait = None;
    }

    pub fn succeeded(&mut self) {
        (self.failures, self.faults) = (0, 0);
    }

    /// How often it failed in a row, this time included.
    pub fn failed(&mut self, now: Now, fault: &Fault) -> u32 {
        self.failures += 1;
        if fault.is_throttled {
            self.throttled(now);
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
        (self.watched_from, self.throttled_until_watched) = (None, None);
    }

    /// Before a failed call is made again.
    pub fn retry(&mut self, now: Now, call: Call, fault: &Fault) {
        let wait = match (&self.episode, self.throttled_for(now)) {
            (Some(episode), Some(lasted)) if fault.is_throttled => {
                let crowd = match (call, self.throttled_until_watched) {
                    (Call::Poll, Some(before)) => backoff::of_polls(before).min(lasted),
                    _ => lasted,
                };
                backoff::throttled(self.seed, call, episode.times, crowd)
            }
            _ => backoff::retry(self.seed, self.faults + self.setbacks),
        };
        self.wait_for(now, wait, fault.line(), true);
    }

    /// The authority begins to decide: it is polled at once, in a throttle episode later.
    pub fn watch_anew(&mut self, now: Now, reason: &str) {
        self.asked = 0;
        self.watched_from = Some(now.mono);
        self.throttled_until_watched = Some(self.throttled_for(now).unwrap_or_default());
        if let Some(lasted) = self.throttled_for(now) {
            let wait = backoff::initial_delay(self.seed, lasted);
            self.wait_for(now, wait, reason.to_owned(), false);
        }
    }

    /// Before an authority that takes its time is polled again.
    pub fn watch(&mut self, now: Now, reason: &str) {
        self.asked += 1;
        let from = *self.watched_from.get_or_insert(now.mono);
        let since = now.mono.saturating_sub(from);
        let wait = match self.throttled_for(now) {
            Some(lasted) => backoff::repoll(self.seed, self.asked, since, lasted),
            None => backoff::poll(self.seed, self.asked, since),
        };
        self.wait_for(now, wait, reason.to_owned(), false);
    }

    fn throttled(&mut self, now: Now) {
        match self.episode.as_mut().filter(|episode| episode.goes_on(now)) {
            Some(episode) => {
                episode.last = now.mono;
                episode.times += 1;
            }
            None => {
                self.episode = Some(ThrottleEpisode { from: now.mono, last: now.mono, times: 1 });
            }
        }
    }

    /// How long the episode has lasted, while it goes on. A start that is throttled after another
    /// one takes it that the episode is the same: it does not begin with quick tries.
    fn throttled_for(&self, now: Now) -> Option<Duration> {
        let episode = self.episode.as_ref().filter(|episode| episode.goes_on(now))?;
        Some(self.spent_before + episode.lasted())
    }

    /// The last try comes when the budget ends, not after it.
    fn wait_for(&mut self, now: Now, wait: Duration, reason: String, is_fault: bool) {
        let rest = self.budget.saturating_sub(self.spent(now));
        let (until, ends) = (now.mono + wait.min(rest), Some(now.mono + rest));
        self.wait = Some(Waiting { reason, until, ends, is_fault });
    }
}
