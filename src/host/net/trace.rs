//! What was asked last, and how far the clock of whoever answers is from ours.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::host::clock::unix_now;

/// What one client asked last: an endpoint, and the proxy on the way.
#[derive(Debug)]
pub struct Trace {
    asked: Mutex<Option<(String, Option<String>)>>,
    skew: Arc<Skew>,
}

impl Trace {
    #[must_use]
    pub fn new(skew: Arc<Skew>) -> Self {
        Self { asked: Mutex::default(), skew }
    }

    /// As [`Skew::seconds`].
    #[must_use]
    pub fn skew(&self) -> i64 {
        self.skew.seconds()
    }

    pub(super) fn record(&self, endpoint: String, proxy: Option<String>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some((endpoint, proxy));
    }

    /// The endpoint, and the proxy; none before anything was asked.
    #[must_use]
    pub fn last(&self) -> Option<(String, Option<String>)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// By how many seconds the endpoint's clock is ahead of ours, by the `Date` of its last answer; 0
/// where that is not known.
#[derive(Debug, Default)]
pub struct Skew(AtomicI64);

impl Skew {
    pub(super) fn note(&self, date: &str) {
        if let Ok(date) = DateTime::from_str(date, Format::HttpDate) {
            self.0.store(date.secs().saturating_sub(unix_now()), Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
