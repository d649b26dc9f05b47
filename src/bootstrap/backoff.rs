//! Pacing: how long to wait before asking again. Pure: jitter comes from a seed. Why it is as it
//! is stands in docs/decisions/0005-pacing.md, what comes of it in docs/fleet.md.

use std::time::Duration;

/// First and longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// After being put off, seconds: the first at least; half the time in the crowd up to the second;
/// less than a tenth of it later on, up to the third.
const CROWD_LEAST: f64 = 2.0;
const CROWD_EARLY: f64 = 20.0;
const CROWD_LONGEST: f64 = 900.0;
const CROWD_EARLY_PART: f64 = 0.5;
const CROWD_PART: f64 = 0.08;

/// Waits before the first questions about an association's status, seconds. An authority that
/// signs at once is answered at once; one that takes its time (OpsWorks CM took 15 to 60 s) is
/// asked about every 5 s, later after a tenth of the time, and in the end every quarter of a
/// minute, as its own waiter in the AWS CLI does.
const WATCH_FIRST: [f64; 4] = [0.0, 1.0, 2.0, 4.0];
const WATCH_LEAST: f64 = 5.0;
const WATCH_LONGEST: f64 = 15.0;
const WATCH_PART: f64 = 0.1;

/// In a crowd a question too early takes another node's turn. It is asked first after this many
/// seconds, or after a part of the time in the crowd, up to a minute; then less and less often.
const PATIENCE_LEAST: f64 = 20.0;
const PATIENCE_LONGEST: f64 = 60.0;
const PATIENCE_PART: f64 = 0.02;
const CROWD_WATCH_LEAST: f64 = 4.0;
const CROWD_WATCH_PART: f64 = 0.2;

/// The wait after the nth failure in a row (from 1): doubling, between half and all of it, so
/// that nodes that failed together do not come back together.
#[must_use]
pub fn retry(seed: u64, failures: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(RETRY_LONGEST).mul_f64(0.5 + 0.5 * unit(seed, failures))
}

/// The wait after being put off the nth time, in a crowd that has lasted this long: a part of
/// that time, three tenths more or less.
#[must_use]
pub fn put_off(seed: u64, times: u32, crowded_for: Duration) -> Duration {
    let lasted = crowded_for.as_secs_f64();
    let early = (lasted * CROWD_EARLY_PART).clamp(CROWD_LEAST, CROWD_EARLY);
    let seconds = early.max(lasted * CROWD_PART).min(CROWD_LONGEST);
    Duration::from_secs_f64(seconds * (0.7 + 0.6 * unit(seed, times.wrapping_add(1 << 21))))
}

/// The wait before the nth question (from 0) where nobody is put off, `since` the authority was
/// asked to decide: a quarter more or less.
#[must_use]
pub fn watch(seed: u64, asked: u32, since: Duration) -> Duration {
    let index = usize::try_from(asked).unwrap_or(usize::MAX);
    let later = (since.as_secs_f64() * WATCH_PART).clamp(WATCH_LEAST, WATCH_LONGEST);
    let seconds = WATCH_FIRST.get(index).unwrap_or(&later);
    Duration::from_secs_f64(seconds * (0.75 + 0.5 * unit(seed, asked.wrapping_add(1 << 20))))
}

/// The nth of many pauses of one length, a quarter more or less, so that the nodes of a fleet do
/// not fall into step.
#[must_use]
pub fn around(seed: u64, count: u32, pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * unit(seed, count.wrapping_add(1 << 21)))
}

/// How long a crowd's authority is given before it is asked how far it is: a tenth more at most.
#[must_use]
pub fn patience(seed: u64, crowded_for: Duration) -> Duration {
    let part = crowded_for.as_secs_f64() * PATIENCE_PART;
    let seconds = part.clamp(PATIENCE_LEAST, PATIENCE_LONGEST);
    Duration::from_secs_f64(seconds * (1.0 + 0.1 * unit(seed, 1 << 22)))
}

