//! Reads one setting at a time out of the input: the value that was set, else the default, else
//! none.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use strum::VariantNames;

use crate::config::input::{Entry, Input, Origin, Value};
use crate::config::schema::{Key, Setting, form};
use crate::config::{ConfigError, values};
use crate::pki::{CaBundle, private_key};
use crate::secret::SecretSource;

/// Reads a file that a setting names; the error is a text for the message.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

pub(super) struct Reader<'a> {
    pub input: &'a Input,
    pub read_file: ReadFile<'a>,
}

impl Reader<'_> {
    pub fn entry(&self, setting: &Setting) -> Result<Option<Entry>, ConfigError> {
        if let Some(entry) = self.input.get(setting) {
            return Ok(Some(entry.clone()));
        }
        if setting.default.is_empty() {
            return Ok(None);
        }
        let value = values::from_text(setting, setting.default, &Origin::Default)?;
        Ok(Some(Entry { value, origin: Origin::Default }))
    }

    pub fn text(&self, key: &Key<form::Text>) -> Result<Option<String>, ConfigError> {
        self.written(key)
    }

    pub fn boolean(&self, key: &Key<form::Boolean>) -> Result<bool, ConfigError> {
        let entry = self.entry(key)?;
        Ok(matches!(entry, Some(Entry { value: Value::Boolean(true), .. })))
    }

    pub fn map(&self, key: &Key<form::Map>) -> Result<BTreeMap<String, String>, ConfigError> {
        match self.entry(key)? {
            Some(Entry { value: Value::Map(map), .. }) => Ok(map),
            _ => Ok(BTreeMap::new()),
        }
    }

    /// Where a secret is: a file, a credential of systemd, or a parameter of the Parameter Store.
    pub fn secret(&self, key: &Key<form::Map>) -> Result<Option<SecretSource>, ConfigError> {
        let map = self.map(key)?;
        let mut entries = map.iter();
        let (Some((kind, place)), None) = (entries.next(), entries.next()) else {
            return if map.is_empty() { Ok(None) } else { Err(self.not_a_source(key)) };
        };
        let source = secret_source(kind, place);
        source.map(Some).ok_or_else(|| self.not_a_source(key))
    }

    /// The CA in a file.
    pub fn ca_file(&self, key: &Key<form::Text>) -> Result<Option<CaBundle>, ConfigError> {
        let Some(path) = self.path(key)? else {
            return Ok(None);
        };
        let read = (self.read_file)(&path);
        let bundle =
            read.and_then(|text| CaBundle::from_pem(&text).map_err(|error| error.to_string()));
        bundle.map(Some).map_err(|cause| {
            let allowed = format!("a PEM file of CA certificates, root included ({cause})");
            self.invalid(key, &allowed)
        })
    }

    fn not_a_source(&self, key: &Setting) -> ConfigError {
        self.invalid(key, &format!("{SECRET}, not the secret itself"))
    }

    pub fn list(&self, key: &Key<form::List>) -> Result<Vec<String>, ConfigError> {
        match self.entry(key)? {
            Some(Entry { value: Value::List(list), .. }) => Ok(list),
            _ => Ok(Vec::new()),
        }
    }

    /// A whole number that the given condition accepts.
    pub fn number<T: TryFrom<i64>>(
        &self,
        key: &Key<form::Integer>,
        allowed: &str,
        fits: impl Fn(&T) -> bool,
    ) -> Result<T, ConfigError> {
        let number = match self.entry(key)? {
            Some(Entry { value: Value::Integer(number), .. }) => T::try_from(number).ok(),
            _ => None,
        };
        number.filter(fits).ok_or_else(|| self.invalid(key, allowed))
    }

    pub fn key_bits(&self, key: &Key<form::Integer>) -> Result<u32, ConfigError> {
        self.number(key, "2048, 3072 or 4096", |bits| private_key::SIZES.contains(bits))
    }

    pub fn duration(
        &self,
        key: &Key<form::Duration>,
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
        let text = self.written(key)?;
        let parsed = text.and_then(|text| humantime::parse_duration(&text).ok());
        parsed
            .filter(|duration| (least..=most).contains(duration))
            .ok_or_else(|| self.invalid(key, &allowed))
    }

    pub fn path(&self, key: &Key<form::Text>) -> Result<Option<String>, ConfigError> {
        self.parsed(key, "an absolute path without .. in it", absolute)
    }

    pub fn parsed<T>(
        &self,
        key: &Key<form::Text>,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.text(key)? {
            None => Ok(None),
            Some(text) => match parse(&text) {
                Some(value) => Ok(Some(value)),
                None => Err(self.invalid(key, allowed)),
            },
        }
    }

    /// A duration of at least `least`; or `never`, which is none.
    pub fn duration_or_never(
        &self,
        key: &Key<form::Text>,
        least: Duration,
        allowed: &str,
    ) -> Result<Option<Duration>, ConfigError> {
        let parse = |text: &str| match text {
            "never" => Some(None),
            _ => humantime::parse_duration(text).ok().filter(|it| *it >= least).map(Some),
        };
        Ok(self.parsed(key, allowed, parse)?.flatten())
    }

    /// One of a few words: the names of the type's variants.
    pub fn choice<T: FromStr + VariantNames>(
        &self,
        key: &Key<form::Text>,
    ) -> Result<Option<T>, ConfigError> {
        self.parsed(key, &alternatives(T::VARIANTS), |text| text.parse().ok())
    }

    /// As [`Self::choice`], of a setting that has a default.
    pub fn choice_or_default<T: FromStr + VariantNames>(
        &self,
        key: &Key<form::Text>,
    ) -> Result<T, ConfigError> {
        self.choice(key)?.ok_or_else(|| self.invalid(key, &alternatives(T::VARIANTS)))
    }

    pub fn invalid(&self, setting: &Setting, allowed: &str) -> ConfigError {
        let entry = self.input.get(setting);
        let shown = |entry: &Entry| entry.value.shown(setting).to_string();
        let found = entry.map_or_else(|| "empty".to_owned(), shown);
        ConfigError::Invalid {
            origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
            key: setting.to_string(),
            found,
            allowed: allowed.to_owned(),
        }
    }

    /// A duration is a text until it is parsed.
    fn written(&self, setting: &Setting) -> Result<Option<String>, ConfigError> {
        match self.entry(setting)? {
            Some(Entry { value: Value::Text(text), .. }) => Ok(Some(text)),
            _ => Ok(None),
        }
    }
}

