//! Faults: failures with a kind. Pure.
//!
//! The code that does the I/O gives a fault its kind, the core decides what to do about it, and
//! `main` prints it. The kinds and their exit codes follow BSD `sysexits.h`.

mod shows;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text;

pub use shows::Shows;

/// The kind of a fault decides what the core does about it, and the exit code.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Kind {
    /// Bad arguments.
    Usage,
    /// What the authority sent, or the node's own key, can't be used: wrong key, name or CA, expired,
    /// not PEM.
    Data,
    /// The authority refused: association FAILED, server gone, validation error.
    Rejected,
    /// A bug in enlist, or a damaged record.
    Invariant,
    /// Disk, permissions, a lock that another process holds.
    Host,
    /// Network, 5xx, throttling, no metadata yet, a server that is not HEALTHY yet.
    Transient,
    /// An answer that is not one of the API's.
    Protocol,
    /// Credentials that are missing, expired, or refused by IAM.
    Denied,
    /// Invalid settings; or a file whose owner or mode has to be corrected first.
    Config,
}

impl Kind {
    /// The process exit code (`sysexits.h`).
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Data => 65,
            Self::Rejected => 69,
            Self::Invariant => 70,
            Self::Host => 74,
            Self::Transient => 75,
            Self::Protocol => 76,
            Self::Denied => 77,
            Self::Config => 78,
        }
    }

    /// Whether trying again within the budget can help. `Denied` is tried again too: a new IAM role
    /// takes a while to be known everywhere.
    #[must_use]
    pub fn is_retried(self) -> bool {
        matches!(self, Self::Transient | Self::Denied)
    }

    /// Whether only a person can help. After any other fault a later start may succeed, so the unit
    /// restarts the service (`RestartPreventExitStatus` in systemd/enlist.service).
    #[must_use]
    pub fn needs_person(self) -> bool {
        matches!(self, Self::Usage | Self::Data | Self::Rejected | Self::Invariant | Self::Config)
    }

    /// Its name in messages, metrics and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A text that was refused, kept for an investigation. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A file name stem such as `certificate` or `answer`.
    pub name: &'static str,
    /// Its length is limited where it is captured.
    pub content: String,
}

/// A failure with its kind. The details are boxed to keep every `Result` small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    detail: Box<Detail>,
}

/// What failed, on what, the causes, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// What failed, without a full stop: `DescribeServers was refused`.
    pub what: String,
    /// On what: a file, a server, a setting.
    pub on: String,
    /// What the reader can do about it.
    pub todo: String,
    /// The direct cause first.
    pub causes: Vec<String>,
    pub evidence: Option<Evidence>,
    /// Whether the request may have taken effect: it may have arrived, and the answer was lost.
    pub may_have_happened: bool,
    /// Whether the authority refused the request because it has too many. Nothing took effect.
    pub is_throttled: bool,
    /// How long the authority asks to wait before the request is made again.
    pub retry_after: Option<Duration>,
    /// Its kind once the budget is spent, if that is another one.
    pub ends_as: Option<Kind>,
    /// Whether the request was certainly not sent.
    pub is_unsent: bool,
    pub outlook: Outlook,
    /// What it shows of this node's membership, if anything.
    pub shows: Option<Shows>,
}

/// Whether trying again can help, as far as it does not follow from the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    #[default]
    AsKind,
    /// It can't help, although faults of this kind are tried again.
    Final,
    /// One of the clocks may be wrong, and may be set later.
    Clock,
}

impl std::ops::Deref for Fault {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        &self.detail
    }
}

impl Fault {
    /// Puts the command that goes on in place of "the same command again" in what to do.
    #[must_use]
    pub fn going_on_with(mut self, command: &str) -> Self {
        self.detail.todo = self.detail.todo.replace("the same command again", command);
        self
    }

    /// Makes a fault. The texts may come from outside, so they are made safe to show
    /// ([`crate::text`]).
    pub fn new(
        kind: Kind,
        what: impl Into<String>,
        on: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        let detail = Box::new(Detail {
            what: text::phrase(&what.into()),
            on: text::phrase(&on.into()),
            todo: text::phrase(&todo.into()),
            causes: Vec::new(),
            evidence: None,
            may_have_happened: false,
            is_throttled: false,
            retry_after: None,
            ends_as: None,
            is_unsent: false,
            outlook: Outlook::default(),
            shows: None,
        });
        Self { kind, detail }
    }

