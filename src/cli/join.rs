//! `enlist join`: drive every configured target until joined or the budget is spent.

use std::time::Duration;

use super::drive::{self, Begin, Selection};
use super::progress::Progress;
use super::{Global, printer};
use crate::bootstrap::{Finding, Maintenance, Outcome, Plan, Record, resume};
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, inspect};

/// Where there is no daemon, a join at every boot renews a certificate in time. It holds nothing up
/// for long: the former certificate is still good for a third of its life.
const MAINTENANCE: Maintenance =
    Maintenance { renew: Some(Duration::from_mins(1)), reinstall: false };

pub fn run(global: &Global, selection: &Selection, progress: &Progress) -> Result<u8, Fault> {
    drive::run(
        global,
        selection,
        progress,
        |settings, Begin { target, record, seed, now }| {
            let plan = Plan {
                target,
                engines: settings.engines.clone(),
                name: settings.name.clone(),
                budget: settings.budget,
            };
            resume(plan, record, seed, now).with(MAINTENANCE, now)
        },
        &async |root: &Root, outcome: &Outcome| match outcome {
            Outcome::Joined { already, record } => {
                if *already {
                    look(root, record).await?;
                }
                Ok(summary(root, record, *already))
            }
            _ => Ok(String::new()),
        },
    )
}

/// What was made and where.
fn summary(root: &Root, record: &Record, already: bool) -> String {
    let word = if already { "already joined" } else { "joined" };
    let name = record.name.as_deref().unwrap_or("?");
    let mut rows: Vec<(String, String)> = record
        .installed
        .iter()
        .map(|file| (file.item.to_string(), root.shown(&file.path)))
        .collect();
    if let Some((_, not_after)) = record.certificate() {
        rows.push(("valid until".to_owned(), printer::time(not_after)));
    }
    if let Some(id) = record.member_id() {
        rows.push(("id".to_owned(), id.to_owned()));
    }
    let store = Store::new(root.clone(), &record.target);
    rows.push(("record".to_owned(), store.record_path()));
    format!("{word}: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}

/// A member whose files are gone is one that its engine can do nothing with.
///
/// # Errors
/// `Host` where the engine's own settings lead it elsewhere: that is no membership.
async fn look(root: &Root, record: &Record) -> Result<(), Fault> {
    if let Some(fault) = &record.fault {
        tracing::warn!(
            "no new certificate: {}: {}; the former one stays until it ends",
            fault.what,
            fault.on
        );
    }
    let store = Store::new(root.clone(), &record.target);
    let Ok((_, findings)) = inspect::findings(root, &store, inspect::Keep::Answers).await else {
        return Ok(());
    };
    for finding in &findings {
        tracing::warn!("{finding}; to get it back, run `enlist leave`, then `enlist join`");
    }
    let elsewhere = findings.into_iter().find(Finding::is_diverted);
    elsewhere.map_or(Ok(()), |finding| {
        let what = "this node has joined, but its engine's settings now lead elsewhere";
        let todo = "correct or remove the line, or run `enlist leave`, then `enlist join`; `enlist run` with run.repair = true corrects it by itself";
        let on = root.at(&finding.path).display().to_string();
        Err(Fault::new(Kind::Host, what, on, todo).cause(finding.problem.to_string()))
    })
}
