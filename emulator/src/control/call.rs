//! The record of what was asked and answered.

use serde::Serialize;
use serde_json::Value;

use super::fault::FaultKind;
use crate::http::{Delivery, Response};
use crate::now::Now;

/// One API call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The action, or `-` when the request named none.
    pub action: String,
    /// The HTTP status; none when the connection was broken instead.
    pub status: Option<u16>,
    /// The API error's name, when it was one. A reply that was lost is recorded as it would have
    /// been.
    pub error: Option<String>,
    /// The fault that was injected.
    pub fault: Option<String>,
    /// The request's body; null when it was not JSON. An activation code is left out.
    pub request: Value,
}

impl Call {
    pub(super) fn new(
        now: Now,
        action: &str,
        body: &[u8],
        fault: Option<FaultKind>,
        response: &Response,
    ) -> Self {
        let dropped = response.delivery == Delivery::Dropped;
        Self {
            at_ms: now.unix_ms(),
            action: action.to_owned(),
            status: Some(response.status).filter(|_| !dropped),
            error: response.error.clone(),
            fault: fault.map(FaultKind::name),
            request: without_secrets(serde_json::from_slice(body).unwrap_or(Value::Null)),
        }
    }

    /// The call in one line, for a log.
    #[must_use]
    pub fn line(&self) -> String {
        let at = Now::from_unix_ms(self.at_ms).rfc3339();
        let status = self.status.map_or_else(|| "lost".to_owned(), |status| status.to_string());
        let error = self.error.as_deref().unwrap_or("-");
        let fault = self.fault.as_ref().map(|fault| format!(" (fault {fault})"));
        format!("{at} {} {status} {error}{}", self.action, fault.unwrap_or_default())
    }
}

/// An activation code is as good as a password.
fn without_secrets(mut request: Value) -> Value {
    if let Some(code) = request.get_mut("ActivationCode") {
        *code = Value::from("(left out)");
    }
    request
}
