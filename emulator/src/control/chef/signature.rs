//! Signatures of requests: the protocols 1.0, 1.1 and 1.3 of Chef's signed headers.
//!
//! 1.0 and 1.1 encrypt the text itself with the private key (PKCS#1 v1.5, block type 1, no digest
//! info); 1.3 signs its SHA-256.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rsa::Pkcs1v15Sign;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::{Face, key, refused};
use crate::http::{Request, Response};
use crate::now::Now;

/// The headers that have to be there.
const REQUIRED: [&str; 4] = ["X-Ops-UserId", "X-Ops-Timestamp", "X-Ops-Sign", "X-Ops-Content-Hash"];
/// How far a client's clock may be off, before or after, in seconds.
const SKEW: u64 = 900;
/// `DigestInfo` of SHA-256, before the digest (RFC 8017, 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    V1_0,
    V1_1,
    V1_3,
}

impl Protocol {
    /// Reads `algorithm=sha256;version=1.3;`. The algorithm follows from the version.
    fn of(text: &str) -> Option<Self> {
        let (mut algorithm, mut version) = ("sha1", "");
        for (name, value) in text.split(';').filter_map(|part| part.trim().split_once('=')) {
            match name.trim() {
                "algorithm" => algorithm = value.trim(),
                "version" => version = value.trim(),
                _ => {}
            }
        }
        match (version, algorithm) {
            ("1.0", "sha1") => Some(Self::V1_0),
            ("1.1", "sha1") => Some(Self::V1_1),
            ("1.3", "sha256") => Some(Self::V1_3),
            _ => None,
        }
    }

    const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::V1_0 | Self::V1_1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::V1_3 => &SHA256,
        }
    }
}

/// What is checked before it is known who asks.
pub fn check_headers(face: &Face<'_>) -> Result<(), Response> {
    let header = |name: &str| face.request.header(&name.to_ascii_lowercase());
    let missing: Vec<_> = REQUIRED.into_iter().filter(|name| header(name).is_none()).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|name| format!("'{name}'")).collect();
        let text = format!("missing required authentication header(s) {}", names.join(", "));
        return Err(refused(400, &text));
    }
    let user = header("X-Ops-UserId").unwrap_or_default();
    let Some(at) = header("X-Ops-Timestamp").and_then(moment) else {
        return Err(refused(401, "bad header(s) 'X-Ops-Timestamp'"));
    };
    if face.now.since(at).as_secs() > SKEW || at.since(face.now).as_secs() > SKEW {
        let text = format!("Failed to authenticate as {user}. Synchronize the clock on your host.");
        return Err(super::unauthorized(&text));
    }
    if header("X-Ops-Sign").and_then(Protocol::of).is_none() {
        return Err(refused(400, "Unsupported authentication protocol version"));
    }
    Ok(())
}

/// Whether a request was signed with the private key of a public one in PEM.
pub fn verifies(request: &Request, public_key: &str) -> bool {
    let Some(key) = key::read(public_key) else { return false };
    let Some(protocol) = request.header("x-ops-sign").and_then(Protocol::of) else { return false };
    if request.header("x-ops-content-hash") != Some(&hashed(protocol, &request.body)) {
        return false;
    }
    let Some(signature) = signature(request) else { return false };
    let text = canonical(protocol, request);
    let signed = match protocol {
        Protocol::V1_0 | Protocol::V1_1 => text.into_bytes(),
        Protocol::V1_3 => [&SHA256_INFO[..], digest(&SHA256, text.as_bytes()).as_ref()].concat(),
    };
    key.verify(Pkcs1v15Sign::new_unprefixed(), &signed, &signature).is_ok()
}

/// The text that is signed.
fn canonical(protocol: Protocol, request: &Request) -> String {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let (method, path) = (request.method.to_ascii_uppercase(), path(&request.path));
    let (hash, at) = (header("x-ops-content-hash"), header("x-ops-timestamp"));
    let user = header("x-ops-userid");
    if protocol == Protocol::V1_3 {
        let version = request.header("x-ops-server-api-version").unwrap_or("0");
        return format!(
            "Method:{method}\nPath:{path}\nX-Ops-Content-Hash:{hash}\nX-Ops-Sign:version=1.3\n\
             X-Ops-Timestamp:{at}\nX-Ops-UserId:{user}\nX-Ops-Server-API-Version:{version}"
        );
    }
    let user = match protocol {
        Protocol::V1_1 => hashed(protocol, user.as_bytes()),
        _ => user.to_owned(),
    };
    let path = hashed(protocol, path.as_bytes());
    format!(
        "Method:{method}\nHashed Path:{path}\nX-Ops-Content-Hash:{hash}\nX-Ops-Timestamp:{at}\n\
         X-Ops-UserId:{user}"
    )
}

/// Several slashes are one, and there is none at the end.
fn path(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

fn hashed(protocol: Protocol, bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(digest(protocol.algorithm(), bytes))
}

/// `X-Ops-Authorization-1`, `-2` and so on, as one.
fn signature(request: &Request) -> Option<Vec<u8>> {
    let lines = (1..=100).map(|number| format!("x-ops-authorization-{number}"));
    let lines = lines.map_while(|name| request.header(&name));
    BASE64_STANDARD.decode(lines.map(str::trim).collect::<String>()).ok()
}

fn moment(text: &str) -> Option<Now> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let read = PrimitiveDateTime::parse(text, format).ok()?;
    u64::try_from(read.assume_utc().unix_timestamp()).ok().map(Now::from_unix_seconds)
}
