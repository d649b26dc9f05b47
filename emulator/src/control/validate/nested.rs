//! Members that hold others: lists and structures, numbers and moments.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::{Attribute, Members, Text, wrong_type};
use crate::error::ApiError;
use crate::now::Now;

const ATTRIBUTE_VALUE: Text = Text { sensitive: true, ..Text::ANY };

impl<'a> Members<'a> {
    /// An optional structure, whose members `read` reads.
    ///
    /// # Errors
    /// `SerializationException` when it is not a structure, and what `read` says.
    pub fn structure<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let at = format!("{}.", self.path(name));
        self.within(value, at, read).map(Some)
    }

    /// An optional list of structures, each read by `read`.
    ///
    /// # Errors
    /// `SerializationException` when it is not a list of structures, and what `read` says.
    pub fn structures<T>(
        &mut self,
        name: &str,
        counts: &RangeInclusive<usize>,
        mut read: impl FnMut(&mut Self) -> Result<T, ApiError>,
    ) -> Result<Option<Vec<T>>, ApiError> {
        let Some(list) = self.list(name, counts)? else {
            return Ok(None);
        };
        let at = self.path(name);
        let element = |(index, element): (usize, &'a Value)| {
            self.within(element, format!("{at}.{}.member.", index + 1), &mut read)
        };
        list.iter().enumerate().map(element).collect::<Result<_, _>>().map(Some)
    }

    /// An optional list of strings.
    ///
    /// # Errors
    /// `SerializationException` when it is not a list of strings.
    pub fn texts(
        &mut self,
        name: &str,
        counts: &RangeInclusive<usize>,
        rule: &Text,
    ) -> Result<Option<Vec<&'a str>>, ApiError> {
        let Some(list) = self.list(name, counts)? else {
            return Ok(None);
        };
        let at = self.path(name);
        let element = |(index, value): (usize, &'a Value)| {
            let text = value.as_str().ok_or_else(|| wrong_type(value, "a String"))?;
            self.check(text, &format!("{at}.{}.member", index + 1), rule);
            Ok(text)
        };
        list.iter().enumerate().map(element).collect::<Result<_, _>>().map(Some)
    }

    /// An optional integer within `range`.
    ///
    /// # Errors
    /// `SerializationException` when it is not a 32-bit integer.
    pub fn integer_within(
        &mut self,
        name: &str,
        range: &RangeInclusive<i32>,
    ) -> Result<Option<i32>, ApiError> {
        let number = self.optional_integer(name, *range.start())?;
        if let Some(number) = number.filter(|number| number > range.end()) {
            let (at, max) = (self.path(name), range.end());
            let constraint = format!("Member must have value less than or equal to {max}");
            self.refuse(Some(&number.to_string()), &at, &constraint);
        }
        Ok(number)
    }

    /// An optional truth value.
    ///
    /// # Errors
    /// `SerializationException` when it is neither true nor false.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        value.as_bool().map(Some).ok_or_else(|| wrong_type(value, "a Boolean"))
    }

    /// An optional moment: seconds since 1970, with or without a fraction, to the nearest
    /// millisecond. One before 1970 is 1970.
    ///
    /// # Errors
    /// `SerializationException` when it is not a number.
    pub fn timestamp(&mut self, name: &str) -> Result<Option<Now>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let seconds = value.as_f64().ok_or_else(|| wrong_type(value, "a Timestamp"))?;
        let past = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        let rounded = past.saturating_add(Duration::from_micros(500));
        Ok(Some(Now::from_unix_ms(0).plus(rounded)))
    }

    /// An optional string out of a set.
    ///
    /// # Errors
    /// `SerializationException` when it is not a string.
    pub fn choice(&mut self, name: &str, known: &[&str]) -> Result<Option<&'a str>, ApiError> {
        let found = self.optional_text(name, &Text::UNBOUNDED)?;
        if let Some(other) = found.filter(|text| !known.contains(text)) {
            let at = self.path(name);
            let constraint = format!("Member must satisfy enum value set: [{}]", known.join(", "));
            self.refuse(Some(other), &at, &constraint);
        }
        Ok(found)
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
        let found = self.structures(name, &(0..=usize::MAX), |attribute| {
            Ok(Attribute {
                name: attribute.optional_text("Name", &Text::ANY)?.unwrap_or_default(),
                value: attribute.optional_text("Value", &ATTRIBUTE_VALUE)?.unwrap_or_default(),
            })
        })?;
        if required {
            self.require(name, found.is_some());
        }
        Ok(found.unwrap_or_default())
    }

    fn list(
        &mut self,
        name: &str,
        counts: &RangeInclusive<usize>,
    ) -> Result<Option<&'a Vec<Value>>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let list = value.as_array().ok_or_else(|| wrong_type(value, "a List"))?;
        let length = Text { min: *counts.start(), max: *counts.end(), ..Text::UNBOUNDED };
        self.check_length(None, list.len(), &self.path(name), &length);
        Ok(Some(list))
    }

    fn within<T>(
        &mut self,
        value: &'a Value,
        at: String,
        read: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut inner = Self { at, ..Self::of(value)? };
        let found = read(&mut inner)?;
        self.violations.append(&mut inner.violations);
        Ok(found)
    }
}
