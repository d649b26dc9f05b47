//! Edits `puppet.conf` and keeps every line and comment of the admin's.
//!
//! Format: Puppet's INI (Puppet's source, `settings/ini_file.rb`): a section is `[word]` alone on
//! its line, a setting `word = value`, a comment a line that begins with `#`. A `#` after a value is
//! part of the value. A setting in `[agent]` overrides the one in `[main]`; within a section the
//! first one counts.

/// The sections that an agent reads. The last one overrides.
pub(super) const SECTIONS: [&str; 2] = ["main", "agent"];

/// The prefix of the comment that keeps the line that enlist replaced.
const FORMER: &str = "# before enlist: ";

/// The comment before a line that enlist added.
const OURS: &str = "# set by enlist";

/// Some editors write it at the start of a UTF-8 file. Puppet takes it for a part of the first line,
/// and then ignores the whole file.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the text with these settings in force for the agent. A former value is kept as a comment.
/// A text that has the settings already is returned unchanged, except for a byte-order mark, which is
/// removed.
#[must_use]
pub fn set(text: &str, values: &[(&str, &str)]) -> String {
    edit(text, values, true)
}

/// As [`set`], but changes only settings that the text has. For those that would override [`set`].
#[must_use]
pub fn correct(text: &str, values: &[(&str, &str)]) -> String {
    edit(text, values, false)
}

fn edit(marked: &str, values: &[(&str, &str)], adds: bool) -> String {
    let text = marked.strip_prefix(BYTE_ORDER_MARK).unwrap_or(marked);
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push_str(newline);
    }
    let mut missing = Vec::new();
    for (name, value) in values {
        let places = occurrences(&lines, name);
        if places.is_empty() && adds {
            missing.push(format!("{OURS}{newline}{name} = {value}{newline}"));
        }
        // From the last to the first, so that an inserted line does not move the next index.
        for index in places.into_iter().rev() {
            replace(&mut lines, index, name, value, newline);
        }
    }
    if missing.is_empty() && !lines_changed(&lines, text) {
        return text.to_owned();
    }
    insert_into_main(&mut lines, missing, newline);
    lines.concat()
}

/// Returns the text without the settings that [`set`] added, and with the values that they replaced. A
/// setting without enlist's comment above it is the admin's, and stays.
#[must_use]
pub fn unset(text: &str, names: &[&str]) -> String {
    let mut kept: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        let is_named = setting(line).is_some_and(|(key, _)| names.contains(&key));
        let above = kept.last().map(|last| last.trim()).unwrap_or_default();
        match (is_named, above.strip_prefix(FORMER)) {
            (true, Some(_)) => {
                let former = kept.pop().unwrap_or_default().replacen(FORMER, "", 1);
                kept.push(former);
            }
            (true, None) if above == OURS => {
                kept.pop();
            }
            _ => kept.push(line.to_owned()),
        }
    }
    kept.concat()
}

/// The indexes of the lines that set `name` in a section that the agent reads.
fn occurrences(lines: &[String], name: &str) -> Vec<usize> {
    let mut section = "main";
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(header) = header(line) {
            section = header;
        } else if SECTIONS.contains(&section) && setting(line).is_some_and(|(key, _)| key == name) {
            found.push(index);
        }
    }
    found
}

fn replace(lines: &mut Vec<String>, index: usize, name: &str, value: &str, newline: &str) {
    let above = index.checked_sub(1).and_then(|above| lines.get(above));
    let is_ours = above.is_some_and(|line| line.trim() == OURS || line.trim().starts_with(FORMER));
    let Some(line) = lines.get_mut(index) else { return };
    if setting(line).is_none_or(|(_, old)| old == value) {
        return;
    }
    let kept = format!("{FORMER}{}{newline}", line.trim());
    let indent: String = line.chars().take_while(|c| *c == ' ' || *c == '\t').collect();
    *line = format!("{indent}{name} = {value}{newline}");
    // A value that enlist set before need not be kept.
    if !is_ours {
        lines.insert(index, kept);
    }
}

fn insert_into_main(lines: &mut Vec<String>, missing: Vec<String>, newline: &str) {
    if missing.is_empty() {
        return;
    }
    if let Some(index) = lines.iter().position(|line| header(line) == Some("main")) {
        let after = index + 1;
        lines.splice(after..after, missing);
        return;
    }
    if !lines.is_empty() {
        lines.push(newline.to_owned());
    }
    lines.push(format!("[main]{newline}"));
    lines.extend(missing);
}

fn lines_changed(lines: &[String], text: &str) -> bool {
    let mut rest = text;
    for line in lines {
        match rest.strip_prefix(line.as_str()) {
            Some(tail) => rest = tail,
            // A newline that was added to the last line is not a change.
            None => return line.trim_end_matches(['\r', '\n']) != rest,
        }
    }
    !rest.is_empty()
}

