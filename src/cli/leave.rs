//! `enlist leave`: tells the authority, then removes what enlist installed.

use super::drive::{self, Begin, Scope, Selection};
use super::progress::Progress;
use super::{Global, printer};
use crate::bootstrap::{Leave, Outcome, Record};
use crate::engines::Grant;
use crate::fault::Fault;
use crate::host::Root;
use crate::targets::state_dir;

/// Leaving twice, or without having joined, is success.
pub fn run(global: &Global, selection: &Selection, progress: &Progress) -> Result<u8, Fault> {
    drive::run(
        global,
        (selection, Scope::Members),
        progress,
        |Begin { target, settings, record, seed, now, .. }| {
            let engines = settings.engines.clone();
            Ok(Leave::new(target, engines, record, settings.budget, seed, now))
        },
        &async |root: &Root, outcome: &Outcome| {
            Ok(match outcome {
                Outcome::Left { record: Some(record), remains } => {
                    summary(root, record, remains.as_deref())
                }
                Outcome::Left { record: None, .. } => {
                    "not a member: there is nothing to leave\n".to_owned()
                }
                _ => String::new(),
            })
        },
    )
}

fn summary(root: &Root, record: &Record, remains: Option<&str>) -> String {
    let name = record.name.as_deref().unwrap_or("?");
    let backup = root.shown(&format!("{}/backup", state_dir(&record.target)));
    let mut rows = vec![("backups".to_owned(), backup)];
    if let Some(Grant::Managed { .. }) = record.phase.grant() {
        let note = "its own files stay; to remove its registration, run `amazon-ssm-agent -register -clear`";
        rows.push(("agent".to_owned(), note.to_owned()));
    }
    if let Some(todo) = remains {
        rows.push((
            "remains".to_owned(),
            format!("{} still has this node; {todo}", record.authority_name),
        ));
    }
    format!("left: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}
