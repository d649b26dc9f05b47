//! Pacing: how long to wait before asking again. Pure: jitter comes from a seed.

use std::time::Duration;

/// First and longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// Waits before the first questions about an association's status, and before all others. An
/// authority that signs at once is answered at once; one that takes its time (OpsWorks CM took
/// 15 to 60 s) is asked about every quarter of a minute, as its own waiter in the AWS CLI does.
const WATCH_SECONDS: [f64; 5] = [0.0, 1.0, 2.0, 4.0, 8.0];
const WATCH_LAST_SECONDS: f64 = 15.0;

/// The wait after the nth failure in a row (from 1): doubling, between half and all of it, so
/// that nodes that failed together do not come back together.
#[must_use]
pub fn retry(seed: u64, failures: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(RETRY_LONGEST).mul_f64(0.5 + 0.5 * unit(seed, failures))
}

/// The wait before the nth question (from 0), a quarter more or less.
#[must_use]
pub fn watch(seed: u64, asked: u32) -> Duration {
    let index = usize::try_from(asked).unwrap_or(usize::MAX);
    let seconds = WATCH_SECONDS.get(index).unwrap_or(&WATCH_LAST_SECONDS);
    Duration::from_secs_f64(seconds * (0.75 + 0.5 * unit(seed, asked.wrapping_add(1 << 20))))
}

/// The nth of many pauses of one length, a quarter more or less, so that the nodes of a fleet do
/// not fall into step.
#[must_use]
pub fn around(seed: u64, count: u32, pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * unit(seed, count.wrapping_add(1 << 21)))
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
    use super::{retry, watch};
    use std::time::Duration;

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
        assert_ne!(watch(1, 3), watch(2, 3));
    }

    #[test]
    fn the_first_question_is_at_once_and_the_rest_settle() {
        assert_eq!(watch(3, 0), Duration::ZERO);
        for asked in 5..50 {
            let wait = watch(3, asked);
            assert!(
                wait >= Duration::from_secs_f64(11.25) && wait <= Duration::from_secs_f64(18.75)
            );
        }
    }
}
