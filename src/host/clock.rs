//! Both clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::bootstrap::Now;

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

/// The clock that only runs forward.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks this clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// This node's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks this clock")]
pub fn system_now() -> SystemTime {
    SystemTime::now()
}

/// Unix seconds by this node's clock; negative before 1970, as on a board without a battery.
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
