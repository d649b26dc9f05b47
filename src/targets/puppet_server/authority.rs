//! Who the CA is, and whether it can work, before a request is sent to it.

use super::api::{self, Action, Document, Trust};
use super::{Ca, PuppetServer, Question, SHOW_CA, mismatch};
use crate::engines::Authority;
use crate::fault::{Fault, Kind};
use crate::pki::authority::{self, AuthorityError};
use crate::pki::crl::Revocation;
use crate::pki::{CaBundle, crl};
use crate::targets::{OtherCa, Target};

/// The authority, and the answers to what was asked after it was found.
type Found<'a, 'b> = (Authority, &'b [&'a api::Answer]);

impl PuppetServer {
    /// The CA, where it is not known, then its revocation lists.
    pub(super) fn discovery<'a, 'b>(
        &self,
        known: Option<&Authority>,
        answers: &'b [&'a api::Answer],
    ) -> Result<Question<Found<'a, 'b>>, Fault> {
        let (ca, answers) = match (&self.ca, known.and_then(Authority::ca), answers) {
            (Ca::Bundle(bundle), ..) => (bundle.to_pem(), answers),
            (_, Some(known), _) => (known.to_owned(), answers),
            (Ca::Pinned(_), None, []) => return Ok(Question::Ask(self.ask_ca(Trust::Pinned))),
            (Ca::FirstUse, None, []) => return Ok(Question::Ask(self.ask_ca(Trust::FirstUse))),
            (_, None, [api::Answer::Certificate(found), rest @ ..]) => {
                (self.believe(found.as_ref())?.to_pem(), rest)
            }
            _ => return Err(mismatch("GET certificate/ca")),
        };
        match answers {
            [] => {
                let trust = Trust::Ca { ca, lists: None };
                Ok(Question::Ask(self.ask(trust, Action::GetRevocationLists)))
            }
            [api::Answer::RevocationLists(lists), rest @ ..] => {
                check_lists(lists)?;
                let (endpoint, crl) = (self.endpoint(&lists.server), Some(lists.text.clone()));
                Ok(Question::Done((Authority::Puppet { endpoint, ca, crl }, rest)))
            }
            _ => Err(mismatch("GET certificate_revocation_list")),
        }
    }

    /// The CA that an unverified server has sent, if the pin vouches for it.
    fn believe(&self, found: Option<&Document>) -> Result<CaBundle, Fault> {
        let Some(Document { server, text }) = found else {
            let todo = "name the server that has the CA in server";
            let what = "the server has no CA certificate";
            return Err(Fault::new(Kind::Protocol, what, self.authority_name(), todo));
        };
        self.check_ca(text).map_err(|error| {
            let todo = format!(
                "compare it with the CA on the server itself: {SHOW_CA}; if they differ, somebody else has answered"
            );
            let what = "the CA that the server has sent can't be trusted, and nothing was sent to it";
            Fault::new(Kind::Data, what, format!("server {server}"), todo)
                .because(&error)
                .with_evidence("ca", text.as_str())
        })
    }

    /// Returns what is wrong with a list that Puppet's agent does not look at.
    ///
    /// # Errors
    /// `Data`, with the list or the CA as evidence.
    pub(super) fn check_found(
        &self,
        found: &Authority,
        revocation: Revocation,
        unix: i64,
    ) -> Result<Vec<String>, Fault> {
        let (Some(ca), Some(lists)) = (found.ca(), found.crl()) else { return Ok(Vec::new()) };
        let Ok(bundle) = CaBundle::from_pem(ca) else { return Ok(Vec::new()) };
        authority::check(&bundle, lists, revocation, unix).map_err(|error| {
            let what = if error.is_of_list() {
                "the CA's revocation lists can't be used, and nothing was asked of the CA"
            } else {
                "the CA can't be used, and nothing was asked of it"
            };
            let (label, text) = if error.is_of_list() { ("crl", lists) } else { ("ca", ca) };
            let fault = Fault::new(Kind::Data, what, self.authority_name(), todo(&error))
                .because(&error)
                .with_evidence(label, text);
            if error.is_about_time() { fault.about_time() } else { fault }
        })?;
        let others = authority::check(&bundle, lists, Revocation::Chain, unix).err();
        let others = others.filter(AuthorityError::is_of_lists_time);
        Ok(others.map(|error| authority::not_looked_at(&error, revocation)).into_iter().collect())
    }

    /// What the settings say of the CA, where that is not `ca`.
    pub(super) fn other_than(&self, ca: &str) -> Option<OtherCa> {
        let known = CaBundle::from_pem(ca).ok()?;
        let (setting, wanted, is_file) = match &self.ca {
            Ca::Bundle(bundle) if !bundle.vouches_for(&known) => {
                ("puppet-server.ca_file", bundle.fingerprint(), true)
            }
            Ca::Pinned(pin) if pin.check(ca).is_err() => {
                ("puppet-server.ca_fingerprint", pin.to_string(), false)
            }
            Ca::Bundle(_) | Ca::Pinned(_) | Ca::FirstUse => return None,
        };
        Some(OtherCa { setting, is_file, in_force: known.fingerprint(), wanted })
    }
}

/// What is said of a CA that was trusted on first use.
pub(super) fn unpinned(ca: &str) -> Option<String> {
    let pin = CaBundle::from_pem(ca).ok()?.fingerprint();
    Some(format!(
        "the CA was trusted without a check (trust_on_first_use); compare this SHA-256 of its certificate with that on the server ({}), then write ca_fingerprint = \"{pin}\" in place of trust_on_first_use",
        super::SHOW_CA
    ))
}

fn todo(error: &AuthorityError) -> &'static str {
    match error {
        AuthorityError::Expired(..) => {
            "if this clock is right, renew the CA on the server, and give ca_file in [puppet-server] the renewed one; then the same command again"
        }
        AuthorityError::NotYetValid(..) => {
            "set this clock (`timedatectl set-ntp true`), then the same command again"
        }
        AuthorityError::Revoked(_) => {
            "set up the server with a CA that is not revoked, and give ca_file in [puppet-server] that one; then the same command again"
        }
        AuthorityError::NoIssuer(_) => {
            "add the missing certificate to ca_file in [puppet-server]; then the same command again"
        }
        AuthorityError::NoList(_) => {
            "append the missing list to the server's ca_crl.pem (`puppet config print cacrl --section server` says where), and restart the server; then the same command again"
        }
        AuthorityError::ListExpired(..) => {
            "if this clock is right, renew the list on the server (Puppet Server 8.4 and later renews its own); then the same command again. Until then, no agent of this server runs, unless its puppet.conf has certificate_revocation = false"
        }
        AuthorityError::ListNotYetValid(..) => {
            "set this clock (`timedatectl set-ntp true`), or that of the server; then the same command again"
        }
        AuthorityError::WrongSigner(_) => {
            "put a list that is signed with the CA's present key into the server's ca_crl.pem (`puppet config print cacrl --section server` says where), and restart the server; then the same command again"
        }
    }
}

fn check_lists(lists: &Document) -> Result<(), Fault> {
    let read = crl::read(&lists.text);
    read.map(|_| ()).map_err(|error| {
        let todo = "look into the server's CA: `puppetserver ca list --all`; the answer is kept as evidence beside the record";
        let what = "the CA's revocation lists can't be used";
        Fault::new(Kind::Data, what, format!("server {}", lists.server), todo)
            .because(&error)
            .with_evidence("crl", lists.text.as_str())
    })
}
