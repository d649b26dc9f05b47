//! What the service manager is told, and whether it counts this service as started.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use crate::host::{Notifier, timer};

/// While the service starts, this much more time is asked for again and again, each time before
/// the last one is over.
pub const START_EXTENSION: Duration = Duration::from_secs(90);

/// The service manager. Outside of one, nothing is told to anybody.
pub struct ServiceManager {
    notifier: Notifier,
    is_starting: Cell<bool>,
}

impl ServiceManager {
    pub fn from_environment() -> Self {
        Self { notifier: Notifier::from_environment(), is_starting: Cell::new(true) }
    }

    /// Whether the service is still to be reported as ready.
    pub fn is_starting(&self) -> bool {
        self.is_starting.get()
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.notifier.status(text);
    }

    /// Startup is finished. Told once.
    pub fn ready(&self) {
        if self.is_starting.replace(false) {
            self.notifier.ready();
        }
    }

    /// Asks for more time to start.
    pub fn still_starting(&self) {
        self.notifier.extend(START_EXTENSION);
    }

    /// Reloads the settings. While the service starts, that is a part of starting.
    pub fn reload<T>(&self, read: impl FnOnce() -> T) -> T {
        if self.is_starting() {
            return read();
        }
        self.notifier.reloading();
        let settings = read();
        self.notifier.ready();
        settings
    }

    /// The service ends by leaving, which takes this long at most. From now on it is not starting.
    pub fn leaving(&self, budget: Duration) {
        self.is_starting.set(false);
        self.notifier.extend(budget + START_EXTENSION);
    }

    pub fn stopping(&self) {
        self.notifier.stopping();
    }

    /// How often [`Self::alive`] is expected; none without a watchdog.
    pub fn watchdog_pause(&self) -> Option<Duration> {
        self.notifier.watchdog_pause()
    }

    /// Tells the watchdog that this process is alive.
    pub fn alive(&self) {
        self.notifier.alive();
    }

    /// Tells the watchdog for as long as the future is polled.
    pub async fn keep_alive(&self) -> Infallible {
        let Some(pause) = self.watchdog_pause() else { return std::future::pending().await };
        loop {
            timer::sleep(pause).await;
            self.alive();
        }
    }
}
