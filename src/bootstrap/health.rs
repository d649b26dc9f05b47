//! What is wrong with a membership. Membership and health are two things: a node whose certificate has
//! expired is still a member.

use serde::Serialize;

use super::record::{FaultNote, Record};
use crate::engines::Finding;
use crate::engines::inspection::Problem as FileProblem;
use crate::fault::{Fault, Kind};

/// Where this node stands with one authority. Says nothing about health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MembershipName {
    None,
    Joining,
    Member,
    Leaving,
}

/// Something that is wrong, and what to do about it. The exit code of `enlist status` is that of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub kind: Kind,
    pub what: String,
    pub on: String,
    pub causes: Vec<String>,
    pub todo: String,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self {
            kind: fault.final_kind(),
            what: fault.what.clone(),
            on: fault.on.clone(),
            causes: fault.causes.clone(),
            todo: fault.todo.clone(),
        }
    }
}

impl Problem {
    /// The problem of an installed file, and what to do about it.
    #[must_use]
    pub fn of_file(id: &str, finding: &Finding) -> Self {
        let again = format!("`enlist leave --target {id} && enlist join --target {id}`");
        let repair = format!("run `enlist repair --target {id}`");
        let (kind, todo) = match &finding.problem {
            _ if finding.is_key_lost() => (
                Kind::Data,
                format!("restore the key from a backup, or make a new membership: {again}"),
            ),
            FileProblem::Missing => (Kind::Host, repair),
            FileProblem::Loose(_) => (Kind::Config, repair),
            FileProblem::Diverted(found) if found.iter().all(|one| one.is_corrected) => {
                (Kind::Host, format!("correct or remove what is named here, or {repair}"))
            }
            // What a repair can't correct.
            FileProblem::Diverted(found) if found.iter().any(|one| one.is_corrected) => {
                (Kind::Host, format!("correct or remove what is named here, then {repair}"))
            }
            FileProblem::Diverted(_) => (
                Kind::Host,
                "correct or remove what is named here; a repair does not do it".to_owned(),
            ),
            FileProblem::Expired => (
                Kind::Data,
                format!(
                    "run `enlist renew --target {id}`; if the authority gives no new certificate: {again}"
                ),
            ),
            FileProblem::Revoked(clean) => {
                (Kind::Data, format!("run `{clean}` on the server, then here {again}"))
            }
            FileProblem::NotCurrent { todo, .. } => (
                Kind::Data,
                format!("{todo} `rm {}`: the engine's next run fetches it", finding.path),
            ),
            FileProblem::Damaged(_) | FileProblem::Foreign | FileProblem::Unusable(_) => {
                (Kind::Data, repair)
            }
        };
        let what = format!("the {} {}", finding.what(), finding.problem);
        Self::from(Fault::new(kind, what, finding.path.as_str(), todo))
    }
}

/// The problems of a member: of its files, and of its last renewal.
#[must_use]
pub fn problems(record: &Record, findings: &[Finding]) -> Vec<Problem> {
    let id = &record.target;
    let files = findings.iter().map(|finding| match record.new_key() {
        Some(_) if finding.is_key_lost() => key_in_renewal(id, finding),
        _ => Problem::of_file(id, finding),
    });
    let renewal = record.fault.iter().filter(|note| !note.was_not_due).map(of_renewal);
    files.chain(renewal).collect()
}

/// The installed key is gone while a new one is under way: the authority may have either.
fn key_in_renewal(id: &str, finding: &Finding) -> Problem {
    let todo = format!(
        "a new key is under way: run `enlist renew --target {id}`, which finds out which key the authority has"
    );
    Problem { todo, ..Problem::of_file(id, finding) }
}

/// A renewal, or a change of settings, that failed. The node keeps what it had.
fn of_renewal(note: &FaultNote) -> Problem {
    Problem {
        kind: note.kind,
        what: note.what.clone(),
        on: note.on.clone(),
        causes: note.causes.clone(),
        todo: note.todo.clone(),
    }
}
