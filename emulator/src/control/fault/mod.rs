//! Faults on request: what goes wrong, on which action, how often and from when.

mod kind;

use std::str::FromStr;

pub use kind::FaultKind;
use kind::kinds;

/// A fault, and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The action, such as `AssociateNode`, or `*` for every one.
    pub action: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How often; `None` for always.
    pub count: Option<u32>,
    /// The first call of the action that is hit, from 1, counted since the fault was set.
    pub from: u32,
}

impl Fault {
    /// A fault on `action` from its next call on, as often as the kind has it by default: once,
    /// but for `Failed` and `Certificate`, which stay.
    #[must_use]
    pub fn new(action: &str, kind: FaultKind) -> Self {
        Self { action: action.to_owned(), kind, count: kind.default_count(), from: 1 }
    }

    /// The same fault, this often; 0 for always.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { count: Some(count).filter(|count| *count > 0), ..self }
    }

    /// The same fault, from this call on (1 is the next).
    #[must_use]
    pub fn from_call(self, from: u32) -> Self {
        Self { from, ..self }
    }
}

/// A fault that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// No `=`.
    #[error("'{0}' is not a fault: write ACTION=KIND[*COUNT][@FROM], such as AssociateNode=500*2")]
    Form(String),
    /// The kind is none of the list.
    #[error("'{0}' is not a kind of fault; it is one of {kinds}, slow:SECONDS", kinds = kinds())]
    Kind(String),
    /// The count or the start is no number.
    #[error("'{0}' is not a number of calls: write a whole number, or 'forever' after the *")]
    Number(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    /// Reads `ACTION=KIND[*COUNT][@FROM]`.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let form = || FaultError::Form(text.to_owned());
        let (action, rest) = text.split_once('=').ok_or_else(form)?;
        if action.is_empty() {
            return Err(form());
        }
        let (rest, from) = rest.split_once('@').map_or((rest, "1"), |parts| parts);
        let (kind, count) = rest.split_once('*').map_or((rest, None), |(k, c)| (k, Some(c)));
        let number = |text: &str| text.parse().map_err(|_| FaultError::Number(text.to_owned()));
        let kind = FaultKind::parse(kind).ok_or_else(|| FaultError::Kind(kind.to_owned()))?;
        let fault = Self::new(action, kind).from_call(number(from)?);
        match count {
            None => Ok(fault),
            Some("forever") => Ok(fault.times(0)),
            Some(count) => Ok(fault.times(number(count)?)),
        }
    }
}

/// The faults that are set, in the order they were set. Of those that would strike one call the
/// first does, and only its count goes down: `500*2` followed by `throttle` is three calls.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    waiting: Vec<Armed>,
}

#[derive(Clone, Debug)]
struct Armed {
    fault: Fault,
    seen: u32,
}

impl FaultPlan {
    /// Sets a fault.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.push(Armed { fault, seen: 0 });
    }

    /// Forgets every fault.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// What strikes this call of `action`, if anything does.
    pub fn take(&mut self, action: &str) -> Option<FaultKind> {
        let mut struck = None;
        for armed in &mut self.waiting {
            if armed.fault.action != "*" && armed.fault.action != action {
                continue;
            }
            armed.seen = armed.seen.saturating_add(1);
            if struck.is_none() && armed.seen >= armed.fault.from && armed.fault.count != Some(0) {
                struck = Some(armed.fault.kind);
                armed.fault.count = armed.fault.count.map(|count| count.saturating_sub(1));
            }
        }
        struck
    }
}
