//! A member of a Puppet Server: its certificate is renewed, and it leaves.
//!
//! Source: Puppet Server's documentation, "Automatic certificate renewal", and its source
//! (`certificate_authority_core.clj`).

use std::time::Duration;

use super::api::{self, Action, NotRenewed, Own};
use super::{
    Creation, Departure, Member, PuppetServer, Question, Reconciled, Target, clean, mismatch,
};
use crate::engines::puppet;
use crate::engines::{Authority, Grant, Identity, NodeContext};
use crate::fault::{Fault, Kind};
use crate::pki::certificate::Certificate;
use crate::pki::crl::{Lists, Revocation};
use crate::pki::{CaBundle, certificate, crl, csr};

/// How often a server that renews nothing is asked again.
const EACH_DAY: Duration = Duration::from_hours(24);

impl PuppetServer {
    /// The call that renews the certificate of a member.
    ///
    /// # Errors
    /// `Rejected` where the CA can't renew it: it has expired, or is revoked.
    pub(super) fn renewal(
        &self,
        node: &NodeContext<'_>,
        former: &Identity<'_>,
        unix: i64,
    ) -> Result<Creation, Fault> {
        if former.not_after <= unix {
            let what = "the certificate has expired, and an expired one can't be renewed";
            return Err(self.not_renewed(node, what, &rejoin(node.name)));
        }
        let (lists, ca) = (node.authority.crl(), node.authority.ca().unwrap_or_default());
        if is_revoked(lists, ca, former, unix) {
            let what = "the certificate is revoked, and a revoked one can't be renewed";
            return Err(self.not_renewed(node, what, &rejoin(node.name)));
        }
        let (name, own) = (node.name.to_owned(), own(former));
        Ok(Creation::Call(self.ask_of(node, Action::PostCertificateRenewal { name, own })))
    }

    /// A new certificate of a member: for its key and name, and another one than before. A server renews for a
    /// shorter time than it signs for. A node that nobody will renew again keeps the one that ends later.
    ///
    /// # Errors
    /// `Data` where it is not acceptable, `Rejected` where it is of no use.
    pub(super) fn renewed(
        &self,
        node: &NodeContext<'_>,
        text: &str,
        unix: i64,
    ) -> Result<Grant, Fault> {
        let grant = puppet::accept(node, text, unix, &self.authority_name())?;
        let (Some((serial, not_after)), Some(former)) = (grant.certificate(), &node.former) else {
            return Ok(grant);
        };
        if serial == former.serial {
            let todo = "look into the server's log";
            return Err(self.not_renewed(node, "the CA has answered with the same one", todo));
        }
        if !node.will_renew && not_after < former.not_after {
            let what = "the CA's new certificate would end before the present one";
            let todo =
                "nothing; with enlist.service, which renews again and again, it is installed";
            return Err(self.not_renewed(node, what, todo).nothing_new());
        }
        Ok(grant)
    }

    /// The fault for an answer that is no certificate.
    pub(super) fn refused_renewal(&self, node: &NodeContext<'_>, why: &NotRenewed) -> Fault {
        let by_hand = format!("before the certificate ends, {}", rejoin(node.name));
        match why {
            NotRenewed::Off => {
                let what = "the CA renews no certificates";
                let todo = format!(
                    "set allow-auto-renewal: true in the server's ca.conf (Puppet Server 8.1 and later), or {by_hand}"
                );
                self.not_renewed(node, what, &todo).nothing_new()
            }
            NotRenewed::Forbidden(text) => {
                let what = "the server does not let this node renew its certificate";
                let todo = format!(
                    "allow certificate_renewal in the server's auth.conf (Puppet Server 8.1 and later has this rule), or {by_hand}"
                );
                self.not_renewed(node, what, &todo).cause(text).nothing_new()
            }
            NotRenewed::OtherCa(text) => {
                let what = "the CA has not signed this node's certificate: it is another CA, or was made anew";
                let todo = format!(
                    "put the new CA into ca_file or ca_fingerprint, then {}",
                    rejoin(node.name)
                );
                self.not_renewed(node, what, &todo).cause(text)
            }
            NotRenewed::NoClientCertificate(text) => {
                let what = "the server did not get this node's certificate";
                let todo = "name the server that has the CA in server: what ends TLS before it, such as a balancer, keeps the certificate back";
                self.not_renewed(node, what, todo).cause(text)
            }
        }
    }

    fn not_renewed(&self, node: &NodeContext<'_>, what: &str, todo: &str) -> Fault {
        let on = format!("node {}, {}", node.name, self.authority_name());
        Fault::new(Kind::Rejected, what, on, todo).retry_after(Some(EACH_DAY))
    }

