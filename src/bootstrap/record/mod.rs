//! The durable record of one bootstrap.
//!
//! It holds what is needed to go on after a crash, and no secret: of the key only fingerprints, of
//! the budget only what is spent of it.

mod stored;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::phase::{Phase, PhaseName};
use crate::engines::inspection::Membership;
use crate::engines::{Authority, EngineRecord, Grant, Installed, Item};
use crate::facts::MachineIdentity;
use crate::facts::machine::Difference;
use crate::fault::{Fault, Kind};
use crate::pki::PublicKey;
use crate::text;

pub use stored::SCHEMA;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The target's id.
    pub target: String,
    /// Which authority; a record of one is no record of another.
    pub authority_name: String,
    pub machine: Option<MachineIdentity>,
    /// Our mark at the authority, made when the record was bound: ids that appear later (a
    /// machine-id, after a first boot) do not change it.
    pub mark: Option<String>,
    pub phase: Phase,
    /// Unix seconds by this node's clock when the phase was entered.
    pub since: i64,
    pub name: Option<String>,
    /// The key that the authority was asked with.
    pub key: Option<KeyFingerprints>,
    pub authority: Option<Authority>,
    /// How often the creating call was attempted. Attempted and succeeded are two facts.
    pub attempts: u32,
    pub engine: EngineRecord,
    pub installed: Vec<Installed>,
    /// While a certificate is renewed: what the node is a member by meanwhile.
    pub former: Option<Former>,
    /// Spent of the budget, in milliseconds, over every start since the last verdict.
    pub elapsed_ms: u64,
    pub fault: Option<FaultNote>,
}

/// Fingerprints of a public key (its SPKI DER), in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFingerprints {
    pub sha256: String,
    /// As RegisterInstance sends it; records of former versions lack it.
    pub sha1: Option<String>,
}

impl KeyFingerprints {
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self { sha256: key.fingerprint(), sha1: Some(key.sha1_fingerprint()) }
    }
}

/// A grant that is being replaced, and since when it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    pub grant: Grant,
    pub authority: Option<Authority>,
    /// Unix seconds.
    pub since: i64,
}

/// The last fault, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultNote {
    pub kind: Kind,
    pub what: String,
    pub on: String,
    pub todo: String,
    pub causes: Vec<String>,
    /// Unix seconds.
    pub at: i64,
    /// How often in a row.
    pub times: u32,
    /// Whether it ended the bootstrap; else it is tried again.
    pub is_final: bool,
}

impl Record {
    #[must_use]
    pub fn new(target: &str, authority_name: &str, unix: i64) -> Self {
        Self {
            target: target.to_owned(),
            authority_name: authority_name.to_owned(),
            machine: None,
            mark: None,
            phase: Phase::New,
            since: unix,
            name: None,
            key: None,
            authority: None,
            attempts: 0,
            engine: EngineRecord::default(),
            installed: Vec::new(),
            former: None,
            elapsed_ms: 0,
            fault: None,
        }
    }

    /// Reads a record's text.
    ///
    /// # Errors
    /// `Invariant` where it is damaged or of a schema that this version does not know: nothing is
    /// guessed.
    pub fn parse(text: &str, path: &str) -> Result<Self, Fault> {
        stored::parse(text, path)
    }

