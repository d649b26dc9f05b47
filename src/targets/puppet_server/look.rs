//! What a Puppet Server's CA has of this node now. It may be asked that without a certificate.

use super::api::{self, Action};
use super::membership::{is_revoked, rejoin};
use super::{Member, PuppetServer, Question, mismatch};
use crate::engines::Authority;
use crate::fault::Fault;
use crate::pki::{certificate, csr};
use crate::targets::Standing;

impl PuppetServer {
    /// Finds the authority as a join does: the CA and its lists, which must be good, and a server whose
    /// certificate is not revoked. Then, for a member, what the CA has of it.
    pub(super) fn look(
        &self,
        member: &Member<'_>,
        answers: &[&api::Answer],
        unix: i64,
    ) -> Result<Question<Standing>, Fault> {
        let known = member.authority.filter(|known| member.is_installed && known.ca().is_some());
        let (found, answers) = match self.discovery(known, answers)? {
            Question::Done(found) => found,
            question => return Ok(question.map(|_| Standing::Reachable)),
        };
        let ca = found.ca().unwrap_or_default();
        let is_revoked = |identity| is_revoked(found.crl(), ca, identity, unix);
        // A node that has to join again is told so first.
        if !member.identity.as_ref().is_some_and(is_revoked) {
            self.check_found(&found, member.observed.revocation(), unix)?;
        }
        if let Some(name) = member.name.filter(|_| known.is_some()) {
            return self.look_for(name, member, &found, answers, unix);
        }
        Ok(match answers {
            [] => {
                let action = Action::GetCertificate { name: "ca".to_owned() };
                Question::Ask(self.ask_found(&found, member.observed, action))
            }
            _ => Question::Done(Standing::Reachable),
        })
    }

    /// Looks for the certificate of a member and whether it is revoked; without one, for the request.
    fn look_for(
        &self,
        name: &str,
        member: &Member<'_>,
        found: &Authority,
        answers: &[&api::Answer],
        unix: i64,
    ) -> Result<Question<Standing>, Fault> {
        use api::Answer::{Certificate, CertificateRequest};
        let ask = |action| Ok(Question::Ask(self.ask_found(found, member.observed, action)));
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
            ([Certificate(None), CertificateRequest(Some(theirs))], _)
                if is_ours(csr::key_fingerprint(&theirs.text)) =>
            {
                absent("the CA has this node's request, and no certificate")
            }
            ([Certificate(None), CertificateRequest(_)], _) => {
                absent("the CA has no certificate of this node")
            }
            ([Certificate(Some(theirs))], _)
                if !is_ours(certificate::key_fingerprint(&theirs.text).ok()) =>
            {
                absent("the CA has a certificate of this name for another key")
            }
            ([Certificate(Some(_))], Some(identity)) => {
                if is_revoked(found.crl(), found.ca().unwrap_or_default(), identity, unix) {
                    return absent("the CA has revoked this node's certificate");
                }
                present(&format!("certificate {}, not revoked", identity.serial))
            }
            ([Certificate(Some(_))], None) => present("a certificate for its key"),
            _ => Err(mismatch("GET certificate")),
        }
    }
}
