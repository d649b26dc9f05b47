//! How Puppet reads `puppet.conf` (its source, `settings/ini_file.rb` and `settings/config_file.rb`).
//! One bad line makes it ignore the whole file.

use super::conf::{BYTE_ORDER_MARK, SECTIONS, header, is_empty, setting};

/// The sections that Puppet knows. Any other section makes it ignore the whole file.
const KNOWN_SECTIONS: [&str; 5] = ["main", "server", "master", "agent", "user"];

/// The line and the reason why Puppet would ignore this text; none where it would read it. A
/// byte-order mark is not reported, because the next write removes it.
#[must_use]
pub fn unreadable(text: &str) -> Option<(usize, String)> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let problem = |line: &str| {
        if let Some(section) = header(line) {
            let is_known = KNOWN_SECTIONS.contains(&section);
            return (!is_known).then(|| format!("Puppet knows no section [{section}]"));
        }
        if let Some((_, value)) = setting(line) {
            return bad_file_options(value).then(|| format!("Puppet can't read {:?}", line.trim()));
        }
        (!is_empty(line)).then(|| format!("Puppet can't read {:?}", line.trim()))
    };
    text.lines().enumerate().find_map(|(index, line)| Some((index + 1, problem(line)?)))
}

/// Whether `{owner = root, mode = 0644}` after a path is malformed (Puppet's source,
/// `settings/config_file.rb`).
fn bad_file_options(value: &str) -> bool {
    let Some((_, rest)) = value.split_once('{') else { return false };
    let Some((inner, _)) = rest.split_once('}').filter(|(inner, _)| !inner.trim().is_empty())
    else {
        return false;
    };
    let is_option = |part: &str| {
        let Some((name, value)) = part.split_once('=') else { return false };
        let (name, value) = (name.trim(), value.trim());
        let is_word = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match name {
            "mode" => !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()),
            "owner" | "group" => !value.is_empty() && is_word,
            _ => false,
        }
    };
    !inner.split(',').all(is_option)
}

/// The value that an agent uses, and its line.
#[must_use]
pub fn value_of(text: &str, name: &str) -> Option<(usize, String)> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut found: [Option<(usize, String)>; SECTIONS.len()] = [None, None];
    let mut section = SECTIONS[0];
    for (index, line) in text.lines().enumerate() {
        if let Some(header) = header(line) {
            section = header;
        } else if let Some((_, value)) = setting(line).filter(|(key, _)| *key == name)
            && let Some(at) = SECTIONS.iter().position(|known| *known == section)
            && let Some(slot) = found.get_mut(at)
        {
            slot.get_or_insert_with(|| (index + 1, unquoted(value).to_owned()));
        }
    }
    found.into_iter().rev().flatten().next()
}

/// The value without quotes, as Puppet removes them.
pub(super) fn unquoted(value: &str) -> &str {
    let quotes = ['"', '\''];
    let value = value.strip_prefix(quotes).unwrap_or(value);
    value.strip_suffix(quotes).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_puppet_cannot_read_is_reported() {
        for (text, line) in [
            ("[main\nserver = a\n", Some(1)),
            ("[main]\n; no comment\n", Some(2)),
            ("[main]\n[ agent ]\n", Some(2)),
            ("[main]\nserver = a\n[production]\n", Some(3)),
            ("[main]\nmy-setting = 1\n", Some(2)),
            ("[main]\nserver: a\n", Some(2)),
            ("[main]\nhostcert = /x {mode = rw}\n", Some(2)),
            ("[main]\nhostcert = /x {colour = red}\n", Some(2)),
            ("[main]\u{a0}\n", Some(1)),
            ("<<<<<<< HEAD\n[main]\n", Some(1)),
            ("[main] # ours\n", Some(1)),
            ("\u{feff}[main]\r\n  # x\r\n\tserver=a\r\n[agent]\t\n\n", None),
            ("server = a\n[server]\nhostcert = /x {owner = root, mode = 0640}\n", None),
        ] {
            assert_eq!(unreadable(text).map(|(line, _)| line), line, "{text:?}");
        }
    }

    #[test]
    fn the_first_value_in_the_agents_section_counts() {
        let text = "server = a\n[main]\nserver = b\n[agent]\nserver = \"c\"\nserver = d\n[user]\nserver = e\n";
        assert_eq!(value_of(text, "server"), Some((5, "c".to_owned())));
        assert_eq!(
            value_of("server = a\n[main]\nserver = b\n", "server"),
            Some((1, "a".to_owned()))
        );
        assert_eq!(value_of(text, "certname"), None);
    }
}
