//! One message to the systemd journal (its native protocol, systemd.io/JOURNAL_NATIVE_PROTOCOL).

use std::io;
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends a message of one line under the name of a program. `priority` is that of syslog(3).
///
/// # Errors
/// If this machine has no journal, or it does not take the message.
pub fn send(program: &str, priority: u8, message: &str) -> io::Result<()> {
    let text = format!(
        "PRIORITY={priority}\nSYSLOG_IDENTIFIER={program}\nMESSAGE={}\n",
        crate::text::line(message.trim_end())
    );
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(text.as_bytes(), SOCKET).map(|_| ())
}