    /// JSON, ending in a newline.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = text::json(&stored::to_json(self));
        text.push('\n');
        text
    }

    /// Binds the record to this machine, or takes in what is seen of it now.
    pub fn bind(&mut self, machine: MachineIdentity) {
        self.mark.get_or_insert_with(|| mark(&machine, &self.target));
        match &mut self.machine {
            Some(known) => known.update(&machine),
            None => self.machine = Some(machine),
        }
    }

    /// The id that says that this is the record of another machine than that one.
    #[must_use]
    pub fn other_machine(&self, here: &MachineIdentity) -> Option<Difference> {
        self.machine.as_ref()?.difference(here)
    }

    /// Whether the authority has this node and the node has what it needs: joined, also while a new
    /// certificate is asked for.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.phase.name() == PhaseName::Joined || self.former.is_some()
    }

    /// The grant that the node is a member by, or is about to be.
    #[must_use]
    pub fn standing_grant(&self) -> Option<&Grant> {
        self.former.as_ref().map(|former| &former.grant).or(self.phase.grant())
    }

    /// Since when it has stood: Unix seconds.
    #[must_use]
    pub fn standing_since(&self) -> i64 {
        self.former.as_ref().map_or(self.since, |former| former.since)
    }

    /// What the installed files are compared with.
    #[must_use]
    pub fn membership(&self) -> Membership<'_> {
        let former = self.former.as_ref().and_then(|former| former.authority.as_ref());
        Membership {
            name: self.name.as_deref(),
            key: self.key.as_ref().map(|key| key.sha256.as_str()),
            authority: former.or(self.authority.as_ref()),
            grant: self.standing_grant(),
            engine: &self.engine,
        }
    }

    /// While a member's files are installed once more: since when it has been a member. The first
    /// installation has nothing installed before it, and a renewal has a former grant.
    #[must_use]
    pub fn repaired_since(&self) -> Option<i64> {
        let is_repair = self.phase.name() == PhaseName::Installing && self.former.is_none();
        (is_repair && !self.installed.is_empty()).then_some(self.since)
    }

    /// When the certificate is to be renewed (Unix seconds): two thirds of the way from joining to
    /// its end. After a renewal that failed, an eighth of what is left later, between a minute and
    /// a day. None where there is nothing to renew.
    #[must_use]
    pub fn renewal_at(&self) -> Option<i64> {
        let (_, not_after) = self.certificate().filter(|_| self.is_member())?;
        let since = self.standing_since();
        let life = not_after.saturating_sub(since).max(0);
        let due = since.saturating_add(life / 3 * 2 + life % 3);
        let again = self.fault.as_ref().map(|fault| {
            let left = not_after.saturating_sub(fault.at) / 8;
            fault.at.saturating_add(left.clamp(60, 86_400))
        });
        Some(again.map_or(due, |again| again.max(due)))
    }

    /// Serial number and end (Unix seconds) of the certificate, where there is one.
    #[must_use]
    pub fn certificate(&self) -> Option<(&str, i64)> {
        self.standing_grant()?.certificate()
    }

    /// What the authority calls this node, where that is not its name.
    #[must_use]
    pub fn member_id(&self) -> Option<&str> {
        self.standing_grant()?.member_id()
    }

    /// The files of this node's identity: a copy of the disk on another machine must not use them.
    #[must_use]
    pub fn identity_files(&self) -> Vec<String> {
        let is_identity = |file: &&Installed| {
            matches!(file.item, Item::Key | Item::Certificate | Item::Request | Item::AgentIdentity)
        };
        let files = self.installed.iter().chain(self.phase.planned());
        files.filter(is_identity).map(|file| file.path.clone()).collect()
    }
}

impl FaultNote {
    #[must_use]
    pub fn of(fault: &Fault, at: i64, times: u32, is_final: bool) -> Self {
        Self {
            kind: if is_final { fault.final_kind() } else { fault.kind },
            what: fault.what.clone(),
            on: fault.on.clone(),
            todo: fault.todo.clone(),
            causes: fault.causes.clone(),
            at,
            times,
            is_final,
        }
    }
}

/// A text that only this machine's bootstrap of this target has: 16 hexadecimal digits from the
/// instance and machine ids. The authority's lists are searched for it.
fn mark(machine: &MachineIdentity, target: &str) -> String {
    let ids = format!("{target}\n{:?}\n{:?}", machine.instance_id, machine.machine_id);
    let mut text = crate::pki::public_key::hex(&Sha256::digest(ids.as_bytes()));
    text.truncate(16);
    text
}
