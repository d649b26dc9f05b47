//! Time as an argument: the pure rooms are told what time it is, they never ask.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

/// The last second that X.509 and RFC 3339 can both write.
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(u64);

impl Now {
    /// A moment given in milliseconds since 1970 (UTC).
    pub const fn from_unix_ms(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// A moment given in whole seconds since 1970 (UTC).
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// What a system clock shows, shifted by `offset_seconds` (a clock that is wrong on purpose).
    pub fn from_system(time: SystemTime, offset_seconds: i64) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let offset = offset_seconds.saturating_mul(1000);
        Self(milliseconds(since).saturating_add_signed(offset))
    }

    /// Milliseconds since 1970 (UTC).
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970 (UTC), rounded down.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `duration` later.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// The time passed since `earlier`; zero when `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment as a calendar date and time, to the second.
    pub fn datetime(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.unix_seconds()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).map_or(LAST, |moment| moment.min(LAST))
    }

    /// The moment in RFC 3339, to the second: `2026-07-29T13:38:47Z`.
    pub fn rfc3339(self) -> String {
        self.datetime().format(&Rfc3339).unwrap_or_default()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
