//! Tags of resources.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::validate::{Pattern, Text};

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// The constraint of a tag's key and value, and of names in Systems Manager.
pub(super) const NAME: Pattern =
    Pattern { text: r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", fits: is_name };
pub(super) const TAG_KEY: Text = Text { min: 1, max: 128, pattern: Some(NAME), sensitive: false };
pub(super) const TAG_VALUE: Text = Text { max: 256, pattern: Some(NAME), ..Text::UNBOUNDED };

impl Tag {
    pub(super) fn describe(tags: &[Self]) -> Value {
        let each = tags.iter().map(|Self { key, value }| json!({ "Key": key, "Value": value }));
        Value::Array(each.collect())
    }
}

/// Letters and numbers of any script, separators, and a few signs. What Rust calls alphabetic has
/// some combining vowel signs beside the letters; the service does not take those.
fn is_name(text: &str) -> bool {
    let fits = |letter: char| {
        letter.is_alphanumeric() || "_.:/=+-@".contains(letter) || is_separator(letter)
    };
    text.chars().all(fits)
}

/// Unicode's category Z: unlike Rust's white space, without tabs and line feeds.
fn is_separator(letter: char) -> bool {
    letter.is_whitespace() && !letter.is_control()
}
