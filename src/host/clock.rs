//! The clocks: one that only runs forward, and the time of day.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::bootstrap::Now;

/// A clock that counts from its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    #[must_use]
    pub fn start() -> Self {
        Self { started: instant() }
    }

    #[must_use]
    pub fn now(&self) -> Now {
        Now { mono: self.started.elapsed(), unix: unix_now(), ..Now::default() }
    }
}

/// The monotonic clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks this clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// The time of day.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks this clock")]
pub fn system_now() -> SystemTime {
    SystemTime::now()
}

/// The time of day in Unix seconds. Negative before 1970, which a clock without a battery may show.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks this clock")]
pub fn unix_now() -> i64 {
    let seconds =
        |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}
