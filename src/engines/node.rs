//! What an engine needs to know of the node, and what is known so far.

use serde::{Deserialize, Serialize};

use super::chef::{ChefWanted, Product};
use super::opsworks_agent::OpsworksSite;
use super::puppet::{PuppetSite, PuppetWanted};
use super::ssm_agent::{SsmSite, SsmWanted};
use super::{Authority, Bundle, Place, Proof, RequestAdditions, invariant};
use crate::facts::Facts;
use crate::fault::{Fault, Kind};
use crate::pki::crl::Revocation;
use crate::pki::{CsrSpec, PublicKey};
use crate::secret::{Secret, SecretSource};

/// Which facts are gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsWanted {
    pub engine: Wanted,
    /// The key to begin making while the facts are gathered, unless the node has one.
    pub early_key: Option<EarlyKey>,
}

/// Which engines are looked for, and with what settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub puppet: Option<PuppetWanted>,
    pub ssm_agent: Option<SsmWanted>,
    pub opsworks_agent: bool,
    pub chef: ChefWanted,
}

/// What was found of these engines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    pub puppet: Option<PuppetSite>,
    #[serde(rename = "ssm")]
    pub ssm_agent: Option<SsmSite>,
    /// None: the agent's file does not exist, or was not looked for.
    #[serde(rename = "opsworks")]
    pub opsworks_agent: Option<OpsworksSite>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chef: Option<Product>,
}

/// What the record holds about an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRecord {
    /// The id under which the SSM agent was registered before enlist registered it.
    #[serde(rename = "before")]
    pub former_registration: Option<String>,
    pub puppet: Option<PuppetSite>,
    /// Which product the files are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chef: Option<Product>,
}

impl EngineRecord {
    /// The names of its members in the record's JSON, among the record's own.
    pub const MEMBERS: [&str; 3] = ["before", "puppet", "chef"];

    #[must_use]
    pub fn of(observed: &Observed) -> Self {
        Self {
            former_registration: observed.ssm_instance().map(str::to_owned),
            puppet: observed.puppet.as_ref().map(PuppetSite::recorded),
            chef: observed.chef,
        }
    }

    /// The file that holds the engine, and the content by which enlist knows its own.
    #[must_use]
    pub fn held_by(&self) -> Option<(String, &'static str)> {
        self.puppet.as_ref().map(super::puppet::held_by)
    }

    /// The account other than root that may own the engine's files.
    #[must_use]
    pub fn file_owner(&self) -> Option<&'static str> {
        self.puppet.as_ref().and(super::puppet::OWNER)
    }

    /// The bundle that lets the engine run again as before.
    #[must_use]
    pub fn release(&self) -> Option<Bundle> {
        self.puppet.as_ref().map(super::puppet::release)
    }
}

impl Observed {
    /// The directory in which the engine keeps private keys, one file per node name.
    #[must_use]
    pub fn key_directory(&self) -> Option<String> {
        self.puppet.as_ref().map(|site| format!("{}/private_keys", site.ssldir))
    }

    /// Which revocation lists the engine needs.
    #[must_use]
    pub fn revocation(&self) -> Revocation {
        self.puppet.as_ref().map_or(Revocation::Chain, |site| site.revocation)
    }

    /// The id under which the SSM agent is registered.
    #[must_use]
    pub fn ssm_instance(&self) -> Option<&str> {
        self.ssm_agent.as_ref()?.instance.as_deref()
    }
}

/// What is known of the node, once its name and the authority are known.
#[derive(Clone, Copy, Debug)]
pub struct NodeContext<'a> {
    pub facts: &'a Facts,
    pub observed: &'a Observed,
    pub name: &'a str,
    pub authority: &'a Authority,
    pub additions: &'a RequestAdditions,
    pub key: Option<&'a KeyReport>,
    /// Set during a renewal: what the node is a member with.
    pub former: Option<Identity<'a>>,
    /// SHA-256 of the key that this renewal replaces. None: it replaces none.
    pub former_key: Option<&'a str>,
    /// Whether this program will renew the certificate.
    pub will_renew: bool,
    /// The directory of the target's record, staged key and notes.
    pub state_dir: &'a str,
}

