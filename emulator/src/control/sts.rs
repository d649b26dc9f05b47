//! The Security Token Service, API version 2011-06-15: `GetCallerIdentity`. A query service: form in,
//! XML out, or JSON to who accepts it.
//!
//! See the AWS Security Token Service API Reference, "GetCallerIdentity" and "Common Errors". The
//! codes of errors are the query protocol's own; which JSON an error has is what STS answers.

use serde_json::json;

use super::service::Operation;
use super::{ControlPlane, Seen};
use crate::error::ApiError;
use crate::http::{Request, Response};
use crate::now::Now;

/// Who the caller is.
#[derive(Clone, Debug, Default)]
pub struct StsSettings {
    /// The account's number.
    pub account: String,
    /// The region, which decides the partition.
    pub region: String,
    /// The role of the instance, and the instance: the session's name. None: a user's key.
    pub session: Option<(String, String)>,
}

impl StsSettings {
    fn arn(&self) -> String {
        let partition = match self.region.split('-').collect::<Vec<_>>().as_slice() {
            ["cn", ..] => "aws-cn",
            ["us", "gov", ..] => "aws-us-gov",
            _ => "aws",
        };
        let account = &self.account;
        match &self.session {
            Some((role, name)) => {
                format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}")
            }
            None => format!("arn:{partition}:iam::{account}:user/enlist-emulator"),
        }
    }

    fn user_id(&self) -> String {
        match &self.session {
            Some((_, name)) => format!("AROAEMULATOREXAMPLE00:{name}"),
            None => "AIDAEMULATOREXAMPLE00".to_owned(),
        }
    }
}

const XML: &str = "text/xml";
const JSON: &str = "application/json";

impl ControlPlane {
    /// Answers a request to STS. IAM can't deny `GetCallerIdentity`.
    pub(super) fn answer_sts(
        &mut self,
        now: Now,
        request: &Request,
        operation: &Operation<'_>,
        seen: &mut Seen,
    ) -> Response {
        let is_json = request.header("accept").is_some_and(|accept| accept.contains(JSON));
        if let Err(error) = self.verify(now, request, operation) {
            return failure(&error, is_json);
        }
        let throttle = self.throttles.get_mut(&operation.family);
        if !throttle.is_none_or(|throttle| throttle.admit(now)) {
            return failure(&ApiError::Throttling, is_json);
        }
        seen.fault = self.faults.take(operation.family, operation.action);
        if let Some(error) = seen.fault.and_then(super::FaultKind::error) {
            return failure(&error, is_json);
        }
        let other = seen.fault.and_then(|fault| fault.instead(&ApiError::ServiceUnavailable));
        if let Some(instead) = other {
            return instead;
        }
        let delivery = seen.fault.map(super::FaultKind::delivery).unwrap_or_default();
        Response { delivery, ..self.identity(is_json) }
    }

    fn identity(&mut self, is_json: bool) -> Response {
        let (sts, id) = (&self.sts, self.random.uuid());
        let (account, arn, user) = (&sts.account, sts.arn(), sts.user_id());
        if is_json {
            let body = json!({ "GetCallerIdentityResponse": {
                "GetCallerIdentityResult": { "Account": account, "Arn": arn, "UserId": user },
                "ResponseMetadata": { "RequestId": id },
            } });
            return Response::new(200, JSON, body.to_string());
        }
        let body = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <GetCallerIdentityResult>\n    <Arn>{arn}</Arn>\n    <UserId>{user}</UserId>\n    <Account>{account}</Account>\n  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>{id}</RequestId>\n  </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
        );
        Response::new(200, XML, body)
    }
}

/// The status and the code that the query protocol has for an error.
fn code(error: &ApiError) -> (u16, &'static str) {
    match error {
        ApiError::InvalidSignature(_) => (403, "SignatureDoesNotMatch"),
        ApiError::UnrecognizedClient => (403, "InvalidClientTokenId"),
        ApiError::MissingAuthenticationToken => (403, "MissingAuthenticationToken"),
        ApiError::IncompleteSignature(_) => (400, "IncompleteSignature"),
        ApiError::AccessDenied { .. } => (403, "AccessDenied"),
        ApiError::Throttling => (400, "Throttling"),
        ApiError::UnknownOperation(_) => (400, "InvalidAction"),
        other => (other.status(), other.code()),
    }
}

fn failure(error: &ApiError, is_json: bool) -> Response {
    let (status, code) = code(error);
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let message = error.to_string();
    let mut response = if is_json {
        let body = json!({ "Error": { "Type": kind, "Code": code, "Message": message } });
        Response::new(status, JSON, body.to_string())
    } else {
        let message = message.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>{kind}</Type>\n    <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n</ErrorResponse>\n"
        );
        Response::new(status, XML, body)
    };
    response.error = Some(code.to_owned());
    response
}
