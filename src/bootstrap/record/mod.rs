//! The record of one bootstrap, as it is kept on disk.
//!
//! It holds what is needed to continue after a crash. It holds no secret: of the key it has only the
//! fingerprints. Of the budget it has how much is spent, because deadlines would not survive a clock
//! that jumps.

mod fault_note;
mod stored;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::phase::{Phase, PhaseName};
use crate::engines::inspection::{self, Membership, ObservedFile};
use crate::engines::{
    Authority, EngineId, EngineRecord, Finding, Grant, Identity, Installed, Item,
};
use crate::facts::MachineIdentity;
use crate::facts::machine::Difference;
use crate::fault::Fault;
use crate::pki::PublicKey;
use crate::pki::public_key::sha256;
use crate::text;

pub use fault_note::FaultNote;
pub use stored::SCHEMA;

/// The longest time that a failed renewal waits because the authority asks for it, in seconds.
const LONGEST_RETRY_AFTER: u64 = 86_400;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The target's id.
    pub target: String,
    /// The authority, as [`crate::targets::Target::authority_name`] says it.
    pub authority_name: String,
    /// The machine that this record is bound to.
    pub machine: Option<MachineIdentity>,
    /// Marks what enlist creates at the authority. Derived from the machine's ids when the record is
    /// bound; ids that appear later (a machine-id after the first boot) do not change it.
    pub mark: Option<String>,
    pub phase: Phase,
    /// Unix seconds by this node's clock: when the phase was entered. A repair keeps the time of the
    /// join, from which the date of the renewal is counted.
    pub since: i64,
    pub name: Option<String>,
    /// The key that the authority was asked with.
    pub key: Option<KeyFingerprints>,
    /// Whether somebody else had installed that key before the join. A leave keeps it there.
    pub key_was_there: bool,
    pub authority: Option<Authority>,
    /// How often the creating call was attempted, whether or not it succeeded.
    pub attempts: u32,
    /// Whether the authority refused every creating call, so that it has nothing of this node.
    pub was_refused: bool,
    /// How the authority refused the last creating call. It may have the request all the same.
    pub refusal: Option<FaultNote>,
    pub engine: EngineRecord,
    pub installed: Vec<Installed>,
    /// The files of an installation that is under way, failed or was interrupted. Some may be on
    /// disk, so `leave` removes them.
    pub planned: Vec<Installed>,
    /// Set during a renewal: the grant that the node still uses.
    pub former: Option<Former>,
    /// How much of the budget is spent, in milliseconds, by all starts since the last final fault.
    pub elapsed_ms: u64,
    pub fault: Option<FaultNote>,
    /// Whether a person has carried the authority's answer here.
    pub is_by_hand: bool,
    /// The settings that the membership was made with, without secrets. Empty in records of earlier
    /// versions.
    pub settings: SettingValues,
}

/// `table.name` of a setting, and its value as JSON.
pub type SettingValues = BTreeMap<String, serde_json::Value>;

/// Fingerprints of a public key (its SPKI DER), in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFingerprints {
    pub sha256: String,
    /// As RegisterInstance sends it; missing in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
}

impl KeyFingerprints {
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self { sha256: key.fingerprint(), sha1: Some(key.sha1_fingerprint()) }
    }
}

