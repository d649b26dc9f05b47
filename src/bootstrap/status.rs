//! The status of a state machine, for log lines, `enlist status` and the service manager.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Now;
use super::health::{MembershipName, Problem};
use super::phase::PhaseName;
use super::record::{FaultNote, Record};
use crate::engines::{Finding, Installed};
use crate::facts::machine::Difference;
use crate::fault::Kind;
use crate::text;

/// The status of a running state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub target: &'static str,
    pub authority: String,
    pub phase: PhaseName,
    pub name: Option<String>,
    /// What is being done now, as a phrase: `calling DescribeServers for server p`.
    pub doing: String,
    /// Set while it waits.
    pub waiting: Option<Waiting>,
    /// Failures in a row; 0 again after a success.
    pub failures: u32,
    /// The kind of the last fault in this phase.
    pub fault: Option<Kind>,
    /// Installed files of a member that are missing or damaged.
    pub findings: Vec<Finding>,
    /// The steps done so far, in order.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The reason, or the fault after which it is retried.
    pub reason: String,
    /// When the wait ends, on the clock of [`super::Now::mono`].
    pub until: Duration,
    /// When the budget ends, on the same clock; none where there is none.
    pub ends: Option<Duration>,
    /// Whether it waits because of a fault.
    pub is_fault: bool,
}

impl Waiting {
    /// The reason, how long this wait takes, and when the budget ends.
    #[must_use]
    pub fn sentence(&self, now: Now) -> String {
        let seconds = self.until.saturating_sub(now.mono).as_secs_f64();
        let until = self.ends.map(|ends| {
            let rest = i64::try_from(ends.saturating_sub(now.mono).as_secs()).unwrap_or(i64::MAX);
            format!(", until {}", text::moment(now.unix, now.unix.saturating_add(rest)))
        });
        let until = until.unwrap_or_default();
        let reason = &self.reason;
        if self.is_fault {
            format!("{reason}; retrying in {seconds:.1} s{until}")
        } else {
            format!("waiting: {reason}; asking again in {seconds:.1} s{until}")
        }
    }
}

/// A step that was done, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub kind: StepKind,
    pub result: String,
}

/// Which step was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The record of another machine was found.
    Clone,
    Facts,
    Authority,
    /// Something of the authority that a person has to look at.
    Warning,
    Key,
    /// The request is made, and a person carries it.
    Request,
    /// The authority was asked to accept this node.
    Association,
    Granted,
    /// An earlier creating call turned out to have taken effect.
    Reconciled,
    /// A grant's secret is lost.
    Secret,
    Install,
    Renewal,
    Repair,
    /// Changed settings are applied.
    Settings,
    /// The authority has removed this node.
    Departed,
    Remains,
    Left,
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clone => "clone",
            Self::Facts => "facts",
            Self::Authority => "authority",
            Self::Warning => "warning",
            Self::Key => "key",
            Self::Request => "request",
            Self::Association => "association",
            Self::Granted => "granted",
            Self::Reconciled => "reconciled",
            Self::Secret => "secret",
            Self::Install => "install",
            Self::Renewal => "renewal",
            Self::Repair => "repair",
            Self::Settings => "settings",
            Self::Departed => "left the authority",
            Self::Remains => "not removed at the authority",
            Self::Left => "left",
        })
    }
}

/// A record as `enlist status` reports it. `docs/status.schema.json` describes its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are members of the JSON")]
pub struct Report {
    pub target: String,
    /// Whether the settings have this target. Without them, the record knows it.
    pub configured: bool,
    pub authority: String,
    /// Where the engine finds it, once that is known.
    pub endpoint: Option<String>,
    pub membership: MembershipName,
    /// Whether nothing is wrong with the membership. False where there is none.
    pub healthy: bool,
    pub phase: PhaseName,
    pub joined: bool,
    /// Unix seconds: when the phase was entered, or for a repaired member when it joined.
    pub since: Option<i64>,
    pub name: Option<String>,
    pub key_sha256: Option<String>,
    pub attempts: u32,
    pub certificate_serial: Option<String>,
    /// Unix seconds.
    pub certificate_not_after: Option<i64>,
    /// Unix seconds: when the certificate or the key is due for renewal.
    pub renewal_at: Option<i64>,
    /// The authority's id of this node, where that is not its name.
    pub member_id: Option<String>,
    pub installed: Vec<Installed>,
    /// Which installed files are missing or damaged.
    pub findings: Vec<Finding>,
    /// Settings that changed since the membership was made.
    pub changes: Vec<ChangedSetting>,
    /// All that is wrong with the membership.
    pub problems: Vec<Problem>,
    /// What works, and is not as safe as it could be.
    pub warnings: Vec<String>,
    /// What the authority says of this node, where it was asked.
    pub probe: Option<Probed>,
    /// The file with which enlist keeps the engine from running.
    pub held_by: Option<String>,
    pub fault: Option<FaultNote>,
    /// Set where the record belongs to another machine: the id that differs.
    pub other_machine: Option<String>,
    /// What happens next, or what to do.
    pub next: String,
    /// Whether the record can't be read, so that nothing is known of the membership.
    #[serde(skip)]
    pub is_unreadable: bool,
}

/// A setting with another value than the membership was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedSetting {
    pub setting: String,
    pub in_force: serde_json::Value,
    pub wanted: serde_json::Value,
    /// The command that puts the new value in force.
    pub command: String,
}

