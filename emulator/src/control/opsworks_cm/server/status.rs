//! The states of a server, and what may be done in which.

use crate::error::ApiError;

pub const BACKING_UP: &str = "BACKING_UP";
pub const CONNECTION_LOST: &str = "CONNECTION_LOST";
pub const CREATING: &str = "CREATING";
pub const DELETING: &str = "DELETING";
pub const MODIFYING: &str = "MODIFYING";
pub const FAILED: &str = "FAILED";
/// The status in which nodes can be associated and disassociated.
pub const HEALTHY: &str = "HEALTHY";
pub const RUNNING: &str = "RUNNING";
pub const RESTORING: &str = "RESTORING";
pub const SETUP: &str = "SETUP";
pub const UNDER_MAINTENANCE: &str = "UNDER_MAINTENANCE";
pub const UNHEALTHY: &str = "UNHEALTHY";
pub const TERMINATED: &str = "TERMINATED";

/// The values of `Server$Status` in the reference's order.
pub const STATUSES: [&str; 13] = [
    BACKING_UP,
    CONNECTION_LOST,
    CREATING,
    DELETING,
    MODIFYING,
    FAILED,
    HEALTHY,
    RUNNING,
    RESTORING,
    SETUP,
    UNDER_MAINTENANCE,
    UNHEALTHY,
    TERMINATED,
];

/// "Backups can be created for servers in `RUNNING`, `HEALTHY`, and `UNHEALTHY` states."
pub const FOR_BACKUP: &[&str] = &[RUNNING, HEALTHY, UNHEALTHY];
/// "A server that is in a `CONNECTION_LOST`, `HEALTHY`, `RUNNING`, `UNHEALTHY`, or `TERMINATED`
/// state."
pub const FOR_RESTORE: &[&str] = &[CONNECTION_LOST, HEALTHY, RUNNING, UNHEALTHY, TERMINATED];
/// "Maintenance can only be started on servers in `HEALTHY` and `UNHEALTHY` states"; the same holds
/// for `UpdateServerEngineAttributes`.
pub const FOR_CHANGE: &[&str] = &[HEALTHY, UNHEALTHY];
/// A node can only be associated with, and disassociated from, a server "in a `HEALTHY` state".
pub const FOR_NODES: &[&str] = &[HEALTHY];

/// "An `InvalidStateException` is thrown when the server is in any of the following states:
/// CREATING, TERMINATED, FAILED or DELETING."
const NOT_FOR_EXPORT: [&str; 4] = [CREATING, TERMINATED, FAILED, DELETING];

/// Refuses what is not allowed in a state.
///
/// # Errors
/// `InvalidStateException`.
pub fn require(name: &str, status: &str, allowed: &[&str]) -> Result<(), ApiError> {
    if allowed.contains(&status) {
        return Ok(());
    }
    Err(ApiError::InvalidState(format!(
        "The server '{name}' is in the state {status}; it must be {}.",
        allowed.join(" or ")
    )))
}

/// Refuses `ExportServerEngineAttribute` where the reference does.
///
/// # Errors
/// `InvalidStateException`.
pub fn require_exportable(name: &str, status: &str) -> Result<(), ApiError> {
    refuse(name, status, &NOT_FOR_EXPORT)
}

/// Refuses `UpdateServer`. "While the server is in the `BACKING_UP` state, the server cannot be
/// changed"; that it cannot be either where nothing can be exported from it is the emulator's choice.
///
/// # Errors
/// `InvalidStateException`.
pub fn require_changeable(name: &str, status: &str) -> Result<(), ApiError> {
    refuse(name, status, &[&NOT_FOR_EXPORT[..], &[BACKING_UP]].concat())
}

fn refuse(name: &str, status: &str, forbidden: &[&str]) -> Result<(), ApiError> {
    if forbidden.contains(&status) {
        return Err(ApiError::InvalidState(format!(
            "The server '{name}' is in the state {status}, which does not allow the action."
        )));
    }
    Ok(())
}
