//! The last request of a client, and the difference between the server's clock and ours.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::host::clock::unix_now;

/// The last request of one client: its endpoint, and the proxy it goes through.
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

    /// The endpoint and the proxy of the last request; none before the first.
    #[must_use]
    pub fn last(&self) -> Option<(String, Option<String>)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How far the endpoint's clock is ahead of ours, by the `Date` of its last answer. In seconds; 0
/// if it is not known.
#[derive(Debug, Default)]
pub struct Skew(AtomicI64);

impl Skew {
    /// Takes in the `Date` of an answer.
    pub fn note(&self, date: &str) {
        if let Ok(date) = DateTime::from_str(date, Format::HttpDate) {
            self.0.store(date.secs().saturating_sub(unix_now()), Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
