//! Where a bootstrap stands: for people, for JSON, for the service manager.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use time::OffsetDateTime;

use super::Now;
use super::phase::PhaseName;
use super::record::{FaultNote, Record};
use crate::engines::{Finding, Installed};
use crate::facts::machine::Difference;
use crate::fault::Kind;

/// A snapshot while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub target: &'static str,
    pub authority: String,
    pub phase: PhaseName,
    pub name: Option<String>,
    /// What is being done now, as a phrase: `asking server p for its CA`.
    pub doing: String,
    /// Set while nothing but time is needed.
    pub waiting: Option<Waiting>,
    /// How often in a row it has failed by now; 0 again once something succeeds.
    pub failures: u32,
    /// What kind of fault it was the last time, in this phase.
    pub fault: Option<Kind>,
    /// Of a member: what was installed and is not as it was.
    pub findings: Vec<Finding>,
    /// Steps taken so far, each once: what was done and its result.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What for: `the association`, or the fault that is being waited out.
    pub reason: String,
    /// On the clock of [`super::Now::mono`].
    pub until: Duration,
    /// When the budget ends, on the same clock; none where there is no budget.
    pub ends: Option<Duration>,
    /// Whether something went wrong, as opposed to taking its time.
    pub is_fault: bool,
}

impl Waiting {
    /// What is waited for, when it goes on, and until when that is done.
    #[must_use]
    pub fn sentence(&self, now: Now) -> String {
        let seconds = self.until.saturating_sub(now.mono).as_secs_f64();
        let until = self.ends.map(|ends| format!(", until {}", moment(now, ends)));
        let until = until.unwrap_or_default();
        let reason = &self.reason;
        if self.is_fault {
            format!("{reason}; retrying in {seconds:.1} s{until}")
        } else {
            format!("waiting: {reason}; asking again in {seconds:.1} s{until}")
        }
    }
}

/// Hours and minutes by this node's clock; with the date where that is another day.
fn moment(now: Now, at: Duration) -> String {
    let rest = i64::try_from(at.saturating_sub(now.mono).as_secs()).unwrap_or(i64::MAX);
    let of = |unix| OffsetDateTime::from_unix_timestamp(unix).ok();
    let (Some(today), Some(at)) = (of(now.unix), of(now.unix.saturating_add(rest))) else {
        return "an unknown time".to_owned();
    };
    let time = format!("{:02}:{:02} UTC", at.hour(), at.minute());
    if at.date() == today.date() { time } else { format!("{} {time}", at.date()) }
}

/// A step that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub kind: StepKind,
    pub result: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The record of another machine was found.
    Clone,
    Facts,
    Authority,
    Key,
    /// The authority was asked to accept this node.
    Association,
    Granted,
    /// An earlier creating call turned out to have taken effect.
    Reconciled,
    /// The secret that came with a grant is lost.
    Secret,
    Install,
    Renewal,
    Repair,
    /// The authority does not have this node any more.
    Departed,
    Left,
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clone => "clone",
            Self::Facts => "facts",
            Self::Authority => "authority",
            Self::Key => "key",
            Self::Association => "association",
            Self::Granted => "granted",
            Self::Reconciled => "reconciled",
            Self::Secret => "secret",
            Self::Install => "install",
            Self::Renewal => "renewal",
            Self::Repair => "repair",
            Self::Departed => "left the authority",
            Self::Left => "left",
        })
    }
}

/// What a record says to `status`: the documented form of `enlist status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub target: String,
    pub authority: String,
    pub phase: PhaseName,
    pub joined: bool,
    /// Unix seconds when the phase was entered.
    pub since: Option<i64>,
    pub name: Option<String>,
    pub key_sha256: Option<String>,
    pub attempts: u32,
    pub certificate_serial: Option<String>,
    /// Unix seconds.
    pub certificate_not_after: Option<i64>,
    /// Unix seconds; when a new certificate is asked for.
    pub renewal_at: Option<i64>,
    /// The id that the authority knows this node by, where that is not its name.
    pub member_id: Option<String>,
    pub installed: Vec<Installed>,
    /// What of it is missing or damaged.
    pub findings: Vec<Finding>,
    /// The file that keeps the engine from running, where it is ours.
    pub held_by: Option<String>,
    pub fault: Option<FaultNote>,
    /// Of a record that is another machine's: which id says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_machine: Option<String>,
    /// What comes next, as a phrase.
    pub next: &'static str,
}

impl Report {
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            target: record.target.clone(),
            authority: record.authority_name.clone(),
            phase: record.phase.name(),
            joined: record.is_member(),
            since: Some(record.since),
            name: record.name.clone(),
            key_sha256: record.key.as_ref().map(|key| key.sha256.clone()),
            attempts: record.attempts,
            certificate_serial: record.certificate().map(|(serial, _)| serial.to_owned()),
            certificate_not_after: record.certificate().map(|(_, not_after)| not_after),
            renewal_at: record.renewal_at(),
            member_id: record.member_id().map(str::to_owned),
            installed: record.installed.clone(),
            findings: Vec::new(),
            held_by: None,
            fault: record.fault.clone(),
            other_machine: None,
            next: next(record.phase.name()),
        }
    }

    /// The record came with a copied disk: what it says is another machine's, and this one has not
    /// joined.
    #[must_use]
    pub fn of_other_machine(self, difference: &Difference) -> Self {
        Self {
            joined: false,
            other_machine: Some(format!("the record is another machine's: {difference}")),
            next: "run `enlist join`: it moves that record and its key to the backups, and joins this machine",
            ..self
        }
    }

    /// A target that is configured and has no record yet.
    #[must_use]
    pub fn absent(target: &str, authority: &str) -> Self {
        let record = Record::new(target, authority, 0);
        Self { since: None, ..Self::of(&record) }
    }
}

fn next(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::New => "learn who the authority is, make a key, ask to be accepted",
        PhaseName::Creating => "ask to be accepted, again with the same key",
        PhaseName::Watching => "ask how far the authority is",
        PhaseName::Installing => "put everything in place",
        PhaseName::Joined => "nothing: this node has joined",
        PhaseName::Leaving => "finish leaving: run `enlist leave`",
    }
}

#[cfg(test)]
mod tests {
    use super::{Now, Waiting};
    use std::time::Duration;

    #[test]
    fn a_wait_says_why_for_how_long_and_until_when() {
        // 2026-01-01 20:34:00 UTC.
        let now = Now { mono: Duration::from_mins(1), unix: 1_767_299_640, skew: 0 };
        let wait = Waiting {
            reason: "cannot connect to http://127.0.0.1:9 (connection refused)".to_owned(),
            until: now.mono + Duration::from_millis(500),
            ends: Some(now.mono + Duration::from_mins(30)),
            is_fault: true,
        };
        assert_eq!(
            wait.sentence(now),
            "cannot connect to http://127.0.0.1:9 (connection refused); retrying in 0.5 s, until 21:04 UTC"
        );
        let day = Waiting { ends: Some(now.mono + Duration::from_hours(5)), ..wait.clone() };
        assert!(day.sentence(now).ends_with("until 2026-01-02 01:34 UTC"), "{}", day.sentence(now));
        let slow =
            Waiting { is_fault: false, ends: None, reason: "it takes its time".to_owned(), ..wait };
        assert_eq!(slow.sentence(now), "waiting: it takes its time; asking again in 0.5 s");
    }
}
