//! Credentials in JSON: from a program, a container's service, or the instance metadata.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The members of all three forms. A program calls the token `SessionToken`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Form {
    version: Option<serde_json::Value>,
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

/// Why a text holds no usable credentials. The messages never quote the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    #[error("it is not JSON in the documented form ({0})")]
    Form(String),
    #[error("its Version is not 1")]
    Version,
    #[error("it reports {0}")]
    Refused(String),
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("its {0} has spaces, line ends or other characters that a header can't hold")]
    Character(&'static str),
    #[error("its Expiration is not a time in RFC 3339 form")]
    Expiration,
}

/// Parses credentials. A program's must have `Version` 1 (AWS SDKs and Tools Reference Guide,
/// "Process credential provider").
///
/// # Errors
/// What is wrong with the text.
pub fn parse(text: &str, is_program: bool) -> Result<Credentials, InvalidCredentials> {
    let form: Form = serde_json::from_str(text).map_err(|error| {
        // The parser's own message may quote a value.
        InvalidCredentials::Form(format!("line {}, column {}", error.line(), error.column()))
    })?;
    if is_program && form.version != Some(serde_json::json!(1)) {
        return Err(InvalidCredentials::Version);
    }
    if let Some(code) = form.code.filter(|code| code != "Success") {
        let message = form.message.unwrap_or_default();
        return Err(InvalidCredentials::Refused(
            format!("{code}: {message}").chars().take(300).collect(),
        ));
    }
    let id = form.access_key_id.ok_or(InvalidCredentials::Missing("AccessKeyId"))?;
    let secret = form.secret_access_key.ok_or(InvalidCredentials::Missing("SecretAccessKey"))?;
    // The SDK puts them into headers, and panics when a header can't hold one.
    let is_graphic =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_graphic(&id) {
        return Err(InvalidCredentials::Character("AccessKeyId"));
    }
    let token = form.token.filter(|token| !token.is_empty());
    if token.as_ref().is_some_and(|token| !is_graphic(token)) {
        return Err(InvalidCredentials::Character("token"));
    }
    let expiry = form.expiration.as_deref().map(expiration).transpose()?;
    Ok(Credentials::new(id, secret, token, expiry, "enlist"))
}

fn expiration(text: &str) -> Result<SystemTime, InvalidCredentials> {
    let end = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidCredentials::Expiration)?;
    Ok(end.into())
}

#[cfg(test)]
mod tests {
    use super::{InvalidCredentials, parse};

    const GOOD: &str = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2099-01-01T00:00:00Z"}"#;

    #[test]
    fn credentials_of_all_three_forms_are_read() {
        let found = parse(GOOD, true).unwrap();
        assert_eq!((found.access_key_id(), found.session_token()), ("A", Some("T")));
        assert!(found.expiry().is_some());
        let metadata = r#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2099-01-01T00:00:00Z"}"#;
        assert_eq!(parse(metadata, false).unwrap().session_token(), Some("T"));
        let lasting = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S"}"#;
        assert_eq!(parse(lasting, true).unwrap().expiry(), None);
    }

    #[test]
    fn what_is_wrong_is_said_and_never_quoted() {
        for (text, error) in [
            (GOOD.replace(":1,", ":2,"), InvalidCredentials::Version),
            (GOOD.replace("\"A\"", "\"A B\""), InvalidCredentials::Character("AccessKeyId")),
            (GOOD.replace("\"T\"", "\"T\\n\""), InvalidCredentials::Character("token")),
            (GOOD.replace("2099-01-01T00:00:00Z", "tomorrow"), InvalidCredentials::Expiration),
            (GOOD.replace("2099", "99999999999"), InvalidCredentials::Expiration),
            (
                GOOD.replace("\"SecretAccessKey\":\"S\",", ""),
                InvalidCredentials::Missing("SecretAccessKey"),
            ),
        ] {
            assert_eq!(parse(&text, true).unwrap_err(), error, "{text}");
        }
        let odd = parse(r#"{"Version":1,"SecretAccessKey":["s3cret"]}"#, true).unwrap_err();
        assert!(!odd.to_string().contains("s3cret"), "{odd}");
    }
}