/// A grant that a renewal is replacing, its authority, and when the node joined with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    pub grant: Grant,
    pub authority: Option<Authority>,
    /// Unix seconds.
    pub since: i64,
    /// The key that the renewal replaces. None: the key stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyFingerprints>,
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
            key_was_there: false,
            authority: None,
            attempts: 0,
            was_refused: false,
            refusal: None,
            engine: EngineRecord::default(),
            installed: Vec::new(),
            planned: Vec::new(),
            former: None,
            elapsed_ms: 0,
            fault: None,
            is_by_hand: false,
            settings: SettingValues::new(),
        }
    }

    /// Reads a record's text.
    ///
    /// # Errors
    /// `Invariant` where it is damaged, or of a schema that this version does not know.
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

    /// Binds the record to this machine, or adds ids of it that were not known before.
    pub fn bind(&mut self, machine: MachineIdentity) {
        self.mark.get_or_insert_with(|| mark(&machine, &self.target));
        match &mut self.machine {
            Some(known) => known.update(&machine),
            None => self.machine = Some(machine),
        }
    }

    /// The id by which this record belongs to another machine than `here`.
    #[must_use]
    pub fn other_machine(&self, here: &MachineIdentity) -> Option<Difference> {
        self.machine.as_ref()?.difference(here)
    }

    /// The engine of the authority that this node uses.
    #[must_use]
    pub fn engine_id(&self) -> Option<EngineId> {
        self.membership().authority.map(Authority::engine)
    }

    /// Whether the node has joined, also during a renewal.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.phase.name() == PhaseName::Joined || self.former.is_some()
    }

    /// Whether the authority may have something of this node: a leave has to tell it.
    #[must_use]
    pub fn may_be_known(&self) -> bool {
        // A join that was refused while it waited begins again, and its call had an effect.
        let was_asked = self.phase.name() != PhaseName::New || self.attempts > 0;
        self.is_member() || (was_asked && !self.was_refused)
    }

    /// What a member shows to its authority. None where it has no certificate, or no key of enlist's.
    #[must_use]
    pub fn identity(&self) -> Option<Identity<'_>> {
        let Grant::Certificate { pem, serial, not_after } = self.current_grant()? else {
            return None;
        };
        let key = self.installed.iter().find(|file| file.item == Item::Key)?;
        Some(Identity { certificate: pem, serial, not_after: *not_after, key: &key.path })
    }

    /// The grant that the node uses, or is about to install.
    #[must_use]
    pub fn current_grant(&self) -> Option<&Grant> {
        self.former.as_ref().map(|former| &former.grant).or(self.phase.grant())
    }

    /// When the current grant's phase was entered: for a member, when it joined. Unix seconds.
    #[must_use]
    pub fn current_since(&self) -> i64 {
        self.former.as_ref().map_or(self.since, |former| former.since)
    }

    /// SHA-256 of the key that the authority was asked with.
    #[must_use]
    pub fn key_sha256(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.sha256.as_str())
    }

    /// SHA-256 of the key that a renewal is replacing: the installed one. The authority may have either.
    #[must_use]
    pub fn former_key(&self) -> Option<&str> {
        self.former.as_ref()?.key.as_ref().map(|key| key.sha256.as_str())
    }

    /// SHA-256 of the key that this node uses. A renewal leaves the former one in use until it has succeeded.
    #[must_use]
    pub fn key_in_use(&self) -> Option<&str> {
        self.former_key().or(self.key_sha256())
    }

    /// SHA-256 of the key that a renewal brings. The authority may have it already.
    #[must_use]
    pub fn new_key(&self) -> Option<&str> {
        self.former_key().and(self.key_sha256())
    }

    /// Whether changed settings are being applied: the grant that is installed is the one in use.
    #[must_use]
    pub fn applies_settings(&self) -> bool {
        let former = self.former.as_ref().map(|former| &former.grant);
        former.is_some() && former == self.phase.grant() && self.former_key().is_none()
    }

    /// What this node uses.
    #[must_use]
    pub fn membership(&self) -> Membership<'_> {
        let former = self.former.as_ref().and_then(|former| former.authority.as_ref());
        Membership {
            name: self.name.as_deref(),
            key: self.key_in_use(),
            authority: former.or(self.authority.as_ref()),
            grant: self.current_grant(),
            engine: &self.engine,
        }
    }

    /// What a renewal that is under way brings. Each file may be of it already.
    fn next_membership(&self) -> Option<Membership<'_>> {
        let former = self.former.as_ref()?;
        let is_near = self.phase.name() == PhaseName::Installing || self.new_key().is_some();
        is_near.then(|| Membership {
            key: self.key_sha256(),
            authority: self.authority.as_ref().or(former.authority.as_ref()),
            grant: self.phase.grant().or(Some(&former.grant)),
            ..self.membership()
        })
    }

    /// What is wrong with the installed files. During a renewal, a file is right if it is of the former grant
    /// or of the new one: a crash may come between any two of them.
    #[must_use]
    pub fn findings(&self, files: &[ObservedFile], unix: i64) -> Vec<Finding> {
        let mut found = inspection::findings(&self.membership(), files, unix);
        if let Some(next) = self.next_membership() {
            let others = inspection::findings(&next, files, unix);
            found.retain(|finding| others.iter().any(|other| other.path == finding.path));
        }
        found
    }

    /// During a repair: when the node joined. A first installation has no installed files yet, and a
    /// renewal has a former grant.
    #[must_use]
    pub fn repaired_since(&self) -> Option<i64> {
        let is_repair = self.phase.name() == PhaseName::Installing && self.former.is_none();
        (is_repair && !self.installed.is_empty()).then_some(self.since)
    }

    /// When the membership is due for renewal, in Unix seconds: after two thirds of the time from the join to
    /// the end of the certificate, or before the key is older than `key_lifetime`. After a failed renewal: an
    /// eighth of the remaining time later, at least a minute and at most a day; or when the authority allows
    /// it. None where nothing is renewed.
    #[must_use]
    pub fn renewal_at(&self, key_lifetime: Option<Duration>) -> Option<i64> {
        if !self.is_member() {
            return None;
        }
        let since = self.current_since();
        let (due, end) = match (self.certificate(), key_lifetime) {
            (Some((_, not_after)), _) => {
                let life = not_after.saturating_sub(since).max(0);
                (since.saturating_add(life / 3 * 2 + life % 3), not_after)
            }
            (None, Some(lifetime)) => {
                let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
                let due = since.saturating_add(seconds - self.spread(seconds));
                (due, due.saturating_add(seconds))
            }
            (None, None) => return None,
        };
        let again = self.fault.as_ref().map(|fault| {
            let left = end.saturating_sub(fault.at) / 8;
            let asked = fault.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
            let asked = i64::try_from(asked).unwrap_or_default();
            fault.at.saturating_add(left.clamp(60, 86_400).max(asked))
        });
        Some(again.map_or(due, |again| again.max(due)))
    }

    /// Up to a tenth of this time: by how much a node is earlier than others that joined at the same moment.
    fn spread(&self, seconds: i64) -> i64 {
        let digits = self.key_in_use().and_then(|key| key.get(..2));
        let part = digits.and_then(|digits| i64::from_str_radix(digits, 16).ok());
        seconds / 10 / 256 * part.unwrap_or_default()
    }

    /// Whether the membership is due for renewal at this time, in Unix seconds.
    #[must_use]
    pub fn is_renewal_due(&self, unix: i64, key_lifetime: Option<Duration>) -> bool {
        self.renewal_at(key_lifetime).is_some_and(|at| at <= unix)
    }

    /// The certificate's serial number and its end (Unix seconds), where there is one.
    #[must_use]
    pub fn certificate(&self) -> Option<(&str, i64)> {
        self.current_grant()?.certificate()
    }

    /// The authority's id of this node, where that is not its name.
    #[must_use]
    pub fn member_id(&self) -> Option<&str> {
        self.current_grant()?.member_id()
    }

    /// The files that hold this node's identity. A machine with a copy of the disk must not use them.
    #[must_use]
    pub fn identity_files(&self) -> Vec<String> {
        let is_identity = |file: &&Installed| {
            matches!(file.item, Item::Key | Item::Certificate | Item::Request | Item::AgentIdentity)
        };
        let files = self.installed.iter().chain(&self.planned);
        files.filter(is_identity).map(|file| file.path.clone()).collect()
    }
}

/// A text that is unique to this machine and target: 16 hexadecimal digits, derived from the instance
/// and machine ids. After a lost reply, the authority's lists are searched for it.
fn mark(machine: &MachineIdentity, target: &str) -> String {
    let ids = format!("{target}\n{:?}\n{:?}", machine.instance_id, machine.machine_id);
    let mut text = sha256(ids.as_bytes());
    text.truncate(16);
    text
}
