//! What a target is told of a member.

use crate::engines::{Authority, Grant, Identity, Observed};
use crate::facts::{Facts, MachineIdentity};

/// What is known of the node and its membership when it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub name: Option<&'a str>,
    /// None: it was never discovered.
    pub authority: Option<&'a Authority>,
    pub grant: Option<&'a Grant>,
    /// Whether files were installed with the grant.
    pub is_installed: bool,
    /// Whether a creating call was ever attempted.
    pub was_attempted: bool,
    /// The text that marks what enlist created at the authority.
    pub mark: &'a str,
    pub machine: Option<&'a MachineIdentity>,
    /// SHA-1 of the public key that was sent.
    pub key_sha1: Option<&'a str>,
    /// SHA-256 of it.
    pub key_sha256: Option<&'a str>,
    /// Whether a renewal was replacing the key, so that the authority may have either.
    pub has_former_key: bool,
    /// Its certificate and key, where it is installed.
    pub identity: Option<Identity<'a>>,
    pub facts: &'a Facts,
    pub observed: &'a Observed,
}
