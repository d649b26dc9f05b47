//! `enlist doctor`: checks, one after the other, everything that a join or a member needs. Changes
//! nothing. A failed check can make later ones fail, so the last line names the first that failed.

mod engine;
mod machine;
mod network;
mod secrets;

use std::fmt::Write as _;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::drive::{self, Scope, Selection};
use super::{Global, printer, runtime};
use crate::bootstrap::Problem;
use crate::daemon::memberships::Known;
use crate::fault::Fault;
use crate::host::{Host, HttpClients, Root, clock};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist doctor
  enlist doctor --target ssm --json")]
pub struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The version of the JSON.
const SCHEMA: u32 = 1;

/// One check.
#[derive(Serialize)]
pub struct Check {
    /// None: of the machine, for all targets.
    target: Option<&'static str>,
    name: &'static str,
    result: &'static str,
    /// What was found.
    found: Option<String>,
    problem: Option<Problem>,
    milliseconds: u64,
    #[serde(skip)]
    code: u8,
}

/// What a check found, where it did not fail.
pub enum Found {
    Good(String),
    /// It does not apply, or can't be tried.
    Skipped(String),
}

/// The checks so far.
#[derive(Default)]
pub struct Checks {
    list: Vec<Check>,
    target: Option<&'static str>,
}

#[derive(Serialize)]
struct Json<'a> {
    schema: u32,
    well: bool,
    checks: &'a [Check],
}

impl Checks {
    /// Notes the result of a check that began at this moment. Returns whether it did not fail.
    pub fn note(
        &mut self,
        name: &'static str,
        began: Instant,
        result: Result<Found, Fault>,
    ) -> bool {
        let (word, found, fault) = match result {
            Ok(Found::Good(found)) => ("ok", Some(found), None),
            Ok(Found::Skipped(why)) => ("skipped", Some(why), None),
            Err(fault) => ("failed", None, Some(fault)),
        };
        let code = fault.as_ref().map_or(0, |fault| fault.final_kind().exit_code());
        self.list.push(Check {
            target: self.target,
            name,
            result: word,
            found: found.map(|found| crate::text::phrase(&found)),
            problem: fault.map(|fault| pasteable(fault.into())),
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            code,
        });
        code == 0
    }

    /// Runs a check that needs no waiting.
    pub fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<Found, Fault>) -> bool {
        let began = clock::instant();
        self.note(name, began, work())
    }
}

fn pasteable(mut problem: Problem) -> Problem {
    problem.todo = printer::pasteable(&problem.todo);
    for cause in &mut problem.causes {
        *cause = printer::pasteable(cause);
    }
    problem
}

/// The exit code is 0, or that of the first check that failed.
pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let mut checks = Checks::default();
    let runtime = runtime()?;
    runtime.block_on(all(global, &root, &options.selection, &mut checks));
    let code = checks.list.iter().map(|check| check.code).find(|code| *code != 0).unwrap_or(0);
    if options.json {
        printer::json(&Json { schema: SCHEMA, well: code == 0, checks: &checks.list })?;
    } else {
        printer::out(&text(&checks.list))?;
    }
    Ok(code)
}

/// The checks as JSON, for all targets.
pub async fn report(global: &Global, root: &Root) -> serde_json::Value {
    let mut checks = Checks::default();
    Box::pin(all(global, root, &Selection::default(), &mut checks)).await;
    let well = checks.list.iter().all(|check| check.code == 0);
    serde_json::json!(Json { schema: SCHEMA, well, checks: &checks.list })
}

async fn all(global: &Global, root: &Root, selection: &Selection, checks: &mut Checks) {
    machine::state(root, checks);
    let began = clock::instant();
    let known = drive::select(global, root, selection, Scope::Known);
    let known = match known {
        Ok(known) => known,
        Err(fault) => {
            checks.note("settings", began, Err(fault));
            machine::unit(root, &[], checks).await;
            return;
        }
    };
    let found = known.iter().map(|known| known.id).collect::<Vec<_>>().join(", ");
    checks.note("settings", began, Ok(Found::Good(format!("valid; targets: {found}"))));
    machine::locks(root, checks);
    let mut paths = Vec::new();
    for known in &known {
        checks.target = Some(known.id);
        paths.extend(Box::pin(target(root, known, checks)).await);
    }
    checks.target = None;
    machine::unit(root, &paths, checks).await;
}

/// The checks of one target. Returns the paths that it writes.
async fn target(root: &Root, known: &Known, checks: &mut Checks) -> Vec<String> {
    let began = clock::instant();
    let prepared = known
        .target()
        .and_then(|(target, settings)| Ok((target, settings, &settings.access()?.environment)));
    let (target, settings, environment) = match prepared {
        Ok(prepared) => prepared,
        Err(fault) => {
            checks.note("environment", began, Err(fault));
            return Vec::new();
        }
    };
    let shown = environment.shown.len();
    let found = format!("{shown} values of the environment and the AWS profile are used");
    checks.note("environment", began, Ok(Found::Good(found)));
    // Not those of the other targets, whose servers may have shown another time.
    let clients = HttpClients::new(environment);
    let trusted = network::trusted(environment);
    let mut host = Host::new(root.clone(), known.id, environment.clone(), clients.clone());
    let node = machine::node(root, &mut host, &*target, settings, checks).await;
    if !engine::is_member(root, known.id) {
        secrets::all(root, &mut host, &*target, settings, checks).await;
    }
    if engine::is_carried(root, known.id) {
        let why = "a person carries this node's messages: no authority is asked".to_owned();
        checks.note("network", clock::instant(), Ok(Found::Skipped(why)));
    } else if network::reach(&host, &clients, &*target, &trusted, checks).await {
        Box::pin(network::authority(root, known, &mut host, &*target, checks)).await;
    }
    network::of_engine(&mut host, &*target, checks).await;
    let Some((node, name)) = node else { return Vec::new() };
    engine::all(root, known, (node, &name), checks).await
}

fn text(checks: &[Check]) -> String {
    let name = |check: &Check| match check.target {
        Some(target) => format!("{target}: {}", check.name),
        None => check.name.to_owned(),
    };
    let width = checks.iter().map(|check| name(check).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let what =
            check.problem.as_ref().map(|problem| format!("{}: {}", problem.what, problem.on));
        let what = what.or_else(|| check.found.clone()).unwrap_or_default();
        let (name, what) = (name(check), crate::text::line(&what));
        let (result, time) = (check.result, check.milliseconds);
        let _ = writeln!(text, "{result:<7}  {name:<width$}  {time:>5} ms  {what}");
        let Some(problem) = &check.problem else { continue };
        for cause in &problem.causes {
            let _ = writeln!(text, "         because: {}", crate::text::line(cause));
        }
        let _ = writeln!(text, "         to do: {}", crate::text::line(&problem.todo));
    }
    let first = checks.iter().find(|check| check.code != 0);
    text + &match first {
        None => "nothing is wrong\n".to_owned(),
        Some(check) => format!("first failed check: {}\n", name(check)),
    }
}
