//! Request members against their documented constraints, refused in the service's own words.

mod nested;
mod rule;

use serde_json::{Map, Value};

pub use rule::{Pattern, Text};
pub(crate) use rule::{UUID, is_hex, is_uuid};

use crate::error::ApiError;

/// A name and value pair that is specific to the engine of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The attribute's name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

/// The members of a request. Every read notes what is wrong and goes on, so that one answer names
/// every fault, as the service does; [`Members::finish`] must come before a value is used.
#[derive(Debug)]
pub struct Members<'a> {
    object: &'a Map<String, Value>,
    /// What comes before the members' names in messages: `tags.1.member.`
    at: String,
    violations: Vec<String>,
}

impl<'a> Members<'a> {
    /// The members of `body`.
    ///
    /// # Errors
    /// `SerializationException` when it is not an object.
    pub fn of(body: &'a Value) -> Result<Self, ApiError> {
        let object = body.as_object().ok_or_else(|| wrong_type(body, "a structure"))?;
        Ok(Self { object, at: String::new(), violations: Vec::new() })
    }

    /// A required string; empty when it is missing.
    ///
    /// # Errors
    /// `SerializationException` when it is not a string.
    pub fn text(&mut self, name: &str, rule: &Text) -> Result<&'a str, ApiError> {
        let value = self.optional_text(name, rule)?;
        self.require(name, value.is_some());
        Ok(value.unwrap_or_default())
    }

    /// An optional string.
    ///
    /// # Errors
    /// `SerializationException` when it is not a string.
    pub fn optional_text(&mut self, name: &str, rule: &Text) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| wrong_type(value, "a String"))?;
        self.check(text, &self.path(name), rule);
        Ok(Some(text))
    }

    /// An optional integer of at least `min`.
    ///
    /// # Errors
    /// `SerializationException` when it is not a 32-bit integer.
    pub fn optional_integer(&mut self, name: &str, min: i32) -> Result<Option<i32>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
        let number = number.ok_or_else(|| wrong_type(value, "an Integer"))?;
        if number < min {
            self.refuse(
                Some(&number.to_string()),
                &self.path(name),
                &format!("Member must have value greater than or equal to {min}"),
            );
        }
        Ok(Some(number))
    }

    /// Notes when a member is missing.
    pub fn required(&mut self, name: &str) {
        let present = self.member(name).is_some();
        self.require(name, present);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `ValidationException` that names every violation.
    pub fn finish(self) -> Result<(), ApiError> {
        let count = self.violations.len();
        let noun = if count == 1 { "error" } else { "errors" };
        match count {
            0 => Ok(()),
            _ => Err(ApiError::Validation(format!(
                "{count} validation {noun} detected: {}",
                self.violations.join("; ")
            ))),
        }
    }

    /// Messages name members with a small first letter.
    fn path(&self, name: &str) -> String {
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        self.at.chars().chain(first).chain(letters).collect()
    }

    /// A JSON null is an absent member.
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn require(&mut self, name: &str, present: bool) {
        if !present {
            let at = self.path(name);
            self.violations.push(format!(
                "Value null at '{at}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }

    fn check(&mut self, text: &str, at: &str, rule: &Text) {
        let shown = Some(text).filter(|_| !rule.sensitive);
        self.check_length(shown, text.chars().count(), at, rule);
        if let Some(pattern) = rule.pattern.filter(|pattern| !(pattern.fits)(text)) {
            let constraint =
                format!("Member must satisfy regular expression pattern: {}", pattern.text);
            self.refuse(shown, at, &constraint);
        }
    }

    fn check_length(&mut self, shown: Option<&str>, length: usize, at: &str, rule: &Text) {
        if length < rule.min {
            let constraint =
                format!("Member must have length greater than or equal to {}", rule.min);
            self.refuse(shown, at, &constraint);
        }
        if length > rule.max {
            let constraint = format!("Member must have length less than or equal to {}", rule.max);
            self.refuse(shown, at, &constraint);
        }
    }

    fn refuse(&mut self, shown: Option<&str>, at: &str, constraint: &str) {
        let value = shown.map_or_else(|| "Value".to_owned(), |shown| format!("Value '{shown}'"));
        let violation = format!("{value} at '{at}' failed to satisfy constraint: {constraint}");
        self.violations.push(violation);
    }
}

fn wrong_type(value: &Value, wanted: &str) -> ApiError {
    let found = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    ApiError::Serialization(format!("{found} can not be converted to {wanted}"))
}
