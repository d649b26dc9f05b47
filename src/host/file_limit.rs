//! The limit on the size of files (`ulimit -f`, `LimitFSIZE=` of systemd.exec(5)).

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Makes a write beyond the limit fail as on a full disk. Without a handler, the kernel ends the process
/// with SIGXFSZ in the middle of it. Programs that are started have the kernel's default again. To be
/// called in a runtime.
pub fn make_it_an_error() {
    // The handler stays when the listener is dropped.
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::debug!(%error, "SIGXFSZ can't be handled");
    }
}
