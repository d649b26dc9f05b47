//! Sleeping without waking up in between. Tokio's own timer wakes the process two or three times
//! during a sleep of minutes; a timer of the kernel wakes it once.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::clock;

/// From this duration on, a kernel timer is worth its two system calls.
const LONG: Duration = Duration::from_secs(5);

/// The least time that a call gets, also when the budget ends now: the last try comes then.
const LEAST: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// When the time budget of the work in this task ends.
    static ENDS: std::time::Instant;
}

/// Does some work whose time limits end with the budget, after `rest`: see [`cut`].
pub async fn ending_in<T>(rest: Duration, work: impl Future<Output = T>) -> T {
    let now = clock::instant();
    ENDS.scope(now.checked_add(rest).unwrap_or(now), work).await
}

/// A time limit, cut to what remains of the budget. Every call and every program that does not create
/// anything at the authority takes its limit from here. A creating call keeps its whole limit
/// (`crate::bootstrap::StateMachine::ends`): its answer is worth more than the end in time.
#[must_use]
pub fn cut(limit: Duration) -> Duration {
    let rest = ENDS.try_with(|ends| ends.saturating_duration_since(clock::instant()));
    rest.map_or(limit, |rest| limit.min(rest.max(LEAST)))
}

/// Sleeps for this long.
pub async fn sleep(duration: Duration) {
    if duration < LONG {
        return pause(duration).await;
    }
    if let Err(error) = by_kernel(duration).await {
        tracing::debug!(%error, "the kernel's timer can't be used");
        pause(duration).await;
    }
}

/// Sleeps by the runtime's own timer, for short pauses between two checks.
#[expect(clippy::disallowed_methods, reason = "the one place that waits")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Does some work on a thread of its own, and waits for it no longer than this. Work that takes longer
/// is left behind.
///
/// # Errors
/// `TimedOut`, or why there is no thread.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (send, done) = std::sync::mpsc::channel();
    // The receiver may be gone.
    std::thread::Builder::new().spawn(move || drop(send.send(work())))?;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("not in {} s", limit.as_secs()));
    done.recv_timeout(limit).map_err(late)
}

/// Blocks the thread for this long, where there is no runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that waits")]
pub fn block_for(duration: Duration) {
    std::thread::sleep(duration);
}

async fn by_kernel(duration: Duration) -> io::Result<()> {
    let timer =
        timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let once = Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: Timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: duration.subsec_nanos().into(),
        },
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    #[expect(
        deprecated,
        reason = "it warns of types that do not own their descriptor; OwnedFd does"
    )]
    let timer: AsyncFd<OwnedFd> = AsyncFd::with_interest(timer, Interest::READABLE)?;
    // It becomes readable when the time is over. It is closed without being read.
    timer.readable().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::{LEAST, cut, ending_in};
    use std::time::Duration;

    #[tokio::test]
    async fn a_limit_ends_with_the_budget_and_never_before_a_call_can_be_made() {
        let (short, long) = (Duration::from_secs(5), Duration::from_hours(1));
        assert_eq!(cut(long), long);
        ending_in(Duration::from_mins(30), async {
            assert_eq!(cut(short), short);
            assert!(cut(long) <= Duration::from_mins(30));
        })
        .await;
        ending_in(Duration::ZERO, async { assert_eq!(cut(long), LEAST) }).await;
        ending_in(Duration::MAX, async { assert!(cut(short) <= short) }).await;
        assert_eq!(cut(long), long);
    }
}
