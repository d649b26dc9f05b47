//! What the core asks the host to do, and what the host reports back.

use std::time::Duration;

use super::monitor::Need;
use super::record::Record;
use crate::engines::{
    Bundle, FactsWanted, HandOver, Installed, KeyReport, KeySpec, Observed, ObservedFile,
};
use crate::facts::{Facts, MachineIdentity};
use crate::fault::{Evidence, Fault};
use crate::targets::{Answer, Call, Request};

/// Both clocks at one moment. The wall clock jumps at first boot, so waits and budgets go by the
/// monotonic one, and certificates by the other.
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
    /// Settle what an interrupted start left of an engine's registration.
    SettleHandOver,
    GatherFacts(FactsWanted),
    /// Use the key that stands, else the staged one, else make one; sign the request with it.
    EnsureKey(Box<KeySpec>),
    /// Sign these bytes with the node's key (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017).
    Sign(Box<KeySpec>, Vec<u8>),
    /// Write the record so that it survives a power cut, before anything else happens.
    Persist(Box<Record>),
    Call(Request),
    /// Until [`Now::mono`] reaches this.
    WaitUntil(Duration),
    /// Check that everything can be written, and keep the engine from running until it is.
    Hold(Bundle),
    /// Let the engine run as before: the join failed, and nothing was installed.
    Release(Bundle),
    Install(Bundle),
    /// Have the engine register itself.
    HandOver(Box<HandOver>),
    /// Remove what was installed.
    Clear(Bundle),
    /// Move the record itself to the backups, last of all.
    Forget,
    /// Keep what was refused, for people.
    Keep(Evidence),
    /// Move these files to the backups where they exist: they belong to another machine.
    SetAside(Vec<String>),
    /// Read the record from disk, and look at the files that it says are installed.
    Inspect,
    Finish(Outcome),
}

/// What the host reports. Exactly one per effect; [`Event::Failed`] fits every one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    HandOverSettled,
    Facts(Box<Facts>, Box<Observed>),
    Key(Box<KeyReport>),
    Signed(Vec<u8>),
    Persisted,
    Answered(Answer),
    Woke,
    Held,
    Released,
    Installed(Vec<Installed>),
    /// The id under which the engine registered.
    HandedOver(String),
    Cleared,
    Forgotten,
    Kept,
    IsAside,
    /// The record, what was seen of each of its files, and the machine that this is.
    Inspected(Option<Box<Record>>, Vec<ObservedFile>, MachineIdentity),
    Failed(Fault),
}

/// How a state machine ended.
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
    /// Something is to be done for a member.
    Due(Need),
    Failed(Fault),
}

impl Effect {
    /// As a phrase: what is being done now.
    #[must_use]
    pub fn describe(&self, authority: &str) -> String {
        match self {
            Self::SettleHandOver => "settling an interrupted hand-over".to_owned(),
            Self::GatherFacts(_) => "gathering facts".to_owned(),
            Self::EnsureKey(spec) => format!("making or reading the {}-bit key", spec.bits),
            Self::Sign(..) => "signing with the node's key".to_owned(),
            Self::Persist(_) => "writing the record".to_owned(),
            Self::Call(request) => format!("asking: {}, {authority}", request.action()),
            Self::WaitUntil(_) => "waiting".to_owned(),
            Self::Hold(_) => "checking what will be written".to_owned(),
            Self::Release(_) => "letting the engine run again".to_owned(),
            Self::Install(_) => "installing".to_owned(),
            Self::HandOver(_) => "having the engine register itself".to_owned(),
            Self::Clear(_) => "removing what was installed".to_owned(),
            Self::Forget => "moving the record to the backups".to_owned(),
            Self::Keep(_) => "keeping evidence".to_owned(),
            Self::SetAside(_) => "moving another machine's identity to the backups".to_owned(),
            Self::Inspect => "looking at what is installed".to_owned(),
            Self::Finish(Outcome::Due(need)) => need.to_string(),
            Self::Finish(Outcome::Joined { .. }) => format!("joined {authority}"),
            Self::Finish(Outcome::Left { .. }) => format!("left {authority}"),
            Self::Finish(Outcome::Failed(fault)) => format!("failed: {fault}"),
        }
    }
}
