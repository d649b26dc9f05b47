//! This program's environment. It is input, like the network.

use std::ffi::OsString;

/// A variable's value; none where it is not set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Likewise as text: empty counts as not set, and so does what is not UTF-8.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    variable(name)?.into_string().ok().filter(|text| !text.is_empty())
}

/// All of them.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn all() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
