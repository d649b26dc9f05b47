//! What the admin API shows.

use serde_json::{Value, json};

use super::{Answer, Problem, fault};
use crate::emulator::Shared;
use crate::http::Response;

/// How many calls are shown at a time when no `limit` is given.
const CALLS: usize = 1000;

/// Answers `GET`.
pub(super) fn show(path: &str, query: &str, shared: &Shared) -> Answer {
    match path {
        "health" => Ok(json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "api": 1,
        })),
        "calls" => calls(query, shared),
        "faults" => Ok(json!({ "faults": faults(shared) })),
        "clock" => Ok(clock(shared)),
        "throttle" => Ok(throttle(shared)),
        "deny" => Ok(json!({ "actions": shared.control().denied_actions() })),
        _ => Err(Problem::NotFound(format!("/_emulator/v1/{path}"))),
    }
}

/// The newest calls, as a list.
pub(super) fn all_calls(shared: &Shared) -> Response {
    let calls = shared.control().calls();
    let text = serde_json::to_string(&calls).unwrap_or_else(|_| "[]".to_owned());
    Response::new(200, "application/json", text)
}

pub(super) fn faults(shared: &Shared) -> Vec<Value> {
    let of_control: Vec<_> = shared.control().faults().map(fault).collect();
    let of_imds: Vec<_> = shared.imds().faults().map(fault).collect();
    of_control.into_iter().chain(of_imds).collect()
}

pub(super) fn clock(shared: &Shared) -> Value {
    json!({ "now": shared.now().rfc3339(), "offset_seconds": shared.clock_offset() })
}

pub(super) fn throttle(shared: &Shared) -> Value {
    let rate = shared.control().throttle();
    json!({ "rate": rate.map(|rate| format!("{}/{}", rate.per_second, rate.burst)) })
}

/// The calls after the one of the number `since`, oldest first, by service and action.
fn calls(query: &str, shared: &Shared) -> Answer {
    let (mut since, mut limit, mut service, mut action) = (0, CALLS, None, None);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let wrong = |_| Problem::Invalid(format!("{name}={value} is not a whole number"));
        match name {
            "since" => since = value.parse().map_err(wrong)?,
            "limit" => limit = value.parse().map_err(wrong)?,
            "service" => service = Some(value),
            "action" => action = Some(value),
            _ => return Err(Problem::NotFound(format!("parameter '{name}'"))),
        }
    }
    let control = shared.control();
    let record = control.record();
    let found = record.since(since).filter(|call| {
        service.is_none_or(|service| call.service == Some(service))
            && action.is_none_or(|action| call.action == action)
    });
    let calls: Vec<_> = found.take(limit).collect();
    Ok(json!({ "total": record.total(), "calls": calls }))
}
