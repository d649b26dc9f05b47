//! How long something takes, and when it is over: by the clock, or by counting calls.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;

use crate::now::Now;

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A time on the emulator's clock.
    Time(Duration),
    /// So many later calls of the service see it under way.
    Calls(u32),
}

impl Default for Span {
    /// The next call sees its end.
    fn default() -> Self {
        Self::Time(Duration::ZERO)
    }
}

/// A span that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is neither a number of seconds nor of calls; write such as 5, 0.5 or 3calls")]
pub struct SpanError(String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refused = || SpanError(text.to_owned());
        if let Some(count) = text.strip_suffix("calls") {
            return count.trim_end().parse().map(Self::Calls).map_err(|_| refused());
        }
        let seconds = text.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
        seconds.map(Self::Time).ok_or_else(refused)
    }
}

/// When something is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Due {
    /// From this moment on.
    At(Now),
    /// After the call of this number.
    AfterCall(u64),
}

/// Where the service is: on the clock, and in its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub now: Now,
    /// The number of the call that is being answered, or was last.
    pub call: u64,
}

impl Span {
    /// When something ends that begins at `point`.
    pub(super) fn from(self, point: Point) -> Due {
        match self {
            Self::Time(time) => Due::At(point.now.plus(time)),
            Self::Calls(count) => Due::AfterCall(point.call.saturating_add(count.into())),
        }
    }
}

impl Due {
    /// The moment it was over, when it is over at `point`.
    pub fn over(self, point: Point) -> Option<Now> {
        match self {
            Self::At(moment) => Some(moment).filter(|moment| *moment <= point.now),
            Self::AfterCall(call) => Some(point.now).filter(|_| call < point.call),
        }
    }
}
