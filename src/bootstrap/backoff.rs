//! How long to wait before a call is made again. Pure: jitter comes from a seed.
//!
//! The rules and their reasons are in docs/decisions/0012-retry-schedule.md, what they lead to in
//! docs/fleet.md. The numbers come from a search over simulated fleets of 10 to 3,000 nodes.

use std::time::Duration;

/// First and longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// How a wait grows with the seconds t that an episode has lasted: `factor * t^exponent`, but at
/// least `least` and `late * t`.
struct Growth {
    least: f64,
    factor: f64,
    exponent: f64,
    late: f64,
}

impl Growth {
    fn at(&self, lasted: Duration) -> f64 {
        let lasted = lasted.as_secs_f64();
        (self.factor * lasted.powf(self.exponent)).max(self.late * lasted).max(self.least)
    }
}

/// After a throttled call, by what the call was. A node's share of a contested limit is the rate of
/// its tries, so discovery and creating calls go before polls. After 30 s, 5 min and an hour of an
/// episode: 0.9, 9 and 108 s; 0.7, 4 and 38 s; 9, 38 and 189 s.
const DISCOVERY: Growth = Growth { least: 0.9, factor: 0.18, exponent: 0.45, late: 0.03 };
const CREATION: Growth = Growth { least: 0.7, factor: 0.022, exponent: 0.91, late: 0.0 };
const THROTTLED_POLL: Growth = Growth { least: 1.4, factor: 1.0, exponent: 0.64, late: 0.0 };
const POLLS_TIMES: u32 = 2;
const POLLS_MORE: Duration = Duration::from_secs(20);
/// No wait after a throttled call is longer, seconds.
const THROTTLED_LONGEST: f64 = 900.0;
/// The first wait of an episode is jittered by this part of itself, so that nodes that were started
/// together part; the later ones by less, so that the last node does not come much later than
/// the others.
const FIRST_JITTER: f64 = 0.8;
const THROTTLED_JITTER: f64 = 0.08;

/// Waits between polls where nobody is throttled, seconds. An authority that signs at once is
/// answered at once; one that takes its time (OpsWorks CM took 15 to 60 s) is polled about every
/// 5 s, later after a tenth of the time, and in the end every quarter of a minute, as its own
/// waiter in the AWS CLI does.
const POLL_FIRST: [f64; 4] = [0.0, 1.0, 2.0, 4.0];
const POLL_LEAST: f64 = 5.0;
const POLL_LONGEST: f64 = 15.0;
const POLL_PART: f64 = 0.1;
const POLL_JITTER: f64 = 0.25;

/// A poll that comes too early takes the turn of another node's call. In a throttle episode the
/// first poll comes after some half of the time that it lasted, a minute at most: OpsWorks CM
/// decides within a minute. In an episode of more than 50 minutes, after a fiftieth of it.
const INITIAL: Growth = Growth { least: 2.0, factor: 0.5, exponent: 1.034, late: 0.0 };
const INITIAL_MOST: f64 = 64.0;
const INITIAL_LATE: f64 = 0.02;

/// Each further poll comes after this part of the time since the association, or of the episode,
/// between these seconds; in long episodes after a part of them at most.
const REPOLL_PART: f64 = 0.06;
const REPOLL_EPISODE_PART: f64 = 0.04;
const REPOLL_LEAST: f64 = 6.8;
const REPOLL_MOST: f64 = 34.0;
const REPOLL_LATE: f64 = 0.05;
const EPISODE_JITTER: f64 = 0.07;

/// What was throttled. A node that has not yet asked for its membership is to come before one that
/// only asks how far it is: the authority works meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Whatever precedes the creating call.
    Discovery,
    /// The creating call. A node that gets this far comes before those that have not begun: what
    /// is begun is finished, and few are here at a time.
    Creation,
    /// The question whether the authority has decided.
    Poll,
}

/// What jitter is drawn for: each use has its own stream of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Retry,
    Throttled,
    Poll,
    InitialDelay,
    Repoll,
    /// A monitor's pause between two inspections.
    Inspection,
    /// The daemon's pause after a join that failed.
    Rejoin,
}

/// The wait after the nth failure in a row (from 1): doubling, between half and all of it, so
/// that nodes that failed together do not come back together.
#[must_use]
pub fn retry(seed: u64, failures: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(RETRY_LONGEST).mul_f64(0.5 + 0.5 * uniform(seed, Stream::Retry, failures))
}

