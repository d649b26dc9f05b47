//! Faults on request: what goes wrong, on which action, how often and from when.

mod kind;

use std::str::FromStr;

pub use kind::FaultKind;
use kind::kinds;

use super::Family;
use super::action::{self, Target, UnknownAction};

/// A fault, and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The action: `AssociateNode`, `opsworks-cm:AssociateNode`, `opsworks-cm:*`, `*` for every one,
    /// `IMDS` for the metadata service.
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
    /// There is no such action.
    #[error(transparent)]
    Action(#[from] UnknownAction),
    /// The kind is none of the list.
    #[error("'{0}' is not a kind of fault; it is one of {kinds}, slow:SECONDS", kinds = kinds())]
    Kind(String),
    /// This kind never happens to this action.
    #[error("'{kind}' cannot strike {action}; it strikes {those}")]
    Combination {
        /// The kind.
        kind: String,
        /// The action.
        action: String,
        /// The actions that it can strike.
        those: String,
    },
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
        let target = Target::parse(action)?;
        let (rest, from) = rest.split_once('@').map_or((rest, "1"), |parts| parts);
        let (kind, count) = rest.split_once('*').map_or((rest, None), |(k, c)| (k, Some(c)));
        let number = |text: &str| text.parse().map_err(|_| FaultError::Number(text.to_owned()));
        let kind = FaultKind::parse(kind).ok_or_else(|| FaultError::Kind(kind.to_owned()))?;
        if !target.can_have(kind) {
            let (action, those) = (action.to_owned(), action::struck_by(kind));
            return Err(FaultError::Combination { kind: kind.name(), action, those });
        }
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
    /// None for an action that does not exist: it never strikes.
    target: Option<Target>,
    seen: u32,
}

impl FaultPlan {
    /// Sets a fault.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.retain(|armed| armed.fault.count != Some(0));
        let target = Target::parse(&fault.action).ok();
        self.waiting.push(Armed { fault, target, seen: 0 });
    }

    /// Forgets every fault.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The faults that can still strike; `count` is how often they still will.
    pub fn armed(&self) -> impl Iterator<Item = &Fault> {
        self.waiting.iter().map(|armed| &armed.fault).filter(|fault| fault.count != Some(0))
    }

    /// What strikes this call of `action`, if anything does.
    pub fn take(&mut self, family: Family, action: &str) -> Option<FaultKind> {
        self.strike(|target, kind| {
            target.covers(family, action) && action::can_strike(kind, family, action)
        })
    }

    /// What strikes this request to the metadata service.
    pub fn take_metadata(&mut self) -> Option<FaultKind> {
        self.strike(|target, _| *target == Target::Metadata)
    }

    fn strike(&mut self, is_meant: impl Fn(&Target, FaultKind) -> bool) -> Option<FaultKind> {
        let mut struck = None;
        for armed in &mut self.waiting {
            let kind = armed.fault.kind;
            if !armed.target.as_ref().is_some_and(|target| is_meant(target, kind)) {
                continue;
            }
            armed.seen = armed.seen.saturating_add(1);
            if struck.is_none() && armed.seen >= armed.fault.from && armed.fault.count != Some(0) {
                struck = Some(kind);
                armed.fault.count = armed.fault.count.map(|count| count.saturating_sub(1));
            }
        }
        struck
    }
}
