//! `enlist join`: joins every configured target, or ends when the budget is spent.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;

use super::drive::{self, Begin, Scope, Selection};
use super::progress::Progress;
use super::{Global, plan, printer};
use crate::bootstrap::{Bootstrap, FaultNote, Maintenance, Outcome, Plan, Problem, Record, resume};
use crate::daemon::memberships;
use crate::engines::{EngineId, Item};
use crate::fault::Fault;
use crate::host::{Root, Store, inspect};

/// On a member, a join renews the certificate, so that hosts without the daemon can run it at every
/// boot. It takes a minute at most: the former certificate is valid for a third of its lifetime yet.
pub const RENEWAL_BUDGET: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist join                         every target of the settings
  enlist join --plan                  name, requests, files and calls; sends nothing
  enlist join --set node.budget=2m    give up after two minutes")]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Show what a join would do. Nothing is sent or written
    #[arg(long)]
    plan: bool,
    /// With --plan: print JSON
    #[arg(long, requires = "plan")]
    json: bool,
}

pub fn run(global: &Global, options: &Options, progress: &Progress) -> Result<u8, Fault> {
    let selection = &options.selection;
    if options.plan {
        return plan::run(global, selection, options.json);
    }
    // The targets whose changed settings are to be applied.
    let applies = RefCell::new(BTreeSet::new());
    drive::run(
        global,
        (selection, Scope::Configured),
        progress,
        |begin| {
            let record = begin.record.as_ref();
            let apply = record.and_then(|r| memberships::to_apply(begin.root, begin.settings, r));
            if apply.is_some() {
                applies.borrow_mut().insert(begin.target.id());
            }
            let renew = Some(RENEWAL_BUDGET.min(begin.settings.budget));
            Ok(bootstrap(begin, Maintenance { renew, apply, ..Maintenance::default() }))
        },
        &async |root: &Root, outcome: &Outcome| match outcome {
            Outcome::Joined { already, record } => {
                if let Some(note) = &record.fault
                    && applies.borrow().contains(record.target.as_str())
                {
                    return Err(again(note));
                }
                if *already {
                    warn_of_findings(root, record).await?;
                }
                Ok(summary(root, record, state(*already)))
            }
            _ => Ok(String::new()),
        },
    )
}

/// The state machine that joins, or that maintains a member.
pub fn bootstrap(begin: Begin<'_>, maintenance: Maintenance) -> Bootstrap {
    let Begin { target, settings, record, seed, now, .. } = begin;
    let kept = settings.recorded(target.id());
    let plan = Plan {
        target,
        engines: settings.engines.clone(),
        name: settings.name.clone(),
        budget: settings.budget,
        // This start ends, and whether somebody runs it again is not known.
        will_renew: false,
    };
    resume(plan, record, seed, now).with_settings(kept).allowing(maintenance, now)
}

/// The fault of a maintenance that failed, as the record keeps it.
pub fn again(note: &FaultNote) -> Fault {
    let fault = Fault::new(note.kind, &note.what, &note.on, &note.todo);
    note.causes.iter().fold(fault, Fault::cause)
}

const JOINED: &str = "joined";

/// The word for what a join has found or done.
pub fn state(already: bool) -> &'static str {
    if already { "already joined" } else { JOINED }
}

/// What is installed, and where; after a join also what comes next.
pub fn summary(root: &Root, record: &Record, state: &str) -> String {
    let name = record.name.as_deref().unwrap_or("?");
    let mut rows: Vec<(String, String)> = record
        .installed
        .iter()
        .map(|file| (file.item.to_string(), root.shown(&file.path)))
        .collect();
    if let Some((_, not_after)) = record.certificate() {
        rows.push(("valid until".to_owned(), crate::text::time(not_after)));
    }
    if let Some(id) = record.member_id() {
        rows.push(("id".to_owned(), id.to_owned()));
    }
    let next = next_step(root, record).filter(|_| state == JOINED);
    rows.extend(next.map(|next| ("next".to_owned(), next)));
    let store = Store::new(root.clone(), &record.target);
    rows.push(("record".to_owned(), store.record_path()));
    format!("{state}: {} as {name}\n{}", record.authority_name, printer::columns(&rows))
}

/// What a person runs next. None where the engine runs by itself, or was run already.
fn next_step(root: &Root, record: &Record) -> Option<String> {
    let runs = |setting: &str| record.settings.get(setting) == Some(&true.into());
    match record.engine_id()? {
        EngineId::Puppet if !runs("puppet.run") => Some("run `puppet agent -t`".to_owned()),
        EngineId::Chef if !runs("chef.run") => {
            let first = record.installed.iter().find(|file| file.item == Item::FirstBoot)?;
            let program = record.engine.chef.unwrap_or_default().program();
            Some(format!("run `{program} -j {}`", root.shown(&first.path)))
        }
        EngineId::SsmAgent => {
            let file = record.installed.iter().find(|file| file.item == Item::Activation)?;
            Some(format!("register an agent with the activation in {}", root.shown(&file.path)))
        }
        _ => None,
    }
}

/// Inspects a member, and warns of files that are missing or damaged.
///
/// # Errors
/// `Host` if the engine's own settings now name another server or other files: the engine does not
/// use what was installed.
async fn warn_of_findings(root: &Root, record: &Record) -> Result<(), Fault> {
    if let Some(fault) = record.fault.as_ref().filter(|fault| !fault.was_not_due) {
        tracing::warn!(kind = fault.kind.word(), "{}", fault.of_maintenance());
    }
    let id = &record.target;
    let store = Store::new(root.clone(), id);
    let Ok((_, findings)) = inspect::findings(root, &store, inspect::Keep::Answers).await else {
        return Ok(());
    };
    let mut elsewhere = Ok(());
    for finding in &findings {
        let problem = Problem::of_file(id, finding);
        tracing::warn!(
            path = finding.path,
            "{finding}; to do: {}",
            printer::pasteable(&problem.todo)
        );
        if elsewhere.is_ok() && finding.is_diverted() {
            let what = "this node has joined, but its engine's own settings now name another server or other files";
            let on = root.at(&finding.path).display().to_string();
            let fault = Fault::new(problem.kind, what, on, problem.todo);
            elsewhere = Err(fault.cause(finding.problem.to_string()));
        }
    }
    elsewhere
}
