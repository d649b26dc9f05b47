//! Weekly and daily time windows, in UTC.

use crate::control::validate::{Pattern, Text};
use crate::now::Now;
use crate::random::Random;
use serde::{Deserialize, Serialize};

/// `TimeWindowDefinition`.
pub const TIME_WINDOW: Text = Text {
    pattern: Some(Pattern {
        text: r"^((Mon|Tue|Wed|Thu|Fri|Sat|Sun):)?([0-1][0-9]|2[0-3]):[0-5][0-9]$",
        fits: |text| Window::parse(text).is_some(),
    }),
    ..Text::ANY
};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
/// 1970 began on a Thursday.
const FIRST_DAY: u64 = 3;

/// The start of a one-hour period: `HH:MM` every day, or `DDD:HH:MM` every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From Monday, 0; none for every day.
    day: Option<u64>,
    minute: u64,
}

impl Window {
    /// Reads `HH:MM` or `DDD:HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.len() {
            5 => (None, text),
            9 => {
                let (day, time) = text.split_once(':')?;
                let day = DAYS.iter().position(|known| *known == day)?;
                (u64::try_from(day).ok(), time)
            }
            _ => return None,
        };
        let (hours, minutes) = time.split_once(':')?;
        let number = |digits: &str, below: u64| {
            let digits = Some(digits)
                .filter(|digits| digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit()));
            digits?.parse::<u64>().ok().filter(|number| *number < below)
        };
        Some(Self { day, minute: number(hours, 24)? * 60 + number(minutes, 60)? })
    }

    /// "A random, daily start time."
    pub fn random_daily(random: &mut Random) -> Self {
        Self { day: None, minute: random.next_u64() % 24 * 60 }
    }

    /// "A random one-hour period on Tuesday, Wednesday, or Friday."
    pub fn random_weekly(random: &mut Random) -> Self {
        let day = [1, 2, 4].into_iter().nth(usize::try_from(random.next_u64() % 3).unwrap_or(0));
        Self { day, ..Self::random_daily(random) }
    }

    /// Whether it comes once a week.
    pub const fn is_weekly(self) -> bool {
        self.day.is_some()
    }

    /// The first start after `moment`.
    pub fn next_after(self, moment: Now) -> Now {
        let midnight = moment.unix_ms() / DAY * DAY;
        let weekday = (midnight / DAY + FIRST_DAY) % 7;
        let days = self.day.map_or(0, |day| (day + 7 - weekday) % 7);
        let start = midnight.saturating_add(days * DAY + self.minute * MINUTE);
        let period = if self.is_weekly() { 7 * DAY } else { DAY };
        let start = if start > moment.unix_ms() { start } else { start.saturating_add(period) };
        Now::from_unix_ms(start)
    }

    /// The first start after `moment`, or after two months before `now` where that is later: who
    /// moves the clock by years does not get a backup for each day.
    pub fn next_within_reason(self, moment: Now, now: Now) -> Now {
        const FURTHEST: u64 = 60 * DAY;
        let earliest = Now::from_unix_ms(now.unix_ms().saturating_sub(FURTHEST));
        self.next_after(moment.max(earliest))
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day = self.day.and_then(|day| DAYS.get(usize::try_from(day).ok()?));
        if let Some(day) = day {
            write!(formatter, "{day}:")?;
        }
        write!(formatter, "{:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_written() {
        for text in ["00:00", "23:59", "Mon:08:00", "Sun:23:59"] {
            assert_eq!(Window::parse(text).map(|window| window.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "24:00",
            "00:60",
            "8:00",
            "Mon",
            "mon:08:00",
            "Thr:08:00",
            "Mon:8:00",
            "08:00\n",
            "Mon:08:00:",
            "+8:00",
            "Monday:08:00",
            "０８:00",
            ":08:00",
        ] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_next_start_is_after_the_moment() {
        let next = |window: &str, moment: u64| {
            let window = Window::parse(window);
            window.map(|window| window.next_after(Now::from_unix_seconds(moment)).rfc3339())
        };
        // 2025-01-01, a Wednesday.
        let new_year = 1_735_689_600;
        for (window, after, wanted) in [
            ("00:00", 0, "2025-01-02T00:00:00Z"),
            ("00:01", 0, "2025-01-01T00:01:00Z"),
            ("23:00", 0, "2025-01-01T23:00:00Z"),
            ("23:00", 23 * 3600, "2025-01-02T23:00:00Z"),
            ("Wed:08:00", 0, "2025-01-01T08:00:00Z"),
            ("Wed:08:00", 8 * 3600, "2025-01-08T08:00:00Z"),
            ("Thu:00:00", 0, "2025-01-02T00:00:00Z"),
            ("Tue:23:59", 0, "2025-01-07T23:59:00Z"),
            ("Mon:08:00", 5, "2025-01-06T08:00:00Z"),
        ] {
            assert_eq!(next(window, new_year + after).as_deref(), Some(wanted), "{window}");
        }
    }
}
