//! The signals by which the service manager and the admin control the daemon.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::fault::{Fault, Kind};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// The signals, received from the moment this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// # Errors
    /// `Host` if a signal can't be received.
    pub fn new() -> Result<Self, Fault> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                let todo = "check the limit on open files: `ulimit -n`";
                Fault::new(Kind::Host, "signals can't be received", "the daemon", todo)
                    .because(&error)
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal.
    pub async fn next(&mut self) -> Command {
        tokio::select! {
            _ = self.terminate.recv() => Command::Stop,
            _ = self.interrupt.recv() => Command::Stop,
            _ = self.hang_up.recv() => Command::Reload,
        }
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn stop(&mut self) {
        while self.next().await != Command::Stop {}
    }
}
