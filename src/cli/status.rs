//! `enlist status`: shows the membership and the health of each target, and the next step.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::drive::Selection;
use super::{Global, printer, report, runtime, status_text};
use crate::bootstrap::Report;
use crate::daemon::memberships::Known;
use crate::fault::Fault;
use crate::host::{Root, clock, lock, timer};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist status --wait --timeout 10m    until every target has joined
  enlist status --probe                 also ask the authority now
  enlist status --json | jq .well")]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Print JSON (docs/status.schema.json)
    #[arg(long)]
    json: bool,
    /// Wait until every target has joined, or has failed for good. Also waits for somebody to start
    #[arg(long)]
    wait: bool,
    /// How long to wait, such as 90s [default: node.budget]
    #[arg(long, requires = "wait", value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// Also ask the authority and the engine now
    #[arg(long)]
    probe: bool,
}

/// The version of the JSON. It changes if a member is removed or gets another meaning.
const SCHEMA: u32 = 1;

/// Between two readings with `--wait`.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    /// Whether every target is a member and healthy: the exit code is 0.
    well: bool,
    targets: &'a [Report],
}

/// The exit code is 0 if every target has joined and is healthy. Else it is that of the first that is
/// not: of its first problem; where it has none and has not joined, of its last fault (75 without one).
pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let known = report::known(global, &root, &options.selection)?;
    let runtime = runtime()?;
    let read = || runtime.block_on(report::read(&root, &known));
    let mut reports =
        if options.wait { wait(&root, limit(options, &known), &read)? } else { read() };
    if options.probe {
        runtime.block_on(report::probe(&root, &known, &mut reports));
    }
    let code = reports.iter().map(Report::exit_code).find(|code| *code != 0).unwrap_or(0);
    if options.json {
        printer::json(&Json { schema: SCHEMA, well: code == 0, targets: &reports })?;
    } else {
        let now = clock::unix_now();
        let text: String = reports.iter().map(|report| status_text::text(report, now)).collect();
        printer::out(&text)?;
    }
    Ok(code)
}

/// The reports as `--json` prints them.
pub fn json(reports: &[Report]) -> serde_json::Value {
    let well = reports.iter().all(|report| report.exit_code() == 0);
    serde_json::json!(Json { schema: SCHEMA, well, targets: reports })
}

fn limit(options: &Options, known: &[Known]) -> Duration {
    let budgets = known.iter().filter_map(|known| known.settings.as_ref());
    let budget = budgets.map(|settings| settings.budget).max();
    options.timeout.or(budget).unwrap_or_default()
}

/// Reads until every target has joined. A fault that is final counts once somebody has worked on the
/// targets since the wait began: an older one may be what is being put right.
fn wait(
    root: &Root,
    limit: Duration,
    read: &dyn Fn() -> Vec<Report>,
) -> Result<Vec<Report>, Fault> {
    let (began, began_unix) = (clock::instant(), clock::unix_now());
    let mut was_at_work = false;
    loop {
        let is_at_work = lock::is_held(root)?;
        was_at_work |= is_at_work;
        let reports = read();
        let has_failed = |report: &Report| {
            let fault = report.fault.as_ref().filter(|fault| fault.is_final && !report.joined);
            report.is_unreadable || fault.is_some_and(|fault| was_at_work || fault.at >= began_unix)
        };
        if reports.iter().all(|report| report.joined)
            || (!is_at_work && reports.iter().any(has_failed))
        {
            return Ok(reports);
        }
        if began.elapsed() >= limit {
            tracing::warn!("still not joined after {} s", limit.as_secs());
            return Ok(reports);
        }
        timer::block_for(PAUSE);
    }
}
