//! The file that the OpsWorks agent reads its identity from.

use crate::engines::opsworks_agent::{self, OpsworksSite};
use crate::host::root::Root;

/// What the file says of this node's registration; none where there is no such file.
pub fn site(root: &Root) -> Option<OpsworksSite> {
    // It holds a private key.
    let text = zeroize::Zeroizing::new(root.text(&opsworks_agent::agent_file().path)?);
    Some(opsworks_agent::read(&text))
}