/// The wait after a throttled call, the nth of its episode (from 1), which has lasted this long.
#[must_use]
pub fn throttled(seed: u64, call: Call, times: u32, lasted: Duration) -> Duration {
    let seconds = match call {
        Call::Discovery => DISCOVERY.at(lasted),
        Call::Creation => CREATION.at(lasted),
        Call::Poll => THROTTLED_POLL.at(lasted),
    };
    let jitter = if times <= 1 { FIRST_JITTER } else { THROTTLED_JITTER };
    jittered(seed, Stream::Throttled, times, seconds.min(THROTTLED_LONGEST), jitter)
}

/// How long an episode counts as having lasted for a poll, when a node that had been throttled for
/// so long `before` the authority began to decide is throttled at its polls: what keeps it now are
/// the polls of others, which says nothing of how many have still to come.
#[must_use]
pub fn poll_episode(before: Duration) -> Duration {
    before * POLLS_TIMES + POLLS_MORE
}

/// The wait before the nth poll (from 0) where nobody is throttled, `since` the authority was
/// asked to decide.
#[must_use]
pub fn poll(seed: u64, asked: u32, since: Duration) -> Duration {
    let index = usize::try_from(asked).unwrap_or(usize::MAX);
    let later = (since.as_secs_f64() * POLL_PART).clamp(POLL_LEAST, POLL_LONGEST);
    let seconds = POLL_FIRST.get(index).unwrap_or(&later);
    jittered(seed, Stream::Poll, asked, *seconds, POLL_JITTER)
}

/// The wait between the creating call and the first poll in a throttle episode.
#[must_use]
pub fn initial_delay(seed: u64, lasted: Duration) -> Duration {
    let late = lasted.as_secs_f64() * INITIAL_LATE;
    let seconds = INITIAL.at(lasted).min(INITIAL_MOST).max(late);
    jittered(seed, Stream::InitialDelay, 0, seconds, EPISODE_JITTER)
}

/// The wait before the nth further poll in a throttle episode, `since` the creating call.
#[must_use]
pub fn repoll(seed: u64, asked: u32, since: Duration, lasted: Duration) -> Duration {
    let lasted = lasted.as_secs_f64();
    let most = REPOLL_MOST.max(lasted * REPOLL_LATE);
    let seconds = (since.as_secs_f64() * REPOLL_PART).max(lasted * REPOLL_EPISODE_PART);
    jittered(seed, Stream::Repoll, asked, seconds.clamp(REPOLL_LEAST, most), EPISODE_JITTER)
}

/// The nth of many pauses of one length, a quarter more or less, so that the nodes of a fleet do
/// not fall into step.
#[must_use]
pub fn with_jitter(seed: u64, stream: Stream, count: u32, pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * uniform(seed, stream, count))
}

/// Seconds, with a jitter of up to this part of them.
fn jittered(seed: u64, stream: Stream, count: u32, seconds: f64, part: f64) -> Duration {
    Duration::from_secs_f64(seconds * (1.0 - part + 2.0 * part * uniform(seed, stream, count)))
}

