//! Classified failures. Pure.
//!
//! A fault is classified where it happens (at the edge), decided upon in the core, and rendered
//! once, in `main`. The classes and their exit codes follow BSD `sysexits.h`.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text;

/// The class of a failure: what the core does about it, and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Kind {
    /// Bad arguments.
    Usage,
    /// What came back, or the node's own key, can't be used: wrong key, wrong name, wrong CA,
    /// expired, not PEM.
    Data,
    /// The authority said no: association FAILED, server gone, validation error.
    Rejected,
    /// A bug of ours, or a corrupt record. Never guess.
    Invariant,
    /// Disk, permissions, a lock held by another.
    Host,
    /// Network, 5xx, throttled, metadata not up, server not HEALTHY yet.
    Transient,
    /// An answer that is not the API's.
    Protocol,
    /// No or expired credentials, or refused by IAM.
    Denied,
    /// Invalid settings; or the owner or mode of a file that somebody has to correct first.
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

    /// Whether trying again within the budget can help. IAM roles propagate late, so a refusal
    /// for lack of credentials is tried again too.
    #[must_use]
    pub fn is_retried(self) -> bool {
        matches!(self, Self::Transient | Self::Denied)
    }

    /// Its name in messages, metrics and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What was refused, kept for whoever looks into it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A file name stem such as `certificate` or `answer`.
    pub name: &'static str,
    /// The refused text, bounded by whoever captured it.
    pub content: String,
}

/// A classified failure. Its details are boxed: faults are rare, and results pass everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    detail: Box<Detail>,
}

/// What failed, on what, what to do about it, and the causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// What failed, without a full stop: `DescribeServers was refused`.
    pub what: String,
    /// On what: a file, a server, a setting.
    pub on: String,
    /// What the reader can do about it.
    pub todo: String,
    /// From the nearest to the deepest.
    pub causes: Vec<String>,
    pub evidence: Option<Evidence>,
    /// Whether what was asked for may have happened all the same: the question may have arrived,
    /// and the answer was lost.
    pub may_have_happened: bool,
    /// Whether the authority has too many questions just now: nothing was done, nothing is wrong
    /// with it, and others are asking too.
    pub is_throttled: bool,
    /// Its class once waiting was of no use; none: the same.
    pub ends_as: Option<Kind>,
    pub outlook: Outlook,
}

/// Whether trying again can help, where the kind alone does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    #[default]
    AsKind,
    /// It can't, although the kind is one that is tried again.
    Final,
    /// It may be that one of the clocks is wrong, and is set later.
    Clock,
}

impl std::ops::Deref for Fault {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        &self.detail
    }
}

impl Fault {
    /// What is said of it is cleaned here ([`crate::text`]): some of it is other people's.
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
            ends_as: None,
            outlook: Outlook::default(),
        });
        Self { kind, detail }
    }

    /// Adds an error and everything beneath it as causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        for line in chain(error).map(|error| text::phrase(&error.to_string())) {
            // Libraries like to repeat the inner message in the outer one.
            if !self.causes.iter().any(|seen| seen.ends_with(&line)) {
                self.detail.causes.push(line);
            }
        }
        self
    }

    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.detail.causes.push(text::phrase(&cause.into()));
        self
    }

    /// Says that the answer was lost, and the effect perhaps not.
    #[must_use]
    pub fn in_doubt(mut self) -> Self {
        self.detail.may_have_happened = true;
        self
    }

    /// Says that there were too many questions, and that this one was not looked at.
    #[must_use]
    pub fn throttled(mut self) -> Self {
        self.detail.is_throttled = true;
        self
    }

    /// Says what it is once waiting was of no use.
    #[must_use]
    pub fn ends_as(mut self, kind: Kind) -> Self {
        self.detail.ends_as = Some(kind);
        self
    }

    /// Its class where it is not waited for any longer.
    #[must_use]
    pub fn final_kind(&self) -> Kind {
        self.ends_as.unwrap_or(self.kind)
    }

    /// Says that trying again can't help.
    #[must_use]
    pub fn finally(mut self) -> Self {
        self.detail.outlook = Outlook::Final;
        self
    }

    /// Says that it depends on the time, and so on both clocks.
    #[must_use]
    pub fn about_time(mut self) -> Self {
        self.detail.outlook = Outlook::Clock;
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

    /// Says what could not be done because of it.
    #[must_use]
    pub fn so_that(mut self, what: &str) -> Self {
        self.detail.what = text::phrase(&format!("{what}: {}", self.detail.what));
        self
    }

    /// Puts a cause before those that there are.
    #[must_use]
    pub fn first_cause(mut self, cause: impl Into<String>) -> Self {
        self.detail.causes.insert(0, text::phrase(&cause.into()));
        self
    }

    /// Says that waiting longer would have gone beyond the budget.
    #[must_use]
    pub fn given_up_after(self, budget: std::time::Duration) -> Self {
        if self.is_retried() {
            let kind = self.final_kind();
            let cause = format!("gave up: the budget of {} s is spent", budget.as_secs());
            Self { kind, ..self.cause(cause) }
        } else {
            self
        }
    }

    /// Takes a secret text out of everything that is said and kept, line by line: services
    /// repeat what they refuse, and not always whole.
    #[must_use]
    pub fn without(mut self, secret: &str) -> Self {
        let detail = &mut *self.detail;
        let kept = detail.evidence.iter_mut().map(|evidence| &mut evidence.content);
        let said = [&mut detail.what, &mut detail.on, &mut detail.todo];
        for text in said.into_iter().chain(&mut detail.causes).chain(kept) {
            // Shorter lines, such as a PEM's last, tell nothing without the rest.
            for line in secret.lines().map(str::trim).filter(|line| line.len() > 16) {
                if text.contains(line) {
                    *text = text.replace(line, "(secret)");
                }
            }
        }
        self
    }

    #[must_use]
    pub fn with_evidence(mut self, name: &'static str, content: impl Into<String>) -> Self {
        self.detail.evidence = Some(Evidence { name, content: content.into() });
        self
    }
}

impl fmt::Display for Fault {
    /// One line: what and on what. The rest is for whoever renders it whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.on)
    }
}

impl Error for Fault {}

/// An error, and everything beneath it. Beneath an I/O error is what it was made of, which
/// `source` would skip.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: Option<&'a (dyn Error + 'static)> = Some(error);
    std::iter::successors(first, |error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => (*error).source(),
    })
}
