//! Whether the CA that was found can work, before a request is sent to it.

use super::{Ca, PuppetServer};
use crate::engines::Authority;
use crate::fault::{Fault, Kind};
use crate::pki::CaBundle;
use crate::pki::authority::{self, AuthorityError};
use crate::pki::crl::Revocation;
use crate::targets::{OtherCa, Target};

impl PuppetServer {
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
            "if this clock is right, renew the CA on the server, and give ca_file in [puppet-server] the renewed one; then `enlist join`"
        }
        AuthorityError::NotYetValid(..) => {
            "set this clock (`timedatectl set-ntp true`), then `enlist join`"
        }
        AuthorityError::Revoked(_) => {
            "set up the server with a CA that is not revoked, and give ca_file in [puppet-server] that one; then `enlist join`"
        }
        AuthorityError::NoIssuer(_) => {
            "add the missing certificate to ca_file in [puppet-server]; then `enlist join`"
        }
        AuthorityError::NoList(_) => {
            "append the missing list to the server's ca_crl.pem (`puppet config print cacrl --section server` says where), and restart the server; then `enlist join`"
        }
        AuthorityError::ListExpired(..) => {
            "if this clock is right, renew the list on the server (Puppet Server 8.4 and later renews its own); then `enlist join`. Until then, no agent of this server runs, unless its puppet.conf has certificate_revocation = false"
        }
        AuthorityError::ListNotYetValid(..) => {
            "set this clock (`timedatectl set-ntp true`), or that of the server; then `enlist join`"
        }
        AuthorityError::WrongSigner(_) => {
            "put a list that is signed with the CA's present key into the server's ca_crl.pem (`puppet config print cacrl --section server` says where), and restart the server; then `enlist join`"
        }
    }
}
