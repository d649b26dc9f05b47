//! Times as proofs write them, and how far they are from now.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Unix seconds of a time such as `20260714T120000Z`.
#[must_use]
pub fn date_of(text: &str) -> Option<i64> {
    let digits = |from: usize, to: usize| text.get(from..to).filter(|_| text.len() == 16);
    let rfc = format!(
        "{}-{}-{}T{}:{}:{}Z",
        digits(0, 4)?,
        digits(4, 6)?,
        digits(6, 8)?,
        digits(9, 11)?,
        digits(11, 13)?,
        digits(13, 15)?
    );
    let is_framed = text.get(8..9) == Some("T") && text.ends_with('Z');
    rfc3339(&rfc).filter(|_| is_framed)
}

/// Unix seconds of a time such as `2026-07-14T12:00:00Z`.
#[must_use]
pub fn rfc3339(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// How far a time is from now: `3 min 20 s ago`, `1 h 0 min in the future`.
#[must_use]
pub fn apart(then: i64, now: i64) -> String {
    let seconds = (now - then).unsigned_abs();
    let length = match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    };
    if then > now { format!("{length} in the future") } else { format!("{length} ago") }
}

#[cfg(test)]
mod tests {
    use super::{apart, date_of};
    use crate::text;

    #[test]
    fn a_date_of_a_signature_is_read_strictly() {
        assert_eq!(
            date_of("20260714T120000Z").map(text::time).as_deref(),
            Some("2026-07-14T12:00:00Z")
        );
        for bad in [
            "",
            "20260714T120000",
            "20260714T120000z",
            "20260714 120000Z",
            "2026-07-14T12:00:00Z",
            "20261314T120000Z",
            "20260714T250000Z",
            "+0260714T120000Z",
            "20260714T12000éZ",
        ] {
            assert_eq!(date_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_difference_says_its_direction() {
        for (then, text) in [
            (1_000_000, "0 s ago"),
            (999_941, "59 s ago"),
            (1_003_660, "1 h 1 min in the future"),
            (996_399, "1 h 0 min ago"),
            (0, "11 days ago"),
        ] {
            assert_eq!(apart(then, 1_000_000), text);
        }
    }
}
