//! JSON whose structure is an object. Serde also takes an array for a struct.

use serde::de::DeserializeOwned;

/// Reads an object whose members are no objects. None for anything else: an error would show a part of
/// the text.
pub(super) fn object<T: DeserializeOwned>(text: &str) -> Option<T> {
    let is_object = text.trim_ascii_start().starts_with('{');
    serde_json::from_str(text).ok().filter(|_| is_object)
}

/// Reads an object, with an object at the end of this path (RFC 6901) of names.
pub(super) fn nested<T: DeserializeOwned>(bytes: &[u8], path: &str) -> Option<T> {
    let whole: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let is_object = whole.pointer(path).is_some_and(serde_json::Value::is_object);
    serde_json::from_slice(bytes).ok().filter(|_| is_object)
}
