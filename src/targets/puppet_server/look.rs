//! What a Puppet Server's CA has of this node now. It may be asked that without a certificate.

use super::api::{self, Action};
use super::membership::{is_revoked, rejoin};
use super::{Member, PuppetServer, Question, mismatch};
use crate::engines::Authority;
use crate::fault::Fault;
use crate::pki::{certificate, csr};
use crate::targets::Standing;

impl PuppetServer {
    /// Looks for the certificate, then whether it is revoked; without one, for the request.
    pub(super) fn look(
        &self,
        name: &str,
        member: &Member<'_>,
        answers: &[&api::Answer],
        unix: i64,
    ) -> Result<Question<Standing>, Fault> {
        use api::Answer::{Certificate, CertificateRequest, RevocationLists};
        let ca = member.authority.and_then(Authority::ca).unwrap_or_default();
        let trust = api::Trust::Ca { ca: ca.to_owned(), lists: None };
        let ask = |action| Ok(Question::Ask(self.ask(trust.clone(), action)));
        let is_ours = |theirs: Option<String>| theirs.as_deref() == member.key_sha256;
        let present = |what: &str| Ok(Question::Done(Standing::Present(what.to_owned())));
        let absent = |what: &str| {
            let (what, todo) = (what.to_owned(), rejoin(name));
            Ok(Question::Done(Standing::Absent { what, todo }))
        };
        let named = || name.to_owned();
        match (answers, &member.identity) {
            ([], _) => ask(Action::GetCertificate { name: named() }),
            ([Certificate(None)], _) => ask(Action::GetCertificateRequest { name: named() }),
            ([Certificate(None), CertificateRequest(Some(found))], _)
                if is_ours(csr::key_fingerprint(&found.text)) =>
            {
                absent("the CA has this node's request, and no certificate")
            }
            ([Certificate(None), CertificateRequest(_)], _) => {
                absent("the CA has no certificate of this node")
            }
            ([Certificate(Some(found))], _)
                if !is_ours(certificate::key_fingerprint(&found.text).ok()) =>
            {
                absent("the CA has a certificate of this name for another key")
            }
            ([Certificate(Some(_))], Some(_)) => ask(Action::GetRevocationLists),
            ([Certificate(Some(_))], None) => present("a certificate for its key"),
            ([_, RevocationLists(lists)], Some(identity)) => {
                if is_revoked(Some(&lists.text), ca, identity, unix) {
                    return absent("the CA has revoked this node's certificate");
                }
                present(&format!("certificate {}, not revoked", identity.serial))
            }
            _ => Err(mismatch("GET certificate")),
        }
    }
}
