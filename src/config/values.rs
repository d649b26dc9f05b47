//! Turns text (environment, command line) and TOML into values of the form of their setting.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::ConfigError;
use super::input::{Origin, Value, describe};
use super::schema::{Form, Setting};

/// A value from text. A list is written `a,b`, a map `name=value,name=value`.
pub fn from_text(key: &Setting, text: &str, origin: &Origin) -> Result<Value, ConfigError> {
    // With a quote that is not closed in an environment file, a value goes on with the variables that
    // follow, secrets included.
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(ConfigError::Invalid {
            origin: origin.clone(),
            key: key.to_string(),
            found: "a text with line ends or control characters".to_owned(),
            allowed: "one line (look for a quote that is not closed, or for Windows line ends in the file that sets it)".to_owned(),
        });
    }
    if has_variable(text) {
        let found = "a text with another variable in it";
        let allowed = "one value (look for a line that ends with \\)";
        return Err(ConfigError::Invalid {
            origin: origin.clone(),
            key: key.to_string(),
            found: found.to_owned(),
            allowed: allowed.to_owned(),
        });
    }
    // A map may hold secrets, and without its names it is not known which values they are.
    let wrong = || match key.form {
        Form::Map => invalid(key, "a text without names", origin),
        _ => invalid(key, &format!("{text:?}"), origin),
    };
    match key.form {
        Form::Text | Form::Duration => Ok(Value::Text(text.to_owned())),
        Form::Integer => text.trim().parse().map(Value::Integer).map_err(|_| wrong()),
        Form::Boolean => text.trim().parse().map(Value::Boolean).map_err(|_| wrong()),
        Form::List => {
            let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
            Ok(Value::List(entries.map(str::to_owned).collect()))
        }
        Form::Map => {
            let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
            let pair = |entry: &str| {
                let (name, value) = entry.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            let map: Option<BTreeMap<_, _>> = entries.map(pair).collect();
            map.map(Value::Map).ok_or_else(wrong)
        }
    }
}

/// Whether a variable is set in the text: a line of an environment file that ends with `\` goes on with the
/// next variable, secrets included.
fn has_variable(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut begins = ["AWS_", "ENLIST_"].into_iter().flat_map(|begin| text.match_indices(begin));
    begins.any(|(at, _)| {
        text.get(at..).is_some_and(|text| text.trim_start_matches(is_name).starts_with('='))
    })
}

/// A value from TOML, whose type must match the form of the setting.
pub fn from_toml(
    key: &Setting,
    value: &DeValue<'_>,
    origin: &Origin,
) -> Result<Value, ConfigError> {
    let wrong = || match (key.form, value) {
        (Form::Map, DeValue::String(_)) => invalid(key, "a text", origin),
        (_, value) if key.is_secret_source() => {
            invalid(key, &format!("a value of type {}", value.type_str()), origin)
        }
        _ => invalid(key, &shown(value), origin),
    };
    match (key.form, value) {
        (Form::Text | Form::Duration, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Form::Integer, DeValue::Integer(number)) => {
            let digits = number.as_str();
            i64::from_str_radix(digits, number.radix()).map(Value::Integer).map_err(|_| wrong())
        }
        (Form::Boolean, DeValue::Boolean(truth)) => Ok(Value::Boolean(*truth)),
        (Form::List, DeValue::Array(array)) => {
            let list: Option<Vec<String>> =
                array.iter().map(|entry| Some(entry.get_ref().as_str()?.to_owned())).collect();
            list.map(Value::List).ok_or_else(wrong)
        }
        // A list of one.
        (Form::List, DeValue::String(text)) => Ok(Value::List(vec![text.to_string()])),
        (Form::Map, DeValue::Table(table)) => {
            let pair = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                match value.get_ref().as_str() {
                    Some(text) => Ok((name.to_string(), text.to_owned())),
                    None => Err(ConfigError::Invalid {
                        origin: origin.clone(),
                        key: format!("{key}.{name}"),
                        // A number may be a secret too.
                        found: format!("a value of type {}", value.get_ref().type_str()),
                        allowed: "text in quotes".to_owned(),
                    }),
                }
            };
            table.iter().map(pair).collect::<Result<_, _>>().map(Value::Map)
        }
        _ => Err(wrong()),
    }
}

/// A value from JSON, as [`Value::to_json`] makes it.
pub fn from_json(
    key: &Setting,
    value: &serde_json::Value,
    origin: &Origin,
) -> Result<Value, ConfigError> {
    use serde_json::Value as Json;
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let found = match (key.form, value) {
        (Form::Text | Form::Duration, Json::String(text)) => Some(Value::Text(text.clone())),
        (Form::Integer, Json::Number(number)) => number.as_i64().map(Value::Integer),
        (Form::Boolean, Json::Bool(truth)) => Some(Value::Boolean(*truth)),
        (Form::List, Json::Array(list)) => {
            list.iter().map(text).collect::<Option<_>>().map(Value::List)
        }
        (Form::Map, Json::Object(map)) => {
            let pairs = map.iter().map(|(name, value)| Some((name.clone(), text(value)?)));
            pairs.collect::<Option<_>>().map(Value::Map)
        }
        _ => None,
    };
    found.ok_or_else(|| invalid(key, "a value of another form", origin))
}

fn invalid(key: &Setting, found: &str, origin: &Origin) -> ConfigError {
    let allowed = if key.is_secret_source() { super::settings::SECRET } else { describe(key.form) };
    ConfigError::Invalid {
        origin: origin.clone(),
        key: format!("{}.{}", key.table, key.name),
        found: found.to_owned(),
        allowed: allowed.to_owned(),
    }
}

/// A value as a message shows it; a text is cut after 60 characters.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        other => format!("a value of type {}", other.type_str()),
    }
}
