//! Checks and their results, in the order in which they were made.

use crate::fault::Kind;
use crate::text;

/// Why a request is not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Gives the exit code.
    pub kind: Kind,
    /// One line. It contains no secret.
    pub why: String,
}

impl Refusal {
    pub fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: text::phrase(&why.into()) }
    }

    /// What was proven, or what is asked for, is not allowed.
    pub fn rejected(why: impl Into<String>) -> Self {
        Self::new(Kind::Rejected, why)
    }

    /// The request is not one, or contradicts itself.
    pub fn data(why: impl Into<String>) -> Self {
        Self::new(Kind::Data, why)
    }
}

/// One check: its name, and what it found or why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub result: Result<String, Refusal>,
}

/// The checks so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks(pub Vec<Check>);

impl Checks {
    /// Notes a check whose result is the text to show.
    ///
    /// # Errors
    /// The check's own.
    pub fn add(
        &mut self,
        name: &'static str,
        result: Result<String, Refusal>,
    ) -> Result<(), Refusal> {
        self.take(name, result, Clone::clone).map(|_| ())
    }

    /// Notes a check, and returns its result.
    ///
    /// # Errors
    /// The check's own.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        result: Result<T, Refusal>,
        shown: impl FnOnce(&T) -> String,
    ) -> Result<T, Refusal> {
        let noted = match &result {
            Ok(found) => Ok(text::phrase(&shown(found))),
            Err(refusal) => Err(refusal.clone()),
        };
        self.0.push(Check { name, result: noted });
        result
    }

    /// The first check that failed.
    #[must_use]
    pub fn failed(&self) -> Option<&Refusal> {
        self.0.iter().find_map(|check| check.result.as_ref().err())
    }

    /// How many checks passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.0.iter().filter(|check| check.result.is_ok()).count()
    }
}
