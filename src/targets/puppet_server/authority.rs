//! Whether the CA that was found can work, before a request is sent to it.

use super::PuppetServer;
use crate::engines::Authority;
use crate::fault::{Fault, Kind};
use crate::pki::CaBundle;
use crate::pki::authority::{self, AuthorityError};
use crate::targets::Target;

impl PuppetServer {
    /// # Errors
    /// `Data`, with the list or the CA as evidence.
    pub(super) fn check_found(&self, found: &Authority, unix: i64) -> Result<(), Fault> {
        let (Some(ca), Some(lists)) = (found.ca(), found.crl()) else { return Ok(()) };
        let Ok(bundle) = CaBundle::from_pem(ca) else { return Ok(()) };
        authority::check(&bundle, lists, unix).map_err(|error| {
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
        })
    }
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
        AuthorityError::WrongSigner(_) => {
            "put a list that is signed with the CA's present key into the server's ca_crl.pem (`puppet config print cacrl --section server` says where), and restart the server; then `enlist join`"
        }
    }
}
