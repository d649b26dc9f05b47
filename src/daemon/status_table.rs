//! The status of every target. Changes are reported to the service manager and in the metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metrics::Publisher;
use super::service_manager::ServiceManager;
use crate::bootstrap::{PhaseName, Record, Status};
use crate::config::settings::Ready;
use crate::fault::{Fault, Kind};
use crate::text;

/// An entry for each target, and what was last reported of them.
pub struct StatusTable {
    pub entries: Vec<Entry>,
    publisher: Publisher,
    ready: Ready,
    /// The last line that the service manager was told.
    reported: String,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: &'static str,
    /// Whether the settings have it. Else only its record knows it, and nothing waits for it.
    pub is_configured: bool,
    pub state: MembershipState,
    /// What is being done now, as a phrase.
    pub doing: String,
    pub phase: PhaseName,
    /// How often the creating call was attempted.
    pub attempts: u32,
    /// End of the certificate, Unix seconds.
    pub not_after: Option<i64>,
    /// When a new certificate or key is asked for, Unix seconds.
    pub renewal_at: Option<i64>,
    /// How many of the installed files are missing or damaged.
    pub findings: usize,
    /// Why the authority does not have this member any more, as it said last.
    pub absence: Option<String>,
    /// Whether the authority has this member, as it said last.
    pub is_known: Option<bool>,
    /// Faults since the settings were read, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// When it last joined, renewed, or was inspected without findings: Unix seconds.
    pub last_success: Option<i64>,
    /// Failures in a row, as last seen.
    failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipState {
    /// Joining.
    Pending,
    Member,
    /// Stopped by a fault that trying again within the budget does not cure.
    GivenUp(Fault),
    /// `enlist leave` was run.
    Left,
}

impl Entry {
    pub fn new(id: &'static str, is_configured: bool) -> Self {
        Self {
            id,
            is_configured,
            state: MembershipState::Pending,
            doing: "starting".to_owned(),
            phase: PhaseName::New,
            attempts: 0,
            not_after: None,
            renewal_at: None,
            findings: 0,
            absence: None,
            is_known: None,
            faults: BTreeMap::new(),
            last_success: None,
            failures: 0,
        }
    }

    pub fn is_member(&self) -> bool {
        self.state == MembershipState::Member
    }

    /// Takes over the status of a state machine while it is driven.
    pub fn observe(&mut self, status: &Status) {
        self.doing.clone_from(&status.doing);
        self.phase = status.phase;
        if let Some(kind) = status.fault.filter(|_| status.failures > self.failures) {
            self.count(kind);
        }
        self.failures = status.failures;
    }

    /// Takes over the record of a member.
    pub fn joined(&mut self, record: &Record, key_lifetime: Option<Duration>, unix: i64) {
        self.state = MembershipState::Member;
        self.phase = record.phase.name();
        self.attempts = record.attempts;
        self.not_after = record.certificate().map(|(_, not_after)| not_after);
        self.renewal_at = record.renewal_at(key_lifetime);
        self.last_success = Some(unix);
    }

    /// Records the fault that ended the join. Faults that were retried are counted already.
    pub fn gave_up(&mut self, fault: &Fault) {
        if self.failures == 0 {
            self.count(fault.kind);
        }
        self.failures = 0;
        self.state = MembershipState::GivenUp(fault.clone());
    }

    /// What a member does, and that the authority does not have it.
    fn line(&self) -> String {
        let absence = self.absence.as_ref().filter(|_| self.is_member());
        let absence = absence.map(|what| format!(", but the authority does not have it: {what}"));
        format!("{}: {}{}", self.id, self.doing, absence.unwrap_or_default())
    }

    fn count(&mut self, kind: Kind) {
        *self.faults.entry(kind.word()).or_default() += 1;
    }
}

impl StatusTable {
    pub fn new(entries: Vec<Entry>, publisher: Publisher, ready: Ready) -> Self {
        Self { entries, publisher, ready, reported: String::new() }
    }

    /// Reports what has changed.
    pub fn report(&mut self, manager: &ServiceManager) {
        let line = self.line();
        if line != self.reported {
            manager.status(&line);
            self.reported = line;
        }
        if manager.is_starting() {
            if self.is_ready() {
                manager.ready();
            } else {
                manager.still_starting();
            }
        }
        self.publisher.publish(&self.entries);
    }

    pub fn metrics(&self) -> String {
        super::metrics::text(&self.entries)
    }

    /// The first target's fault, if none of the targets can continue.
    pub fn all_gave_up(&self) -> Option<Fault> {
        let mut faults = self.awaited().map(|entry| match &entry.state {
            MembershipState::GivenUp(fault) => Some(fault.clone()),
            _ => None,
        });
        let first = faults.next()??;
        faults.all(|fault| fault.is_some()).then_some(first)
    }

    /// Whether startup is finished. It does not wait for a target that gave up.
    fn is_ready(&self) -> bool {
        let is_pending = |entry: &Entry| entry.state == MembershipState::Pending;
        self.ready == Ready::Started
            || self.awaited().next().is_none()
            || (self.awaited().any(Entry::is_member) && !self.awaited().any(is_pending))
    }

    /// The targets of the settings.
    fn awaited(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_configured)
    }

    /// All targets in one line.
    fn line(&self) -> String {
        let parts: Vec<String> = self
            .entries
            .iter()
            .map(|entry| match &entry.state {
                MembershipState::GivenUp(_) => format!("{}: gave up: {}", entry.id, entry.doing),
                MembershipState::Left => format!("{}: has left", entry.id),
                _ => entry.line(),
            })
            .collect();
        text::line(&parts.join("; "))
    }
}