/// What the authority says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// `present`, `absent`, `reachable`, `not asked` or `failed`.
    pub standing: &'static str,
    pub says: String,
}

impl Report {
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            target: record.target.clone(),
            configured: true,
            authority: record.authority_name.clone(),
            endpoint: endpoint(record),
            membership: membership(record),
            healthy: record.is_member(),
            phase: record.phase.name(),
            joined: record.is_member(),
            since: Some(record.since),
            name: record.name.clone(),
            key_sha256: record.key_in_use().map(str::to_owned),
            attempts: record.attempts,
            certificate_serial: record.certificate().map(|(serial, _)| serial.to_owned()),
            certificate_not_after: record.certificate().map(|(_, not_after)| not_after),
            renewal_at: record.renewal_at(None),
            member_id: record.member_id().map(str::to_owned),
            installed: record.installed.clone(),
            findings: Vec::new(),
            changes: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            probe: None,
            held_by: None,
            fault: record.fault.clone(),
            other_machine: None,
            next: next(record),
            is_unreadable: false,
        }
    }

    /// The report where the record belongs to another machine, whose disk was copied. This machine has
    /// not joined.
    #[must_use]
    pub fn of_other_machine(self, difference: &Difference) -> Self {
        Self {
            joined: false,
            healthy: false,
            membership: MembershipName::None,
            other_machine: Some(format!("the record belongs to another machine: {difference}")),
            next: format!(
                "run `enlist join --target {}`, which moves that record and its key to the backups and joins this machine",
                self.target
            ),
            ..self
        }
    }

    /// The report of a target that is configured and has no record.
    #[must_use]
    pub fn absent(target: &str, authority: &str) -> Self {
        let record = Record::new(target, authority, 0);
        Self { since: None, ..Self::of(&record) }
    }

    /// The report where the record can't be read.
    #[must_use]
    pub fn unreadable(self, problem: Problem) -> Self {
        let next = problem.todo.clone();
        Self { next, problems: vec![problem], is_unreadable: true, ..self }
    }

    /// Adds problems. The first one says what to do next.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        if let (true, Some(first)) = (self.problems.is_empty() && self.joined, problems.first()) {
            self.next.clone_from(&first.todo);
        }
        self.problems.extend(problems);
        self.healthy &= self.problems.is_empty();
        self
    }

    /// The exit code of `enlist status`: 0 if this node is a member and nothing is wrong. Else that of the first
    /// problem; without one, of the last fault.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let fault = self.fault.as_ref().filter(|_| self.other_machine.is_none());
        match self.problems.first() {
            Some(problem) => problem.kind.exit_code(),
            None if self.joined => 0,
            None => fault.map_or(Kind::Transient, |fault| fault.kind).exit_code(),
        }
    }
}

fn endpoint(record: &Record) -> Option<String> {
    record.membership().authority?.endpoint().map(str::to_owned)
}

fn membership(record: &Record) -> MembershipName {
    match record.phase.name() {
        _ if record.is_member() => MembershipName::Member,
        PhaseName::New => MembershipName::None,
        PhaseName::Leaving => MembershipName::Leaving,
        PhaseName::Requested
        | PhaseName::Creating
        | PhaseName::Watching
        | PhaseName::Installing
        | PhaseName::Joined => MembershipName::Joining,
    }
}

fn next(record: &Record) -> String {
    let phase = record.phase.name();
    let ended = record.fault.as_ref().filter(|fault| fault.is_final && !record.is_member());
    if let (Some(fault), true) = (ended, phase != PhaseName::Leaving) {
        return fault.todo.clone();
    }
    if record.former.is_some() && phase != PhaseName::Leaving {
        return under_way(record);
    }
    let id = &record.target;
    match phase {
        PhaseName::New => "run `enlist join`, or start enlist.service".to_owned(),
        PhaseName::Requested => format!(
            "carry the request (`enlist csr --by-hand --target {id}` prints it) to the authority, and its answer here: `enlist accept --target {id} FILE`"
        ),
        PhaseName::Creating => format!(
            "`enlist join --target {id}` or enlist.service finds out whether the authority accepted this node, and asks again with the same key if not"
        ),
        PhaseName::Watching => format!(
            "`enlist join --target {id}` or enlist.service waits for the authority's decision, then installs the files"
        ),
        PhaseName::Installing => format!(
            "`enlist join --target {id}` or enlist.service installs the files that are missing"
        ),
        PhaseName::Joined => "nothing to do: this node has joined".to_owned(),
        PhaseName::Leaving => format!("run `enlist leave --target {id}` to finish leaving"),
    }
}

/// What finishes the maintenance of a member.
fn under_way(record: &Record) -> String {
    let id = &record.target;
    if record.applies_settings() {
        return format!(
            "changed settings are being applied: `enlist join --target {id}` or enlist.service finishes that"
        );
    }
    let what = if record.former_key().is_some() { "key" } else { "certificate" };
    format!(
        "a new {what} is under way: `enlist renew --target {id}` or enlist.service finishes that"
    )
}

#[cfg(test)]
mod tests {
    use super::{Now, Waiting};
    use std::time::Duration;

    #[test]
    fn a_wait_shows_reason_length_and_end() {
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
            Waiting { is_fault: false, ends: None, reason: "no decision yet".to_owned(), ..wait };
        assert_eq!(slow.sentence(now), "waiting: no decision yet; asking again in 0.5 s");
    }
}
