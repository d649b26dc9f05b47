//! Time as an argument: the pure rooms are told what time it is, they never ask.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{OffsetDateTime, PrimitiveDateTime};

/// The last second that X.509 and RFC 3339 can both write.
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Now(u64);

impl Now {
    /// A moment given in milliseconds since 1970 (UTC).
    #[must_use]
    pub const fn from_unix_ms(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// A moment given in whole seconds since 1970 (UTC).
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The moment `seconds` later, or earlier: a clock that is wrong on purpose.
    #[must_use]
    pub const fn shifted(self, seconds: i64) -> Self {
        Self(self.0.saturating_add_signed(seconds.saturating_mul(1000)))
    }

    /// Milliseconds since 1970 (UTC).
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970 (UTC), rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// The time passed since `earlier`; zero when `earlier` lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment as a calendar date and time, to the second.
    #[must_use]
    pub fn datetime(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.unix_seconds()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).map_or(LAST, |moment| moment.min(LAST))
    }

    /// The moment in RFC 3339, to the second: `2026-07-29T13:38:47Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.datetime().format(&Rfc3339).unwrap_or_default()
    }

    /// Reads a moment as HTTP has it; none when the text is no such one.
    #[must_use]
    pub fn of_http_date(text: &str) -> Option<Self> {
        let moment = PrimitiveDateTime::parse(text.trim(), HTTP_DATE).ok()?;
        u64::try_from(moment.assume_utc().unix_timestamp()).ok().map(Self::from_unix_seconds)
    }

    /// The moment as HTTP has it (RFC 9110, 5.6.7): `Sun, 30 Aug 2015 12:36:00 GMT`.
    #[must_use]
    pub fn http_date(self) -> String {
        self.datetime().format(HTTP_DATE).unwrap_or_default()
    }
}

const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_to_the_second() {
        let moment = Now::from_unix_ms(1_440_938_160_999);
        assert_eq!(moment.rfc3339(), "2015-08-30T12:36:00Z");
        assert_eq!(moment.http_date(), "Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(moment.unix_seconds(), 1_440_938_160);
        let read = Now::of_http_date(" Sun, 30 Aug 2015 12:36:00 GMT");
        assert_eq!(read, Some(Now::from_unix_seconds(1_440_938_160)));
        assert_eq!(Now::of_http_date("yesterday"), None);
    }

    #[test]
    fn no_moment_is_too_far() {
        let end = Now::from_unix_seconds(u64::MAX);
        assert_eq!(end.rfc3339(), "9999-12-31T23:59:59Z");
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Now::from_unix_ms(0).since(end), Duration::ZERO);
        assert_eq!(Now::from_unix_ms(5).shifted(i64::MIN), Now::from_unix_ms(0));
    }
}
