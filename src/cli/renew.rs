//! `enlist renew`: what the daemon does when a certificate or a key is due for renewal, now.

use super::drive::{self, Begin, Scope, Selection};
use super::join::{RENEWAL_BUDGET, again, bootstrap, summary};
use super::{Global, progress::Progress, report};
use crate::bootstrap::{Maintenance, Outcome, Record, Report};
use crate::fault::{Fault, Kind};
use crate::host::{Root, facts};

/// Asks for a new certificate or key, whether or not it is due. The former one stays until the new one is
/// installed.
pub fn run(global: &Global, selection: &Selection, progress: &Progress) -> Result<u8, Fault> {
    drive::run(
        global,
        (selection, Scope::Known),
        progress,
        |begin| {
            check(&begin)?;
            let renew = Some(RENEWAL_BUDGET.min(begin.settings.budget));
            Ok(bootstrap(
                begin,
                Maintenance {
                    renew,
                    renew_now: true,
                    is_of_member: true,
                    ..Maintenance::default()
                },
            ))
        },
        &async |root: &Root, outcome: &Outcome| match outcome {
            Outcome::Joined { record, already } => match &record.fault {
                Some(note) if *already => Err(again(note)),
                _ => Ok(summary(root, record, "renewed")),
            },
            _ => Ok(String::new()),
        },
    )
}

fn check(begin: &Begin<'_>) -> Result<(), Fault> {
    let id = begin.target.id();
    let on = format!("target {id}, {}", begin.target.authority_name());
    let record = member(begin, &on)?;
    if !record.current_grant().is_some_and(|grant| begin.target.renews(grant)) {
        let what = "this membership has no certificate or key that could be renewed";
        let todo =
            format!("for a new key: `enlist leave --target {id} && enlist join --target {id}`");
        return Err(Fault::new(Kind::Usage, what, on, todo));
    }
    Ok(())
}

/// The record of the member.
///
/// # Errors
/// `Usage` where this node has not joined, with what happens next.
pub fn member<'a>(begin: &'a Begin<'_>, on: &str) -> Result<&'a Record, Fault> {
    begin.record.as_ref().filter(|record| record.is_member()).ok_or_else(|| {
        let todo = begin.record.as_ref().map(|record| next(begin, record));
        let join = || format!("run `enlist join --target {}`", begin.target.id());
        Fault::new(Kind::Usage, "this node has not joined", on, todo.unwrap_or_else(join))
    })
}

/// As `enlist status` says it.
fn next(begin: &Begin<'_>, record: &Record) -> String {
    let report = Report::of(record);
    if let Some(difference) = record.other_machine(&facts::machine(begin.root)) {
        return report.of_other_machine(&difference).next;
    }
    report::errand(&*begin.target, record).unwrap_or(report.next)
}
