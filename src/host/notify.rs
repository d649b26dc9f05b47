//! Notifications to the service manager (sd_notify(3)). Without a service manager, they do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Sends notifications to the service manager.
#[derive(Clone, Copy, Debug)]
pub struct Notifier {
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads the environment that the service manager set.
    #[must_use]
    pub fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often to send a heartbeat: half of the watchdog's time-out (sd_watchdog_enabled(3)).
    #[must_use]
    pub fn watchdog_pause(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// Startup or a reload is finished.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    /// A reload of the settings begins.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the monotonic clock can't be read"),
        }
    }

    /// The stop begins.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Asks for this much more time, to start or to stop.
    pub fn extend(&self, by: Duration) {
        let microseconds = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// A heartbeat for the watchdog.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be notified");
    }
}
