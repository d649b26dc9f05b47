//! Monitors a member between joining and leaving: inspects the installed files at intervals, and ends
//! when something has to be done. Pure.

use std::fmt;
use std::time::Duration;

use super::{Effect, Event, Now, Outcome, PhaseName, Record, Status, Waiting, backoff};
use crate::engines::{Finding, ObservedFile};
use crate::facts::MachineIdentity;
use crate::fault::Fault;

/// Why a monitor ends: what has to be done for the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The certificate or the key is due for renewal.
    Renewal,
    /// Installed files are missing or damaged.
    Repair,
    /// The private key is lost, and with it the membership: leave, then join with a new key.
    Rejoin,
    /// The node has left or is leaving: an operator ran `enlist leave`.
    Left,
    /// The record belongs to another machine: this machine joins with a new record.
    OtherMachine,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Renewal => "the membership is due for renewal",
            Self::Repair => "installed files are missing or damaged; repairing them",
            Self::Rejoin => "the private key is lost; leaving, then joining with a new key",
            Self::Left => "this node has left",
            Self::OtherMachine => {
                "the record belongs to another machine; moving it to the backups and joining this machine"
            }
        })
    }
}

/// The monitor of one member.
pub struct Monitor {
    target: &'static str,
    record: Record,
    /// The time between two inspections, without jitter.
    interval: Duration,
    /// Whether missing or damaged files are to be repaired.
    repairs: bool,
    /// How long a key is used before it is renewed.
    key_lifetime: Option<Duration>,
    seed: u64,
    /// How many inspections there were; each draws its own jitter.
    inspections: u32,
    /// When the next inspection comes, on the clock of [`Now::mono`].
    next: Duration,
    is_waiting: bool,
    findings: Vec<Finding>,
    fault: Option<Fault>,
    need: Option<Need>,
}

impl Monitor {
    /// Monitors the member of this record. The first inspection comes at once.
    #[must_use]
    pub fn new(
        target: &'static str,
        record: Record,
        interval: Duration,
        repairs: bool,
        seed: u64,
        now: Now,
    ) -> Self {
        Self {
            target,
            record,
            interval,
            repairs,
            key_lifetime: None,
            seed,
            inspections: 0,
            next: now.mono,
            is_waiting: false,
            findings: Vec::new(),
            fault: None,
            need: None,
        }
    }

    /// Renews a key before it is older than this.
    #[must_use]
    pub fn renewing_keys(mut self, lifetime: Option<Duration>) -> Self {
        self.key_lifetime = lifetime;
        self
    }

    fn inspected(
        &mut self,
        now: Now,
        record: Option<Record>,
        files: &[ObservedFile],
        here: &MachineIdentity,
    ) {
        let Some(record) = record.filter(Record::is_member) else {
            self.need = Some(Need::Left);
            return;
        };
        // Happens where a machine is copied while the daemon runs.
        if record.other_machine(here).is_some() {
            self.need = Some(Need::OtherMachine);
            return;
        }
        self.findings = record.findings(files, now.unix);
        self.record = record;
        let is_due = self.record.is_renewal_due(now.unix, self.key_lifetime);
        let is_key_lost = self.findings.iter().any(Finding::is_key_lost);
        self.need = if self.repairs && is_key_lost && self.record.former.is_none() {
            Some(Need::Rejoin)
        } else if self.repairs && self.findings.iter().any(Finding::is_for_repair) {
            Some(Need::Repair)
        } else {
            is_due.then_some(Need::Renewal)
        };
    }

    /// Schedules the next inspection: after the interval, a quarter more or less, and not later than
    /// the renewal is due.
    fn pause(&mut self, now: Now) {
        self.inspections = self.inspections.wrapping_add(1);
        let stream = backoff::Stream::Inspection;
        let pause = backoff::with_jitter(self.seed, stream, self.inspections, self.interval);
        let until_renewal = self.record.renewal_at(self.key_lifetime).map_or(pause, |at| {
            Duration::from_secs(u64::try_from(at.saturating_sub(now.unix)).unwrap_or(0).max(1))
        });
        self.next = now.mono + pause.min(until_renewal);
        self.is_waiting = true;
    }
}

impl super::StateMachine for Monitor {
    fn poll(&self) -> Effect {
        match &self.need {
            Some(need) => Effect::Finish(Outcome::Due(need.clone())),
            None if self.is_waiting => Effect::WaitUntil(self.next),
            None => Effect::Inspect,
        }
    }

    fn handle(&mut self, now: Now, event: Event) {
        match event {
            Event::Inspected(record, files, here) => {
                self.fault = None;
                self.inspected(now, record.map(|record| *record), &files, &here);
            }
            // The next inspection may succeed.
            Event::Failed(fault) => self.fault = Some(fault),
            Event::Woke if now.mono >= self.next => {
                self.is_waiting = false;
                return;
            }
            _ => return,
        }
        self.pause(now);
    }

    fn status(&self, now: Now) -> Status {
        let waiting = (now.mono < self.next).then(|| Waiting {
            reason: "the next inspection of the installed files".to_owned(),
            until: self.next,
            ends: None,
            is_fault: false,
        });
        let problems = self.findings.iter().map(Finding::to_string);
        let problems: Vec<String> =
            problems.chain(self.fault.iter().map(Fault::to_string)).collect();
        let authority = self.record.authority_name.clone();
        let doing = match problems.as_slice() {
            [] => format!("joined {authority}"),
            problems => format!("joined {authority}, but {}", problems.join("; ")),
        };
        Status {
            target: self.target,
            authority,
            phase: PhaseName::Joined,
            name: self.record.name.clone(),
            doing,
            waiting,
            failures: u32::from(self.fault.is_some()),
            fault: self.fault.as_ref().map(|fault| fault.kind),
            findings: self.findings.clone(),
            steps: Vec::new(),
        }
    }
}