/// The characters that Ruby's `\s` matches.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];

pub(super) fn header(line: &str) -> Option<&str> {
    let inner = line.trim_matches(BLANKS).strip_prefix('[')?.strip_suffix(']')?;
    is_word(inner).then_some(inner)
}

pub(super) fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim_matches(BLANKS);
    is_word(key).then(|| (key, value.trim_matches(BLANKS)))
}

/// Whether the line is blank or a comment.
pub(super) fn is_empty(line: &str) -> bool {
    let line = line.trim_start_matches(BLANKS);
    line.is_empty() || line.starts_with('#')
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{correct, set, unset};

    const WANTED: [(&str, &str); 2] = [("server", "p.example"), ("certname", "i-1")];

    #[test]
    fn an_empty_file_gets_a_main_section() {
        assert_eq!(
            set("", &WANTED),
            "[main]\n# set by enlist\nserver = p.example\n# set by enlist\ncertname = i-1\n"
        );
    }

    #[test]
    fn every_line_and_comment_of_the_admin_is_kept() {
        let text = "# ours\n[main]\nvardir = /x\n\n# agent\n[agent]\n  server = old # no comment\nruninterval = 1h";
        let edited = set(text, &WANTED);
        assert_eq!(
            edited,
            "# ours\n[main]\n# set by enlist\ncertname = i-1\nvardir = /x\n\n# agent\n[agent]\n\
             # before enlist: server = old # no comment\n  server = p.example\nruninterval = 1h\n"
        );
    }

    #[test]
    fn a_second_edit_changes_nothing() {
        for text in
            ["", "[agent]\nserver=x\n", "[main]\r\ncertname = y\r\n", "[server]\ncertname = z"]
        {
            let once = set(text, &WANTED);
            assert_eq!(set(&once, &WANTED), once, "from {text:?}");
        }
        let without_newline = "[main]\nserver=p.example\ncertname = i-1";
        assert_eq!(set(without_newline, &WANTED), without_newline);
    }

    #[test]
    fn both_sections_are_set_and_other_sections_are_not() {
        let text = "[main]\ncertname = a\n[agent]\ncertname = b\n[server]\ncertname = c\n";
        let edited = set(text, &[("certname", "n")]);
        assert_eq!(
            edited,
            "[main]\n# before enlist: certname = a\ncertname = n\n[agent]\n\
             # before enlist: certname = b\ncertname = n\n[server]\ncertname = c\n"
        );
    }

    #[test]
    fn setting_twice_and_unsetting_restores_the_admins_text() {
        for text in ["[main]\nvardir = /x\n", "[main]\nserver = a\n"] {
            let again = set(&set(text, &WANTED), &[("server", "q.example"), ("certname", "i-2")]);
            assert!(again.contains("server = q.example\n"), "{again}");
            assert_eq!(unset(&again, &["server", "certname"]), text);
        }
    }

    #[test]
    fn unset_restores_the_former_text() {
        for text in [
            "[main]\nvardir = /x\n",
            "[main]\nserver = a\n[agent]\ncertname = b\n# c\n",
            "[main]\nenvironment = e\nserver = p.example\n",
        ] {
            assert_eq!(unset(&set(text, &WANTED), &["server", "certname", "environment"]), text);
        }
    }

    #[test]
    fn a_byte_order_mark_is_removed() {
        assert_eq!(set("\u{feff}[main]\nserver = p\n", &[("server", "p")]), "[main]\nserver = p\n");
        assert_eq!(correct("\u{feff}[main]\n", &[("ca_server", "p")]), "[main]\n");
    }

    #[test]
    fn overriding_settings_are_corrected_only_where_they_are_set() {
        let text = "[main]\nca_server = a\n[agent]\nserver_list = b:1,c\n[server]\nca_port = 1\n";
        let values = [("ca_server", "p"), ("server_list", "p:8140"), ("ca_port", "8140")];
        let corrected = correct(text, &values);
        assert_eq!(
            corrected,
            "[main]\n# before enlist: ca_server = a\nca_server = p\n[agent]\n\
             # before enlist: server_list = b:1,c\nserver_list = p:8140\n[server]\nca_port = 1\n"
        );
        assert_eq!(correct(&corrected, &values), corrected);
        assert_eq!(unset(&corrected, &["ca_server", "server_list", "ca_port"]), text);
    }

    #[test]
    fn windows_line_ends_are_kept() {
        let edited = set("[main]\r\nserver = a\r\n", &[("server", "b")]);
        assert_eq!(edited, "[main]\r\n# before enlist: server = a\r\nserver = b\r\n");
    }
}
