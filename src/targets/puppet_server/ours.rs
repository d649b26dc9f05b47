//! Whether what the CA has under this node's name is this node's.

use super::api::Document;
use super::{PuppetServer, Target, clean};
use crate::engines::{NodeContext, puppet};
use crate::fault::{Fault, Kind};
use crate::pki::{certificate, csr};

impl PuppetServer {
    /// Whether a certificate under our name is for our key.
    pub(super) fn check_certificate(
        &self,
        node: &NodeContext<'_>,
        found: &Document,
    ) -> Result<(), Fault> {
        let theirs = certificate::key_fingerprint(&found.text).map_err(|error| {
            puppet::unacceptable(node, &found.text, &self.authority_name(), &error)
        })?;
        self.compare(node, &theirs, "a certificate")
    }

    /// Whether a request under our name is of our key.
    pub(super) fn check_request(
        &self,
        node: &NodeContext<'_>,
        found: &Document,
    ) -> Result<(), Fault> {
        let theirs = csr::key_fingerprint(&found.text).ok_or_else(|| {
            let what = "what the CA has as this node's certificate request is none";
            let on = format!("node {}, {}", node.name, self.authority_name());
            let todo = format!("run `{}` on the server, then `enlist join`", clean(node.name));
            Fault::new(Kind::Data, what, on, todo).with_evidence("request", found.text.as_str())
        })?;
        self.compare(node, &theirs, "a certificate request")
    }

    fn compare(&self, node: &NodeContext<'_>, theirs: &str, what: &str) -> Result<(), Fault> {
        let ours = node.key()?.public.fingerprint();
        if ours == theirs {
            return Ok(());
        }
        let what = format!("the CA has {what} of this name for another key");
        let on = format!("node {}, {}", node.name, self.authority_name());
        let todo = format!(
            "if this machine was rebuilt, or the other one is gone, run `{}` on the server, then `enlist join`; if both are there, give this node another name: node.name, for example \"{{instance_id}}\"",
            clean(node.name)
        );
        Err(Fault::new(Kind::Rejected, what, on, todo)
            .cause(format!("SHA-256 of its public key: {theirs}; of this node's: {ours}")))
    }
}
