//! The difference between this node's clock and the authority's. Pure.

use super::Now;
use crate::fault::{Fault, Kind, Outlook};

/// A clock that is off by this many seconds or more counts as wrong: AWS refuses signatures that are
/// more than five minutes off (IAM user guide, "Signature Version 4").
const WRONG: u64 = 300;

/// How far this clock is off, as a sentence, where it counts as wrong. `skew` is how many seconds the
/// authority's clock is ahead.
#[must_use]
pub fn describe(skew: i64) -> Option<String> {
    let off = skew.unsigned_abs();
    let side = if skew > 0 { "behind" } else { "ahead of" };
    (off >= WRONG).then(|| format!("this clock is {} {side} the endpoint's", in_two_units(off)))
}

/// Makes a fault that depends on the time transient while this clock is wrong. It is then retried
/// until the clock is set.
#[must_use]
pub fn retry_when_wrong(fault: Fault, now: Now) -> Fault {
    match describe(now.skew).filter(|_| fault.outlook == Outlook::Clock) {
        Some(wrong) if !fault.is_retried() => {
            let todo = "wait until this clock is set; if it stays wrong, start time synchronisation (`timedatectl set-ntp true`)";
            let causes = fault.causes.iter().cloned();
            let (what, on) = (fault.what.clone(), fault.on.clone());
            let waits = Fault::new(Kind::Transient, what, on, todo).cause(wrong);
            causes.fold(waits, Fault::cause)
        }
        _ => fault,
    }
}

/// In the two largest units: `3 d 4 h`, `2 h 5 min`, `7 min`.
fn in_two_units(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn a_clock_is_wrong_from_five_minutes_on_and_the_direction_is_named() {
        assert_eq!((describe(0), describe(299), describe(-299)), (None, None, None));
        for (skew, said) in [
            (300, "this clock is 5 min behind the endpoint's"),
            (-300, "this clock is 5 min ahead of the endpoint's"),
            (7_500, "this clock is 2 h 5 min behind the endpoint's"),
            (3 * 86_400 + 4 * 3_600 + 59, "this clock is 3 d 4 h behind the endpoint's"),
        ] {
            assert_eq!(describe(skew).as_deref(), Some(said));
        }
        assert!(describe(i64::MIN).is_some() && describe(i64::MAX).is_some());
    }
}
