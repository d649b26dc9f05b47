//! Instance identity documents: who says so, and what they say.

use serde::{Deserialize, Serialize};
use std::fmt::Debug;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::error::ApiError;

/// Who knows the key that identity documents are signed with.
pub trait IdentityVerifier: Debug + Send + Sync {
    /// Whether `signature` was made over exactly these bytes.
    fn verifies(&self, document: &[u8], signature: &[u8]) -> bool;
}

/// What an EC2 instance's document says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `instanceId`.
    pub instance_id: String,
    /// `region`.
    pub region: String,
    /// `imageId`, `instanceType`, `availabilityZone` and `architecture`, where they are given.
    pub others: [Option<String>; 4],
}

const OTHERS: [&str; 4] = ["imageId", "instanceType", "availabilityZone", "architecture"];

impl Identity {
    /// Checks the signature over the document's bytes as they came, then reads them. Without a
    /// verifier every signature is as good as another.
    ///
    /// # Errors
    /// `ValidationException` when the signature or the document is not acceptable.
    pub fn of(
        document: &str,
        signature: &str,
        verifier: Option<&dyn IdentityVerifier>,
    ) -> Result<Self, ApiError> {
        let refused =
            |what: &str| ApiError::Validation(format!("Invalid InstanceIdentity: {what}."));
        if let Some(verifier) = verifier {
            // EC2 gives the signature out in lines.
            let letters: String = signature.split_ascii_whitespace().collect();
            let bytes = BASE64_STANDARD.decode(letters);
            let bytes = bytes.map_err(|_| refused("the signature is not base64"))?;
            if !verifier.verifies(document.as_bytes(), &bytes) {
                return Err(refused("the signature is not one over this document"));
            }
        }
        let read: Value = serde_json::from_str(document).unwrap_or_default();
        let member = |name: &str| read.get(name).and_then(Value::as_str).map(str::to_owned);
        match (member("instanceId"), member("region")) {
            (Some(instance_id), Some(region)) => {
                Ok(Self { instance_id, region, others: OTHERS.map(member) })
            }
            _ => Err(refused("the document names no instanceId or no region")),
        }
    }
}
