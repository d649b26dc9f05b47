//! Lines of the file: sixteen digits of the SHA-256 of the rest, a blank, and a JSON list of changes,
//! each `[table, key, row]`, where the row is null when it was removed.

use serde_json::value::RawValue;

use crate::control::Change;
use crate::hex;

/// The first line.
pub const HEADER: &[u8] = b"enlist-emulator state 1\n";
const DIGITS: usize = 16;

/// How long the changes are, about.
pub fn size(changes: &[Change]) -> usize {
    let one = |change: &Change| change.key.len() + change.row.as_ref().map_or(0, String::len);
    changes.iter().map(one).sum()
}

/// Changes as a line.
pub fn write(changes: &[Change]) -> Vec<u8> {
    of_rows(&changes.iter().map(text).collect::<Vec<_>>())
}

/// One change as text.
pub fn text(Change { table, key, row }: &Change) -> String {
    format!("[\"{table}\",{key},{}]", row.as_deref().unwrap_or("null"))
}

/// Changes that are text already, as a line.
pub fn of_rows(rows: &[impl AsRef<str>]) -> Vec<u8> {
    let mut text = String::from("[");
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text += row.as_ref();
    }
    text.push(']');
    format!("{} {text}\n", sum(text.as_bytes())).into_bytes()
}

/// The changes in a line, its end included.
///
/// # Errors
/// What is wrong with it.
pub fn read(line: &[u8]) -> Result<Vec<&RawValue>, String> {
    let line = line.strip_suffix(b"\n").ok_or("it has no end")?;
    let (found, rest) = line.split_at_checked(DIGITS).ok_or("it is too short")?;
    let text = rest.strip_prefix(b" ").ok_or("there is no blank after the checksum")?;
    if found != sum(text).as_bytes() {
        return Err("the checksum is another".to_owned());
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// A change's table, key and row.
///
/// # Errors
/// What is wrong with it.
pub fn parts(change: &RawValue) -> Result<(String, &RawValue, Option<&RawValue>), String> {
    let parts: (String, &RawValue, &RawValue) =
        serde_json::from_str(change.get()).map_err(|error| error.to_string())?;
    let row = Some(parts.2).filter(|row| row.get() != "null");
    Ok((parts.0, parts.1, row))
}

fn sum(text: &[u8]) -> String {
    hex::sha256(text).chars().take(DIGITS).collect()
}
