//! The page at `/`: one static file over the admin API's JSON.

use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::http::{Request, Response};

const PAGE: &str = include_str!("index.html");

/// The page, for a browser on this machine; none for other requests: those are API calls.
pub(crate) fn answer(request: &Request, peer: SocketAddr) -> Option<Response> {
    let wanted = request.header("accept").is_some_and(|accept| accept.contains("text/html"));
    let here = peer.ip().to_canonical().is_loopback();
    if request.method != "GET" || request.path != "/" || !wanted || !here {
        return None;
    }
    Some(
        Response::new(200, "text/html; charset=utf-8", PAGE)
            .with_header("content-security-policy", policy())
            .with_header("x-content-type-options", "nosniff")
            .with_header("cache-control", "no-store"),
    )
}

/// The page's own script runs, and no other; it talks to its own origin alone.
fn policy() -> String {
    let script = PAGE.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>"));
    let script = script.map(|(script, _)| script).unwrap_or_default();
    let hash = BASE64_STANDARD.encode(digest(&SHA256, script.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; \
         connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'"
    )
}
