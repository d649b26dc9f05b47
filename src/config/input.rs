//! The merged input: values that are not validated yet, each with its origin. The later source
//! overrides the earlier one, setting by setting.

use std::collections::BTreeMap;
use std::fmt;

use super::schema::{self, Form, SETTINGS, Setting};
use super::settings::{secret_source, target_ids};
use super::{ConfigError, values};
use crate::pki::oid;
use crate::text;

/// Shown in the place of a secret.
const HIDDEN: &str = "(secret)";

/// The names of what a secret can be read from.
const SOURCES: [&str; 3] = ["file", "credential", "ssm_parameter"];

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        path: String,
        line: usize,
    },
    Variable(String),
    CommandLine(String),
    /// A record: the settings that a membership was made with.
    Record(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}, line {line}"),
            Self::Variable(name) => write!(f, "environment, {name}"),
            Self::CommandLine(text) => write!(f, "command line, --set {text}"),
            Self::Record(path) => write!(f, "record, {path}"),
        }
    }
}

/// A value in the form of its setting. `Display` and `Debug` hide the secrets in it.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", text::without_login(text, HIDDEN)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::List(list) => write!(f, "{list:?}"),
            Self::Map(map) => {
                let entry = |(name, value): (&String, &String)| {
                    if oid::is_secret(name) || value == HIDDEN {
                        format!("{name} = {HIDDEN}")
                    } else {
                        format!("{name} = {value:?}")
                    }
                };
                let entries: Vec<String> = map.iter().map(entry).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Value {
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Integer(number) => (*number).into(),
            Self::Boolean(truth) => (*truth).into(),
            Self::List(list) => list.as_slice().into(),
            Self::Map(map) => {
                map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
            }
        }
    }

    /// The value of this setting, with its secrets hidden: those of a request, and what stands in the place of
    /// where a secret is.
    #[must_use]
    pub fn shown(&self, setting: &Setting) -> Self {
        let Self::Map(map) = self else { return self.clone() };
        let entry = |(name, value): (&String, &String)| {
            let is_source = secret_source(name, value).is_some();
            match (setting.is_secret_source() && !is_source, SOURCES.contains(&name.as_str())) {
                (true, false) => (HIDDEN.to_owned(), HIDDEN.to_owned()),
                (true, true) => (name.clone(), HIDDEN.to_owned()),
                (false, _) if oid::is_secret(name) => (name.clone(), HIDDEN.to_owned()),
                (false, _) => (name.clone(), value.clone()),
            }
        };
        Self::Map(map.iter().map(entry).collect())
    }
}

/// A value, and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Value,
    pub origin: Origin,
}

/// Everything that was set.
#[derive(Clone, Debug, Default)]
pub struct Input {
    entries: BTreeMap<(&'static str, &'static str), Entry>,
    /// The tables that were written, and where. The empty table of a target turns it on too.
    tables: BTreeMap<String, Origin>,
    /// Every file that was read; a later one overrides an earlier one.
    pub files: Vec<String>,
    /// The places where settings were looked for.
    pub searched: String,
    /// The errors so far, where they are collected. None: the first one ends the reading.
    errors: Option<Vec<ConfigError>>,
}

impl Input {
    /// An empty input, with the places where settings are looked for.
    #[must_use]
    pub fn looked_for_in(searched: String) -> Self {
        Self { searched, ..Self::default() }
    }

    /// Collects the errors from now on, instead of ending at the first.
    #[must_use]
    pub fn collecting(self) -> Self {
        Self { errors: Some(Vec::new()), ..self }
    }

    /// The errors that were collected.
    #[must_use]
    pub fn take_errors(&mut self) -> Vec<ConfigError> {
        self.errors.take().unwrap_or_default()
    }

    /// Collects an error, or returns it.
    ///
    /// # Errors
    /// The error, unless errors are collected.
    pub fn tolerate(&mut self, result: Result<(), ConfigError>) -> Result<(), ConfigError> {
        match (result, &mut self.errors) {
            (Err(error), Some(errors)) => {
                errors.push(error);
                Ok(())
            }
            (result, _) => result,
        }
    }

