//! A report as people read it.

use super::printer;
use crate::bootstrap::{MembershipName, Report};
use crate::text::time;

/// The lines of one target, at this time in Unix seconds.
pub fn text(report: &Report, now: i64) -> String {
    let state = match (report.membership, report.healthy) {
        (MembershipName::Member, true) => "joined, healthy",
        (MembershipName::Member, false) => "joined, not healthy",
        _ if report.is_unreadable => "unknown, its record can't be read",
        _ => "not joined",
    };
    let mut rows = Rows(Vec::new());
    membership(&mut rows, report, now);
    problems(&mut rows, report);
    if let Some(path) = &report.held_by {
        rows.add("held by", format!("{path}: the agent does not run"));
    }
    if report.attempts > 1 {
        rows.add("attempts", report.attempts.to_string());
    }
    if !report.joined && report.other_machine.is_none() {
        fault(&mut rows, report);
    }
    if let Some(probe) = &report.probe {
        rows.add("asked now", format!("{}: {}", probe.standing, probe.says));
    }
    rows.add("next", report.next.clone());
    format!("{}: {state}\n{}", report.target, printer::columns(&rows.0))
}

struct Rows(Vec<(String, String)>);

impl Rows {
    fn add(&mut self, label: &str, value: String) {
        self.0.push((label.to_owned(), value));
    }

    fn some(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }
}

fn membership(rows: &mut Rows, report: &Report, now: i64) {
    rows.add("authority", report.authority.clone());
    if !report.configured {
        rows.add("settings", format!("without [{}]: known from the record", report.target));
    }
    rows.some("endpoint", report.endpoint.clone());
    rows.some("machine", report.other_machine.clone());
    rows.some("name", report.name.clone());
    rows.some("since", report.since.map(time));
    rows.some("key", report.key_sha256.as_ref().map(|key| format!("SHA-256 {key}")));
    let serial = report.certificate_serial.as_ref();
    rows.some("certificate", serial.map(|serial| format!("serial {serial}")));
    if let Some(end) = report.certificate_not_after {
        rows.add(if end > now { "valid until" } else { "expired" }, time(end));
    }
    if let Some(at) = report.renewal_at {
        rows.add(if at > now { "renewal at" } else { "renewal due" }, time(at));
    }
    rows.some("id", report.member_id.clone());
}

fn problems(rows: &mut Rows, report: &Report) {
    for change in &report.changes {
        let value = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "not set".to_owned(),
            value => value.to_string(),
        };
        let (in_force, wanted) = (value(&change.in_force), value(&change.wanted));
        let text = format!(
            "{}: in force {in_force}, wanted {wanted}; run `{}`",
            change.setting, change.command
        );
        rows.add("changed", text);
    }
    for problem in &report.problems {
        rows.add("problem", format!("{}: {} ({})", problem.what, problem.on, problem.kind.word()));
        for cause in &problem.causes {
            rows.add("because", cause.clone());
        }
        rows.add("to do", problem.todo.clone());
    }
    for warning in &report.warnings {
        rows.add("warning", warning.clone());
    }
}

fn fault(rows: &mut Rows, report: &Report) {
    let Some(fault) = &report.fault else { return };
    let ended = if fault.is_final { "stopped at" } else { "tried again since" };
    let (what, kind, at) = (&fault.what, fault.kind.word(), time(fault.at));
    rows.add("fault", format!("{what} ({kind}), {ended} {at}"));
    rows.add("on", fault.on.clone());
    for cause in &fault.causes {
        rows.add("because", cause.clone());
    }
    rows.add("to do", fault.todo.clone());
}
