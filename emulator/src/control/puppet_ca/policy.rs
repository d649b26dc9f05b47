//! How a server's CA behaves: `ca.conf`, `autosign`, and one rule of `auth.conf`.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which requests are signed without a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Autosign {
    /// None.
    #[default]
    Off,
    /// Every one.
    On,
    /// Those whose `challengePassword` is this one.
    Challenge(String),
}

/// A switch that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no autosign switch; write on, off or challenge=PASSWORD")]
pub struct PolicyError(String);

impl FromStr for Autosign {
    type Err = PolicyError;

    /// Reads `on`, `off` or `challenge=PASSWORD`.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match (text, text.strip_prefix("challenge=")) {
            ("on", _) => Ok(Self::On),
            ("off", _) => Ok(Self::Off),
            (_, Some(password)) if !password.is_empty() => Ok(Self::Challenge(password.to_owned())),
            _ => Err(PolicyError(text.to_owned())),
        }
    }
}

impl Autosign {
    /// The switch as it is shown: without the password.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Challenge(_) => "challenge",
        }
    }
}

/// How a CA behaves.
#[expect(clippy::struct_excessive_bools, reason = "switches of a configuration file")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaPolicy {
    /// `autosign`.
    pub autosign: Autosign,
    /// `allow-subject-alt-names`.
    pub allow_subject_alt_names: bool,
    /// `allow-authorization-extensions`.
    pub allow_authorization_extensions: bool,
    /// `allow-duplicate-certs`.
    pub allow_duplicate_certs: bool,
    /// `allow-auto-renewal`: off in packaged servers.
    pub allow_auto_renewal: bool,
    /// `auto-renewal-cert-ttl`, in seconds: 60 days in packaged servers.
    pub auto_renewal_ttl: u64,
    /// `ca-ttl`, in seconds: five years.
    pub ttl: u64,
    /// Whether a node may delete what the CA has of it: a rule that people add to `auth.conf`.
    pub self_delete: bool,
    /// Whether `auth.conf` has the rule for renewals: servers before 8.1, and upgraded ones, do not.
    pub renewal_rule: bool,
    /// What `X-Puppet-Version` says.
    pub version: String,
    /// Whether the CA says of every certificate that it has not signed it, as one that was made anew.
    pub signed_none: bool,
    /// Whether the certificate that the server itself shows is revoked.
    pub server_is_revoked: bool,
    /// From when the CA's own revocation list is valid, in seconds after it was made. Puppet dates it
    /// a day back.
    pub list_begins: i64,
    /// Until when, in seconds after it was made: five years.
    pub list_ends: i64,
}

const DAY: u64 = 24 * 60 * 60;

impl Default for CaPolicy {
    /// A packaged Puppet Server 8.
    fn default() -> Self {
        Self {
            autosign: Autosign::Off,
            allow_subject_alt_names: false,
            allow_authorization_extensions: false,
            allow_duplicate_certs: false,
            allow_auto_renewal: false,
            auto_renewal_ttl: 60 * DAY,
            ttl: 5 * 365 * DAY,
            self_delete: false,
            renewal_rule: true,
            version: "8.7.0".to_owned(),
            signed_none: false,
            server_is_revoked: false,
            list_begins: -DAY.cast_signed(),
            list_ends: 5 * 365 * DAY.cast_signed(),
        }
    }
}

impl CaPolicy {
    pub(super) const fn renewal_lifetime(&self) -> Duration {
        Duration::from_secs(self.auto_renewal_ttl)
    }

    pub(super) const fn lifetime(&self) -> Duration {
        Duration::from_secs(self.ttl)
    }
}
