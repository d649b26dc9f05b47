//! The OpsWorks agent on this machine: its identity file.

use crate::engines::opsworks_agent::{self, OpsworksSite};
use crate::host::root::Root;

/// The registration in the agent's file. None where the file does not exist.
pub fn site(root: &Root) -> Option<OpsworksSite> {
    // The file contains a private key, so its text is wiped.
    let text = zeroize::Zeroizing::new(root.text(&opsworks_agent::agent_file().path)?);
    Some(opsworks_agent::read(&text))
}

/// The id as which this node is registered, in `instance-agent.yml`.
#[must_use]
pub fn identity(text: &str) -> Option<String> {
    opsworks_agent::read(text).instance
}
