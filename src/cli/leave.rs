//! `enlist leave`: tells the authority, then removes what enlist installed.

use std::time::Duration;

use clap::Args;

use super::drive::{self, Begin, Scope, Selection};
use super::progress::Progress;
use super::{Global, printer};
use crate::bootstrap::{Leave, Outcome, Record};
use crate::engines::Grant;
use crate::fault::Fault;
use crate::host::{Root, facts};
use crate::targets::state_dir;

/// How long an authority that does not answer is tried with `--force`.
const FORCED_BUDGET: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist leave                     every target
  enlist leave --target ssm        this one, also without its table in the settings
  enlist leave --local             clear this node alone; says what stays at the authority
  enlist leave --force             try to tell the authority for 30 s, then clear this node")]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Clear this node alone: the authority is not told
    #[arg(long)]
    local: bool,
    /// Clear this node also if the authority refuses, or does not answer in 30 s
    #[arg(long, conflicts_with = "local")]
    force: bool,
}

/// Leaving twice, or without having joined, is success.
pub fn run(global: &Global, options: &Options, progress: &Progress) -> Result<u8, Fault> {
    let machine = facts::machine(&global.root()?);
    drive::run(
        global,
        (&options.selection, Scope::Members),
        progress,
        |Begin { target, settings, record, seed, now, .. }| {
            let engines = settings.engines.clone();
            let budget = settings.budget;
            let budget = if options.force { budget.min(FORCED_BUDGET) } else { budget };
            let leave =
                Leave::new(target, engines, record, budget, seed, now).of_machine(machine.clone());
            Ok(match (options.local, options.force) {
                (true, _) => leave.local(now),
                (_, true) => leave.forced(),
                _ => leave,
            })
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
    rows.extend(remains.map(|remains| ("remains".to_owned(), remains.to_owned())));
    format!("left: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}
