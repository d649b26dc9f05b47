//! What the answer of STS means.

use serde::Deserialize;

use super::Proven;
use super::check::Refusal;
use super::json::nested;
use crate::fault::Kind;

/// An answer, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why STS did not identify the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotIdentified {
    pub refusal: Refusal,
    /// Whether the same request may be answered in a moment.
    pub is_passing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Whole {
    get_caller_identity_response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    get_caller_identity_result: CallerIdentity,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallerIdentity {
    account: String,
    arn: String,
    user_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    error: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    code: String,
}

/// Who signed the request.
///
/// # Errors
/// `Rejected` where STS refuses the signature or the caller is no assumed role, `Transient` where STS
/// has a problem, `Protocol` where the answer is not one of STS's.
pub fn meaning(answer: &StsAnswer) -> Result<Proven, NotIdentified> {
    let final_one = |refusal| NotIdentified { refusal, is_passing: false };
    match answer.status {
        200 => {
            const RESULT: &str = "/GetCallerIdentityResponse/GetCallerIdentityResult";
            let whole: Whole = nested(&answer.body, RESULT).ok_or_else(|| {
                final_one(Refusal::new(
                    Kind::Protocol,
                    "what answered is not STS: its answer is not the JSON of GetCallerIdentity",
                ))
            })?;
            let result = whole.get_caller_identity_response.get_caller_identity_result;
            caller(&result).map_err(final_one)
        }
        status => Err(refused(status, &answer.body)),
    }
}

/// The meaning of an error. Its message is not shown: it may repeat the request, the token included.
fn refused(status: u16, body: &[u8]) -> NotIdentified {
    let code = nested::<Failure>(body, "/Error").map(|failure| failure.error.code);
    let is_code =
        |code: &String| code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = code.filter(is_code);
    let is_throttled = status == 429
        || code.as_deref().is_some_and(|code| {
            [
                "Throttling",
                "ThrottlingException",
                "TooManyRequestsException",
                "RequestLimitExceeded",
            ]
            .contains(&code)
        });
    let shown = code.as_deref().unwrap_or("no code");
    if is_throttled || status >= 500 {
        let why = if is_throttled {
            format!("STS has too many requests of this account (HTTP status {status}, {shown})")
        } else {
            format!("STS has a problem of its own (HTTP status {status}, {shown})")
        };
        return NotIdentified { refusal: Refusal::new(Kind::Transient, why), is_passing: true };
    }
    let refusal = match &code {
        Some(code) => Refusal::rejected(format!(
            "STS does not accept the iam proof ({code}): it was made for another key or name, was changed, or its credentials have expired"
        )),
        None => Refusal::new(
            Kind::Protocol,
            format!(
                "what answered is not STS: HTTP status {status} without one of its error codes"
            ),
        ),
    };
    NotIdentified { refusal, is_passing: false }
}

/// Stops every caller that is not an assumed role: a user's or root's name says nothing of a machine.
/// The ARN and the account must agree.
fn caller(identity: &CallerIdentity) -> Result<Proven, Refusal> {
    let CallerIdentity { account, arn, user_id } = identity;
    let inconsistent = || Refusal::new(Kind::Protocol, "the answer of STS contradicts itself");
    if !arn.bytes().chain(user_id.bytes()).all(|byte| byte.is_ascii_graphic()) {
        let why =
            "the answer of STS names a caller with characters that no role and no session has";
        return Err(Refusal::new(Kind::Protocol, why));
    }
    let mut parts = arn.splitn(6, ':');
    let parts =
        [parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some("arn"), Some(partition), Some(service), Some(""), Some(owner), Some(resource)] =
        parts
    else {
        return Err(inconsistent());
    };
    if owner != account || !is_account(account) {
        return Err(inconsistent());
    }
    let mut names = resource.split('/');
    let (Some("assumed-role"), Some(role), Some(session), None, "sts") =
        (names.next(), names.next(), names.next(), names.next(), service)
    else {
        return Err(Refusal::rejected(format!(
            "the proof was signed by {arn}, which is no assumed role"
        )));
    };
    // `AROA…:SESSION`
    if role.is_empty() || user_id.split_once(':').map(|(_, name)| name) != Some(session) {
        return Err(inconsistent());
    }
    Ok(Proven {
        account: Some(account.clone()),
        partition: Some(partition.to_owned()),
        role: Some(role.to_owned()),
        instance_id: is_instance_id(session).then(|| session.to_owned()),
        session: Some(session.to_owned()),
        ..Proven::default()
    })
}

/// Whether it is the number of an account.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether it is the id of an EC2 instance: EC2 gives it to the sessions of an instance's role.
#[must_use]
pub fn is_instance_id(text: &str) -> bool {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let digits = text.strip_prefix("i-").unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::{StsAnswer, meaning};
    use crate::fault::Kind;

    fn answer(status: u16, body: &str) -> StsAnswer {
        StsAnswer { status, body: body.as_bytes().to_vec() }
    }

    fn identity(account: &str, arn: &str, user: &str) -> StsAnswer {
        let body = format!(
            r#"{{"GetCallerIdentityResponse":{{"GetCallerIdentityResult":{{"Account":"{account}","Arn":"{arn}","UserId":"{user}"}},"ResponseMetadata":{{"RequestId":"x"}}}}}}"#
        );
        answer(200, &body)
    }

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/web/i-0123456789abcdef0";
    const USER: &str = "AROAEXAMPLE:i-0123456789abcdef0";

    #[test]
    fn an_assumed_role_is_identified() {
        let proven = meaning(&identity("123456789012", ARN, USER)).unwrap();
        assert_eq!(proven.account.as_deref(), Some("123456789012"));
        assert_eq!(proven.role.as_deref(), Some("web"));
        assert_eq!(proven.instance_id.as_deref(), Some("i-0123456789abcdef0"));
        assert_eq!(proven.partition.as_deref(), Some("aws"));
        let person = ARN.replace("i-0123456789abcdef0", "alice");
        let proven = meaning(&identity("123456789012", &person, "AROAEXAMPLE:alice")).unwrap();
        assert_eq!((proven.instance_id, proven.session.as_deref()), (None, Some("alice")));
    }

    #[test]
    fn any_other_caller_is_refused() {
        for (account, arn, user, kind) in [
            ("123456789012", "arn:aws:iam::123456789012:user/alice", "AIDA", Kind::Rejected),
            ("123456789012", "arn:aws:iam::123456789012:root", "123456789012", Kind::Rejected),
            (
                "123456789012",
                "arn:aws:sts::123456789012:federated-user/bob",
                "1:bob",
                Kind::Rejected,
            ),
            ("123456789012", "arn:aws:sts::123456789012:assumed-role/web", "A:web", Kind::Rejected),
            ("210987654321", ARN, USER, Kind::Protocol),
            ("123456789012", ARN, "AROAEXAMPLE:i-0fffffffffffffff0", Kind::Protocol),
            ("123456789012", "nonsense", USER, Kind::Protocol),
            (
                "123456789012",
                "arn:aws:sts::123456789012:assumed-role/web/a\\nb",
                "A:a\\nb",
                Kind::Protocol,
            ),
            (
                "123456789012",
                "arn:aws:sts::123456789012:assumed-role/w\\u007f/a",
                "A:a",
                Kind::Protocol,
            ),
        ] {
            let refused = meaning(&identity(account, arn, user)).unwrap_err();
            assert_eq!((refused.refusal.kind, refused.is_passing), (kind, false), "{arn}");
        }
    }

    #[test]
    fn an_error_is_classified_by_its_code_and_status() {
        let error = |code: &str| format!(r#"{{"Error":{{"Code":"{code}","Message":"m"}}}}"#);
        for (status, body, kind, is_passing) in [
            (403, error("SignatureDoesNotMatch"), Kind::Rejected, false),
            (403, error("InvalidClientTokenId"), Kind::Rejected, false),
            (403, error("ExpiredToken"), Kind::Rejected, false),
            (400, error("Throttling"), Kind::Transient, true),
            (429, String::new(), Kind::Transient, true),
            (503, "<html>".to_owned(), Kind::Transient, true),
            (403, "<html>".to_owned(), Kind::Protocol, false),
            (200, "<html>".to_owned(), Kind::Protocol, false),
            (200, error("x"), Kind::Protocol, false),
            (200, r#"[[["123456789012","arn","id"]]]"#.to_owned(), Kind::Protocol, false),
            (403, r#"[["ExpiredToken"]]"#.to_owned(), Kind::Protocol, false),
            (403, r#"{"Error":["ExpiredToken"]}"#.to_owned(), Kind::Protocol, false),
            (302, String::new(), Kind::Protocol, false),
            (403, error("a b\\nc"), Kind::Protocol, false),
        ] {
            let refused = meaning(&answer(status, &body)).unwrap_err();
            assert_eq!(
                (refused.refusal.kind, refused.is_passing),
                (kind, is_passing),
                "{status} {body}"
            );
        }
    }
}
