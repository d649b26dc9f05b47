//! What the core asks the host to do, and what the host reports back.

use std::time::Duration;

use super::inspection::ObservedFile;
use super::monitor::Need;
use super::record::Record;
use crate::engines::Bundle;
use crate::engines::ssm_agent::HandOver;
use crate::facts::{Facts, MachineIdentity};
use crate::fault::{Evidence, Fault};
use crate::targets::{Answer, FactsWanted, KeyReport, KeySpec, Request};

/// Both clocks at one moment. They are two because the wall clock jumps at first boot: waiting
/// and budgets go by the one that only runs forward, certificates by the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since the process started, or any other fixed moment.
    pub mono: Duration,
    /// Unix seconds by this node's clock.
    pub unix: i64,
    /// By how many seconds the authority's clock is ahead of this node's; 0 where that is not
    /// known.
    pub skew: i64,
}

/// One thing for the host to do. It is handled before the next one is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    GatherFacts(FactsWanted),
    /// Use the key that stands there, else the staged one, else make one; sign what is asked.
    EnsureKey(Box<KeySpec>),
    /// Write the record, so that it survives a power cut, before anything else happens.
    Persist(Box<Record>),
    Call(Request),
    /// Until [`Now::mono`] reaches this.
    WaitUntil(Duration),
    /// Look whether everything can be written, and keep the engine from running until it is.
    Hold(Bundle),
    /// Let the engine run as before: joining came to nothing, and nothing was installed.
    Release(Bundle),
    Install(Bundle),
    /// Have the Systems Manager agent register itself.
    HandOver(Box<HandOver>),
    /// Take back what was installed.
    Clear(Bundle),
    /// Move the record itself out of the way, last of all.
    Forget,
    /// Keep what was refused, for people.
    Keep(Evidence),
    /// Move these files, where they exist, out of the way: they belong to another machine.
    SetAside(Vec<String>),
    /// Look at the record as it is on disk, and at the files that it says are installed.
    Inspect,
    Finish(Outcome),
}

/// What the host reports. Exactly one per effect; [`Event::Failed`] fits every one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Facts(Box<Facts>),
    Key(Box<KeyReport>),
    Persisted,
    Answered(Answer),
    Woke,
    Held,
    Released,
    Installed(Vec<Installed>),
    /// The `mi-` id.
    HandedOver(String),
    Cleared,
    Forgotten,
    Kept,
    IsAside,
    /// The record, what was seen of each of its files, and the machine that this is.
    Inspected(Option<Box<Record>>, Vec<ObservedFile>, MachineIdentity),
    Failed(Fault),
}

/// A file that stands because of us.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Installed {
    /// For people: `key`, `certificate`, `CA`, `settings`.
    pub what: String,
    /// Without the `--root` prefix.
    pub path: String,
}

impl Installed {
    #[must_use]
    pub fn new(what: &str, path: &str) -> Self {
        Self { what: what.to_owned(), path: path.to_owned() }
    }
}

/// How a bootstrap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Joined {
        already: bool,
        record: Box<Record>,
    },
    /// None: there was nothing to leave.
    Left {
        record: Option<Box<Record>>,
    },
    /// A member's quiet time is over.
    Due(Need),
    Failed(Fault),
}

impl Effect {
    /// As a phrase: what is being done now.
    #[must_use]
    pub fn describe(&self, authority: &str) -> String {
        match self {
            Self::GatherFacts(_) => "gathering facts".to_owned(),
            Self::EnsureKey(spec) => format!("making or reading the {}-bit key", spec.bits),
            Self::Persist(_) => "writing the record".to_owned(),
            Self::Call(request) => format!("asking: {}, {authority}", request.action()),
            Self::WaitUntil(_) => "waiting".to_owned(),
            Self::Hold(_) => "looking at what will be written".to_owned(),
            Self::Release(_) => "letting the engine run again".to_owned(),
            Self::Install(_) => "installing".to_owned(),
            Self::HandOver(_) => "handing over to amazon-ssm-agent".to_owned(),
            Self::Clear(_) => "clearing away".to_owned(),
            Self::Forget => "putting the record away".to_owned(),
            Self::Keep(_) => "keeping evidence".to_owned(),
            Self::SetAside(_) => "setting another machine's identity aside".to_owned(),
            Self::Inspect => "looking at what is installed".to_owned(),
            Self::Finish(Outcome::Due(need)) => need.to_string(),
            Self::Finish(Outcome::Joined { .. }) => format!("joined {authority}"),
            Self::Finish(Outcome::Left { .. }) => format!("left {authority}"),
            Self::Finish(Outcome::Failed(fault)) => format!("failed: {fault}"),
        }
    }
}
