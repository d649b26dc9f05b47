//! Where the audit lines go: a file, or the journal.

use std::io::Write as _;

use super::PROGRAM;
use crate::autosign::{Decision, Refusal};
use crate::fault::Kind;
use crate::host::{Root, files, journal};

/// syslog(3): a normal condition that matters.
const NOTICE: u8 = 5;

/// Writes the audit line. Each line is one write to a file that is opened for appending, so lines of
/// processes that run at the same time do not mix.
///
/// # Errors
/// `Host` if it can't be written.
pub fn write(root: &Root, file: Option<&str>, decision: &Decision) -> Result<(), Refusal> {
    let line = decision.audit_line();
    let Some(path) = file else {
        return journal::send(PROGRAM, NOTICE, &line).map_err(|error| {
            let why = format!("the audit line can't be sent to the journal ({error}): name a file in [audit], file = \"/PATH\"");
            Refusal::new(Kind::Host, why)
        });
    };
    let written =
        files::append(root, path, 0o640).and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|error| {
        let todo = files::advice(&error).map(|todo| format!("; {todo}")).unwrap_or_default();
        let path = root.shown(path);
        Refusal::new(
            Kind::Host,
            format!("the audit line can't be written to {path}: {error}{todo}"),
        )
    })
}
