//! The one place that decides what goes to stdout (results) and how a fault looks on stderr.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::fault::{Fault, Kind};
use crate::text;

/// Writes a result to stdout. That the reader has closed the pipe (`| head`) is not an error.
///
/// # Errors
/// `Host` if it can't be written, as on a full disk.
pub fn out(text: &str) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let what = "the result could not be written";
            let todo = "free space where standard output goes, then run the command again";
            Err(Fault::new(Kind::Host, what, "standard output", todo).because(&error))
        }
        _ => Ok(()),
    }
}

/// Writes a fault to stderr. A stderr that can't be written, such as a file on a full disk, ends
/// nothing.
pub fn error(fault: &Fault) {
    let _ = io::stderr().lock().write_all(render(fault).as_bytes());
}

/// Writes a line for people to stderr.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "enlist: {text}");
}

/// Writes a result to stdout as JSON, with a newline at the end.
///
/// # Errors
/// As [`out`].
pub fn json(value: &impl serde::Serialize) -> Result<(), Fault> {
    let mut text = text::json(&serde_json::to_string_pretty(value).unwrap_or_default());
    text.push('\n');
    out(&text)
}

/// Lines of label and value, in two columns.
#[must_use]
pub fn columns(rows: &[(String, String)]) -> String {
    let rows = rows.iter().map(|(label, value)| (text::line(label), text::line(value)));
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut text, (label, value)| {
        let _ = writeln!(text, "  {label:width$}  {value}");
        text
    })
}

/// A fault as people read it: what happened, on what, the causes, and what to do.
#[must_use]
pub fn render(fault: &Fault) -> String {
    let mut text = format!("enlist: {}\n", one_line(&fault.what));
    let _ = writeln!(text, "  on: {}", one_line(&fault.on));
    for cause in &fault.causes {
        let _ = writeln!(text, "  because: {}", one_line(cause));
    }
    let _ = writeln!(text, "  to do: {}", one_line(&fault.todo));
    text
}

/// At most 600 characters.
fn one_line(text: &str) -> String {
    let clean = text::line(text);
    match clean.char_indices().nth(600) {
        Some((cut, _)) => format!("{}...", &clean[..cut]),
        None => clean,
    }
}
