//! Whether the authority still has a member: asked at intervals, and kept for `enlist status`.

use serde::{Deserialize, Serialize};

use super::memberships::Known;
use crate::bootstrap::{Outcome, Probe, Problem, Record, Status};
use crate::driver::{Observer, drive};
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, clock};
use crate::targets::Standing;

/// The file beside the record.
const NOTE: &str = "standing.json";

/// What the authority said last, where it does not have this node any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Unix seconds.
    at: i64,
    /// SHA-256 of the key of the membership.
    key: Option<String>,
    pub what: String,
    todo: String,
}

impl Absence {
    /// As a problem of the membership, for `enlist status`.
    #[must_use]
    pub fn problem(&self, authority: &str) -> Problem {
        let what = format!("the authority does not have this node any more: {}", self.what);
        let on = format!("{authority}, asked at {}", crate::text::time(self.at));
        Fault::new(Kind::Rejected, what, on, self.todo.as_str()).into()
    }

    /// What a person does about it.
    #[must_use]
    pub fn todo(&self) -> &str {
        &self.todo
    }
}

/// Asks the authority what it says of this node. Read-only.
///
/// # Errors
/// Why it can't be asked, or does not answer.
pub async fn ask(root: &Root, known: &Known) -> Result<Standing, Fault> {
    let (target, settings) = known.target()?;
    let record = Store::new(root.clone(), known.id).load()?;
    let mut host = settings.access()?.host(root, known.id);
    let mut machine = Probe::new(target, settings.engines.clone(), record, host.now());
    match Box::pin(drive(&mut machine, &mut host, &mut Silent)).await {
        Outcome::Probed(standing) => Ok(standing),
        Outcome::Failed(fault) => Err(fault),
        _ => Ok(Standing::NotAsked),
    }
}

/// Keeps what the authority said, if that is about this membership. Whether it has changed.
pub fn keep(store: &Store, record: &Record, standing: &Standing) -> Option<Absence> {
    let absence = match standing {
        Standing::Absent { what, todo } => Some(Absence {
            at: clock::unix_now(),
            key: record.key_sha256().map(str::to_owned),
            what: what.clone(),
            todo: todo.clone(),
        }),
        Standing::Present(_) => None,
        Standing::Reachable | Standing::NotAsked => return recall(store, record),
    };
    let kept = match &absence {
        Some(absence) => {
            let text = serde_json::to_string(absence).unwrap_or_default();
            store.keep_note(NOTE, &text)
        }
        None => store.drop_note(NOTE),
    };
    if let Err(fault) = kept {
        tracing::warn!("what the authority said can't be noted: {fault}");
    }
    absence
}

/// What it said last of this membership, where it did not have the node.
#[must_use]
pub fn recall(store: &Store, record: &Record) -> Option<Absence> {
    let absence: Absence = serde_json::from_slice(&store.note(NOTE)?).ok()?;
    let is_of_it = record.is_member() && absence.key.as_deref() == record.key_sha256();
    is_of_it.then_some(absence)
}

struct Silent;

impl Observer for Silent {
    fn observe(&mut self, status: &Status, _: crate::bootstrap::Now) {
        tracing::debug!("{}", status.doing);
    }
}
