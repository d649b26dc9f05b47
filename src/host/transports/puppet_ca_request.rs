//! The requests of a Puppet Server's CA, as HTTP has them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request as HttpRequest;

use crate::host::https;
use crate::targets::puppet_server::api::{Action, Request};

const ROOT: &str = "/puppet-ca/v1";

const REVOKED: &str = "{\"desired_state\":\"revoked\"}";

/// The texts of refusals are translated by Accept-Language, so none is sent.
pub(super) fn http_request(
    server: &str,
    request: &Request,
) -> Result<HttpRequest<Full<Bytes>>, hyper::http::Error> {
    let (method, path, body) = match &request.action {
        Action::GetCertificate { name } => ("GET", format!("certificate/{name}"), ""),
        Action::GetCertificateRequest { name } => {
            ("GET", format!("certificate_request/{name}"), "")
        }
        Action::PutCertificateRequest { name, csr } => {
            ("PUT", format!("certificate_request/{name}"), csr.as_str())
        }
        Action::GetRevocationLists => ("GET", "certificate_revocation_list/ca".to_owned(), ""),
        Action::PostCertificateRenewal { .. } => ("POST", "certificate_renewal".to_owned(), ""),
        Action::RevokeCertificate { name, .. } => {
            ("PUT", format!("certificate_status/{name}"), REVOKED)
        }
        Action::DeleteCertificate { name, .. } => {
            ("DELETE", format!("certificate_status/{name}"), "")
        }
    };
    // A server that has nothing of an accepted kind answers with 406, and does nothing.
    let is_status = matches!(
        request.action,
        Action::RevokeCertificate { .. } | Action::DeleteCertificate { .. }
    );
    let accepted = if is_status { "application/json" } else { "text/plain" };
    let content = if body == REVOKED { "application/json" } else { "text/plain" };
    let builder = HttpRequest::builder()
        .method(method)
        .uri(format!("{ROOT}/{path}"))
        .header("host", https::place(server, request.port))
        .header("accept", accepted)
        .header("user-agent", https::USER_AGENT);
    let builder = if body.is_empty() { builder } else { builder.header("content-type", content) };
    builder.body(Full::new(Bytes::from(body.to_owned())))
}
