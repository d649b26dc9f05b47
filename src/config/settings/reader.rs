//! Reads one key at a time out of the input: the set value, else the default, else none.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::input::{Entry, Input, Origin, Value};
use crate::config::{ConfigError, schema, values};
use crate::pki::private_key;

/// Reads a file that a setting names.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

pub(super) struct Reader<'a> {
    pub input: &'a Input,
    pub read_file: ReadFile<'a>,
}

impl Reader<'_> {
    pub fn entry(
        &self,
        table: &'static str,
        name: &'static str,
    ) -> Result<Option<Entry>, ConfigError> {
        if let Some(entry) = self.input.get(table, name) {
            return Ok(Some(entry.clone()));
        }
        match schema::find(table, name) {
            Some(key) if !key.default.is_empty() => {
                let value = values::from_text(key, key.default, &Origin::Default)?;
                Ok(Some(Entry { value, origin: Origin::Default }))
            }
            _ => Ok(None),
        }
    }

    pub fn text(
        &self,
        table: &'static str,
        name: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        match self.entry(table, name)? {
            Some(Entry { value: Value::Text(text), .. }) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    pub fn boolean(&self, table: &'static str, name: &'static str) -> Result<bool, ConfigError> {
        let entry = self.entry(table, name)?;
        Ok(matches!(entry, Some(Entry { value: Value::Boolean(true), .. })))
    }

    pub fn map(
        &self,
        table: &'static str,
        name: &'static str,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        match self.entry(table, name)? {
            Some(Entry { value: Value::Map(map), .. }) => Ok(map),
            _ => Ok(BTreeMap::new()),
        }
    }

    pub fn list(
        &self,
        table: &'static str,
        name: &'static str,
    ) -> Result<Vec<String>, ConfigError> {
        match self.entry(table, name)? {
            Some(Entry { value: Value::List(list), .. }) => Ok(list),
            _ => Ok(Vec::new()),
        }
    }

    /// A whole number that the given condition accepts.
    pub fn number<T: TryFrom<i64>>(
        &self,
        table: &'static str,
        name: &'static str,
        allowed: &str,
        fits: impl Fn(&T) -> bool,
    ) -> Result<T, ConfigError> {
        let number = match self.entry(table, name)? {
            Some(Entry { value: Value::Integer(number), .. }) => T::try_from(number).ok(),
            _ => None,
        };
        number.filter(fits).ok_or_else(|| self.invalid(table, name, allowed))
    }

    pub fn key_bits(&self, table: &'static str) -> Result<u32, ConfigError> {
        self.number(table, "key_bits", "2048, 3072 or 4096", |bits| {
            private_key::SIZES.contains(bits)
        })
    }

    pub fn duration(
        &self,
        table: &'static str,
        name: &'static str,
        least: Duration,
        most: Duration,
        example: &str,
    ) -> Result<Duration, ConfigError> {
        let shown = |duration| humantime::format_duration(duration).to_string();
        let allowed = format!(
            "a duration from \"{}\" to \"{}\", such as {example}",
            shown(least),
            shown(most)
        );
        let parsed = self.parsed(table, name, &allowed, |text| {
            humantime::parse_duration(text)
                .ok()
                .filter(|duration| (least..=most).contains(duration))
        })?;
        parsed.ok_or_else(|| self.invalid(table, name, &allowed))
    }

    pub fn path(
        &self,
        table: &'static str,
        name: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        self.parsed(table, name, "an absolute path without .. in it", absolute)
    }

    pub fn parsed<T>(
        &self,
        table: &'static str,
        name: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.text(table, name)? {
            None => Ok(None),
            Some(text) => match parse(&text) {
                Some(value) => Ok(Some(value)),
                None => Err(self.invalid(table, name, allowed)),
            },
        }
    }

    pub fn invalid(&self, table: &'static str, name: &'static str, allowed: &str) -> ConfigError {
        let entry = self.input.get(table, name);
        let found = entry.map_or_else(|| "empty".to_owned(), |entry| entry.value.to_string());
        ConfigError::Invalid {
            origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
            key: format!("{table}.{name}"),
            found,
            allowed: allowed.to_owned(),
        }
    }
}

/// A value that there is no going on without.
pub(super) fn required<T>(
    value: Option<T>,
    origin: &Origin,
    key: &str,
    allowed: &str,
) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::Missing {
        origin: origin.clone(),
        key: key.to_owned(),
        allowed: allowed.to_owned(),
    })
}

/// Without a trailing slash.
pub(super) fn absolute(text: &str) -> Option<String> {
    let is_plain = text.starts_with('/') && !text.split('/').any(|part| part == "..");
    let trimmed = text.trim_end_matches('/');
    (is_plain && !trimmed.is_empty() && crate::text::line(text) == text).then(|| trimmed.to_owned())
}
