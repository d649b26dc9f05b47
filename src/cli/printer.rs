//! The one place that decides what goes to stdout (results) and how a fault looks on stderr.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::OnceLock;

use crate::fault::{Fault, Kind};
use crate::text;

/// `--config` and `--root` as they were given, with a blank before each.
static GIVEN: OnceLock<String> = OnceLock::new();

/// What ends a command in a text: those of the shell between two commands.
const BETWEEN: [&str; 3] = [" && ", "; ", " | "];

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

/// Notes the options that say which settings and which root a command works on.
pub fn remember(config: Option<&Path>, root: &Path) {
    let option = |name: &str, path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        format!(" --{name} {}", text::shell_word(&path.to_string_lossy()))
    };
    let root = (root != Path::new("/")).then(|| option("root", root));
    let config = config.map(|path| option("config", path));
    let given = config.into_iter().chain(root).collect();
    // The command line is read once.
    let _ = GIVEN.set(given);
}

/// The text with `--config` and `--root` at each `enlist` command in it, as this command was given them. So
/// it works on the same node where it is pasted.
#[must_use]
pub fn pasteable(text: &str) -> String {
    let given = GIVEN.get().map_or("", String::as_str);
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len().saturating_sub(1);
    let with = |(index, part): (usize, &&str)| match index {
        // The odd parts are between two marks.
        index if index % 2 == 1 && index < last => with_options(part, given),
        _ => (*part).to_owned(),
    };
    parts.iter().enumerate().map(with).collect::<Vec<_>>().join("`")
}

/// A command line with these options at each `enlist` command in it.
#[must_use]
pub fn pasteable_command(command: &str) -> String {
    with_options(command, GIVEN.get().map_or("", String::as_str))
}

fn with_options(line: &str, given: &str) -> String {
    let next = BETWEEN.iter().filter_map(|mark| Some((line.find(mark)?, *mark))).min();
    if let Some((at, mark)) = next
        && let (Some(first), Some(rest)) = (line.get(..at), line.get(at + mark.len()..))
    {
        return format!("{}{mark}{}", with_options(first, given), with_options(rest, given));
    }
    // `autosign` runs on the server.
    let is_ours = line.starts_with("enlist ") && !line.starts_with("enlist autosign");
    let has_them = given.is_empty() || line.ends_with(given);
    if is_ours && !has_them { format!("{line}{given}") } else { line.to_owned() }
}

/// Writes a line for people to stderr.
pub fn note(text: &str) {
    let text = pasteable(text);
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
        let _ = writeln!(text, "  because: {}", one_line(&pasteable(cause)));
    }
    let _ = writeln!(text, "  to do: {}", one_line(&pasteable(&fault.todo)));
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

#[cfg(test)]
mod tests {
    use super::with_options;

    #[test]
    fn each_command_of_a_line_gets_the_options() {
        let given = " --config /c.toml --root '/r 1'";
        for (line, wanted) in [
            ("enlist join", "enlist join --config /c.toml --root '/r 1'"),
            (
                "enlist leave --target a && enlist join",
                "enlist leave --target a --config /c.toml --root '/r 1' && enlist join --config /c.toml --root '/r 1'",
            ),
            ("systemctl restart enlist", "systemctl restart enlist"),
            ("enlist-autosign --check", "enlist-autosign --check"),
        ] {
            assert_eq!(with_options(line, given), wanted);
            assert_eq!(with_options(wanted, given), wanted, "once");
            assert_eq!(with_options(line, ""), line);
        }
    }
}
