//! `POST certificate_renewal`: the same key and extensions, a new serial number and lifetime.

use super::{Face, PuppetCa, TEXT, text};
use crate::ca::Csr;
use crate::http::Response;

impl PuppetCa {
    /// Whether a renewal is answered at all is a setting, off in packaged servers.
    pub(super) fn renew(&mut self, face: &mut Face<'_>) -> Response {
        let policy = self.policy_of(face.server);
        if !policy.allow_auto_renewal {
            return text(404, "Not Found");
        }
        let (lifetime, signed_none) = (policy.renewal_lifetime(), policy.signed_none);
        let Some(certificate) = face.connection.certificate.as_deref() else {
            return text(400, "No valid certificate found in renewal request");
        };
        if !face.connection.is_of_this_ca || signed_none {
            return text(403, "Certificate present, but does not match signature");
        }
        let Some(csr) = Csr::of_certificate(certificate) else {
            return text(400, "No valid certificate found in renewal request");
        };
        let name = csr.common_name.clone().unwrap_or_default();
        match self.issue(face, &name, &csr, lifetime) {
            Ok(certificate) => Response::new(200, TEXT, certificate),
            Err(reason) => text(500, &format!("Internal Server Error: {reason}")),
        }
    }
}
