//! One message to the systemd journal (its native protocol, systemd.io/JOURNAL_NATIVE_PROTOCOL).

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const SOCKET: &str = "/run/systemd/journal/socket";

/// How long a journal that is busy is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// Sends a message of one line under the name of a program. `priority` is that of syslog(3). Waits for
/// up to five seconds while the journal's queue is full.
///
/// # Errors
/// If this machine has no journal, or it does not take the message.
pub fn send(program: &str, priority: u8, message: &str) -> io::Result<()> {
    let text = format!(
        "PRIORITY={priority}\nSYSLOG_IDENTIFIER={program}\nMESSAGE={}\n",
        crate::text::line(message.trim_end())
    );
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(BUSY))?;
    socket.send_to(text.as_bytes(), SOCKET).map(|_| ())
}
