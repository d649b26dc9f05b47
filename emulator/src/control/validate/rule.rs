//! What a string must be like.

/// A documented pattern.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// The regular expression, as the reference prints it.
    pub text: &'static str,
    /// Whether the whole of a value fits it.
    pub fits: fn(&str) -> bool,
}

/// What a string must be like. Lengths are in characters.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The shortest allowed.
    pub min: usize,
    /// The longest allowed.
    pub max: usize,
    /// The pattern, when there is one.
    pub pattern: Option<Pattern>,
    /// Whether the value must not be repeated in messages.
    pub sensitive: bool,
}

impl Text {
    /// Any string of up to 10,000 characters, the OpsWorks CM model's limit where the reference
    /// names none.
    pub const ANY: Self = Self { min: 0, max: 10_000, pattern: None, sensitive: false };
    /// Any string at all, as in the models of OpsWorks Stacks and Systems Manager.
    pub const UNBOUNDED: Self = Self { min: 0, max: usize::MAX, pattern: None, sensitive: false };
}

/// Lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub const UUID: Pattern = Pattern {
    text: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    fits: is_uuid,
};

/// Whether `text` is a UUID in lower case.
pub fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.chars().all(|letter| letter == '-' || is_hex(letter))
}

/// Whether `letter` is a lower-case hexadecimal digit.
pub const fn is_hex(letter: char) -> bool {
    letter.is_ascii_digit() || matches!(letter, 'a'..='f')
}
