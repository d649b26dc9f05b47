//! The record's JSON (schema 1). Members that the phase does not have are null.

use serde::{Deserialize, Serialize};

use super::{FaultNote, Former, KeyFingerprints, Phase, Record, SettingValues};
use crate::bootstrap::phase::PhaseName;
use crate::engines::{Authority, EngineRecord, Grant, Installed};
use crate::facts::MachineIdentity;
use crate::fault::{Fault, Kind};

/// The version of the JSON that this program writes and reads.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    #[serde(flatten)]
    engine: &'a EngineRecord,
    #[serde(flatten)]
    members: Members,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are members of the JSON")]
struct Members {
    target: String,
    authority_name: String,
    machine: Option<MachineIdentity>,
    #[serde(default)]
    mark: Option<String>,
    phase: PhaseName,
    since: i64,
    name: Option<String>,
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_sha1: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    key_was_there: bool,
    authority: Option<Authority>,
    attempts: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    was_refused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<FaultNote>,
    ticket: Option<String>,
    grant: Option<Grant>,
    was_attempted: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_told: bool,
    installed: Vec<Installed>,
    #[serde(default)]
    planned: Vec<Installed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<Former>,
    elapsed_ms: u64,
    fault: Option<FaultNote>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_by_hand: bool,
    #[serde(default, skip_serializing_if = "SettingValues::is_empty")]
    settings: SettingValues,
}

/// Reads a record's text.
///
/// # Errors
/// `Invariant` where it is damaged, or of a schema that this version does not know.
pub fn parse(text: &str, path: &str) -> Result<Record, Fault> {
    let damaged = |error: &dyn std::fmt::Display| {
        let todo = format!(
            "to join again with the key that is there, `mv {path} {path}.damaged`, then `enlist join`"
        );
        Fault::new(Kind::Invariant, "the record is damaged", path, todo).cause(error.to_string())
    };
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|error| damaged(&error))?;
    let schema = members.remove("schema").and_then(|schema| schema.as_u64());
    let schema = schema.ok_or_else(|| damaged(&"it has no member \"schema\""))?;
    if schema != u64::from(SCHEMA) {
        return Err(Fault::new(
            Kind::Invariant,
            format!(
                "the record has schema {schema}, and this version of enlist reads schema {SCHEMA}"
            ),
            path,
            "install the version of enlist that wrote it, or a later one",
        ));
    }
    let engine =
        EngineRecord::MEMBERS.iter().filter_map(|name| members.remove_entry(*name)).collect();
    let engine: EngineRecord =
        serde_json::from_value(serde_json::Value::Object(engine)).map_err(|e| damaged(&e))?;
    let members: Members =
        serde_json::from_value(serde_json::Value::Object(members)).map_err(|e| damaged(&e))?;
    members.into_record(engine).map_err(|missing| damaged(&missing))
}

/// JSON, as [`parse`] reads it.
pub fn to_json(record: &Record) -> String {
    let members = Members::of(record);
    let written = Written { schema: SCHEMA, engine: &record.engine, members };
    serde_json::to_string_pretty(&written).unwrap_or_default()
}

impl Members {
    fn of(record: &Record) -> Self {
        let phase = &record.phase;
        let key = record.key.as_ref();
        Self {
            target: record.target.clone(),
            authority_name: record.authority_name.clone(),
            machine: record.machine.clone(),
            mark: record.mark.clone(),
            phase: phase.name(),
            since: record.since,
            name: record.name.clone(),
            key: key.map(|key| key.sha256.clone()),
            key_sha1: key.and_then(|key| key.sha1.clone()),
            key_was_there: record.key_was_there,
            authority: record.authority.clone(),
            attempts: record.attempts,
            was_refused: record.was_refused,
            refusal: record.refusal.clone(),
            ticket: match phase {
                Phase::Watching { ticket } => Some(ticket.clone()),
                _ => None,
            },
            grant: phase.grant().cloned(),
            was_attempted: matches!(phase, Phase::Leaving { was_attempted: true, .. }),
            is_told: matches!(phase, Phase::Leaving { is_told: true, .. }),
            installed: record.installed.clone(),
            planned: record.planned.clone(),
            former: record.former.clone(),
            elapsed_ms: record.elapsed_ms,
            fault: record.fault.clone(),
            is_by_hand: record.is_by_hand,
            settings: record.settings.clone(),
        }
    }

    /// # Errors
    /// Which member the phase lacks.
    fn into_record(self, engine: EngineRecord) -> Result<Record, &'static str> {
        let phase = match (self.phase, self.ticket, self.grant) {
            (PhaseName::New, _, _) => Phase::New,
            (PhaseName::Requested, _, _) => Phase::Requested,
            (PhaseName::Creating, _, _) => Phase::Creating,
            (PhaseName::Watching, Some(ticket), _) => Phase::Watching { ticket },
            (PhaseName::Watching, None, _) => return Err("phase watching has no ticket"),
            (PhaseName::Installing, _, Some(grant)) => Phase::Installing { grant },
            (PhaseName::Joined, _, Some(grant)) => Phase::Joined { grant },
            (PhaseName::Installing | PhaseName::Joined, _, None) => {
                return Err("phase installing or joined has no grant");
            }
            (PhaseName::Leaving, _, grant) => {
                let (was_attempted, is_told) = (self.was_attempted, self.is_told);
                Phase::Leaving { grant, was_attempted, is_told }
            }
        };
        Ok(Record {
            target: self.target,
            authority_name: self.authority_name,
            machine: self.machine,
            mark: self.mark,
            phase,
            since: self.since,
            name: self.name,
            key_was_there: self.key_was_there,
            key: self.key.map(|sha256| KeyFingerprints { sha256, sha1: self.key_sha1 }),
            authority: self.authority,
            attempts: self.attempts,
            was_refused: self.was_refused,
            refusal: self.refusal,
            engine,
            installed: self.installed,
            planned: self.planned,
            former: self.former,
            elapsed_ms: self.elapsed_ms,
            fault: self.fault,
            is_by_hand: self.is_by_hand,
            settings: self.settings,
        })
    }
}
