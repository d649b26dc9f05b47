//! Where the audit lines go: a file, or the journal.

use std::io;

use super::PROGRAM;
use crate::autosign::{Decision, Refusal};
use crate::fault::Kind;
use crate::host::{Root, files, journal};

/// syslog(3): a normal condition that matters.
const NOTICE: u8 = 5;

/// Writes the audit line. Lines of processes that run at the same time do not mix.
///
/// # Errors
/// `Host` if it can't be written.
pub fn write(root: &Root, file: Option<&str>, decision: &Decision) -> Result<(), Refusal> {
    let line = decision.audit_line();
    let Some(path) = file else {
        return journal::send(PROGRAM, NOTICE, &line).map_err(|error| {
            let todo = match error.kind() {
                io::ErrorKind::WouldBlock => "look into systemd-journald",
                _ => "name a file in [audit], file = \"/PATH\"",
            };
            let why = format!("the audit line can't be sent to the journal ({error}): {todo}");
            Refusal::new(Kind::Host, why)
        });
    };
    files::append_line(root, path, 0o640, &line).map_err(|error| {
        let todo = todo(root, path, &error);
        let path = root.shown(path);
        Refusal::new(
            Kind::Host,
            format!("the audit line can't be written to {path}: {error}; {todo}"),
        )
    })
}

/// What to do about an audit file. Never to remove it: it is evidence.
fn todo(root: &Root, path: &str, error: &io::Error) -> String {
    let (me, shown) = (root.expected_owner(), root.shown(path));
    match files::holder(root, path) {
        Some((false, _)) => "name a regular file in [audit]".to_owned(),
        Some((true, owner)) if owner != me && me == "root" => format!(
            "judge as {owner}, as the server does (sudo -u {owner} {PROGRAM} CERTNAME), or with --explain, which writes no line"
        ),
        Some((true, owner)) if owner != me => format!("run as root: chown {me}: {shown}"),
        Some(_) if files::advice(error).is_some() => {
            "name another file in [audit], in a directory that nobody else may write".to_owned()
        }
        None if error.kind() == io::ErrorKind::PermissionDenied => {
            format!("run as root: install -o {me} -m 640 /dev/null {shown}")
        }
        _ => "free some disk space, or correct file in [audit]".to_owned(),
    }
}