    /// Whether the CA has a newer certificate of a member already: an earlier renewal whose reply was lost,
    /// or one that the agent made itself. Else it is asked for one.
    pub(super) fn look_for_newer(
        &self,
        node: &NodeContext<'_>,
        former: &Identity<'_>,
        answers: &[&api::Answer],
        unix: i64,
    ) -> Result<Question<Reconciled>, Fault> {
        match answers {
            [] => Ok(Question::Ask(self.ask_certificate(node))),
            [api::Answer::Certificate(found)] => {
                let is_newer = |text: &str| {
                    let grant = puppet::accept(node, text, unix, "").ok()?;
                    grant.certificate().filter(|(serial, _)| *serial != former.serial).map(|_| ())
                };
                let found = found.as_ref().map(|found| found.text.as_str());
                let result = match found.filter(|text| is_newer(text).is_some()) {
                    Some(text) => Reconciled::Granted(self.renewed(node, text, unix)?),
                    None => Reconciled::CallAgain,
                };
                Ok(Question::Done(result))
            }
            _ => Err(mismatch("GET certificate")),
        }
    }

    /// Looks what the CA has of this node, then revokes and removes its certificate, as far as the server
    /// lets a node do so itself. The rule that people add to `auth.conf` mostly allows removing only.
    ///
    /// With a certificate that is revoked or has expired, there is no connection.
    pub(super) fn depart(
        &self,
        member: &Member<'_>,
        answers: &[&api::Answer],
        unix: i64,
    ) -> Result<Question<Departure>, Fault> {
        use api::Answer::{
            Certificate, CertificateRequest, NoCertificate, NotAllowed, RevocationLists,
            StatusChanged,
        };
        let complete = || Ok(Question::Done(Departure::Complete));
        let Some(name) = member.name.filter(|_| member.was_attempted) else { return complete() };
        let remains = || Ok(Question::Done(Departure::Remains(remains(name))));
        let Some(ca) = member.authority.and_then(Authority::ca) else { return remains() };
        let lists = answers.iter().find_map(|answer| match answer {
            RevocationLists(lists) => {
                let revocation = member.observed.revocation();
                Some(Lists { pem: lists.text.clone(), revocation })
            }
            _ => None,
        });
        let trust = api::Trust::Ca { ca: ca.to_owned(), lists };
        let ask = |action| Ok(Question::Ask(self.ask(trust.clone(), action)));
        let is_ours = |theirs: Option<String>| theirs.as_deref() == member.key_sha256;
        let name = name.to_owned();
        match (answers, member.identity.as_ref()) {
            ([], _) => ask(Action::GetCertificate { name }),
            ([Certificate(None)], _) => ask(Action::GetCertificateRequest { name }),
            ([Certificate(None), CertificateRequest(found)], _) => {
                let theirs = found.as_ref().map(|found| csr::key_fingerprint(&found.text));
                if theirs.is_some_and(is_ours) { remains() } else { complete() }
            }
            ([Certificate(Some(found))], identity) => {
                if !is_ours(certificate::key_fingerprint(&found.text).ok()) {
                    return complete();
                }
                match identity.filter(|identity| identity.not_after > unix) {
                    Some(_) => ask(Action::GetRevocationLists),
                    None => remains(),
                }
            }
            ([_, RevocationLists(lists)], Some(identity)) => {
                if is_revoked(Some(&lists.text), ca, identity, unix) {
                    return remains();
                }
                ask(Action::RevokeCertificate { name, own: own(identity) })
            }
            ([_, _, StatusChanged | NotAllowed(_) | NoCertificate], Some(identity)) => {
                ask(Action::DeleteCertificate { name, own: own(identity) })
            }
            ([.., StatusChanged | NoCertificate], Some(_)) => complete(),
            ([.., NotAllowed(_)], Some(_)) => remains(),
            _ => Err(mismatch("certificate_status")),
        }
    }
}

fn own(identity: &Identity<'_>) -> Own {
    Own { certificate: identity.certificate.to_owned(), key: identity.key.to_owned() }
}

pub(super) fn is_revoked(lists: Option<&str>, ca: &str, former: &Identity<'_>, unix: i64) -> bool {
    let (Some(lists), Ok(ca)) = (lists, CaBundle::from_pem(ca)) else { return false };
    let certificate = Certificate {
        pem: former.certificate.to_owned(),
        serial: former.serial.to_owned(),
        not_after: former.not_after,
    };
    crl::check(&certificate, &ca, lists, Revocation::Off, unix) == Err(crl::CrlError::Revoked)
}

/// What a person does for a new certificate.
pub(super) fn rejoin(name: &str) -> String {
    format!(
        "run `{}` on the server, then here `enlist leave --target {1} && enlist join --target {1}`",
        clean(name),
        super::ID
    )
}

fn remains(name: &str) -> String {
    format!(
        "run `{}` on the server, and with PuppetDB `puppet node deactivate {name}`",
        clean(name)
    )
}
