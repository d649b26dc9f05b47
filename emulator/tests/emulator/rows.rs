//! Tables of requests and what each gets.

use enlist_emulator::control::ControlPlane;
use serde_json::Value;

use super::plane::{START, ask, verdict};

pub const OK: &str = "ok";
pub const INVALID: &str = "ValidationException";
pub const NOT_FOUND: &str = "ResourceNotFoundException";
pub const TYPE: &str = "SerializationException";
pub const NULL: &str = "failed to satisfy constraint: Member must not be null";

/// Member, value, the error it gets, a part of the message.
pub type Row = (&'static str, Value, &'static str, &'static str);

/// Sends `base` once for each row, with one member replaced.
pub fn check(plane: &mut ControlPlane, target: (&str, &str), base: &Value, rows: &[Row]) {
    let (family, action) = target;
    for (member, value, error, part) in rows {
        let mut body = base.clone();
        body[member] = value.clone();
        let response = ask(plane, START, family, action, &body);
        let found = verdict(&response);
        let shown: String = value.to_string().chars().take(60).collect();
        assert_eq!(found.0, *error, "{action} {member}={shown}: {}", found.1);
        assert!(found.1.contains(part), "{action} {member}={shown}: {}", found.1);
        let status = if *error == OK { 200 } else { 400 };
        assert_eq!(response.status, status, "{action} {member}={shown}");
    }
}

/// The rows of one member.
pub fn of<const N: usize>(
    member: &'static str,
    rows: [(Value, &'static str, &'static str); N],
) -> Vec<Row> {
    rows.map(|(value, error, part)| (member, value, error, part)).into()
}
