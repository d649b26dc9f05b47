//! Bytes as lower-case hexadecimal digits.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};

/// `bytes` in lower-case hexadecimal digits.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    encode(digest(&SHA256, bytes).as_ref())
}

/// A UUID that belongs to `text`.
pub fn uuid_of(text: &str) -> String {
    let digits = sha256(text.as_bytes());
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let (third, fourth) = (part(13, 16), part(17, 20));
    format!("{}-{}-4{third}-8{fourth}-{}", part(0, 8), part(8, 12), part(20, 32))
}
