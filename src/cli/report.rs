//! Reads what `status` reports of each target: its record, its files, and its settings.

use super::drive::{self, Scope, Selection};
use super::{Global, printer};
use crate::bootstrap::{
    ChangedSetting, Phase, Probed, Problem, Record, Report, new_request, other_authority, problems,
};
use crate::config::recorded::{Change, Way};
use crate::daemon::memberships::{self, Known};
use crate::daemon::standing;
use crate::engines::{EngineRecord, Finding, node};
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, clock, engines, facts, files, inspect};
use crate::targets::{Standing, Target, state_dir};
use crate::text;

/// Where a service can't be asked about a single node.
pub const NOT_SAID: &str = "the authority answers, and does not say whether it has this node";

/// The targets that are reported.
///
/// # Errors
/// As [`drive::select`].
pub fn known(global: &Global, root: &Root, selection: &Selection) -> Result<Vec<Known>, Fault> {
    drive::select(global, root, selection, Scope::Known)
}

/// Reads the reports of these targets. One that can't be read is a problem of its own target.
pub async fn read(root: &Root, known: &[Known]) -> Vec<Report> {
    let mut reports = Vec::new();
    for known in known {
        reports.push(one(root, known).await);
    }
    reports
}

async fn one(root: &Root, known: &Known) -> Report {
    let report = Box::pin(of(root, known)).await.unwrap_or_else(|fault| {
        let authority = known.target().map(|(target, _)| target.authority_name());
        let authority = authority.unwrap_or_else(|_| "unknown".to_owned());
        let absent = Report::absent(known.id, &authority);
        Report { configured: known.is_configured, ..absent }.unreadable(fault.into())
    });
    pasteable(report)
}

/// The report with commands that work on the same node where they are pasted.
fn pasteable(mut report: Report) -> Report {
    let carried = |text: &mut String| *text = printer::pasteable(text);
    carried(&mut report.next);
    for problem in &mut report.problems {
        carried(&mut problem.todo);
        problem.causes.iter_mut().for_each(carried);
    }
    if let Some(fault) = &mut report.fault {
        carried(&mut fault.todo);
        fault.causes.iter_mut().for_each(carried);
    }
    for change in &mut report.changes {
        change.command = printer::pasteable_command(&change.command);
    }
    report
}

async fn of(root: &Root, known: &Known) -> Result<Report, Fault> {
    let store = Store::new(root.clone(), known.id);
    let (record, findings) = inspect::findings(root, &store, inspect::Keep::Nothing).await?;
    let Some(record) = record else {
        return Ok(Report::absent(known.id, &known.target()?.0.authority_name()));
    };
    let mut report = Report { configured: known.is_configured, ..Report::of(&record) };
    for file in &mut report.installed {
        file.path = root.shown(&file.path);
    }
    if let Ok((target, _)) = known.target() {
        report.renewal_at = record.renewal_at(target.key_lifetime());
    }
    if let Some(difference) = record.other_machine(&facts::machine(root)) {
        return Ok(report.of_other_machine(&difference));
    }
    let shown = |finding: Finding| Finding { path: root.shown(&finding.path), ..finding };
    let findings: Vec<Finding> = findings.into_iter().map(shown).collect();
    let held_by = inspect::held_by(root, &record);
    let target = known.target().ok().map(|(target, _)| target);
    let warnings = target.as_ref().map(|target| target.warnings(record.membership().authority));
    let warnings = warnings.unwrap_or_default();
    let errand = target.and_then(|target| errand(&*target, &record));
    let next = errand.unwrap_or(report.next);
    let mut report = Report { warnings, held_by, next, ..report };
    if !record.is_member() {
        let lost = lost_key(root, &record);
        report.next = lost.as_ref().map_or(report.next, |lost| lost.todo.clone());
        return Ok(report.with_problems(lost.into_iter().collect()));
    }
    let mut found = problems(&record, &findings);
    let absence = standing::recall(&store, &record);
    found.extend(absence.map(|absence| absence.problem(&record.authority_name)));
    report.findings = findings;
    if known.is_configured {
        let (changes, problem) = settings(root, known, &record)?;
        report.changes = changes;
        found.extend(problem);
    } else {
        report.next = format!(
            "this node is a member, and the settings do not have [{0}]: put it back, or run `enlist leave --target {0}`",
            known.id
        );
    }
    let (problem, next) = activation(root, known, &record).await?;
    found.extend(problem);
    report.next = next.unwrap_or(report.next);
    Ok(report.with_problems(found))
}

/// What a person does with the request that was made for them. None: nobody carries one.
pub fn errand(target: &dyn Target, record: &Record) -> Option<String> {
    let name = record.name.as_deref().filter(|_| record.phase == Phase::Requested)?;
    let errand = target.errand(name)?;
    let id = target.id();
    Some(format!("carry the request (`enlist csr --by-hand --target {id}` prints it): {errand}"))
}

/// The key of a request that a person carries is gone: no answer is of use any more.
fn lost_key(root: &Root, record: &Record) -> Option<Problem> {
    let staged = node::staged_key(&state_dir(&record.target));
    let is_awaited = record.phase == Phase::Requested && !record.key_was_there;
    if !is_awaited || files::exists(root, &staged) {
        return None;
    }
    let what = "the private key that the request was made with is gone";
    let again = new_request(&record.target);
    let todo =
        format!("restore it from a backup; for a new key, and a new request to carry, {again}");
    Some(Fault::new(Kind::Data, what, root.shown(&staged), todo).into())
}