    /// Adds an error and its sources as causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        for line in chain(error).map(|error| text::phrase(&error.to_string())) {
            // Some libraries repeat the inner message in the outer one.
            if !self.causes.iter().any(|seen| seen.ends_with(&line)) {
                self.detail.causes.push(line);
            }
        }
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.detail.causes.push(text::phrase(&cause.into()));
        self
    }

    /// Notes that the request may have taken effect.
    #[must_use]
    pub fn in_doubt(mut self) -> Self {
        self.detail.may_have_happened = true;
        self
    }

    /// Notes that the request was not sent.
    #[must_use]
    pub fn unsent(mut self) -> Self {
        self.detail.is_unsent = true;
        self
    }

    /// Notes that the authority has too many requests.
    #[must_use]
    pub fn throttled(mut self) -> Self {
        self.detail.is_throttled = true;
        self
    }

    /// Notes how long the authority asks to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.detail.retry_after = wait;
        self
    }

    /// Sets the kind that it has once the budget is spent.
    #[must_use]
    pub fn ends_as(mut self, kind: Kind) -> Self {
        self.detail.ends_as = Some(kind);
        self
    }

    /// Its kind once the budget is spent.
    #[must_use]
    pub fn final_kind(&self) -> Kind {
        self.ends_as.unwrap_or(self.kind)
    }

    /// Notes that trying again can't help.
    #[must_use]
    pub fn finally(mut self) -> Self {
        self.detail.outlook = Outlook::Final;
        self
    }

    /// Notes that one of the clocks may be the cause.
    #[must_use]
    pub fn about_time(mut self) -> Self {
        self.detail.outlook = Outlook::Clock;
        self
    }

    /// Notes that no creating call has taken effect.
    #[must_use]
    pub fn without_effect(mut self) -> Self {
        self.detail.shows = Some(Shows::NothingCreated);
        self
    }

    /// Notes that the call may have taken effect, and that the authority says so if it is made again.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.detail.may_have_happened = true;
        self.detail.shows = Some(Shows::MayRepeat);
        self
    }

    /// Notes that the key is lost with which this node proves who it is.
    #[must_use]
    pub fn key_lost(mut self) -> Self {
        self.detail.shows = Some(Shows::KeyLost);
        self
    }

    /// Whether trying again within the budget can help.
    #[must_use]
    pub fn is_retried(&self) -> bool {
        self.kind.is_retried() && self.outlook != Outlook::Final
    }

    /// All of it in one line, for the log.
    #[must_use]
    pub fn sentence(&self) -> String {
        let causes: String = self.causes.iter().map(|cause| format!(": {cause}")).collect();
        format!("{self}{causes}; to do: {}", self.todo)
    }

    /// What failed, and the nearest cause, in one line, while it is tried again.
    #[must_use]
    pub fn line(&self) -> String {
        match self.causes.first() {
            Some(cause) => format!("{}: {cause}", self.what),
            None => self.to_string(),
        }
    }

    /// Puts in front what could not be done because of it.
    #[must_use]
    pub fn so_that(mut self, what: &str) -> Self {
        self.detail.what = text::phrase(&format!("{what}: {}", self.detail.what));
        self
    }

    /// Notes that the budget is spent.
    #[must_use]
    pub fn given_up_after(self, budget: Duration) -> Self {
        if self.is_retried() {
            let kind = self.final_kind();
            let cause = format!("gave up: the budget of {} s is spent", budget.as_secs());
            Self { kind, ..self.cause(cause) }
        } else {
            self
        }
    }

    /// Removes a secret from all texts and from the evidence, line by line: a service may repeat
    /// what it refuses, and only a part of it.
    #[must_use]
    pub fn without(mut self, secret: &str) -> Self {
        let detail = &mut *self.detail;
        let kept = detail.evidence.iter_mut().map(|evidence| &mut evidence.content);
        let said = [&mut detail.what, &mut detail.on, &mut detail.todo];
        for text in said.into_iter().chain(&mut detail.causes).chain(kept) {
            // A shorter line, such as the last one of a PEM, is worth nothing without the rest.
            for line in secret.lines().map(str::trim).filter(|line| line.len() > 16) {
                if text.contains(line) {
                    *text = text.replace(line, "(secret)");
                }
            }
        }
        self
    }

    /// Adds evidence.
    #[must_use]
    pub fn with_evidence(mut self, name: &'static str, content: impl Into<String>) -> Self {
        self.detail.evidence = Some(Evidence { name, content: content.into() });
        self
    }
}

impl fmt::Display for Fault {
    /// What failed, and on what, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.on)
    }
}

impl Error for Fault {}

/// An error and its sources. The inner error of an I/O error is one of them, although `source` skips
/// it.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: Option<&'a (dyn Error + 'static)> = Some(error);
    std::iter::successors(first, |error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => (*error).source(),
    })
}

/// The innermost error of a chain, as text.
#[must_use]
pub fn deepest(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::Kind;

    #[test]
    fn the_units_restart_after_each_fault_that_needs_no_person() {
        let kinds = Kind::VARIANTS.iter().filter(|kind| kind.needs_person());
        let codes = kinds.map(|kind| kind.exit_code().to_string()).collect::<Vec<_>>().join(" ");
        let line = format!("\nRestartPreventExitStatus={codes}\n");
        assert!(include_str!("../systemd/enlist.service").contains(&line), "{line}");
        assert!(include_str!("../systemd/enlist-join.service").contains(&line), "{line}");
    }
}
