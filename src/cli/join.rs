//! `enlist join`: joins every configured target, or ends when the budget is spent.

use std::time::Duration;

use super::drive::{self, Begin, Selection};
use super::progress::Progress;
use super::{Global, printer};
use crate::bootstrap::{Finding, Maintenance, Outcome, Plan, Record, resume};
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, inspect};

/// On a member, a join renews the certificate, so that hosts without the daemon can run it at every
/// boot. It takes a minute at most: the former certificate is valid for a third of its lifetime yet.
const MAINTENANCE: Maintenance = Maintenance { renew: Some(Duration::from_mins(1)), repair: false };

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
            resume(plan, record, seed, now).allowing(MAINTENANCE, now)
        },
        &async |root: &Root, outcome: &Outcome| match outcome {
            Outcome::Joined { already, record } => {
                if *already {
                    warn_of_findings(root, record).await?;
                }
                Ok(summary(root, record, *already))
            }
            _ => Ok(String::new()),
        },
    )
}

/// What was installed, and where.
fn summary(root: &Root, record: &Record, already: bool) -> String {
    let state = if already { "already joined" } else { "joined" };
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
    format!("{state}: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}

/// Inspects a member, and warns of files that are missing or damaged.
///
/// # Errors
/// `Host` if the engine's own settings now name another server or other files: the engine does not
/// use what was installed.
async fn warn_of_findings(root: &Root, record: &Record) -> Result<(), Fault> {
    if let Some(fault) = &record.fault {
        tracing::warn!(
            kind = fault.kind.word(),
            "no new certificate: {}: {}; the former one is used until it expires",
            fault.what,
            fault.on
        );
    }
    let id = &record.target;
    let store = Store::new(root.clone(), id);
    let Ok((_, findings)) = inspect::findings(root, &store, inspect::Keep::Answers).await else {
        return Ok(());
    };
    for finding in &findings {
        tracing::warn!(
            path = finding.path,
            "{finding}; to have it installed again, run `enlist leave --target {id} && enlist join --target {id}`"
        );
    }
    let elsewhere = findings.into_iter().find(Finding::is_diverted);
    elsewhere.map_or(Ok(()), |finding| {
        let what = "this node has joined, but its engine's own settings now name another server or other files";
        let todo = format!(
            "correct or remove the line, or run `enlist leave --target {id} && enlist join --target {id}`; with run.repair = true, `enlist run` corrects it by itself"
        );
        let on = root.at(&finding.path).display().to_string();
        Err(Fault::new(Kind::Host, what, on, todo).cause(finding.problem.to_string()))
    })
}