/// A number in [0, 1) from a seed, a stream and a counter (SplitMix64, Steele, Lea and Flood 2014).
fn uniform(seed: u64, stream: Stream, counter: u32) -> f64 {
    let place = ((stream as u64) << 32) + u64::from(counter) + 1;
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(place));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let mantissa = (z >> 11) as f64;
    mantissa / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::{
        Call, Stream, initial_delay, poll, poll_episode, repoll, retry, throttled, uniform,
        with_jitter,
    };
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const CALLS: [Call; 3] = [Call::Creation, Call::Discovery, Call::Poll];

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
        assert_ne!(poll(1, 3, SECOND), poll(2, 3, SECOND));
        assert_ne!(repoll(1, 3, SECOND, SECOND), repoll(2, 3, SECOND, SECOND));
        assert_ne!(initial_delay(1, SECOND), initial_delay(2, SECOND));
        for call in CALLS {
            assert_ne!(throttled(1, call, 3, SECOND), throttled(2, call, 3, SECOND));
            assert_ne!(throttled(1, call, 3, SECOND), throttled(1, call, 4, SECOND));
        }
    }

    /// Otherwise a node whose wait for one thing is short has short waits for everything.
    #[test]
    fn each_use_has_a_stream_of_its_own() {
        let streams = [
            Stream::Retry,
            Stream::Throttled,
            Stream::Poll,
            Stream::InitialDelay,
            Stream::Repoll,
            Stream::Inspection,
            Stream::Rejoin,
        ];
        for seed in [0, 7, u64::MAX] {
            let mut drawn: Vec<u64> = streams
                .iter()
                .flat_map(|stream| (0..2000).map(|count| uniform(seed, *stream, count).to_bits()))
                .collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 2000 * streams.len(), "seed {seed}");
        }
        let pause = |stream| with_jitter(3, stream, 1, SECOND);
        assert_ne!(pause(Stream::Inspection), pause(Stream::Rejoin));
    }

    #[test]
    fn the_first_poll_is_at_once_and_the_rest_settle() {
        assert_eq!(poll(3, 0, Duration::ZERO), Duration::ZERO);
        for asked in 4..50 {
            for (since, whole) in [(1, 5.0), (50, 5.0), (100, 10.0), (1000, 15.0)] {
                let wait = poll(3, asked, since * SECOND).as_secs_f64();
                assert!((whole * 0.75..whole * 1.25).contains(&wait), "{since} s: {wait} s");
            }
        }
    }

    /// Nodes that were started together part at once, and the last one does not sleep for long while
    /// the service has nothing to do: after the first minute never for a tenth of the episode.
    #[test]
    fn the_wait_grows_with_the_episode() {
        for (call, waits) in [
            (Call::Discovery, [(0, 0.9), (30, 0.9), (300, 9.0), (3600, 108.0), (90_000, 900.0)]),
            (Call::Creation, [(0, 0.7), (30, 0.7), (300, 3.95), (3600, 37.9), (90_000, 709.0)]),
            (Call::Poll, [(0, 1.4), (30, 8.82), (300, 38.5), (3600, 188.8), (90_000, 900.0)]),
        ] {
            for (lasted, whole) in waits {
                for seed in 0..200 {
                    let wait = throttled(seed, call, 9, lasted * SECOND).as_secs_f64();
                    assert!(
                        (whole * 0.91..whole * 1.09).contains(&wait),
                        "{call:?}, {lasted} s: {wait}"
                    );
                    let first = throttled(seed, call, 1, lasted * SECOND).as_secs_f64();
                    assert!((whole * 0.19..whole * 1.81).contains(&first), "{call:?}: {first} s");
                }
            }
        }
    }

    #[test]
    fn who_is_to_be_a_member_comes_before_who_asks_how_far_it_is() {
        for lasted in [0, 5, 20, 60, 200, 1000, 10_000] {
            let [creation, discovery, poll] =
                CALLS.map(|call| throttled(5, call, 9, lasted * SECOND));
            assert!(creation < discovery && discovery < poll, "{lasted} s");
        }
    }

    /// Ten hours of throttling are some hundreds of tries, not ten thousand.
    #[test]
    fn the_tries_of_an_episode_are_few() {
        for (hours, most) in [(1, 200), (10, 280)] {
            for seed in 0..20 {
                let (mut lasted, mut times) = (Duration::ZERO, 0);
                while lasted < hours * 3600 * SECOND {
                    times += 1;
                    lasted += throttled(seed, Call::Discovery, times, lasted);
                }
                assert!(times <= most, "{hours} h: {times} tries");
            }
        }
    }

    #[test]
    fn the_authority_is_given_time_by_how_long_the_node_was_throttled() {
        for (lasted, least, most) in [
            (0, 1.8, 2.2),
            (20, 10.0, 12.0),
            (60, 31.0, 37.0),
            (200, 59.0, 69.0),
            (9000, 167.0, 193.0),
        ] {
            let wait = initial_delay(5, lasted * SECOND).as_secs_f64();
            assert!((least..=most).contains(&wait), "{lasted} s: {wait} s");
        }
        for (since, lasted, whole) in [(30, 1, 6.8), (30, 500, 20.0), (1000, 1, 34.0)] {
            let wait = repoll(5, 1, since * SECOND, lasted * SECOND).as_secs_f64();
            assert!(
                (whole * 0.92..whole * 1.08).contains(&wait),
                "{since} s, {lasted} s: {wait} s"
            );
        }
        assert_eq!(poll_episode(25 * SECOND), 70 * SECOND);
    }
}
