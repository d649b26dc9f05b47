//! This process's environment variables. They are input, like the network.

use std::ffi::OsString;

/// A variable's value; none if it is not set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A variable's value as text; none if it is not set, empty, or not UTF-8.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    variable(name)?.into_string().ok().filter(|text| !text.is_empty())
}

/// All variables.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn all() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
