//! The encoding of a Ruby file, and whether its bytes are of it.

use super::{Part, Stop};

/// Checks the bytes outside of comments. Ruby takes a file for UTF-8 if its first line (the second
/// after `#!`) names no other encoding.
pub(super) fn problem(text: &[u8], parts: &[Part]) -> Option<Stop> {
    let encoding = named(text).unwrap_or_else(|| "utf-8".to_owned());
    let is_one_byte = ["iso-8859-", "windows-125", "cp125", "koi8-"]
        .iter()
        .any(|family| encoding.starts_with(family))
        || matches!(encoding.as_str(), "binary" | "ascii-8bit");
    if is_one_byte {
        return None;
    }
    let is_ascii = matches!(encoding.as_str(), "us-ascii" | "ascii");
    if !is_ascii && !matches!(encoding.as_str(), "utf-8" | "utf8-mac" | "utf-8-mac") {
        return Some((0, format!("enlist does not read the encoding {encoding:?}")));
    }
    let is_read = |at: usize| matches!(parts.get(at), Some(Part::Code | Part::Text));
    let mut from = 0;
    while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        let (valid, skip) = match std::str::from_utf8(rest) {
            Ok(_) => (rest.len(), 0),
            Err(error) => (error.valid_up_to(), error.error_len().unwrap_or(rest.len())),
        };
        let high = rest.get(..valid).unwrap_or_default().iter().enumerate();
        let mark = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let found = high
            .filter(|(at, byte)| is_ascii && !byte.is_ascii() && from + at >= mark)
            .map(|(at, _)| from + at)
            .find(|at| is_read(*at));
        if let Some(at) = found {
            return Some((at, "this line is not US-ASCII, as the file says it is".to_owned()));
        }
        from += valid;
        if skip > 0 && is_read(from) {
            return Some((from, "this line is not UTF-8".to_owned()));
        }
        from += skip.max(usize::from(valid == 0));
    }
    None
}

/// The encoding that a comment in the first line names (Ruby's documentation, "Code comments").
fn named(text: &[u8]) -> Option<String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let line = if first.starts_with(b"#!") { lines.next()? } else { first };
    let line = String::from_utf8_lossy(line.trim_ascii_start().strip_prefix(b"#")?).to_lowercase();
    let at = line.match_indices("coding").find_map(|(at, word)| {
        let rest = line.get(at + word.len()..)?;
        rest.trim_start().strip_prefix([':', '=']).map(str::trim_start)
    })?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = at.chars().take_while(|c| is_part(*c)).collect();
    let name = name.replace('_', "-");
    // As Emacs writes line ends.
    let plain = ["-unix", "-dos", "-mac"].iter().find_map(|end| name.strip_suffix(end));
    (!name.is_empty()).then(|| plain.unwrap_or(&name).to_owned())
}
