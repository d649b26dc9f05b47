//! The durable journal of one bootstrap.
//!
//! Holds what is needed to go on after a crash, and nothing secret: of the key only its
//! fingerprint, of the budget only what is spent of it.

use serde::{Deserialize, Serialize};

use super::effect::Installed;
use crate::facts::machine::Difference;
use crate::facts::{MachineIdentity, PuppetSite};
use crate::fault::{Fault, Kind};
use crate::targets::{Authority, Grant};
use crate::text;

/// The version of the record's form that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// How far it is. Each is entered by persisting it; `Creating` *before* the creating call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing has been asked of the authority that changes anything there.
    #[default]
    New,
    /// The creating call is about to be made, or was made and its reply is not known.
    Creating,
    /// The authority has given a ticket; its answer is awaited.
    Watching,
    /// The answer was checked and accepted; it is being installed.
    Installing,
    Joined,
    /// On the way out; `join` keeps off until that is finished.
    Leaving,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub schema: u32,
    /// The target's word.
    pub target: String,
    /// Which authority; a record of one is no record of another.
    pub authority_name: String,
    pub machine: Option<MachineIdentity>,
    /// Our mark at the authority, made when the record was bound: ids that appear later (a
    /// machine-id, after a first boot) change nothing about it.
    #[serde(default)]
    pub mark: Option<String>,
    pub phase: Phase,
    /// Unix seconds by this node's clock when the phase was entered.
    pub since: i64,
    pub name: Option<String>,
    /// SHA-256 of the public key, hexadecimal digits.
    pub key: Option<String>,
    /// SHA-1 of the same, as RegisterInstance sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha1: Option<String>,
    pub authority: Option<Authority>,
    /// How often the creating call was attempted. Attempted and succeeded are two facts: the
    /// latter is the ticket.
    pub attempts: u32,
    pub ticket: Option<String>,
    pub grant: Option<Grant>,
    /// The Systems Manager registration that stood before ours.
    pub before: Option<String>,
    /// Whether the creating call was ever attempted, for the way out.
    pub was_attempted: bool,
    pub installed: Vec<Installed>,
    /// What is being installed, or was when it was cut short: what leaving then has to take back.
    #[serde(default)]
    pub planned: Vec<Installed>,
    pub puppet: Option<PuppetSite>,
    /// While a certificate is renewed: what the node is a member by meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// Spent of the budget, in milliseconds, over every start since the last verdict.
    pub elapsed_ms: u64,
    pub fault: Option<FaultNote>,
}

/// A grant that is to be replaced, and since when it stood.
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
    /// Whether it ended the bootstrap; else it is being tried again.
    pub is_final: bool,
}

impl Record {
    #[must_use]
    pub fn new(target: &str, authority_name: &str, unix: i64) -> Self {
        Self {
            schema: SCHEMA,
            target: target.to_owned(),
            authority_name: authority_name.to_owned(),
            machine: None,
            mark: None,
            phase: Phase::New,
            since: unix,
            name: None,
            key: None,
            key_sha1: None,
            authority: None,
            attempts: 0,
            ticket: None,
            grant: None,
            before: None,
            was_attempted: false,
            installed: Vec::new(),
            planned: Vec::new(),
            puppet: None,
            former: None,
            elapsed_ms: 0,
            fault: None,
        }
    }

    /// Binds the record to this machine, or takes in what is seen of it now.
    pub fn bind(&mut self, machine: MachineIdentity) {
        self.mark.get_or_insert_with(|| mark(&machine, &self.target));
        match &mut self.machine {
            Some(known) => known.update(&machine),
            None => self.machine = Some(machine),
        }
    }

    /// Reads a record's text.
    ///
    /// # Errors
    /// `Invariant` where it is damaged or of a form that this version does not know: what it
    /// says is not to be guessed.
    pub fn parse(text: &str, path: &str) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Form {
            schema: u32,
        }
        let damaged = |error: serde_json::Error| {
            let todo = "if this node is to join anew, move the file away; its key is then used again where it stands";
            Fault::new(Kind::Invariant, "the record is damaged", path, todo).because(&error)
        };
        let form: Form = serde_json::from_str(text).map_err(damaged)?;
        if form.schema != SCHEMA {
            return Err(Fault::new(
                Kind::Invariant,
                format!(
                    "the record is of form {}, and this version of enlist knows form {SCHEMA}",
                    form.schema
                ),
                path,
                "use the version of enlist that wrote it, or a later one",
            ));
        }
        serde_json::from_str(text).map_err(damaged)
    }

    /// JSON, ending in a newline.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = text::json(&serde_json::to_string_pretty(self).unwrap_or_default());
        text.push('\n');
        text
    }

    /// Which id says that this is the record of another machine than that one; none where none does.
    #[must_use]
    pub fn other_machine(&self, here: &MachineIdentity) -> Option<Difference> {
        self.machine.as_ref()?.difference(here)
    }

    /// Whether the authority has this node and the node what it needs: joined, be it that a new
    /// certificate is being asked for.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.phase == Phase::Joined || self.former.is_some()
    }

    /// The grant that the node is a member by, or is about to be.
    #[must_use]
    pub fn standing(&self) -> Option<&Grant> {
        self.former.as_ref().map(|former| &former.grant).or(self.grant.as_ref())
    }

    /// Since when it has stood: Unix seconds.
    #[must_use]
    pub fn standing_since(&self) -> i64 {
        self.former.as_ref().map_or(self.since, |former| former.since)
    }

    /// While a member's files are put in place anew: since when it has been a member. The first
    /// installation has nothing installed before it, and a renewal has a former grant.
    #[must_use]
    pub fn repaired_since(&self) -> Option<i64> {
        let is_repair = self.phase == Phase::Installing && self.former.is_none();
        (is_repair && !self.installed.is_empty()).then_some(self.since)
    }

    /// When the certificate is to be renewed (Unix seconds): two thirds of the way from joining to
    /// its end. After a renewal that failed, an eighth of what is left later, within a minute and
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

    /// Serial and end (Unix seconds) of the certificate, where there is one.
    #[must_use]
    pub fn certificate(&self) -> Option<(&str, i64)> {
        match self.standing() {
            Some(Grant::Certificate { serial, not_after, .. }) => Some((serial, *not_after)),
            _ => None,
        }
    }

    /// What the authority calls this node, where that is not its name.
    #[must_use]
    pub fn member_id(&self) -> Option<&str> {
        match self.standing() {
            Some(Grant::Instance { id } | Grant::Managed { id, .. } | Grant::Activation { id }) => {
                Some(id)
            }
            _ => None,
        }
    }

    /// Files of this node's identity under this record: what a copy on another machine must not
    /// use.
    #[must_use]
    pub fn identity_files(&self) -> Vec<String> {
        let ours = |file: &&Installed| {
            matches!(file.what.as_str(), "key" | "certificate" | "request" | "agent")
        };
        let files = self.installed.iter().chain(&self.planned);
        files.filter(ours).map(|file| file.path.clone()).collect()
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

/// A text that nothing but this machine's bootstrap of this target holds: 16 hexadecimal digits
/// from the instance and machine ids, by which the authority's lists are searched for what is ours.
fn mark(machine: &MachineIdentity, target: &str) -> String {
    use sha2::{Digest, Sha256};
    let ids = format!("{target}\n{:?}\n{:?}", machine.instance_id, machine.machine_id);
    let mut text = crate::pki::public_key::hex(&Sha256::digest(ids.as_bytes()));
    text.truncate(16);
    text
}
