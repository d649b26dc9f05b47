//! How long to wait before a call is made again. Pure: jitter comes from a seed.
//!
//! The rules and their reasons are in docs/decisions/0012-retry-schedule.md, what they lead to in
//! docs/fleet.md. The numbers come from a search over simulated fleets of 10 to 3,000 nodes.

use std::time::Duration;

/// First and longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_mins(1);

/// How a wait grows with the seconds t that an episode has lasted: `factor * t^exponent`, but at
/// least `least` seconds.
struct Growth {
    least: f64,
    factor: f64,
    exponent: f64,
}

impl Growth {
    fn at(&self, lasted: Duration) -> f64 {
        (self.factor * lasted.as_secs_f64().powf(self.exponent)).max(self.least)
    }
}

/// After throttled discovery and creating calls. A node's share of a contested limit is the rate of
/// its tries, so these go before polls. After 30 s, 5 min and an hour of an episode: 0.9, 6 and
/// 137 s; 0.4, 2 and 50 s.
const DISCOVERY: Growth = Growth { least: 0.85, factor: 0.0049, exponent: 1.25 };
const CREATION: Growth = Growth { least: 0.4, factor: 0.0018, exponent: 1.25 };
/// No wait after a throttled call is longer, seconds.
const THROTTLED_LONGEST: f64 = 900.0;
/// The jitter of a wait, as a fraction of it. The first wait of an episode gets the most, which
/// separates nodes that were started together. Later waits get less. Without it, nodes would retry at
/// the same moments: at five calls a second, waits of exactly a second would do that. Polls get little:
/// if the nodes poll evenly spaced, each has its turn within one interval.
const FIRST_JITTER: f64 = 0.9;
const CALL_JITTER: f64 = 0.3;
const EPISODE_POLL_JITTER: f64 = 0.05;

/// Waits between polls where nobody is throttled, seconds. An authority that signs at once is
/// answered at once; one that decides after 15 to 60 s, as AWS did, is polled about every
/// 5 s, later after a tenth of the time, and in the end as seldom as the target says.
const POLL_FIRST: [f64; 4] = [0.0, 1.0, 2.0, 4.0];
const POLL_LEAST: f64 = 5.0;
const POLL_PART: f64 = 0.1;
const POLL_JITTER: f64 = 0.25;

/// A poll that comes too early takes the turn of another node's call. In a throttle episode the
/// first poll comes after about half of the time that it lasted, ten seconds at least and a minute
/// at most: the known authorities decide within a minute. A node that was hardly throttled polls earlier: it
/// may be alone. In an episode of more than an hour, the first poll comes after a part of it.
const INITIAL_LEAST: f64 = 2.0;
const INITIAL_RISE: f64 = 4.0;
const INITIAL_SHORT: f64 = 10.0;
const INITIAL_PART: f64 = 0.55;
const INITIAL_MOST: f64 = 64.0;
const INITIAL_LATE: f64 = 0.017;

/// The interval between polls in a throttle episode: the first one, and by what it is multiplied
/// after a throttled poll and after an admitted one.
const INTERVAL_FIRST: Growth = Growth { least: 4.6, factor: 0.28, exponent: 1.0 };
const INTERVAL_LONGER: f64 = 1.1;
const INTERVAL_SHORTER: f64 = 0.9;
const INTERVAL_LEAST: f64 = 5.0;
/// The longest interval. The last node of a fleet may finish about this much later.
const INTERVAL_MOST: Growth = Growth { least: 12.0, factor: 0.075, exponent: 1.0 };
/// Never longer, seconds. A ticket may be valid for an hour only. In a fleet of 10,000, a node that
/// polls less often than others that still associate is never admitted within that hour.
const INTERVAL_LONGEST: f64 = 60.0;

/// What was throttled. Nodes that have not made the creating call get priority over nodes that poll,
/// because the authority works on an association while its node waits.
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
    /// The daemon's pause between two questions whether the authority still has a member.
    Probe,
    /// The daemon's pause after a join that failed.
    Rejoin,
    /// What is added to the time that the authority asks to wait.
    RetryAfter,
}

/// The wait after the nth failure in a row (from 1): doubling, between half and all of it, so
/// that nodes that failed together do not come back together.
#[must_use]
pub fn retry(seed: u64, failures: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(RETRY_LONGEST).mul_f64(0.5 + 0.5 * uniform(seed, Stream::Retry, failures))
}

