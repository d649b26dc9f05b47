//! Request members against their documented constraints, refused in the service's own words.

use serde_json::{Map, Value};

use crate::error::ApiError;

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
    /// Any string of up to 10,000 characters, the model's limit where the reference names none.
    pub const ANY: Self = Self { min: 0, max: 10_000, pattern: None, sensitive: false };
}

/// A name and value pair that is specific to the engine of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The attribute's name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

const ATTRIBUTE_VALUE: Text = Text { sensitive: true, ..Text::ANY };

/// The members of a request. Every read notes what is wrong and goes on, so that one answer names
/// every fault, as the service does; [`Members::finish`] must come before a value is used.
#[derive(Debug)]
pub struct Members<'a> {
    object: &'a Map<String, Value>,
    violations: Vec<String>,
}

impl<'a> Members<'a> {
    /// The members of `body`.
    ///
    /// # Errors
    /// `SerializationException` when it is not an object.
    pub fn of(body: &'a Value) -> Result<Self, ApiError> {
        let object = body.as_object().ok_or_else(|| wrong_type(body, "a structure"))?;
        Ok(Self { object, violations: Vec::new() })
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
        self.check(text, &path(name), rule);
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
                &path(name),
                &format!("Member must have value greater than or equal to {min}"),
            );
        }
        Ok(Some(number))
    }

    /// A list of engine attributes; empty when it is missing.
    ///
    /// # Errors
    /// `SerializationException` when it is not a list of structures with strings.
    pub fn attributes(
        &mut self,
        name: &str,
        required: bool,
    ) -> Result<Vec<Attribute<'a>>, ApiError> {
        let value = self.member(name);
        if required {
            self.require(name, value.is_some());
        }
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        let list = value.as_array().ok_or_else(|| wrong_type(value, "a List"))?;
        let element = |(index, element): (usize, &'a Value)| {
            let at = format!("{}.{}.member", path(name), index + 1);
            self.attribute(element, &at)
        };
        list.iter().enumerate().map(element).collect()
    }

    fn attribute(&mut self, element: &'a Value, at: &str) -> Result<Attribute<'a>, ApiError> {
        let object = element.as_object().ok_or_else(|| wrong_type(element, "a structure"))?;
        let mut part = |name: &str, rule: &Text| {
            let value = object.get(name).unwrap_or(&Value::Null);
            if value.is_null() {
                return Ok("");
            }
            let text = value.as_str().ok_or_else(|| wrong_type(value, "a String"))?;
            self.check(text, &format!("{at}.{}", path(name)), rule);
            Ok(text)
        };
        Ok(Attribute { name: part("Name", &Text::ANY)?, value: part("Value", &ATTRIBUTE_VALUE)? })
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

    /// A JSON null is an absent member.
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn require(&mut self, name: &str, present: bool) {
        if !present {
            let at = path(name);
            self.violations.push(format!(
                "Value null at '{at}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }

    fn check(&mut self, text: &str, at: &str, rule: &Text) {
        let shown = Some(text).filter(|_| !rule.sensitive);
        let length = text.chars().count();
        if length < rule.min {
            let constraint =
                format!("Member must have length greater than or equal to {}", rule.min);
            self.refuse(shown, at, &constraint);
        }
        if length > rule.max {
            let constraint = format!("Member must have length less than or equal to {}", rule.max);
            self.refuse(shown, at, &constraint);
        }
        if let Some(pattern) = rule.pattern.filter(|pattern| !(pattern.fits)(text)) {
            let constraint =
                format!("Member must satisfy regular expression pattern: {}", pattern.text);
            self.refuse(shown, at, &constraint);
        }
    }

    fn refuse(&mut self, shown: Option<&str>, at: &str, constraint: &str) {
        let value = shown.map_or_else(|| "Value".to_owned(), |shown| format!("Value '{shown}'"));
        let violation = format!("{value} at '{at}' failed to satisfy constraint: {constraint}");
        self.violations.push(violation);
    }
}

/// Messages name members with a small first letter.
fn path(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
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
