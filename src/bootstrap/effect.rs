//! What the core asks the host to do (effects), and what the host reports (events).

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use super::monitor::Need;
use super::record::Record;
use crate::engines::{
    Bundle, Engine, FactsWanted, HandOver, Installed, KeyReport, KeySpec, NodeContext, Observed,
    ObservedFile,
};
use crate::facts::{Facts, MachineIdentity};
use crate::fault::{Evidence, Fault};
use crate::secret::SecretSource;
use crate::targets::{Answer, Request, Signature, SigningKey, Standing, ToSign, invariant};

/// Both clocks at one moment. The wall clock may jump at the first boot, so waits and budgets use the
/// monotonic clock. Certificates need the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since the process started, or any other fixed moment.
    pub mono: Duration,
    /// Unix seconds by this node's clock.
    pub unix: i64,
    /// How many seconds the authority's clock is ahead of this node's; 0 where unknown.
    pub skew: i64,
}

/// One task for the host. Its event is handled before the next effect is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Finish or undo a hand-over to the engine that an earlier start did not complete.
    SettleHandOver,
    GatherFacts(FactsWanted),
    /// Use the installed key, else the staged key, else make one. Then sign the certificate request.
    EnsureKey(Box<KeySpec>),
    /// Sign bytes (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017).
    Sign(Box<Signing>),
    /// Write the record, and sync it so that it survives a power cut.
    Persist(Box<Record>),
    Call(Request),
    /// Wait until [`Now::mono`] reaches this.
    WaitUntil(Duration),
    /// Check that every file can be written, and keep the engine from running until then.
    Hold(Bundle),
    /// Let the engine run as before, because the join failed and nothing was installed.
    Release(Bundle),
    Install(Bundle),
    /// Have the engine register itself.
    HandOver(Box<HandOver>),
    /// Remove what was installed.
    Clear(Bundle),
    /// Move the record to the backups. The last effect of a leave.
    Forget,
    /// Keep what was refused as a file, for an operator to look at.
    Keep(Evidence),
    /// Move these files, which belong to another machine, to the backups.
    SetAside(Vec<String>),
    /// Read the record from disk, and check the files that it lists as installed.
    Inspect,
    Finish(Outcome),
}

/// What the host reports: one event per effect. Any effect may fail with [`Event::Failed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    HandOverSettled,
    Facts(Box<Facts>, Box<Observed>),
    Key(Box<KeyReport>),
    Signed(Signature),
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
    /// The record, the state of each of its files, and this machine's ids.
    Inspected(Option<Box<Record>>, Vec<ObservedFile>, MachineIdentity),
    Failed(Fault),
}

/// Bytes to be signed, and where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    pub key: SigningKeyPlace,
    pub bytes: Vec<u8>,
}

/// Where a key to sign with is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKeyPlace {
    /// The node's key: the installed one, else the staged one. SHA-256 of the public key that the
    /// authority knows, where there is a record of it: no other key signs then.
    Node(Box<KeySpec>, Option<String>),
    /// A key of the settings, and the setting that says where it is.
    Secret(SecretSource, &'static str),
}

impl Signing {
    /// `known` is SHA-256 of the public key that the authority knows.
    ///
    /// # Errors
    /// `Invariant` where the node has no key.
    pub fn of(
        to_sign: ToSign,
        engine: &dyn Engine,
        node: &NodeContext<'_>,
        known: Option<String>,
    ) -> Result<Self, Fault> {
        let known = match to_sign.with {
            SigningKey::Secret { source, setting } => {
                let key = SigningKeyPlace::Secret(source, setting);
                return Ok(Self { key, bytes: to_sign.bytes });
            }
            SigningKey::Node => known,
            SigningKey::Former => node.former_key.map(str::to_owned),
        };
        let spec = engine.key(node)?.ok_or_else(|| invariant("there is no key to sign with"))?;
        let key = SigningKeyPlace::Node(Box::new(spec), known);
        Ok(Self { key, bytes: to_sign.bytes })
    }

    /// The secret of the settings that has to be read for it.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretSource> {
        match &self.key {
            SigningKeyPlace::Node(..) => None,
            SigningKeyPlace::Secret(source, _) => Some(source),
        }
    }

    fn key_name(&self) -> &'static str {
        match self.key {
            SigningKeyPlace::Node(..) => "the node's key",
            SigningKeyPlace::Secret(_, setting) => setting,
        }
    }
}

/// How a state machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Joined {
        already: bool,
        record: Box<Record>,
    },
    /// No record: there was no membership to leave. `remains`: that the authority still has this node, or may
    /// have it, and what a person has to do.
    Left {
        record: Option<Box<Record>>,
        remains: Option<String>,
    },
    /// A member needs something done.
    Due(Need),
    /// The request is made, for a person to carry.
    Requested(Box<KeyReport>),
    /// What the authority says of this node.
    Probed(Standing),
    Failed(Fault),
}

/// Which effect it is, without what it carries: one that is made again is of the same kind.
pub(super) type EffectKind = (Discriminant<Effect>, &'static str);

impl Effect {
    /// The kind, with the action of a call and the key of a signature.
    pub(super) fn kind(&self) -> EffectKind {
        let which = match self {
            Self::Call(request) => request.call().action(),
            Self::Sign(signing) => signing.key_name(),
            _ => "",
        };
        (discriminant(self), which)
    }

    pub(super) fn sign(signing: Signing) -> Self {
        Self::Sign(Box::new(signing))
    }

    /// What is being done now, as a phrase.
    #[must_use]
    pub fn describe(&self, authority: &str) -> String {
        match self {
            Self::SettleHandOver => "settling an interrupted hand-over to the engine".to_owned(),
            Self::GatherFacts(_) => "gathering facts".to_owned(),
            Self::EnsureKey(spec) => format!("reading or making the {}-bit private key", spec.bits),
            Self::Sign(signing) => format!("signing with {}", signing.key_name()),
            Self::Persist(_) => "writing the record".to_owned(),
            Self::Call(request) => format!("calling {} for {authority}", request.call().action()),
            Self::WaitUntil(_) => "waiting".to_owned(),
            Self::Hold(_) => "checking what will be written".to_owned(),
            Self::Release(_) => "releasing the engine".to_owned(),
            Self::Install(_) => "installing".to_owned(),
            Self::HandOver(_) => "registering the engine".to_owned(),
            Self::Clear(_) => "removing what was installed".to_owned(),
            Self::Forget => "moving the record to the backups".to_owned(),
            Self::Keep(_) => "keeping evidence".to_owned(),
            Self::SetAside(_) => {
                "moving another machine's identity files to the backups".to_owned()
            }
            Self::Inspect => "checking the installed files".to_owned(),
            Self::Finish(Outcome::Due(need)) => need.to_string(),
            Self::Finish(Outcome::Requested(_)) => format!("made the request for {authority}"),
            Self::Finish(Outcome::Probed(_)) => format!("asked {authority}"),
            Self::Finish(Outcome::Joined { .. }) => format!("joined {authority}"),
            Self::Finish(Outcome::Left { .. }) => format!("left {authority}"),
            Self::Finish(Outcome::Failed(fault)) => format!("failed: {fault}"),
        }
    }
}
