//! Tokens for the next page of a list.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::error::ApiError;
use crate::hex;

/// The token for what comes after `position` in the list of `resource`, an ARN.
pub fn token(resource: &str, position: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{position}", mark(resource, position)))
}

/// The position that a token stands for.
///
/// # Errors
/// `InvalidNextTokenException` for "a `nextToken` value that was not returned" for this list.
pub fn position(resource: &str, token: &str) -> Result<String, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let text = String::from_utf8(bytes).map_err(|_| invalid())?;
    let (given, position) = text.split_once('/').ok_or_else(invalid)?;
    if given == mark(resource, position) { Ok(position.to_owned()) } else { Err(invalid()) }
}

pub fn invalid() -> ApiError {
    ApiError::InvalidNextToken("The provided nextToken is not valid.".to_owned())
}

/// An ARN holds a random part, so a token of another list, or a made-up one, has another mark.
fn mark(resource: &str, position: &str) -> String {
    let digest = hex::sha256(format!("{resource} {position}").as_bytes());
    digest.chars().take(16).collect()
}