impl NodeContext<'_> {
    /// The node's key.
    ///
    /// # Errors
    /// `Invariant` where it is not known yet.
    pub fn key(&self) -> Result<&KeyReport, Fault> {
        self.key.ok_or_else(|| invariant("the node's key is not known"))
    }

    /// Where a new key is written first.
    #[must_use]
    pub fn staged_key(&self) -> String {
        staged_key(self.state_dir)
    }
}

/// What a member shows to its authority: its certificate, and the file with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// PEM.
    pub certificate: &'a str,
    pub serial: &'a str,
    /// Unix seconds.
    pub not_after: i64,
    /// The path of the installed key.
    pub key: &'a str,
}

/// Where a new key is written first, in this state directory.
#[must_use]
pub fn staged_key(state_dir: &str) -> String {
    format!("{state_dir}/key.pem")
}

/// The id of the target: the directory that its staged key is in.
#[must_use]
pub fn target_of(staged: &str) -> &str {
    staged.rsplit('/').nth(1).unwrap_or_default()
}

/// Which key an engine needs, and the certificate request to sign with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where it is installed. A key that is there already is used as it is.
    pub at: Place,
    /// Where a new key is kept until it is installed.
    pub staged: String,
    pub bits: u32,
    pub csr: Option<CsrSpec>,
    /// Where the challenge password of the request is. It is read only when the request is made, so it
    /// is in no plan.
    pub challenge_password: Option<SecretSource>,
    /// The proof that is made together with the request.
    pub proof: Proof,
    /// What to check where the request could not be made.
    pub csr_advice: &'static str,
    /// For the log: what was left out of the request, and why.
    pub notes: Vec<String>,
    /// A key that a person has carried here: used in place of a new one, and of one that was staged.
    pub brought: Option<Secret>,
    /// What makes a new membership, where a missing key is a fault: for a member, and where the authority was
    /// asked with it. Else a new one is made.
    pub if_missing: Option<String>,
    /// SHA-256 of the key that it replaces. Where that one is installed, the staged key is used, or a new
    /// one is made.
    pub replaces: Option<String>,
}

impl KeySpec {
    /// A key without a certificate request.
    #[must_use]
    pub fn plain(node: &NodeContext<'_>, at: Place, bits: u32) -> Self {
        let staged = node.staged_key();
        Self {
            at,
            staged,
            bits,
            csr: None,
            challenge_password: None,
            proof: Proof::None,
            csr_advice: "",
            notes: Vec::new(),
            brought: None,
            if_missing: None,
            replaces: node.former_key.map(str::to_owned),
        }
    }
}

/// The part of the node's key that the core may see: its public half, and the request it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    pub public: PublicKey,
    /// PEM. It may contain a secret, such as a challenge password.
    pub csr: Option<Secret>,
    /// Whether it is a key that was installed already.
    pub is_installed: bool,
}

impl KeyReport {
    /// The certificate request.
    ///
    /// # Errors
    /// `Invariant` where none was asked for.
    pub fn csr(&self) -> Result<&str, Fault> {
        let csr = self.csr.as_ref().map(Secret::expose);
        csr.ok_or_else(|| invariant("there is no certificate request"))
    }
}

/// A key that is made before it is needed. It stays in memory until `EnsureKey` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyKey {
    pub bits: u32,
    pub staged: String,
    /// Where it will be installed. None: in [`Observed::key_directory`], under a name not yet known.
    pub at: Option<String>,
}

/// Checks a challenge password: a text of one line, 1 to 255 characters (PKCS #9, `challengePassword`).
///
/// # Errors
/// `Config`, without the password.
pub fn check_password(text: &str, on: &str) -> Result<(), Fault> {
    if (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control) {
        return Ok(());
    }
    let what = "the challenge password can't be used";
    let todo = "put a text of one line, of 1 to 255 characters, where challenge_password says";
    Err(Fault::new(Kind::Config, what, on, todo))
}

/// Checks a secret of the settings for a request with these additions.
///
/// # Errors
/// `Config`, without the secret. `on` is where it is.
pub fn check_secret(additions: &RequestAdditions, text: &str, on: &str) -> Result<(), Fault> {
    if text.is_empty() {
        let todo = "put the secret into it, or correct the setting";
        return Err(Fault::new(Kind::Config, "a secret of the settings is empty", on, todo));
    }
    let password = additions.challenge_password.as_ref();
    password.map_or(Ok(()), |_| check_password(text, on))
}
