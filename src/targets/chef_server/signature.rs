//! What is signed of a request: Chef's protocol 1.3 (`mixlib-authentication`, "signed header
//! authentication", and the documentation of the Chef Infra Server API, "Authentication Headers").

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::api::{Action, Signed};
use super::url::ServerUrl;
use crate::targets::Signature;

/// `X-Ops-Sign`.
pub const PROTOCOL: &str = "algorithm=sha256;version=1.3;";

/// After so many seconds a signature is made anew. The server accepts 900.
const FRESH: u64 = 60;

/// How a time is written.
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// The line with the time.
const TIME: &str = "X-Ops-Timestamp:";

/// Who signs a call, and in which version of the API.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    pub user: &'a str,
    pub version: u8,
}

/// SHA-256 of a body, in base64: `X-Ops-Content-Hash`.
#[must_use]
pub fn content_hash(body: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body))
}

/// The text that is signed.
#[must_use]
pub fn text(url: &ServerUrl, action: &Action, signer: Signer<'_>, time: &str) -> String {
    format!(
        "Method:{}\nPath:{}\nX-Ops-Content-Hash:{}\nX-Ops-Sign:version=1.3\n{TIME}{time}\nX-Ops-UserId:{}\nX-Ops-Server-API-Version:{}",
        action.method(),
        action.path(url),
        content_hash(action.body()),
        signer.user,
        signer.version,
    )
}

/// The time as a signature has it. `unix` is in seconds.
#[must_use]
pub fn time(unix: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(unix).ok()?.format(FORMAT).ok()
}

/// The headers' contents, if this is the signature of this call and not too old.
#[must_use]
pub fn of_call(
    signature: &Signature,
    url: &ServerUrl,
    action: &Action,
    signer: Signer<'_>,
    unix: i64,
) -> Option<Signed> {
    let bytes = std::str::from_utf8(&signature.bytes).ok()?;
    let line = bytes.lines().find_map(|line| line.strip_prefix(TIME))?;
    let moment = PrimitiveDateTime::parse(line, FORMAT).ok()?.assume_utc().unix_timestamp();
    if moment.abs_diff(unix) > FRESH || text(url, action, signer, line) != bytes {
        return None;
    }
    Some(Signed {
        user: signer.user.to_owned(),
        time: line.to_owned(),
        version: signer.version,
        signature: signature.signature.clone(),
    })
}