/// The wait after a throttled call, the nth of its episode (from 1), which has lasted this long. A
/// poll's is the interval between polls.
#[must_use]
pub fn throttled(
    seed: u64,
    call: Call,
    times: u32,
    lasted: Duration,
    interval: PollInterval,
) -> Duration {
    let seconds = match call {
        Call::Discovery => DISCOVERY.at(lasted),
        Call::Creation => CREATION.at(lasted),
        Call::Poll => interval.0,
    };
    let jitter = match call {
        _ if times <= 1 => FIRST_JITTER,
        Call::Discovery | Call::Creation => CALL_JITTER,
        Call::Poll => EPISODE_POLL_JITTER,
    };
    jittered(seed, Stream::Throttled, times, seconds.min(THROTTLED_LONGEST), jitter)
}

/// The wait before the nth poll (from 0) where nobody is throttled, `since` the authority was
/// asked to decide. It is not much longer than `longest`.
#[must_use]
pub fn poll(seed: u64, asked: u32, since: Duration, longest: Duration) -> Duration {
    let index = usize::try_from(asked).unwrap_or(usize::MAX);
    let later =
        (since.as_secs_f64() * POLL_PART).clamp(POLL_LEAST, longest.as_secs_f64().max(POLL_LEAST));
    let seconds = POLL_FIRST.get(index).unwrap_or(&later);
    jittered(seed, Stream::Poll, asked, *seconds, POLL_JITTER)
}

/// The wait between the creating call and the first poll in a throttle episode.
#[must_use]
pub fn initial_delay(seed: u64, lasted: Duration) -> Duration {
    let lasted = lasted.as_secs_f64();
    let short = (INITIAL_LEAST + INITIAL_RISE * lasted).min(INITIAL_SHORT);
    let part = (INITIAL_PART * lasted).min(INITIAL_MOST).max(INITIAL_LATE * lasted);
    let seconds = short.max(part);
    jittered(seed, Stream::InitialDelay, 0, seconds, EPISODE_POLL_JITTER)
}

/// The wait before the nth further poll in a throttle episode.
#[must_use]
pub fn repoll(seed: u64, polls: u32, interval: PollInterval) -> Duration {
    jittered(seed, Stream::Repoll, polls, interval.0, EPISODE_POLL_JITTER)
}

/// Seconds between two polls of a node that has been throttled. They grow while its polls are
/// throttled and shrink while they are admitted. So the polls of all nodes together come to
/// little more than the limit, however many nodes there are, and give way to the calls of nodes
/// that have not been created yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollInterval(f64);

impl PollInterval {
    /// After the creating call, in an episode that has lasted this long.
    #[must_use]
    pub fn new(lasted: Duration) -> Self {
        Self(INTERVAL_FIRST.at(lasted).min(Self::most(lasted)))
    }

    #[must_use]
    pub fn after_throttled(self, lasted: Duration) -> Self {
        Self((self.0 * INTERVAL_LONGER).min(Self::most(lasted)))
    }

    #[must_use]
    pub fn after_admitted(self, lasted: Duration) -> Self {
        let shorter = (self.0 * INTERVAL_SHORTER).max(INTERVAL_LEAST);
        Self(shorter.min(Self::most(lasted)))
    }

    fn most(lasted: Duration) -> f64 {
        INTERVAL_MOST.at(lasted).min(INTERVAL_LONGEST)
    }
}

