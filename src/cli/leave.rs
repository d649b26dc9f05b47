//! `enlist leave`: tell the authority, then clear away what is ours.

use clap::Args;

use super::drive::{self, Begin};
use super::progress::Progress;
use super::{Global, printer};
use crate::bootstrap::{Departure, Outcome, Record};
use crate::fault::Fault;
use crate::host::Root;
use crate::target::{Grant, state_dir};

#[derive(Debug, Args)]
pub struct Options {
    /// Only this target (repeatable); by default every configured one
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
}

/// Leaving what was never joined, or twice, is success.
pub fn run(global: &Global, options: &Options, progress: &Progress) -> Result<u8, Fault> {
    drive::run(
        global,
        &options.targets,
        progress,
        |settings, Begin { target, record, seed, now }| {
            Departure::new(target, record, settings.budget, seed, now)
        },
        |root, outcome| match outcome {
            Outcome::Left { record: Some(record) } => summary(root, record),
            Outcome::Left { record: None } => {
                "not a member: there is nothing to leave\n".to_owned()
            }
            _ => String::new(),
        },
    )
}

fn summary(root: &Root, record: &Record) -> String {
    let name = record.name.as_deref().unwrap_or("?");
    let backup = root.at(&format!("{}/backup", state_dir(&record.target)));
    let mut rows = vec![("backups".to_owned(), backup.display().to_string())];
    if let Some(Grant::Managed { .. }) = record.grant {
        let note = "its own files are left as they are; `amazon-ssm-agent -register -clear` empties its vault";
        rows.push(("agent".to_owned(), note.to_owned()));
    }
    format!("left: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}
