//! Signature Version 4: checks what signed a request. See "Signature Version 4 Signing Process"
//! in the AWS General Reference.

mod authorization;
mod canonical;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::error::ApiError;
use crate::hex;
use crate::http::Request;
use crate::now::Now;
use authorization::Authorization;

/// Keys that a request can be signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The access key's identifier.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// The session token, for temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// What a signature must be made out to.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The service's signing name.
    pub service: &'a str,
    /// The region; `None` for any.
    pub region: Option<&'a str>,
}

/// How far the client's clock may be off, in seconds: "more than 15 minutes" is `RequestExpired`
/// in the reference's common errors.
const SKEW: i64 = 15 * 60;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Checks a request's signature.
///
/// # Errors
/// `MissingAuthenticationTokenException`, `IncompleteSignatureException`,
/// `UnrecognizedClientException` or `InvalidSignatureException`.
pub fn verify(
    now: Now,
    request: &Request,
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Result<(), ApiError> {
    let header = request.header("authorization");
    let authorization = Authorization::parse(header.ok_or(ApiError::MissingAuthenticationToken)?)?;
    let (date, signed_at) = date(request)?;
    if authorization.access_key != credentials.access_key
        || request.header("x-amz-security-token") != credentials.session_token.as_deref()
    {
        return Err(ApiError::UnrecognizedClient);
    }
    check_scope(&authorization, date, scope)?;
    check_clock(now, date, signed_at)?;
    let canonical = canonical::request(request, &authorization.signed_headers)?;
    let text = string_to_sign(date, &authorization, &canonical);
    let wanted = signature(&credentials.secret_key, &authorization, &text);
    verify_slices_are_equal(wanted.as_bytes(), authorization.signature.as_bytes()).map_err(|_| {
        ApiError::InvalidSignature(
            "The request signature we calculated does not match the signature you provided. \
             Check your AWS Secret Access Key and signing method."
                .to_owned(),
        )
    })
}

/// `X-Amz-Date`, which "always overrides the value of the Date header", or `Date` in the same
/// format.
fn date(request: &Request) -> Result<(&str, OffsetDateTime), ApiError> {
    let text = request.header("x-amz-date").or_else(|| request.header("date"));
    let text = text.ok_or_else(|| {
        ApiError::IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
                .to_owned(),
        )
    })?;
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let parsed = PrimitiveDateTime::parse(text, format).map_err(|_| {
        ApiError::IncompleteSignature(format!(
            "Date must be in ISO-8601 'basic format'. Got '{text}'."
        ))
    })?;
    Ok((text, parsed.assume_utc()))
}

fn check_scope(
    authorization: &Authorization<'_>,
    date: &str,
    scope: &Scope<'_>,
) -> Result<(), ApiError> {
    let refused = |what: &str| {
        Err(ApiError::InvalidSignature(format!("Credential should be scoped to {what}.")))
    };
    if !date.starts_with(authorization.date) {
        return refused("the date of the request");
    }
    if authorization.service != scope.service {
        return refused(&format!("correct service: '{}'", scope.service));
    }
    match scope.region.filter(|region| *region != authorization.region) {
        Some(region) => refused(&format!("a valid region, '{region}'")),
        None => Ok(()),
    }
}

fn check_clock(now: Now, date: &str, signed_at: OffsetDateTime) -> Result<(), ApiError> {
    let behind = (now.datetime() - signed_at).whole_seconds();
    let told = now.rfc3339();
    if behind > SKEW {
        return Err(ApiError::InvalidSignature(format!(
            "Signature expired: {date} is now earlier than {told} - 15 min."
        )));
    }
    if behind < -SKEW {
        return Err(ApiError::InvalidSignature(format!(
            "Signature not yet current: {date} is still later than {told} + 15 min."
        )));
    }
    Ok(())
}

fn string_to_sign(date: &str, authorization: &Authorization<'_>, canonical: &str) -> String {
    let Authorization { date: day, region, service, .. } = authorization;
    let digest = hex::sha256(canonical.as_bytes());
    format!("{ALGORITHM}\n{date}\n{day}/{region}/{service}/aws4_request\n{digest}")
}

fn signature(secret: &str, authorization: &Authorization<'_>, text: &str) -> String {
    let Authorization { date, region, service, .. } = authorization;
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), date);
    for part in [region, service, "aws4_request"] {
        key = hmac(key.as_ref(), part);
    }
    hex::encode(hmac(key.as_ref(), text).as_ref())
}

fn hmac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}
