//! Waiting without waking in between. Tokio's own timers are kept in a wheel of slots and wake
//! the process two or three times on the way to a moment that is minutes off; a timer of the
//! kernel's wakes it once.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// From here on it is worth two system calls more.
const LONG: Duration = Duration::from_secs(5);

/// Sleeps for this long.
pub async fn sleep(duration: Duration) {
    if duration < LONG {
        return pause(duration).await;
    }
    if let Err(error) = by_kernel(duration).await {
        tracing::debug!(%error, "no timer of the kernel's to be had");
        pause(duration).await;
    }
}

/// Sleeps by the runtime's own timer: for a moment, between two looks.
#[expect(clippy::disallowed_methods, reason = "the one place that waits")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Likewise where there is no runtime.
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
        reason = "what it warns of is no descriptor that owns itself; this one does"
    )]
    let timer: AsyncFd<OwnedFd> = AsyncFd::with_interest(timer, Interest::READABLE)?;
    // Readable once it has run out; it is closed, not read.
    timer.readable().await.map(drop)
}
