//! A join whose messages a person carries: the request to the CA, and back its certificate, the CA and
//! its revocation lists.

use super::{Ca, PuppetServer, Target};
use crate::engines::puppet;
use crate::engines::{Authority, Grant, NodeContext};
use crate::fault::{Fault, Kind};
use crate::pki::crl::Revocation;
use crate::pki::{CaBundle, authority, certificate};
use crate::targets::Carried;
use crate::targets::by_hand::unusable;

/// How the answer is put together on the server.
const ANSWER: &str = "`cd $(puppet config print cadir --section server) && cat signed/NAME.pem ca_crt.pem ca_crl.pem > NAME.puppet.answer`";

fn answer_of(name: &str) -> String {
    ANSWER.replace("NAME", name)
}

impl PuppetServer {
    pub(super) fn errand_of(name: &str) -> String {
        let id = super::ID;
        format!(
            "on the server, save it as $(puppet config print csrdir --section server)/{name}.pem, run `puppetserver ca sign --certname {name}`, then {}; carry {name}.puppet.answer here, and run `enlist accept --target {id} {name}.puppet.answer`",
            answer_of(name)
        )
    }

    /// The authority with the CA of the settings, else of the answer, and the lists of the answer.
    pub(super) fn carried_authority(&self, answer: Option<&Carried>) -> Result<Authority, Fault> {
        let endpoint = self.servers.first().map(|host| self.endpoint(host)).unwrap_or_default();
        let Some(answer) = answer else {
            let ca = match &self.ca {
                Ca::Bundle(bundle) => bundle.to_pem(),
                Ca::Pinned(_) | Ca::FirstUse => String::new(),
            };
            return Ok(Authority::Puppet { endpoint, ca, crl: None });
        };
        let ca = self.carried_ca(answer)?.to_pem();
        let crl = Some(answer.lists.clone()).filter(|lists| !lists.is_empty());
        Ok(Authority::Puppet { endpoint, ca, crl })
    }

    /// The CA of the settings. Else the CA of the answer, if the pin vouches for it.
    fn carried_ca(&self, answer: &Carried) -> Result<CaBundle, Fault> {
        if let Ca::Bundle(bundle) = &self.ca {
            return Ok(bundle.clone());
        }
        let todo = format!("make the answer again on the server: {}", answer_of("NAME"));
        if answer.ca.is_empty() {
            let what =
                "the answer has no CA certificate, and ca_file in [puppet-server] is not set";
            return Err(unusable(what, None, &self.authority_name(), &todo));
        }
        self.check_ca(&answer.ca).map_err(|error| {
            let what = "the CA in the answer can't be trusted, and nothing was installed";
            let todo = format!(
                "compare ca_fingerprint in [puppet-server] with the CA on the server: {}; if they differ, the answer comes from somebody else",
                super::SHOW_CA
            );
            Fault::new(Kind::Data, what, self.authority_name(), todo)
                .because(&error)
                .with_evidence("ca", answer.ca.as_str())
        })
    }

    /// Whether the CA and the lists of the answer are those that the agent needs.
    fn check_carried(&self, node: &NodeContext<'_>, unix: i64) -> Result<(), Fault> {
        let revocation = node.observed.revocation();
        let todo = format!("make the answer again on the server: {}", answer_of(node.name));
        let fault = |what| unusable(what, Some(node.name), &self.authority_name(), &todo);
        let (ca, lists) = (node.authority.ca().unwrap_or_default(), node.authority.crl());
        if lists.is_none() && revocation != Revocation::Off {
            return Err(fault("the answer has no revocation list of the CA"));
        }
        let (Ok(bundle), Some(lists)) = (CaBundle::from_pem(ca), lists) else { return Ok(()) };
        authority::check(&bundle, lists, revocation, unix).map_err(|error| {
            let what = "the CA or the revocation lists of the answer can't be used, and nothing was installed";
            let fault =
                fault(what).because(&error).with_evidence("answer", format!("{ca}{lists}"));
            if error.is_about_time() { fault.about_time() } else { fault }
        })
    }

    /// The certificate of the answer, checked as one that the server has sent.
    pub(super) fn carried_grant(
        &self,
        node: &NodeContext<'_>,
        answer: &Carried,
        unix: i64,
    ) -> Result<Grant, Fault> {
        self.check_carried(node, unix)?;
        let ours = node.key()?.public.fingerprint();
        let is_ours =
            |text: &&String| certificate::key_fingerprint(text).is_ok_and(|found| found == ours);
        let found = answer.certificates.iter().find(is_ours).or(answer.certificates.first());
        let Some(found) = found else {
            let what = "the answer has no certificate of this node";
            let todo = format!("make the answer again on the server: {}", answer_of(node.name));
            return Err(unusable(what, Some(node.name), &self.authority_name(), &todo));
        };
        puppet::accept(node, found, unix, &self.authority_name())
    }
}
