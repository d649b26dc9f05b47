//! Who may do what: the rules of a packaged `auth.conf`.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Face, PuppetCa, text};
use crate::ca::PUPPET_ARC;
use crate::http::{Request, Response};

/// `pp_cli_auth`, of the CA's own tools: 1.3.6.1.4.1.34380.1.3.39.
pub const CLI_AUTH: [u64; 2] = [3, 39];
/// The value `true`, as a DER UTF8String.
pub const TRUE: &[u8] = b"\x0c\x04true";

/// The refusal of a rule, or of there being none.
pub fn forbidden(request: &Request) -> Response {
    let (path, method) = (&request.path, request.method.to_ascii_lowercase());
    text(
        403,
        &format!(
            "Forbidden request: {path} (method :{method}). Please see the server logs for details."
        ),
    )
}

/// Who a client's certificate says that it is.
struct Client {
    name: String,
    is_ca_tool: bool,
}

impl Client {
    fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let name = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let oid: Vec<u64> = PUPPET_ARC.into_iter().chain(CLI_AUTH).collect();
        let is_ca_tool = certificate.extensions().iter().any(|extension| {
            let arcs: Option<Vec<u64>> = extension.oid.iter().map(Iterator::collect);
            arcs.as_ref() == Some(&oid) && extension.value == TRUE
        });
        Some(Self { name, is_ca_tool })
    }
}

impl PuppetCa {
    /// Whether the rules let a request through.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn check_access(
        &self,
        face: &Face<'_>,
        kind: &str,
        name: &str,
    ) -> Result<(), Response> {
        let policy = self.policy_of(face.server);
        let client = face.connection.certificate.as_deref().and_then(Client::of);
        let own = client.as_ref().is_some_and(|client| client.name == name);
        let tool = client.as_ref().is_some_and(|client| client.is_ca_tool);
        let method = face.request.method.as_str();
        let allowed = match (method, kind) {
            ("GET", "certificate" | "certificate_revocation_list")
            | ("GET" | "PUT", "certificate_request") => true,
            ("POST", "certificate_renewal") => client.is_some() && policy.renewal_rule,
            ("GET", "expirations") => client.is_some(),
            ("DELETE", "certificate_status" | "certificate_request")
                if own && policy.self_delete =>
            {
                true
            }
            ("GET" | "PUT" | "DELETE", "certificate_status")
            | ("GET", "certificate_statuses")
            | ("PUT", "clean")
            | ("POST", "sign") => tool,
            _ => false,
        };
        if allowed { Ok(()) } else { Err(forbidden(face.request)) }
    }
}
