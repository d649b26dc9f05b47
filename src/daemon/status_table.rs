//! How every target stands, and who is to know of it: the service manager and the metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metrics::Publisher;
use crate::bootstrap::{PhaseName, Record, Status};
use crate::config::settings::Ready;
use crate::fault::{Fault, Kind};
use crate::host::Notifier;
use crate::text;

/// While we are starting, more time is asked for in these portions, and again before they end.
pub const EXTENSION: Duration = Duration::from_secs(90);

pub struct StatusTable {
    pub entries: Vec<Entry>,
    notifier: Notifier,
    publisher: Publisher,
    ready: Ready,
    is_ready: bool,
    told: String,
}

/// One target.
#[derive(Debug)]
pub struct Entry {
    pub word: &'static str,
    pub state: MembershipState,
    /// As a phrase.
    pub doing: String,
    pub phase: PhaseName,
    pub attempts: u32,
    /// Unix seconds.
    pub not_after: Option<i64>,
    pub renewal_at: Option<i64>,
    /// How many of the installed files are not as they were.
    pub findings: usize,
    /// By the fault's word, since the settings were read.
    pub faults: BTreeMap<&'static str, u64>,
    /// When it last joined, renewed, or was looked at and found well: Unix seconds.
    pub last_success: Option<i64>,
    failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipState {
    /// On its way.
    Pending,
    Member,
    /// Stopped by a fault that does not pass by itself; tried again after a long while.
    GivenUp(Fault),
    /// By somebody's hand.
    Left,
}

impl Entry {
    fn new(word: &'static str) -> Self {
        Self {
            word,
            state: MembershipState::Pending,
            doing: "starting".to_owned(),
            phase: PhaseName::New,
            attempts: 0,
            not_after: None,
            renewal_at: None,
            findings: 0,
            faults: BTreeMap::new(),
            last_success: None,
            failures: 0,
        }
    }

    pub fn is_member(&self) -> bool {
        self.state == MembershipState::Member
    }

    /// As a machine says of itself while it is driven.
    pub fn see(&mut self, status: &Status) {
        self.doing.clone_from(&status.doing);
        self.phase = status.phase;
        if let Some(kind) = status.fault.filter(|_| status.failures > self.failures) {
            self.count(kind);
        }
        self.failures = status.failures;
    }

    pub fn joined(&mut self, record: &Record, unix: i64) {
        self.state = MembershipState::Member;
        self.know(record);
        self.last_success = Some(unix);
    }

    pub fn know(&mut self, record: &Record) {
        self.phase = record.phase.name();
        self.attempts = record.attempts;
        self.not_after = record.certificate().map(|(_, not_after)| not_after);
        self.renewal_at = record.renewal_at();
    }

    fn count(&mut self, kind: Kind) {
        *self.faults.entry(kind.word()).or_default() += 1;
    }

    /// Ended by a fault; whether it was counted while it was driven shows in the failures.
    pub fn gave_up(&mut self, fault: &Fault) {
        if self.failures == 0 {
            self.count(fault.kind);
        }
        self.failures = 0;
        self.state = MembershipState::GivenUp(fault.clone());
    }
}

impl StatusTable {
    pub fn new(
        words: &[&'static str],
        notifier: Notifier,
        publisher: Publisher,
        ready: Ready,
        is_ready: bool,
    ) -> Self {
        let entries = words.iter().map(|word| Entry::new(word)).collect();
        Self { entries, notifier, publisher, ready, is_ready, told: String::new() }
    }

    /// Tells everybody what is new.
    pub fn changed(&mut self) {
        let text = self.text();
        if text != self.told {
            self.notifier.status(&text);
            self.told = text;
        }
        if !self.is_ready {
            if self.may_be_ready() {
                self.is_ready = true;
                self.notifier.ready();
            } else {
                self.notifier.extend(EXTENSION);
            }
        }
        self.publisher.publish(&self.entries);
    }

    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub fn metrics(&self) -> String {
        super::metrics::text(&self.entries)
    }

    /// The first one's fault, where none of the targets can go on.
    pub fn all_gave_up(&self) -> Option<Fault> {
        let mut faults = self.entries.iter().map(|entry| match &entry.state {
            MembershipState::GivenUp(fault) => Some(fault.clone()),
            _ => None,
        });
        let first = faults.next()??;
        faults.all(|fault| fault.is_some()).then_some(first)
    }

    /// One that gave up does not keep the others' word back.
    fn may_be_ready(&self) -> bool {
        let is_pending = |entry: &Entry| entry.state == MembershipState::Pending;
        self.ready == Ready::Started
            || (self.entries.iter().any(Entry::is_member) && !self.entries.iter().any(is_pending))
    }

    /// One line.
    fn text(&self) -> String {
        let parts: Vec<String> = self
            .entries
            .iter()
            .map(|entry| match &entry.state {
                MembershipState::GivenUp(fault) => format!("{}: gave up: {fault}", entry.word),
                MembershipState::Left => format!("{}: has left", entry.word),
                _ => format!("{}: {}", entry.word, entry.doing),
            })
            .collect();
        text::line(&parts.join("; "))
    }
}
