//! What the admin API shows.

use serde_json::{Value, json};

use super::{Answer, Problem, fault, servers};
use crate::control::CallList;
use crate::shared::Shared;

/// How many calls are shown at a time when no `limit` is given.
const CALLS: usize = 1000;

/// Answers `GET`.
pub(super) fn show(path: &str, shared: &Shared) -> Answer {
    match path {
        "health" => Ok(json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "api": 1,
        })),
        "faults" => Ok(json!({ "faults": faults(shared) })),
        "clock" => Ok(clock(shared)),
        "throttle" => Ok(throttle(shared)),
        "deny" => Ok(json!({ "actions": shared.control().denied_actions() })),
        _ => servers::show(&path.split('/').collect::<Vec<_>>(), shared)
            .unwrap_or_else(|| Err(Problem::NotFound(format!("/_emulator/v1/{path}")))),
    }
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

/// The calls after the one of the number `since`, oldest first, by service and action; all that are
/// kept by default where the list stands alone, as it did before there was a limit.
pub(super) fn calls(query: &str, alone: bool, shared: &Shared) -> Result<CallList, Problem> {
    let limit = if alone { usize::MAX } else { CALLS };
    let (mut since, mut limit, mut service, mut action) = (0, limit, None, None);
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
    Ok(shared.control().record().list(since, limit, service, action))
}