/// A wait that the authority asks for, the nth, and up to half of it more: nodes that were sent away
/// together do not come back together, and none comes too early.
#[must_use]
pub fn at_least(seed: u64, count: u32, asked: Duration) -> Duration {
    asked.mul_f64(1.0 + 0.5 * uniform(seed, Stream::RetryAfter, count))
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
        Call, PollInterval, Stream, at_least, initial_delay, poll, repoll, retry, throttled,
        uniform, with_jitter,
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
        assert_ne!(poll(1, 3, SECOND, SECOND), poll(2, 3, SECOND, SECOND));
        let first = PollInterval::new(SECOND);
        assert_ne!(repoll(1, 3, first), repoll(2, 3, first));
        assert_ne!(initial_delay(1, SECOND), initial_delay(2, SECOND));
        for call in CALLS {
            let wait = |seed, times| throttled(seed, call, times, SECOND, first);
            assert_ne!(wait(1, 3), wait(2, 3));
            assert_ne!(wait(1, 3), wait(1, 4));
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
            Stream::RetryAfter,
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
    fn what_the_authority_asks_to_wait_is_waited_and_nodes_part() {
        for seed in 0..50 {
            let wait = at_least(seed, 1, 10 * SECOND);
            assert!((10 * SECOND..15 * SECOND).contains(&wait), "{wait:?}");
        }
        assert_ne!(at_least(1, 1, SECOND), at_least(2, 1, SECOND));
        assert_eq!(at_least(1, 1, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_first_poll_is_at_once_and_the_rest_settle() {
        assert_eq!(poll(3, 0, Duration::ZERO, SECOND), Duration::ZERO);
        for asked in 4..50 {
            for (since, whole) in [(1, 5.0), (50, 5.0), (100, 10.0), (1000, 15.0)] {
                let wait = poll(3, asked, since * SECOND, 15 * SECOND).as_secs_f64();
                assert!((whole * 0.75..whole * 1.25).contains(&wait), "{since} s: {wait} s");
            }
        }
    }

    /// Nodes that were started together part at once, and the last one does not sleep for long while
    /// the service has nothing to do.
    #[test]
    fn the_wait_grows_with_the_episode() {
        for (call, waits) in [
            (Call::Discovery, [(0, 0.85), (30, 0.85), (300, 6.1), (3600, 137.0), (90_000, 900.0)]),
            (Call::Creation, [(0, 0.4), (30, 0.4), (300, 2.25), (3600, 50.2), (90_000, 900.0)]),
            (Call::Poll, [(0, 4.6), (30, 8.4), (300, 22.5), (3600, 60.0), (90_000, 60.0)]),
        ] {
            for (lasted, whole) in waits {
                let (lasted, interval) = (lasted * SECOND, PollInterval::new(lasted * SECOND));
                for seed in 0..200 {
                    let wait = |times| throttled(seed, call, times, lasted, interval).as_secs_f64();
                    let later = wait(9);
                    assert!(
                        (whole * 0.69..whole * 1.31).contains(&later),
                        "{call:?}, {lasted:?}: {later} s"
                    );
                    let first = wait(1);
                    assert!((whole * 0.09..whole * 1.91).contains(&first), "{call:?}: {first} s");
                }
            }
        }
    }

    #[test]
    fn who_is_to_be_a_member_comes_before_who_asks_how_far_it_is() {
        for lasted in [0, 5, 20, 60, 200, 1000] {
            let lasted = lasted * SECOND;
            let [creation, discovery, poll] =
                CALLS.map(|call| throttled(5, call, 9, lasted, PollInterval::new(lasted)));
            assert!(creation < discovery && discovery < poll, "{lasted:?}");
        }
    }

    /// Throttled polls give way to others, and admitted ones take that back.
    #[test]
    fn the_interval_between_polls_follows_what_becomes_of_them() {
        let lasted = 20 * SECOND;
        let first = PollInterval::new(lasted);
        assert!(first.after_throttled(lasted).0 > first.0);
        assert!(first.after_admitted(lasted).0 < first.0);
        let many = |change: fn(PollInterval, Duration) -> PollInterval, lasted| {
            (0..50).fold(first, |interval, _| change(interval, lasted)).0
        };
        assert!((many(PollInterval::after_admitted, lasted) - 5.0).abs() < 0.01);
        for (lasted, most) in [(20, 12.0), (600, 45.0), (7200, 60.0)] {
            let longest = many(PollInterval::after_throttled, lasted * SECOND);
            assert!((longest - most).abs() < 0.01, "{lasted} s: {longest} s");
        }
    }

    /// Ten hours of throttling are some hundreds of tries, not ten thousand.
    #[test]
    fn the_tries_of_an_episode_are_few() {
        for (hours, most) in [(1, 290), (10, 350)] {
            for seed in 0..20 {
                let (mut lasted, mut times) = (Duration::ZERO, 0);
                while lasted < hours * 3600 * SECOND {
                    times += 1;
                    let interval = PollInterval::new(lasted);
                    lasted += throttled(seed, Call::Discovery, times, lasted, interval);
                }
                assert!(times <= most, "{hours} h: {times} tries");
            }
        }
    }

    #[test]
    fn the_authority_is_given_time_by_how_long_the_node_was_throttled() {
        for (lasted, whole) in
            [(0, 2.0), (1, 6.0), (10, 10.0), (40, 22.0), (100, 55.0), (200, 64.0), (9000, 153.0)]
        {
            for seed in 0..50 {
                let wait = initial_delay(seed, lasted * SECOND).as_secs_f64();
                assert!((whole * 0.94..whole * 1.06).contains(&wait), "{lasted} s: {wait} s");
            }
        }
        let wait = repoll(5, 1, PollInterval::new(40 * SECOND)).as_secs_f64();
        assert!((10.6..11.8).contains(&wait), "{wait} s");
    }
}