/// The settings that changed since the join.
fn settings(
    root: &Root,
    known: &Known,
    record: &Record,
) -> Result<(Vec<ChangedSetting>, Option<Problem>), Fault> {
    let (target, settings) = known.target()?;
    let changes = memberships::changes(root, settings, record);
    let wanted = target.authority_name();
    if changes.is_empty() {
        let is_other = wanted != record.authority_name;
        return Ok((Vec::new(), is_other.then(|| other_authority(record, &wanted).into())));
    }
    let problem = changed(known.id, &changes);
    let shown = |change: Change| ChangedSetting {
        command: change.command(known.id),
        in_force: change.in_force.unwrap_or_default(),
        wanted: change.wanted.unwrap_or_default(),
        setting: change.setting,
    };
    Ok((changes.into_iter().map(shown).collect(), Some(problem)))
}

/// One command puts all of them in force: a new membership has the other changes too.
fn changed(id: &str, changes: &[Change]) -> Problem {
    let names: Vec<&str> = changes.iter().map(|change| change.setting.as_str()).collect();
    let names = names.join(", ");
    let of = |way: Way| changes.iter().find(|change| change.way == way);
    let most = of(Way::NewCa).or(of(Way::NewMembership)).or(changes.first());
    let command = most.map(|change| change.command(id)).unwrap_or_default();
    let fault = if of(Way::NewCa).is_some() {
        let what = "the settings name another CA than the one that this node joined";
        let todo = format!(
            "compare both with the CA on the server; if the settings are right, run `{command}`, else set them back"
        );
        Fault::new(Kind::Config, what, names, todo)
    } else {
        let what = "settings have changed since this node joined, and are not in force";
        let todo = format!("run `{command}`, or set the settings back");
        Fault::new(Kind::Config, what, names, todo)
    };
    fault.into()
}

/// An activation that somebody else has to use: whether that has happened, and until when it can.
async fn activation(
    root: &Root,
    known: &Known,
    record: &Record,
) -> Result<(Option<Problem>, Option<String>), Fault> {
    let Ok((target, settings)) = known.target() else { return Ok((None, None)) };
    // The activation was made with the settings of the record, whatever they are now.
    let joined = memberships::recall(root, known.id, record);
    let of_record = joined.as_deref().and_then(|settings| settings.target(known.id));
    let by = of_record.as_ref().unwrap_or(&target);
    let until = record.current_grant().and_then(|g| by.usable_until(g, record.current_since()));
    let Some(until) = until else { return Ok((None, None)) };
    let engine = settings.engines.get(target.engine());
    let observed = engines::observe(root, engine.wanted(&EngineRecord::default())).await?;
    let registered = observed.ssm_instance();
    if registered.is_some() && registered != record.engine.former_registration.as_deref() {
        return Ok((None, None));
    }
    let at = crate::text::time(until);
    let place = root.shown(&state_dir(known.id));
    if clock::unix_now() < until {
        let next = format!("use the activation in {place}/activation.json before {at}");
        return Ok((None, Some(next)));
    }
    let what = format!("nobody has used the activation, and its code expired at {at}");
    let todo = format!(
        "for a new one, run `enlist leave --target {0} && enlist join --target {0}`",
        known.id
    );
    let on = format!("{place}/activation.json");
    Ok((Some(Fault::new(Kind::Data, what, on, todo).into()), None))
}

/// Asks the authority and the engine now.
pub async fn probe(root: &Root, known: &[Known], reports: &mut [Report]) {
    for (known, report) in known.iter().zip(reports) {
        if report.other_machine.is_some() || report.is_unreadable {
            continue;
        }
        let asked = standing::ask(root, known).await;
        if note(root, known, &asked) {
            *report = one(root, known).await;
        }
        let (standing, says, problem) = match asked {
            Ok(Standing::Present(what)) => ("present", what, None),
            Ok(Standing::Reachable) => ("reachable", NOT_SAID.to_owned(), None),
            Ok(Standing::NotAsked) => ("not asked", "there is nothing to ask it".to_owned(), None),
            Ok(Standing::Absent { what, todo }) => {
                let fault =
                    Fault::new(Kind::Rejected, what.clone(), report.authority.as_str(), todo);
                // What was noted is a problem of the report already.
                let is_noted = report.problems.iter().any(|known| known.what.contains(&what));
                ("absent", what, Some(fault).filter(|_| !is_noted))
            }
            Err(fault) => ("failed", fault.to_string(), Some(fault)),
        };
        report.probe = Some(Probed { standing, says: text::phrase(&says) });
        let problems = problem.into_iter().map(Problem::from).collect();
        *report = pasteable(report.clone().with_problems(problems));
    }
}

/// Keeps what the authority said. Whether the report has to be read again.
fn note(root: &Root, known: &Known, asked: &Result<Standing, Fault>) -> bool {
    let store = Store::new(root.clone(), known.id);
    let (Ok(standing), Ok(Some(record))) = (asked, store.load()) else { return false };
    let before = standing::recall(&store, &record);
    let is_probed = known.target().is_ok_and(|(target, _)| target.is_probed());
    let after = is_probed.then(|| standing::keep(&store, &record, standing)).flatten();
    before.is_some() || after.is_some()
}
