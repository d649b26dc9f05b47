//! The account's request limit: a token bucket.

use std::str::FromStr;

use crate::now::Now;

/// Requests per second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Refilled per second.
    pub per_second: u32,
    /// The bucket's size.
    pub burst: u32,
}

/// The limit the API reference documents: "five requests per second with a burst of 10".
pub const DOCUMENTED: Rate = Rate { per_second: 5, burst: 10 };

/// A rate that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a rate: write RATE/BURST, both whole numbers from 1, such as 5/10")]
pub struct RateError(String);

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let refused = || RateError(text.to_owned());
        let (rate, burst) = text.split_once('/').ok_or_else(refused)?;
        let positive = |text: &str| text.parse().ok().filter(|number| *number > 0);
        match (positive(rate), positive(burst)) {
            (Some(per_second), Some(burst)) => Ok(Self { per_second, burst }),
            _ => Err(refused()),
        }
    }
}

/// The bucket. It counts thousandths, so that a millisecond refills `per_second` of them and no
/// fraction is lost.
#[derive(Clone, Debug)]
pub struct Throttle {
    rate: Option<Rate>,
    level: u64,
    filled_at: Now,
}

impl Throttle {
    /// A full bucket, or none at all.
    #[must_use]
    pub fn new(rate: Option<Rate>, now: Now) -> Self {
        let level = rate.map_or(0, |rate| u64::from(rate.burst) * 1000);
        Self { rate, level, filled_at: now }
    }

    /// The rate; `None` for no limit.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Takes one request's worth; false when the account has to wait.
    pub fn admit(&mut self, now: Now) -> bool {
        let Some(rate) = self.rate else { return true };
        let passed = u64::try_from(now.since(self.filled_at).as_millis()).unwrap_or(u64::MAX);
        let refill = passed.saturating_mul(u64::from(rate.per_second));
        self.level = self.level.saturating_add(refill).min(u64::from(rate.burst) * 1000);
        self.filled_at = now.max(self.filled_at);
        match self.level.checked_sub(1000) {
            Some(rest) => self.level = rest,
            None => return false,
        }
        true
    }
}
