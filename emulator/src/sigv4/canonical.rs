//! The canonical form of a request: what both sides hash.

use crate::error::ApiError;
use crate::hex;
use crate::http::Request;

/// The canonical request over the signed headers.
///
/// # Errors
/// `IncompleteSignatureException` when a header is missing that is, or must be, signed.
pub fn request(request: &Request, signed_headers: &[&str]) -> Result<String, ApiError> {
    require_signed(request, signed_headers)?;
    let line = |name: &&str| Ok(format!("{name}:{}\n", header(request, name)?));
    let headers: String = signed_headers.iter().map(line).collect::<Result<_, ApiError>>()?;
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        encode(&request.path),
        query(&request.query),
        signed_headers.join(";"),
        hex::sha256(&request.body),
    ))
}

/// `Host` must be signed, and the date that the signature relies on.
fn require_signed(request: &Request, signed_headers: &[&str]) -> Result<(), ApiError> {
    let date = if request.header("x-amz-date").is_some() { "x-amz-date" } else { "date" };
    for name in ["host", date] {
        if !signed_headers.contains(&name) {
            return Err(ApiError::IncompleteSignature(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    Ok(())
}

/// The values of every header of this name, with runs of spaces as one.
fn header(request: &Request, name: &str) -> Result<String, ApiError> {
    let values: Vec<String> = request
        .headers
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    if values.is_empty() {
        return Err(ApiError::IncompleteSignature(format!(
            "The signed header '{name}' is absent."
        )));
    }
    Ok(values.join(","))
}

/// Parameters sorted by name, then value. They arrive encoded, which is how they are signed.
fn query(query: &str) -> String {
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-encoding of all but the unreserved characters; the path's is encoded twice.
fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        b'/' => "/".to_owned(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
