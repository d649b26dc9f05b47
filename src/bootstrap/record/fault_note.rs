//! The last fault, as the record keeps it.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Kind};

/// The last fault, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultNote {
    pub kind: Kind,
    pub what: String,
    pub on: String,
    pub todo: String,
    pub causes: Vec<String>,
    /// Unix seconds.
    pub at: i64,
    /// How often in a row.
    pub times: u32,
    /// Whether it ended the bootstrap. Else it is retried.
    pub is_final: bool,
    /// How long the authority asks to wait, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Whether a renewal or a change of settings has ended with it. A repair does not correct that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_renewal: bool,
    /// Whether that renewal was asked for by hand and was not due, and the authority only gave nothing new. It
    /// says nothing about the health of the membership.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_not_due: bool,
}

impl FaultNote {
    /// What is said where it ended the maintenance of a member.
    #[must_use]
    pub fn of_maintenance(&self) -> String {
        let cause = self.causes.first().map(|cause| format!(": {cause}")).unwrap_or_default();
        let Self { what, on, todo, .. } = self;
        format!("{what}: {on}{cause}; this node keeps what it has; to do: {todo}")
    }

    #[must_use]
    pub fn of(fault: &Fault, at: i64, times: u32, is_final: bool) -> Self {
        Self {
            kind: if is_final { fault.final_kind() } else { fault.kind },
            what: fault.what.clone(),
            on: fault.on.clone(),
            todo: fault.todo.clone(),
            causes: fault.causes.clone(),
            at,
            times,
            is_final,
            retry_after: fault.retry_after.map(|wait| wait.as_secs()),
            is_of_renewal: false,
            was_not_due: false,
        }
    }
}