/// How the settings say where a secret is.
pub(in crate::config) const SECRET: &str =
    "{ file = \"/path\" }, { credential = \"name\" } or { ssm_parameter = \"/name\" }";

/// The place of a secret: a file, a credential of systemd, or a parameter of the Parameter Store.
pub(in crate::config) fn secret_source(kind: &str, place: &str) -> Option<SecretSource> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    match kind {
        "file" => absolute(place).map(SecretSource::File),
        "credential" if is_name(place) => Some(SecretSource::Credential(place.to_owned())),
        "ssm_parameter" if is_parameter(place) => Some(SecretSource::Parameter(place.to_owned())),
        _ => None,
    }
}

/// A name of the Parameter Store, with or without a version or label, or an ARN (Systems Manager API
/// Reference, GetParameter).
fn is_parameter(text: &str) -> bool {
    (1..=2048).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/:".contains(c))
}

/// `"a", "b" or "c"`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A value that a target can't do without; `table` is where its table is.
pub(super) fn required<T>(
    value: Option<T>,
    table: &Origin,
    setting: &Setting,
    allowed: &str,
) -> Result<T, ConfigError> {
    required_or(value, table, setting, &[], allowed)
}

/// Likewise, where others of its table can stand for it.
pub(super) fn required_or<T>(
    value: Option<T>,
    table: &Origin,
    setting: &Setting,
    or: &'static [&'static str],
    allowed: &str,
) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::Missing {
        origin: table.clone(),
        key: setting.to_string(),
        allowed: allowed.to_owned(),
        or,
    })
}

/// An absolute path on one line, without `..`; a trailing slash is removed.
pub(super) fn absolute(text: &str) -> Option<String> {
    let is_plain = text.starts_with('/') && !text.split('/').any(|part| part == "..");
    let trimmed = text.trim_end_matches('/');
    (is_plain && !trimmed.is_empty() && crate::text::line(text) == text).then(|| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::alternatives;

    #[test]
    fn alternatives_are_listed() {
        assert_eq!(alternatives(&["a"]), "\"a\"");
        assert_eq!(alternatives(&["a", "b"]), "\"a\" or \"b\"");
        assert_eq!(alternatives(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
    }
}
