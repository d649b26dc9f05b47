//! What a setting is: its name, its form, its default and its help. The list of all settings is
//! in `setting_table`; parsing, the environment, `enlist check` and the documentation use it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

pub use super::setting_table::SETTINGS;

/// What a value looks like; checked before the value is parsed into its type.
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

/// What a change of a setting means for a node that has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// It counts from now on, and is no part of the membership.
    Free,
    /// It is part of what the authority was asked, or of where the files are: it needs a new membership.
    Fixed,
    /// `join` applies it to a member.
    Applied,
    /// Likewise, but its line can be added and not taken away: other settings, or the node, can stand for it.
    Added,
}

/// A row in the list of settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub table: &'static str,
    pub name: &'static str,
    pub form: Form,
    /// As it is written in a file; empty if there is no default.
    pub default: &'static str,
    pub on_change: OnChange,
    pub help: &'static str,
}

impl Setting {
    /// Whether it says where a secret is. A person may write the secret itself there, so what is wrong in
    /// it is never shown.
    #[must_use]
    pub fn is_secret_source(&self) -> bool {
        self.help.contains("{ file = ")
    }
}

pub(super) const fn setting(
    table: &'static str,
    name: &'static str,
    form: Form,
    default: &'static str,
    on_change: OnChange,
    help: &'static str,
) -> Setting {
    Setting { table, name, form, default, on_change, help }
}

impl fmt::Display for Setting {
    /// `table.name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.name)
    }
}

/// The forms as types, for [`Key`].
pub(super) mod form {
    #[derive(Clone, Copy)]
    pub struct Text;
    #[derive(Clone, Copy)]
    pub struct Duration;
    #[derive(Clone, Copy)]
    pub struct Integer;
    #[derive(Clone, Copy)]
    pub struct Boolean;
    #[derive(Clone, Copy)]
    pub struct List;
    #[derive(Clone, Copy)]
    pub struct Map;
}

/// A setting by name, with its form as a type: code that reads a setting that does not exist, or
/// reads it in another form, does not compile.
#[derive(Clone, Copy)]
pub(super) struct Key<F> {
    setting: Setting,
    form: PhantomData<F>,
}

impl<F> Key<F> {
    pub const fn new(setting: Setting) -> Self {
        Self { setting, form: PhantomData }
    }
}

impl<F> Deref for Key<F> {
    type Target = Setting;

    fn deref(&self) -> &Setting {
        &self.setting
    }
}

/// The setting of this name, if there is one.
#[must_use]
pub fn find(table: &str, name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.table == table && setting.name == name)
}

/// The tables that have a setting of this name.
#[must_use]
pub fn tables_of(name: &str) -> Vec<&'static str> {
    SETTINGS.iter().filter(|setting| setting.name == name).map(|setting| setting.table).collect()
}

/// The environment variable for a setting: `ENLIST_OPSWORKS_CM_SERVER`.
#[must_use]
pub fn variable(setting: &Setting) -> String {
    format!("ENLIST_{}_{}", setting.table, setting.name).to_uppercase().replace('-', "_")
}

/// The setting whose name is most like this one, as `table.name`; none if no name is like it.
#[must_use]
pub fn nearest(dotted: &str) -> Option<String> {
    let known = SETTINGS.iter().map(Setting::to_string);
    let scored = known.map(|known| (strsim::jaro_winkler(dotted, &known), known));
    scored
        .min_by(|a, b| b.0.total_cmp(&a.0))
        .filter(|(score, _)| *score > 0.8)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::SETTINGS;
    use crate::config::input::Origin;
    use crate::config::values;

    #[test]
    fn each_name_is_there_once_and_each_default_has_its_form() {
        for setting in SETTINGS {
            let name = setting.to_string();
            let times = SETTINGS.iter().filter(|other| other.to_string() == name).count();
            assert_eq!(times, 1, "{name}");
            let default = setting.default;
            let value = values::from_text(setting, default, &Origin::Default);
            assert!(default.is_empty() || value.is_ok(), "{setting}: {value:?}");
        }
    }
}
