//! Text for people: makes text from outside safe to show, and writes times. Pure.
//!
//! The message of a server, the tag of an instance, the content of a file or the output of a program
//! may hold characters that move the cursor, colour the screen, hide text or reverse its order. They
//! are replaced where the text enters the program: where a fault is made, and in `host::sanitize`.

mod hiding;

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use hiding::{without_login, without_logins, without_named_secrets};

/// The text as one line. Control characters and line separators become blanks, invisible characters
/// become U+FFFD.
#[must_use]
pub fn line(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// The longest text in a message, in characters: enough for a path, or a service's whole message.
const LONGEST: usize = 4096;

/// The text as one line of at most 4096 characters.
#[must_use]
pub fn phrase(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}...", line(text.get(..cut).unwrap_or_default())),
        None => line(text),
    }
}

/// The text as one word of a command line, in quotes if a shell would take it for anything else.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// As [`line()`], but line feeds and tabs stay.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { shown(c) }).collect()
}

/// JSON with each such character written as `\uXXXX`. The value stays the same. Line feeds stay: in
/// JSON they occur between values only.
#[must_use]
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || shown(c) == c {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// A time in UTC as RFC 3339, from Unix seconds; the seconds if it is out of range.
#[must_use]
pub fn time(unix: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix).ok();
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{unix} s after 1970"))
}

/// A moment near `now` (both in Unix seconds): hours and minutes in UTC, with the date unless it is today.
#[must_use]
pub fn moment(now: i64, at: i64) -> String {
    let of = |unix| OffsetDateTime::from_unix_timestamp(unix).ok();
    let (Some(today), Some(at)) = (of(now), of(at)) else {
        return "an unknown time".to_owned();
    };
    let time = format!("{:02}:{:02} UTC", at.hour(), at.minute());
    if at.date() == today.date() { time } else { format!("{} {time}", at.date()) }
}

fn shown(c: char) -> char {
    match c {
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c if is_invisible(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Whether nothing is drawn for a character: format characters (Unicode category Cf), fillers, the
/// whole of plane 14 (tags, variation selectors), noncharacters.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        // Zero-width, and the marks of direction.
        | '\u{200b}'..='\u{200f}'
        // Embeddings, overrides, isolates.
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{effff}'
        | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, json, line, lines, phrase};

    #[test]
    fn a_word_is_quoted_if_needed() {
        for (word, quoted) in [
            ("/etc/enlist/a-b_c.d", "/etc/enlist/a-b_c.d"),
            ("/a b", "'/a b'"),
            ("/a;rm", "'/a;rm'"),
            ("/it's", "'/it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(super::shell_word(word), quoted);
        }
    }

    #[test]
    fn control_characters_become_blanks() {
        for c in ('\0'..=' ').chain('\u{7f}'..='\u{9f}').chain(['\u{2028}', '\u{2029}']) {
            assert_eq!(line(&format!("a{c}b")), "a b", "{:x}", u32::from(c));
        }
        assert_eq!(line("\u{1b}[31mred\r\n\u{9b}2J"), " [31mred   2J");
    }

    #[test]
    fn a_phrase_has_a_limit() {
        assert_eq!(phrase("a\0b"), "a b");
        let long = "\0".repeat(LONGEST);
        assert_eq!(phrase(&long), " ".repeat(LONGEST));
        assert_eq!(phrase(&format!("{long}x")), format!("{}...", " ".repeat(LONGEST)));
    }

    #[test]
    fn marks_of_direction_are_replaced() {
        for c in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain(['\u{200e}', '\u{200f}', '\u{61c}'])
        {
            assert_eq!(line(&format!("a{c}b")), "a\u{fffd}b", "{:x}", u32::from(c));
        }
    }

    #[test]
    fn characters_without_width_are_replaced() {
        for c in "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{34f}\u{180e}\u{3164}".chars() {
            assert_eq!(line(&c.to_string()), "\u{fffd}", "{:x}", u32::from(c));
        }
    }

    #[test]
    fn tags_annotations_and_noncharacters_are_replaced() {
        for c in
            "\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{fff9}\u{fffe}\u{ffff}\u{fdd0}\u{10ffff}".chars()
        {
            assert_eq!(line(&c.to_string()), "\u{fffd}", "{:x}", u32::from(c));
        }
    }

    #[test]
    fn ordinary_text_stays() {
        let text = "Größe 東京 שלום мир 🙂 é [x] \\ \"'";
        assert_eq!(line(text), text);
        assert_eq!(lines("a\n\tb\u{202e}\r\n"), "a\n\tb\u{fffd} \n");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "a\u{202e}": "b\u{9b}\u{e0041}\u{7f}\n\u{1b}é" });
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || line(&c.to_string()) == c.to_string()), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