/// The wait before the nth question in a crowd, a quarter more or less.
#[must_use]
pub fn watch_in_crowd(seed: u64, asked: u32, since: Duration, crowded_for: Duration) -> Duration {
    let seconds = (since.as_secs_f64() * CROWD_WATCH_PART)
        .max(crowded_for.as_secs_f64() * CROWD_PART)
        .clamp(CROWD_WATCH_LEAST, CROWD_LONGEST);
    Duration::from_secs_f64(seconds * (0.75 + 0.5 * unit(seed, asked.wrapping_add(1 << 23))))
}

/// A number in [0, 1) from a seed and a counter (SplitMix64, Steele, Lea and Flood 2014).
fn unit(seed: u64, counter: u32) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(u64::from(counter) + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let mantissa = (z >> 11) as f64;
    mantissa / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::{patience, put_off, retry, watch, watch_in_crowd};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn retries_double_up_to_a_minute_and_never_less_than_half() {
        for seed in [0, 7, u64::MAX] {
            for failures in 1..40 {
                let whole = Duration::from_millis(500)
                    .saturating_mul(2u32.saturating_pow(failures - 1))
                    .min(Duration::from_mins(1));
                let wait = retry(seed, failures);
                assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn two_seeds_part_and_one_repeats() {
        assert_ne!(retry(1, 5), retry(2, 5));
        assert_eq!(retry(1, 5), retry(1, 5));
        assert_ne!(watch(1, 3, SECOND), watch(2, 3, SECOND));
        assert_ne!(put_off(1, 3, SECOND), put_off(2, 3, SECOND));
        assert_ne!(put_off(1, 3, SECOND), put_off(1, 4, SECOND));
        assert_ne!(patience(1, SECOND), patience(2, SECOND));
    }

    #[test]
    fn the_first_question_is_at_once_and_the_rest_settle() {
        assert_eq!(watch(3, 0, Duration::ZERO), Duration::ZERO);
        for asked in 4..50 {
            for (since, whole) in [(1, 5.0), (50, 5.0), (100, 10.0), (1000, 15.0)] {
                let wait = watch(3, asked, since * SECOND).as_secs_f64();
                assert!((whole * 0.75..whole * 1.25).contains(&wait), "{since} s: {wait} s");
            }
        }
    }

    /// Whoever is put off for long waits for long, and after some minutes never more than an eighth of
    /// that again: so nobody sleeps long while the service has nothing to do.
    #[test]
    fn what_is_put_off_waits_for_a_part_of_the_time_that_it_waited() {
        for seed in 0..200 {
            for (lasted, whole) in
                [(0, 2.0), (20, 10.0), (40, 20.0), (250, 20.0), (600, 48.0), (90_000, 900.0)]
            {
                let wait = put_off(seed, 9, lasted * SECOND).as_secs_f64();
                assert!((whole * 0.7..whole * 1.3).contains(&wait), "{lasted} s: {wait} s");
            }
        }
    }

    /// Ten hours in a crowd are some hundred tries, not ten thousand.
    #[test]
    fn the_tries_in_a_crowd_are_few() {
        for (hours, most) in [(1, 60), (10, 110)] {
            for seed in 0..20 {
                let (mut lasted, mut times) = (Duration::ZERO, 0);
                while lasted < hours * 3600 * SECOND {
                    times += 1;
                    lasted += put_off(seed, times, lasted);
                }
                assert!(times <= most, "{hours} h: {times} tries");
            }
        }
    }

    #[test]
    fn a_crowds_authority_is_given_time() {
        for (crowded, least, most) in [(0, 20.0, 22.0), (2000, 40.0, 44.0), (9000, 60.0, 66.0)] {
            let wait = patience(5, crowded * SECOND).as_secs_f64();
            assert!((least..=most).contains(&wait), "{crowded} s: {wait} s");
        }
        let wait = watch_in_crowd(5, 1, 30 * SECOND, 600 * SECOND).as_secs_f64();
        assert!((36.0..60.0).contains(&wait), "{wait} s");
        let wait = watch_in_crowd(5, 1, 30 * SECOND, SECOND).as_secs_f64();
        assert!((4.5..7.5).contains(&wait), "{wait} s");
    }
}