    /// Takes a value back. Returns whether it was set.
    pub fn unset(&mut self, table: &str, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(of, key), _| *of != table || *key != name);
        self.entries.len() != before
    }

    /// Takes a whole table back. Returns whether it was written.
    pub fn unname_table(&mut self, table: &str) -> bool {
        self.entries.retain(|(of, _), _| *of != table);
        self.tables.remove(table).is_some()
    }

    /// Sets a value, and marks its table as written.
    pub fn set(&mut self, key: &'static Setting, value: Value, origin: Origin) {
        self.name_table(key.table, origin.clone());
        self.entries.insert((key.table, key.name), Entry { value, origin });
    }

    /// Notes that a table was written.
    pub fn name_table(&mut self, table: &str, origin: Origin) {
        self.tables.entry(table.to_owned()).or_insert(origin);
    }

    /// The value that was set, if any.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> Option<&Entry> {
        self.entries.get(&(setting.table, setting.name))
    }

    /// Where the table was written first, if anywhere.
    #[must_use]
    pub fn table(&self, table: &str) -> Option<&Origin> {
        self.tables.get(table)
    }

    /// Adds variables named `ENLIST_TABLE_KEY`. Another name with this prefix is an error, so that a
    /// misspelt one is not ignored.
    ///
    /// # Errors
    /// For an unknown variable or a value of the wrong form.
    pub fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, text) in variables.filter(|(name, _)| name.starts_with("ENLIST_")) {
            let result = self.add_variable(name, &text);
            self.tolerate(result)?;
        }
        Ok(())
    }

    fn add_variable(&mut self, name: String, text: &str) -> Result<(), ConfigError> {
        let origin = Origin::Variable(name.clone());
        let Some(key) = SETTINGS.iter().find(|key| schema::variable(key) == name) else {
            let near = name.trim_start_matches("ENLIST_").to_lowercase().replacen('_', ".", 1);
            let nearest = schema::nearest(&near).and_then(|dotted| {
                let (table, key) = dotted.split_once('.')?;
                schema::find(table, key).map(schema::variable)
            });
            return Err(ConfigError::UnknownKey { origin, key: name, nearest });
        };
        self.set(key, values::from_text(key, text, &origin)?, origin);
        Ok(())
    }

    /// Adds an argument of `--set`: `TABLE.KEY=VALUE`.
    ///
    /// # Errors
    /// For an unknown key or a value of the wrong form.
    pub fn add_argument(&mut self, argument: &str) -> Result<(), ConfigError> {
        let (dotted, text) = argument.split_once('=').unwrap_or((argument, ""));
        // The value may be a secret.
        let origin = Origin::CommandLine(dotted.to_owned());
        let found = dotted.split_once('.').and_then(|(table, name)| schema::find(table, name));
        let Some(key) = found else {
            return Err(ConfigError::UnknownKey {
                origin,
                key: dotted.to_owned(),
                nearest: schema::nearest(dotted),
            });
        };
        self.set(key, values::from_text(key, text, &origin)?, origin);
        Ok(())
    }

    /// Every setting that is set or has a default, for `enlist check`. Leaves out the tables of targets
    /// that are off.
    #[must_use]
    pub fn listing(&self) -> Vec<(&'static Setting, Entry)> {
        let is_on = |key: &&Setting| {
            self.table(key.table).is_some() || !target_ids().any(|id| id == key.table)
        };
        let entry = |key: &'static Setting| {
            let default =
                || Entry { value: Value::Text(key.default.to_owned()), origin: Origin::Default };
            match self.get(key) {
                Some(entry) => Some((key, entry.clone())),
                None if key.default.is_empty() => None,
                None => values::from_text(key, key.default, &Origin::Default)
                    .ok()
                    .map(|value| (key, Entry { value, ..default() })),
            }
        };
        SETTINGS.iter().filter(is_on).filter_map(entry).collect()
    }
}

/// The form of a value, for messages.
#[must_use]
pub fn describe(form: Form) -> &'static str {
    match form {
        Form::Text => "text in quotes",
        Form::Duration => "a duration in quotes, such as \"30m\" or \"1h 30m\"",
        Form::Integer => "a whole number",
        Form::Boolean => "true or false",
        Form::List => "a list of texts, such as [\"recipe[base]\"]",
        Form::Map => "a table of names and texts, such as { pp_role = \"web\" }",
    }
}
