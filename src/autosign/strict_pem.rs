//! One certificate request in PEM, in the strict form of RFC 7468.
//!
//! Puppet Server reads the same bytes with another parser, and signs what that one finds. So nothing is
//! accepted that two parsers could read in two ways: text beside the block, headers (RFC 1421), or a
//! line that ends in CR alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::check::Refusal;
use crate::pki::der;

const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// Decodes the block. The lines end in LF or CRLF; empty lines may follow.
///
/// # Errors
/// `Data`, with what is in the way.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    if bytes.first() == Some(&der::SEQUENCE) {
        return Err(Refusal::data("the request is DER, not PEM"));
    }
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| not_strict("it holds bytes that are not ASCII"))?;
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let label = label(lines.next().unwrap_or_default())?;
    let end = format!("-----END {label}-----");
    let mut base64 = String::with_capacity(text.len());
    loop {
        let line = lines.next().ok_or_else(|| not_strict("the block has no end"))?;
        if line == end {
            break;
        }
        if line.is_empty() || !line.bytes().all(is_of_base64) {
            return Err(not_strict("a line of the block is not base64"));
        }
        base64.push_str(line);
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(not_strict("there is something after the block"));
    }
    STANDARD.decode(base64).map_err(|_| not_strict("the block is not base64"))
}

/// The label of the first line.
fn label(line: &str) -> Result<&str, Refusal> {
    let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
    match label {
        Some(label) if LABELS.contains(&label) => Ok(label),
        Some(label) if label.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ') => {
            Err(Refusal::data(format!("it is a {label:?}, not a certificate request")))
        }
        _ => Err(not_strict("its first line does not begin a block")),
    }
}

const fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn not_strict(why: &str) -> Refusal {
    Refusal::data(format!(
        "the request is not PEM of one certificate request and nothing else: {why}"
    ))
}
