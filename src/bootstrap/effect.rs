//! What the core asks the host to do, and what the host reports back.

use std::time::Duration;

use super::record::Record;
use crate::engine::Bundle;
use crate::facts::Facts;
use crate::fault::{Evidence, Fault};
use crate::target::{Answer, KeyReport, KeySpec, Request, SiteInquiry};

/// Both clocks at one moment. They are two because the wall clock jumps at first boot: waiting
/// and budgets go by the one that only runs forward, certificates by the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since the process started, or any other fixed moment.
    pub mono: Duration,
    /// Unix seconds by this node's clock.
    pub unix: i64,
}

/// One thing for the host to do. It is handled before the next one is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    GatherFacts(Inquiry),
    /// Use the key that stands there, else the staged one, else make one; sign what is asked.
    EnsureKey(KeySpec),
    /// Write the record, so that it survives a power cut, before anything else happens.
    Persist(Box<Record>),
    Call(Request),
    /// Until [`Now::mono`] reaches this.
    WaitUntil(Duration),
    /// Keep the engine from running until everything is in place.
    Hold(Bundle),
    Install(Bundle),
    /// Keep what was refused, for people.
    Keep(Evidence),
    /// Move these files, where they exist, out of the way: they belong to another machine.
    SetAside(Vec<String>),
    Finish(Outcome),
}

/// What the host reports. Exactly one per effect; [`Event::Failed`] fits every one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Facts(Box<Facts>),
    Key(KeyReport),
    Persisted,
    Answered(Answer),
    Woke,
    Held,
    Installed(Vec<Installed>),
    Kept,
    IsAside,
    Failed(Fault),
}

/// What the facts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inquiry {
    pub puppet: Option<SiteInquiry>,
    /// The key that will be wanted, unless one stands already: it may be begun meanwhile.
    pub key: Option<LikelyKey>,
}

/// A key that nobody has asked for yet. Making it is no effect on the world: it is in memory
/// until `EnsureKey` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LikelyKey {
    pub bits: u32,
    pub staged: String,
}

/// A file that stands because of us.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Installed {
    /// For people: `key`, `certificate`, `CA`, `settings`.
    pub what: String,
    /// Without the `--root` prefix.
    pub path: String,
}

/// How a bootstrap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Joined { already: bool, record: Box<Record> },
    Failed(Fault),
}
