//! The Authorization header of Signature Version 4.

use super::ALGORITHM;
use crate::error::ApiError;

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=A;B,
/// Signature=HEX`
#[derive(Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    pub access_key: &'a str,
    /// `YYYYMMDD`
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    /// In lower case and in order.
    pub signed_headers: Vec<&'a str>,
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header's value.
    ///
    /// # Errors
    /// `IncompleteSignatureException` that names what is missing.
    pub fn parse(value: &'a str) -> Result<Self, ApiError> {
        let rest = value.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' '));
        let rest = rest.ok_or_else(|| {
            ApiError::IncompleteSignature(format!(
                "Authorization header requires the algorithm '{ALGORITHM}'."
            ))
        })?;
        let parts: Vec<_> =
            rest.split(',').filter_map(|part| part.trim().split_once('=')).collect();
        let part = |name: &str| {
            let found = parts.iter().find(|(known, _)| *known == name);
            let missing = || {
                ApiError::IncompleteSignature(format!(
                    "Authorization header requires '{name}' parameter."
                ))
            };
            found.map(|(_, value)| *value).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        let (credential, signed, signature) =
            (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        // An access key holds no slash, but a region set may: split from the right.
        let scope: Vec<_> = credential.rsplitn(5, '/').collect();
        let ["aws4_request", service, region, date, access_key] = scope[..] else {
            return Err(ApiError::IncompleteSignature(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'."
            )));
        };
        let signed_headers = signed.split(';').collect();
        Ok(Self { access_key, date, region, service, signed_headers, signature })
    }
}
