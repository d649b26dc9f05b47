//! The Systems Manager agent: it registers itself, with an activation that it is told.
//!
//! Its `-register` writes its vault before it asks the API, and asks on standard input without
//! `-y`; a call that fails leaves no registration where a good one was. So its vault is backed up
//! and put back. It takes the code as an argument and in no other way: while it runs, the code
//! can be read from the process list by whoever may read that of root's processes. Such a code is
//! good for one node and a short time.

use super::{Action, Bundle, Place};
use crate::secret::Secret;

/// The agent's program: `/usr/bin` of deb and rpm, a snap's own directory, `/usr/sbin` or
/// `/usr/share/oem` elsewhere.
pub const PROGRAM: &str = "amazon-ssm-agent";

/// What the agent keeps its registration in: its vault, in which a manifest names the files, and
/// a file beside it. The vault is the one to trust.
pub const VAULT_DIRECTORY: &str = "/var/lib/amazon/ssm/Vault";
pub const VAULT: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
pub const REGISTRATION: &str = "/var/lib/amazon/ssm/registration";

/// Both services' names, by packaging.
pub const SERVICES: [&str; 2] =
    ["amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service"];

/// Where the activation's code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// It came with the activation.
    Known(Secret),
    /// In a file; below `$CREDENTIALS_DIRECTORY` where the path is a bare name (systemd.exec(5)).
    File(String),
}

/// What the agent is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    pub activation: String,
    pub code: Code,
    /// None: the region that the API is asked in.
    pub region: Option<String>,
    /// The agent's program, as it was found.
    pub program: Option<String>,
}

/// Where the agent writes when it registers itself: its vault and its log.
#[must_use]
pub fn directories() -> Vec<Place> {
    let place = |path: &str, mode| Place { path: path.to_owned(), mode, owner: None };
    vec![place("/var/lib/amazon/ssm", 0o700), place("/var/log/amazon/ssm", 0o755)]
}

/// The activation as a file for whoever hands it over: id, code and region as JSON, root's alone.
#[must_use]
pub fn file(path: &str, activation: &str, code: &Secret) -> Bundle {
    // Ids and codes of the API hold nothing that JSON would have to escape, but do it all the same.
    let content =
        serde_json::json!({ "ActivationId": activation, "ActivationCode": code.expose() });
    let at = Place { path: path.to_owned(), mode: 0o600, owner: None };
    let content = Secret::new(format!("{content:#}\n"));
    Bundle {
        actions: vec![Action::Secret { what: "activation", at, content }],
        ..Bundle::default()
    }
}

/// Takes back what [`file()`] put there. The agent's own files are the agent's.
#[must_use]
pub fn clear(installed: &[(String, String)]) -> Bundle {
    let actions = installed.iter().map(|(_, path)| Action::RemoveWithBackup { path: path.clone() });
    Bundle { actions: actions.collect(), ..Bundle::default() }
}
