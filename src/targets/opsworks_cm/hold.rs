//! What is looked at before the server is asked, and what holds the engine still.

use super::OpsworksCm;
use crate::engines::{Bundle, Use, chef, puppet};
use crate::targets::{Authority, NodeContext};

impl OpsworksCm {
    pub(super) fn look_and_hold(&self, known: &NodeContext<'_>) -> Option<Bundle> {
        let (mut hold, expected, installed) = match known.authority {
            Authority::Puppet { endpoint, ca } => {
                let site = known.facts.puppet.as_ref()?;
                let expected = puppet::expected(&self.puppet, site, known.name, endpoint);
                let member = puppet::InstallInput {
                    name: known.name,
                    endpoint,
                    certificate: "",
                    ca,
                    csr: "",
                    staged_key: "",
                };
                let installed = puppet::install(&self.puppet, site, &member);
                (puppet::hold(site), Use::Puppet(Box::new(expected)), installed)
            }
            Authority::Chef { endpoint, ca } => {
                let expected = chef::expected(&self.chef, known.name, endpoint);
                let installed = chef::install(&self.chef, known.name, endpoint, ca.as_deref(), "");
                (Bundle::default(), expected, installed)
            }
            _ => return None,
        };
        hold.look_first(&installed, Some(expected));
        Some(hold)
    }
}
