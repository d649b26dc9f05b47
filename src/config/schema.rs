//! Every setting there is: its name, its form, its default, and what it is for. The one list
//! that parsing, the environment, `enlist check` and the documentation go by.

/// What a value may look like; the first check, before it is parsed into its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    /// `30m`, `1h 30m`, `90s`.
    Duration,
    Integer,
    Boolean,
    /// A list of texts.
    List,
    /// A table of names and texts.
    Map,
}

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub table: &'static str,
    pub name: &'static str,
    pub form: Form,
    /// As it would be written; empty where there is none.
    pub default: &'static str,
    pub help: &'static str,
}

pub(super) const fn key(
    table: &'static str,
    name: &'static str,
    form: Form,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { table, name, form, default, help }
}

/// Tables whose presence turns a target on.
pub const TARGETS: [&str; 3] = ["opsworks-cm", "opsworks", "ssm"];

pub use super::setting_table::SETTINGS;

/// The key, where there is one.
#[must_use]
pub fn find(table: &str, name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|key| key.table == table && key.name == name)
}

/// The environment's name for a key: `ENLIST_OPSWORKS_CM_SERVER`.
#[must_use]
pub fn variable(key: &Setting) -> String {
    format!("ENLIST_{}_{}", key.table, key.name).to_uppercase().replace('-', "_")
}

/// The known key that is written most alike, as `table.name`, if any is alike at all.
#[must_use]
pub fn nearest(dotted: &str) -> Option<String> {
    let all = SETTINGS.iter().map(|key| format!("{}.{}", key.table, key.name));
    let mut scored: Vec<(f64, String)> =
        all.map(|known| (strsim::jaro_winkler(dotted, &known), known)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().next().filter(|(score, _)| *score > 0.8).map(|(_, known)| known)
}
