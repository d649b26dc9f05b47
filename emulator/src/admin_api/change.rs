//! What the admin API changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Problem, servers, show};
use crate::control::{Fault, Rate, Target};
use crate::imds;
use crate::shared::Shared;

/// Answers all other methods than `GET`.
pub(super) fn change(method: &str, path: &str, body: &Value, shared: &Shared) -> Answer {
    let parts: Vec<_> = path.split('/').collect();
    match (method, parts.as_slice()) {
        ("POST", ["reset"]) => {
            shared.reset();
            Ok(json!({}))
        }
        ("POST", ["faults"]) => add_fault(body, shared),
        ("DELETE", ["faults"]) => {
            shared.control().clear_faults();
            shared.imds().clear_faults();
            Ok(json!({ "faults": [] }))
        }
        ("PUT", ["clock"]) => set_clock(body, shared),
        ("PUT", ["throttle"]) => set_throttle(body, shared),
        ("PUT", ["deny"]) => set_denied(body, shared),
        ("PUT", ["servers", name, "status"]) => set_status(name, body, shared),
        (_, ["puppet-ca" | "chef", ..]) => servers::change(method, &parts, body, shared),
        (
            _,
            [
                "reset" | "faults" | "clock" | "throttle" | "deny" | "health" | "state" | "calls"
                | "ca" | "export" | "import",
            ]
            | ["servers", _, "status"],
        ) => Err(Problem::Method(method.to_owned())),
        _ => Err(Problem::NotFound(format!("/_emulator/v1/{path}"))),
    }
}

fn add_fault(body: &Value, shared: &Shared) -> Answer {
    let text = member(body, "fault")?.as_str().unwrap_or_default();
    let fault: Fault = text.parse().map_err(Problem::invalid)?;
    if fault.action == imds::ACTION {
        shared.imds().inject(fault);
    } else {
        shared.control().inject(fault);
    }
    Ok(json!({ "faults": show::faults(shared) }))
}

/// `offset_seconds` sets how far the clock is ahead of the machine's; `advance_seconds` moves it on.
fn set_clock(body: &Value, shared: &Shared) -> Answer {
    let number = |name: &str| body.get(name).and_then(Value::as_i64);
    let offset = match (number("offset_seconds"), number("advance_seconds")) {
        (Some(offset), None) => offset,
        (None, Some(more)) => shared.clock_offset().saturating_add(more),
        _ => {
            return Err(Problem::Invalid(
                "give offset_seconds or advance_seconds, a whole number".to_owned(),
            ));
        }
    };
    shared.set_clock_offset(offset);
    shared.control().settle(shared.now());
    Ok(show::clock(shared))
}

fn set_throttle(body: &Value, shared: &Shared) -> Answer {
    let rate = match member(body, "rate")? {
        Value::Null => None,
        Value::String(text) => Some(text.parse::<Rate>().map_err(Problem::invalid)?),
        other => return Err(Problem::Invalid(format!("{other} is neither a rate nor null"))),
    };
    shared.control().set_throttle(rate, shared.now());
    Ok(show::throttle(shared))
}

fn set_denied(body: &Value, shared: &Shared) -> Answer {
    let actions = member(body, "actions")?.as_array().cloned().unwrap_or_default();
    let mut names = Vec::new();
    for action in actions {
        let name = action.as_str().unwrap_or_default().to_owned();
        if !Target::parse(&name).map_err(Problem::invalid)?.is_permitted_by_iam() {
            return Err(Problem::Invalid(format!("{name} is not given out by permission")));
        }
        names.push(name);
    }
    shared.control().set_denied(names);
    Ok(json!({ "actions": shared.control().denied_actions() }))
}

/// `status`, and `healthy_after` in seconds where the server is to become HEALTHY by itself.
fn set_status(name: &str, body: &Value, shared: &Shared) -> Answer {
    let status = member(body, "status")?.as_str().unwrap_or_default();
    let healthy_at = match body.get("healthy_after").filter(|value| !value.is_null()) {
        None => None,
        Some(value) => {
            let seconds = value.as_f64().unwrap_or(-1.0);
            let after = Duration::try_from_secs_f64(seconds);
            let after = after.map_err(|_| Problem::Invalid(format!("{value} is not a time")))?;
            Some(shared.now().plus(after))
        }
    };
    let mut control = shared.control();
    control.settle(shared.now());
    let service = control.opsworks_cm_mut();
    if !service.servers().contains_key(name) {
        return Err(Problem::NotFound(format!("server '{name}'")));
    }
    service.set_server_status(name, status, healthy_at).map_err(Problem::invalid)?;
    Ok(json!({ "name": name, "status": status }))
}

pub(super) fn member<'a>(body: &'a Value, name: &str) -> Result<&'a Value, Problem> {
    body.get(name).ok_or_else(|| Problem::Invalid(format!("'{name}' is missing")))
}
