//! The proof `iam`: signs an `sts:GetCallerIdentity` for a certificate request, and does not send it
//! (docs/trust.md, decision 0017).
//!
//! Source: "Signature Version 4 for API requests", IAM User Guide; `aws-sigv4`, under the SDK, signs.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use crate::bootstrap::Now;
use crate::fault::{Fault, Kind};
use crate::pki::proof::{self, IamProof};
use crate::secret::Secret;

/// From this difference on, in seconds, the servers' clock is used and not this node's. STS allows 15
/// minutes.
const SKEW: i64 = 4 * 60;

/// Who this node is for AWS, at one moment.
pub struct Caller {
    credentials: Credentials,
    region: String,
    host: String,
    time: SystemTime,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({})", self.region)
    }
}

impl Caller {
    /// A caller with these credentials, whose proof is for STS in this region.
    ///
    /// # Errors
    /// `Config` where the region has no STS that a public network reaches.
    pub fn new((credentials, region): (Credentials, String), now: Now) -> Result<Self, Fault> {
        let host = proof::sts_host(&region).ok_or_else(|| {
            let what = "there is no STS of this region that the authority could ask";
            let todo = "set region in [aws], or AWS_REGION, to the region of this node; or set proof to \"none\"";
            Fault::new(Kind::Config, what, format!("region {region:?}"), todo)
        })?;
        let skew = if now.skew.abs() < SKEW { 0 } else { now.skew };
        let seconds = u64::try_from(now.unix.saturating_add(skew)).unwrap_or(0);
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        Ok(Self { credentials, region, host, time })
    }

    /// What is proven, for people: the public part of the credentials, and the host of STS.
    #[must_use]
    pub fn describe(&self) -> String {
        let kind = match self.credentials.session_token() {
            Some(_) => "a role",
            None => "a long-term key, which proves no role",
        };
        format!(
            "the caller with access key {} ({kind}), by {}",
            self.credentials.access_key_id(),
            self.host
        )
    }

    /// The proof for a request with this public key (SPKI, DER) and name.
    ///
    /// # Errors
    /// `Invariant` where the request can't be signed.
    pub fn proof(&self, spki: &[u8], name: &str) -> Result<Secret, Fault> {
        let failed = |cause: String| {
            let what = "the proof could not be signed";
            let todo = "this is a bug in enlist; please report it";
            Fault::new(Kind::Invariant, what, "GetCallerIdentity", todo).cause(cause)
        };
        let headers = self.sign(&proof::binding(spki, name)).map_err(failed)?;
        let header = |wanted: &str| {
            let mut found = headers.iter().filter(|(name, _)| name == wanted);
            found.next().map(|(_, value)| value.clone())
        };
        let missing = || failed("a header is missing".to_owned());
        let proof = IamProof {
            region: self.region.clone(),
            authorization: header("authorization").ok_or_else(missing)?,
            date: header("x-amz-date").ok_or_else(missing)?,
            token: header("x-amz-security-token"),
        };
        serde_json::to_string(&proof).map(Secret::new).map_err(|error| failed(error.to_string()))
    }

    /// The headers that signing adds.
    fn sign(&self, binding: &str) -> Result<Vec<(String, String)>, String> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(self.time)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let url = format!("https://{}{}", self.host, proof::PATH);
        let headers = [
            ("host", self.host.as_str()),
            ("content-type", proof::CONTENT_TYPE),
            ("accept", proof::ACCEPT),
            (proof::BINDING_HEADER, binding),
        ];
        let body = SignableBody::Bytes(proof::BODY.as_bytes());
        let request = SignableRequest::new("POST", url, headers.into_iter(), body)
            .map_err(|error| error.to_string())?;
        let (signed, _) = sign(request, &params).map_err(|error| error.to_string())?.into_parts();
        Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
