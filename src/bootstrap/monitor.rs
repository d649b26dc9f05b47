//! The time between joining and leaving: looks at what is installed from time to time, and ends
//! when there is something to do. Pure.

use std::fmt;
use std::time::Duration;

use super::{Effect, Event, Now, Outcome, PhaseName, Record, Status, Waiting, backoff};
use crate::engines::inspection::findings;
use crate::engines::{Finding, ObservedFile};
use crate::facts::MachineIdentity;
use crate::fault::Fault;

/// What is to be done for a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A new certificate is to be asked for.
    Renewal,
    /// What was granted is to be installed once more.
    Reinstallation,
    /// The key is lost, and with it the membership: leave, and join with a new one.
    Rejoin,
    /// This node has left or is leaving: somebody ran `enlist leave`.
    Left,
    /// The record is another machine's: this one joins anew.
    OtherMachine,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Renewal => "the certificate is to be renewed",
            Self::Reinstallation => "what is missing or damaged is to be put back",
            Self::Rejoin => "the key is lost: leaving, and joining anew",
            Self::Left => "this node has left",
            Self::OtherMachine => {
                "the record is another machine's: it is set aside, and this machine joins anew"
            }
        })
    }
}

/// The monitor of one member.
pub struct Monitor {
    target: &'static str,
    record: Record,
    /// How often the files are looked at.
    interval: Duration,
    /// Whether what is missing or damaged is a reason to do something about it.
    repairs: bool,
    seed: u64,
    looks: u32,
    /// On the clock of [`Now::mono`].
    next: Duration,
    is_waiting: bool,
    findings: Vec<Finding>,
    fault: Option<Fault>,
    need: Option<Need>,
}

impl Monitor {
    /// From the record of a member. The first look comes at once.
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
            seed,
            looks: 0,
            next: now.mono,
            is_waiting: false,
            findings: Vec::new(),
            fault: None,
            need: None,
        }
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
        // A machine that was copied while it ran.
        if record.other_machine(here).is_some() {
            self.need = Some(Need::OtherMachine);
            return;
        }
        self.findings = findings(&record.membership(), files, now.unix);
        self.record = record;
        let is_due = self.record.renewal_at().is_some_and(|at| at <= now.unix);
        self.need = if self.repairs && self.findings.iter().any(Finding::is_key_lost) {
            Some(Need::Rejoin)
        } else if self.repairs && !self.findings.is_empty() {
            Some(Need::Reinstallation)
        } else {
            is_due.then_some(Need::Renewal)
        };
    }

    /// The next look: after the interval, a quarter more or less, or when the renewal is due.
    fn pause(&mut self, now: Now) {
        self.looks = self.looks.wrapping_add(1);
        let pause =
            backoff::with_jitter(self.seed, backoff::Stream::Inspection, self.looks, self.interval);
        let until_renewal = self.record.renewal_at().map_or(pause, |at| {
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
            // It can't be looked at now; perhaps the next time.
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
            reason: "the next look at what is installed".to_owned(),
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
