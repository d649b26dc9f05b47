//! `enlist repair`: what the daemon does with `run.repair = true`, now.

use super::drive::{self, Begin, Scope, Selection};
use super::join::{bootstrap, summary};
use super::renew::member;
use super::{Global, progress::Progress};
use crate::bootstrap::{Maintenance, Outcome, PhaseName};
use crate::engines::Item;
use crate::engines::node::staged_key;
use crate::fault::{Fault, Kind};
use crate::host::{Root, checked_key};
use crate::targets::state_dir;

/// Installs again what was granted. The authority is not asked.
pub fn run(global: &Global, selection: &Selection, progress: &Progress) -> Result<u8, Fault> {
    drive::run(
        global,
        (selection, Scope::Known),
        progress,
        |begin| {
            check(&begin)?;
            Ok(bootstrap(
                begin,
                Maintenance { repair: true, is_of_member: true, ..Maintenance::default() },
            ))
        },
        &async |root: &Root, outcome: &Outcome| match outcome {
            Outcome::Joined { record, .. } => Ok(summary(root, record, "repaired")),
            _ => Ok(String::new()),
        },
    )
}

/// Without the key, what the authority granted is of no use.
fn check(begin: &Begin<'_>) -> Result<(), Fault> {
    let id = begin.target.id();
    let record = member(begin, &format!("target {id}, {}", begin.target.authority_name()))?;
    let Some(key) = record.key_in_use() else { return Ok(()) };
    let path = record.installed.iter().find(|file| file.item == Item::Key);
    let Some(path) = path.map(|file| file.path.as_str()) else { return Ok(()) };
    let is_at = |path: &str, key: &str| checked_key::is_there(begin.root, id, path, key);
    if is_at(path, key) || record.new_key().is_some_and(|new| is_at(path, new)) {
        return Ok(());
    }
    let on = begin.root.shown(path);
    let staged = record.new_key().filter(|new| is_at(&staged_key(&state_dir(id)), new));
    if staged.is_some() {
        // The server has accepted the new key: the repair installs it.
        if record.phase.name() == PhaseName::Installing {
            return Ok(());
        }
        let what = "the installed private key is gone, and a new one is under way, which the authority may have";
        let todo = format!(
            "run `enlist renew --target {id}`, which asks the authority, and installs all files"
        );
        return Err(Fault::new(Kind::Data, what, on, todo));
    }
    let what = "the private key that this node joined with is gone, and it can't be restored from the record";
    let todo = format!(
        "restore it from a backup (see {}/backup), or make a new membership: `enlist leave --target {id} && enlist join --target {id}`",
        begin.root.shown(&state_dir(id))
    );
    Err(Fault::new(Kind::Data, what, on, todo))
}
