//! What an engine wants to know of the node, and what is known of it so far.

use serde::{Deserialize, Serialize};

use super::opsworks_agent::OpsworksSite;
use super::puppet::{PuppetSite, PuppetWanted};
use super::ssm_agent::{SsmSite, SsmWanted};
use super::{Authority, Bundle, Place, invariant};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::pki::{CsrSpec, PublicKey};
use crate::secret::Secret;

/// What is to be gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsWanted {
    pub engine: Wanted,
    /// The key that will be wanted unless one stands already. Making it may begin meanwhile.
    pub key: Option<ExpectedKey>,
}

/// What is to be looked for of the engines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub puppet: Option<PuppetWanted>,
    pub ssm_agent: Option<SsmWanted>,
    pub opsworks_agent: bool,
}

/// What was found of the engines that were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    pub puppet: Option<PuppetSite>,
    #[serde(rename = "ssm")]
    pub ssm_agent: Option<SsmSite>,
    /// None: the agent's file does not exist, or was not looked for.
    #[serde(rename = "opsworks")]
    pub opsworks_agent: Option<OpsworksSite>,
}

/// What the record keeps of an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRecord {
    /// The registration that the SSM agent had before ours.
    #[serde(rename = "before")]
    pub former_registration: Option<String>,
    pub puppet: Option<PuppetSite>,
}

impl EngineRecord {
    /// The names of its members in the record's JSON, among the record's own.
    pub const MEMBERS: [&str; 2] = ["before", "puppet"];

    #[must_use]
    pub fn of(observed: &Observed) -> Self {
        Self {
            former_registration: observed.ssm_instance().map(str::to_owned),
            puppet: observed.puppet.as_ref().map(PuppetSite::recorded),
        }
    }

    /// The file that keeps the engine from running, and its content where it is ours.
    #[must_use]
    pub fn held_by(&self) -> Option<(String, &'static str)> {
        self.puppet.as_ref().map(super::puppet::held_by)
    }

    /// The account, beside root, that the engine's files may belong to.
    #[must_use]
    pub fn file_owner(&self) -> Option<&'static str> {
        self.puppet.as_ref().and(super::puppet::OWNER)
    }

    /// What lets the engine run again as before.
    #[must_use]
    pub fn release(&self) -> Option<Bundle> {
        self.puppet.as_ref().map(super::puppet::release)
    }
}

impl Observed {
    /// Where the engine keeps keys under the names of nodes.
    #[must_use]
    pub fn key_directory(&self) -> Option<String> {
        self.puppet.as_ref().map(|site| format!("{}/private_keys", site.ssldir))
    }

    /// The id under which the SSM agent is registered.
    #[must_use]
    pub fn ssm_instance(&self) -> Option<&str> {
        self.ssm_agent.as_ref()?.instance.as_deref()
    }
}

/// What is known of the node once the authority is.
#[derive(Clone, Copy, Debug)]
pub struct NodeContext<'a> {
    pub facts: &'a Facts,
    pub observed: &'a Observed,
    pub name: &'a str,
    pub authority: &'a Authority,
    pub key: Option<&'a KeyReport>,
    /// The directory of the target's record, staged key and notes.
    pub state_dir: &'a str,
}

impl NodeContext<'_> {
    /// # Errors
    /// `Invariant` where there is none yet.
    pub fn key(&self) -> Result<&KeyReport, Fault> {
        self.key.ok_or_else(|| invariant("the key is not known"))
    }

    /// Where the key is made.
    #[must_use]
    pub fn staged_key(&self) -> String {
        staged_key(self.state_dir)
    }
}

/// Where a target with this state directory has its key made.
#[must_use]
pub fn staged_key(state_dir: &str) -> String {
    format!("{state_dir}/key.pem")
}

/// Which key is wanted, and what is to be signed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Where it will stand, and may stand already: a key found here is used as it is.
    pub at: Place,
    /// Where it is made and waits until everything is installed.
    pub staged: String,
    pub bits: u32,
    pub csr: Option<CsrSpec>,
    /// What to check where the request can't be made.
    pub csr_advice: &'static str,
    /// For the log: what was left out of the request and why.
    pub notes: Vec<String>,
    /// A member's key: where it is missing, no other one is made.
    pub must_stand: bool,
}

impl KeySpec {
    /// A key without a certificate request.
    #[must_use]
    pub fn plain(node: &NodeContext<'_>, at: Place, bits: u32) -> Self {
        let staged = node.staged_key();
        Self { at, staged, bits, csr: None, csr_advice: "", notes: Vec::new(), must_stand: false }
    }
}

/// Our key as far as the core knows it: its public half, and what it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    pub public: PublicKey,
    /// PEM; it may hold a secret.
    pub csr: Option<Secret>,
}

impl KeyReport {
    /// # Errors
    /// `Invariant` where none was asked for.
    pub fn csr(&self) -> Result<&str, Fault> {
        let csr = self.csr.as_ref().map(Secret::expose);
        csr.ok_or_else(|| invariant("there is no certificate request"))
    }
}

/// A key that nobody has asked for yet. It is made in memory alone until `EnsureKey` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedKey {
    pub bits: u32,
    pub staged: String,
    /// None: in the engine's directory of keys, under whatever name.
    pub at: Option<String>,
}
