//! `enlist status`: shows the state of each target, since when, and the next step.

use std::time::Duration;

use clap::Args;

use super::{Global, printer, runtime};
use crate::bootstrap::Report;
use crate::config::Settings;
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, facts, inspect, lock, timer};

#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON, a list of targets
    #[arg(long)]
    json: bool,
    /// Wait until every target has joined, or no enlist process works on it any more
    #[arg(long)]
    wait: bool,
}

/// Between two readings with `--wait`.
const PAUSE: Duration = Duration::from_millis(200);

/// The exit code is 0 if every target has joined, else that of the last fault, else 75. With a record
/// of another machine (a copied disk) this machine has not joined: 75.
pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let settings = global.settings(&root)?;
    let runtime = runtime()?;
    let read = || runtime.block_on(read(&root, &settings));
    let mut reports = read()?;
    while options.wait && !reports.iter().all(|report| report.joined) && is_at_work(&root)? {
        timer::block_for(PAUSE);
        reports = read()?;
    }
    if options.json {
        printer::json(&reports);
    } else {
        for report in &reports {
            printer::out(&text(report));
        }
    }
    Ok(exit_code(&reports))
}

async fn read(root: &Root, settings: &Settings) -> Result<Vec<Report>, Fault> {
    let here = facts::machine(root);
    let mut reports = Vec::new();
    for target in settings.targets() {
        let store = Store::new(root.clone(), target.id());
        let (record, findings) = inspect::findings(root, &store, inspect::Keep::Nothing).await?;
        let Some(record) = record else {
            reports.push(Report::absent(target.id(), &target.authority_name()));
            continue;
        };
        reports.push(if let Some(difference) = record.other_machine(&here) {
            Report::of(&record).of_other_machine(&difference)
        } else {
            let held_by = inspect::held_by(root, &record);
            Report { findings, held_by, ..Report::of(&record) }
        });
    }
    Ok(reports)
}

/// Whether an enlist process works on this machine's targets.
fn is_at_work(root: &Root) -> Result<bool, Fault> {
    Ok(lock::try_acquire(root)?.is_none())
}

fn exit_code(reports: &[Report]) -> u8 {
    let pending = reports.iter().find(|report| !report.joined);
    pending.map_or(0, |report| {
        let own = report.fault.as_ref().filter(|_| report.other_machine.is_none());
        let fault = own.map(|fault| fault.kind);
        fault.unwrap_or(Kind::Transient).exit_code()
    })
}

fn text(report: &Report) -> String {
    let mut rows = Vec::new();
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push((label.to_owned(), value));
        }
    };
    add("authority", Some(report.authority.clone()));
    add("machine", report.other_machine.clone());
    add("name", report.name.clone());
    add("since", report.since.map(printer::time));
    add("key", report.key_sha256.as_ref().map(|key| format!("SHA-256 {key}")));
    add("certificate", report.certificate_serial.as_ref().map(|serial| format!("serial {serial}")));
    add("valid until", report.certificate_not_after.map(printer::time));
    add("renewed at", report.renewal_at.map(printer::time));
    add("id", report.member_id.clone());
    for finding in &report.findings {
        add("finding", Some(finding.to_string()));
    }
    add("held by", report.held_by.as_ref().map(|path| format!("{path}: the agent does not run")));
    add("attempts", Some(report.attempts.to_string()).filter(|_| report.attempts > 1));
    if let Some(fault) = &report.fault {
        let ended = if fault.is_final { "stopped at" } else { "tried again since" };
        add(
            "fault",
            Some(format!(
                "{} ({}), {ended} {}",
                fault.what,
                fault.kind.word(),
                printer::time(fault.at)
            )),
        );
        add("on", Some(fault.on.clone()));
        for cause in &fault.causes {
            add("because", Some(cause.clone()));
        }
        add("to do", Some(fault.todo.clone()));
    }
    add("next", Some(report.next.to_owned()));
    let state = if report.joined { "joined" } else { "not joined" };
    format!("{}: {state}\n{}", report.target, printer::columns(&rows))
}
