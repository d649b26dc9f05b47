//! A join whose messages a person carries: the public key to the server, and back what says that a client
//! has it; or the private key of a client that was made there.

use super::{ChefServer, PublicKey, Target};
use crate::engines::{Authority, Grant, NodeContext};
use crate::fault::Fault;
use crate::pki::CaBundle;
use crate::targets::Carried;
use crate::targets::by_hand::unusable;

impl ChefServer {
    pub(super) fn errand_of(name: &str) -> String {
        let id = super::ID;
        format!(
            "save it as {name}.pub, and run `knife client create {name} -d -p {name}.pub`, then `knife client key show {name} default > {name}.chef.answer`; carry {name}.chef.answer here, and run `enlist accept --target {id} {name}.chef.answer`"
        )
    }

    pub(super) fn carried_authority(&self) -> Authority {
        let ca = self.ca.as_ref().map(CaBundle::to_pem);
        // The first version, which each server speaks that is not asked.
        Authority::ChefServer { url: self.url.to_string(), ca, api_version: 0 }
    }

    /// Whether the client of the answer has this node's key. Who carries the private key of a client has made
    /// it this node's key.
    pub(super) fn carried_grant(
        &self,
        node: &NodeContext<'_>,
        answer: &Carried,
    ) -> Result<Grant, Fault> {
        let name = node.name;
        let fault = |what, todo: &str| unusable(what, Some(name), &self.authority_name(), todo);
        if answer.private_key.is_some() {
            return Ok(Grant::Client);
        }
        let todo = format!(
            "make the answer again: `knife client key show {name} default > {name}.chef.answer`"
        );
        let Some(text) = &answer.public_key else {
            return Err(fault("the answer has no key of a client", &todo));
        };
        let theirs = pem::parse(text).ok().map(|block| PublicKey::from_spki(block.contents()));
        let Some(Ok(theirs)) = theirs else {
            return Err(fault("the public key in the answer can't be used", &todo));
        };
        let ours = &node.key()?.public;
        if theirs != *ours {
            let todo = format!(
                "give the client this node's key: `enlist csr --by-hand` prints it, save it as {name}.pub; then `knife client key edit {name} default -p {name}.pub -d`"
            );
            let what = "the client has another key than this node";
            let (theirs, ours) = (theirs.fingerprint(), ours.fingerprint());
            let cause = format!("SHA-256 of its public key: {theirs}; of this node's: {ours}");
            return Err(fault(what, &todo).cause(cause));
        }
        Ok(Grant::Client)
    }
}
