//! The time budget of one state machine, and the waits between its tries.

use std::time::Duration;

use super::backoff::{Call, PollInterval};
use super::effect::EffectKind;
use super::{Now, Waiting, backoff};
use crate::fault::Fault;

/// A throttle episode ends when no call was throttled for as long as the episode lasted, plus this.
const QUIET_PERIOD: Duration = Duration::from_mins(1);

/// Counts the budget spent over all starts, and schedules the next try.
#[derive(Clone, Debug)]
pub(super) struct RetrySchedule {
    seed: u64,
    budget: Duration,
    started: Duration,
    /// The budget that earlier starts have spent.
    spent_before: Duration,
    /// Consecutive failures of any kind.
    failures: u32,
    /// Consecutive failures that were not throttled calls.
    faults: u32,
    /// The effect that failed last.
    failing: Option<EffectKind>,
    /// How often the creating call has to be made again. A success does not reset it.
    setbacks: u32,
    episode: Option<ThrottleEpisode>,
    /// When the authority began to decide.
    polling_since: Option<Duration>,
    polls: u32,
    interval: PollInterval,
    wait: Option<Waiting>,
}

/// A time in which the authority throttles this node's calls: others call it too.
#[derive(Clone, Debug)]
struct ThrottleEpisode {
    from: Duration,
    last: Duration,
    times: u32,
}

impl ThrottleEpisode {
    /// From the first throttled call to the last one. It grows with the number of other nodes.
    fn lasted(&self) -> Duration {
        self.last.saturating_sub(self.from)
    }

    fn goes_on(&self, now: Now) -> bool {
        now.mono.saturating_sub(self.last) <= self.lasted() + QUIET_PERIOD
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
            failing: None,
            setbacks: 0,
            episode: None,
            polling_since: None,
            polls: 0,
            interval: PollInterval::new(Duration::ZERO),
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

    /// When the budget ends. None where earlier starts have spent it: each start makes one try.
    pub fn ends(&self) -> Option<Duration> {
        let rest = self.budget.checked_sub(self.spent_before).filter(|rest| !rest.is_zero())?;
        Some(self.started + rest)
    }

    pub fn is_spent(&self, now: Now) -> bool {
        self.spent(now) >= self.budget
    }

    /// What is being waited for, also when its time has come.
    pub fn wait(&self) -> Option<&Waiting> {
        self.wait.as_ref()
    }

    /// What is being waited for, until when, while it is not due.
    pub fn waiting(&self, now: Now) -> Option<&Waiting> {
        self.wait.as_ref().filter(|wait| wait.until > now.mono)
    }

    /// Ends the wait, because something happened.
    pub fn clear_wait(&mut self) {
        self.wait = None;
    }

    /// Names the effect that is about to be counted as failed.
    pub fn failing(&mut self, effect: Option<EffectKind>) {
        self.failing = effect.or(self.failing);
    }

    /// Ends a row of failures, if it was this effect that failed, or if the phase has advanced. What is
    /// only repeated before the failing effect, such as gathering facts or signing, ends no row: the waits
    /// would never grow.
    pub fn succeeded(&mut self, effect: Option<EffectKind>, has_advanced: bool) {
        if has_advanced || self.failing.is_none() || self.failing == effect {
            (self.failures, self.faults, self.failing) = (0, 0, None);
        }
    }

    /// Counts a failure; returns how many there were in a row.
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

    /// Starts another budget, from now on.
    pub fn restart_budget(&mut self, budget: Duration, now: Now) {
        *self = Self::new(self.seed, budget, Duration::ZERO, now);
    }

    /// How long this start has polled.
    pub fn polling_for(&self, now: Now) -> Duration {
        self.polling_since.map_or(Duration::ZERO, |since| now.mono.saturating_sub(since))
    }

    /// Goes on with another budget of the same length. The polls go on as they are.
    pub fn continue_budget(&mut self, now: Now) {
        (self.started, self.spent_before) = (now.mono, Duration::ZERO);
    }

    /// Counts that the creating call has to be made again.
    pub fn count_setback(&mut self) {
        self.setbacks += 1;
        self.polling_since = None;
    }

    /// Waits before a failed call is made again.
    pub fn retry(&mut self, now: Now, call: Call, fault: &Fault) {
        let wait = match (&self.episode, self.throttled_for(now)) {
            (Some(episode), Some(lasted)) if fault.is_throttled => {
                if call == Call::Poll {
                    self.interval = self.interval.after_throttled(lasted);
                }
                backoff::throttled(self.seed, call, episode.times, lasted, self.interval)
            }
            _ => {
                // Each setback follows a failure of the creating call, which may be counted too.
                let setbacks = self.setbacks + u32::from(self.faults > 0);
                backoff::retry(self.seed, self.faults.max(setbacks))
            }
        };
        let asked = fault.retry_after.unwrap_or_default();
        let wait = wait.max(backoff::at_least(self.seed, self.failures, asked));
        self.wait_for(now, wait, fault.line(), true);
    }

    /// The authority begins to decide: polls it at once, in a throttle episode later.
    pub fn begin_polling(&mut self, now: Now, reason: &str) {
        self.polls = 0;
        self.polling_since = Some(now.mono);
        let lasted = self.throttled_for(now);
        self.interval = PollInterval::new(lasted.unwrap_or_default());
        if let Some(lasted) = lasted {
            let wait = backoff::initial_delay(self.seed, lasted);
            self.wait_for(now, wait, reason.to_owned(), false);
        }
    }

    /// Waits before an authority that has not decided is polled again.
    pub fn poll_later(&mut self, now: Now, reason: &str, longest: Duration) {
        self.polls += 1;
        let from = *self.polling_since.get_or_insert(now.mono);
        let since = now.mono.saturating_sub(from);
        let wait = match self.throttled_for(now) {
            Some(lasted) => {
                self.interval = self.interval.after_admitted(lasted);
                backoff::repoll(self.seed, self.polls, self.interval)
            }
            None => backoff::poll(self.seed, self.polls, since, longest),
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

    /// How long the episode has lasted, while it goes on. A start that is throttled assumes that it
    /// continues the episode of the earlier starts, so it does not begin with quick tries.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Call, Now, RetrySchedule};
    use crate::fault::{Fault, Kind};

    #[test]
    fn a_call_is_not_made_before_the_time_that_the_authority_asks_for() {
        let now = Now { unix: 0, mono: Duration::ZERO, skew: 0 };
        for (asked, budget, least) in [(40, 600, 40), (40, 10, 10), (0, 600, 0)] {
            for fault in [
                Fault::new(Kind::Transient, "", "", ""),
                Fault::new(Kind::Transient, "", "", "").throttled(),
            ] {
                let budget = Duration::from_secs(budget);
                let mut schedule = RetrySchedule::new(7, budget, Duration::ZERO, now);
                let fault = fault.retry_after(Some(Duration::from_secs(asked)));
                schedule.failed(now, &fault);
                schedule.retry(now, Call::Discovery, &fault);
                let until = schedule.waiting(now).map(|wait| wait.until).unwrap_or_default();
                assert!(until >= Duration::from_secs(least), "{until:?}");
                assert!(until <= Duration::from_secs(least * 3 / 2 + 2), "{until:?}");
            }
        }
    }
}
