//! The engines: what manages the node after the join. Pure: an engine says what it needs from the
//! node (facts, name, key), which files are installed and removed, how it is kept from running
//! meanwhile, and which settings must be in force. The authority belongs to `targets`.

pub mod authority;
pub mod bundle;
pub mod chef;
pub mod inspection;
pub mod node;
pub mod opsworks_agent;
pub mod puppet;
pub mod ssm_agent;

use std::fmt;

pub use authority::{Authority, Grant, Proof, RequestAdditions};
pub use bundle::{Action, Bundle, Installed, Item, PidLock, Place, Run, Written};
pub use chef::block;
pub use inspection::{FileState, Finding, ObservedFile};
pub use node::{
    EarlyKey, EngineRecord, FactsWanted, Identity, KeyReport, KeySpec, NodeContext, Observed,
    Wanted,
};
pub use puppet::conf as ini;
pub use ssm_agent::HandOver;

use crate::fault::{Fault, Kind};
use crate::secret::Secret;

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineId {
    Puppet,
    Chef,
    SsmAgent,
    OpsworksAgent,
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Puppet => "Puppet",
            Self::Chef => "Chef",
            Self::SsmAgent => "SSM Agent",
            Self::OpsworksAgent => "OpsWorks agent",
        })
    }
}

/// One engine, with its settings. `install` is required. The other methods have defaults, for an engine
/// that needs none of them.
pub trait Engine {
    /// What to look for on the node. `recorded` is what an earlier start found.
    fn wanted(&self, recorded: &EngineRecord) -> Wanted {
        let _ = recorded;
        Wanted::default()
    }

    /// The key that this engine will most likely need. It is made while network calls go on.
    fn early_key(&self, state_dir: &str) -> Option<EarlyKey> {
        let _ = state_dir;
        None
    }

    /// The directories that must exist before systemd sets up the unit's sandbox, parents first.
    fn directories(&self, observed: &Observed) -> Vec<Place> {
        let _ = observed;
        Vec::new()
    }

    /// Whether this engine can manage this node under this name.
    ///
    /// # Errors
    /// `Config` with the rule that is broken, `Host` where the engine is not installed but must be.
    fn check(&self, observed: &Observed, name: &str) -> Result<(), Fault> {
        let _ = (observed, name);
        Ok(())
    }

    /// What is done before the authority is asked: check that every file can be written, and keep the
    /// engine from running until the files are installed.
    fn hold(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let _ = node;
        None
    }

    /// What [`Self::install`] will do, as far as it is known without a key and a grant. None: the engine
    /// registers itself.
    fn planned(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let _ = node;
        None
    }

    /// What the certificate request will ask for, each with its source.
    ///
    /// # Errors
    /// As [`Self::key`].
    fn requested(&self, node: &NodeContext<'_>) -> Result<Vec<Requested>, Fault> {
        let _ = node;
        Ok(Vec::new())
    }

    /// Checks a name as far as it does not depend on the node.
    ///
    /// # Errors
    /// `Config` with the rule that is broken.
    fn check_name(&self, name: &str) -> Result<(), Fault> {
        let _ = name;
        Ok(())
    }

    /// The file that holds the engine, and the content by which enlist knows its own.
    fn held_by(&self, recorded: &EngineRecord) -> Option<(String, &'static str)> {
        let _ = recorded;
        None
    }

    /// The key that is needed, and what is signed with it. None: the engine needs no key from enlist.
    ///
    /// # Errors
    /// `Config` where the settings or the node's own files can't be used.
    fn key(&self, node: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        let _ = node;
        Ok(None)
    }

    /// Whether the engine registers itself. Then an interrupted hand-over is settled first.
    fn registers_itself(&self) -> bool {
        false
    }

    /// What makes the engine ready to run. `secret` came with the grant; after a restart it is lost.
    ///
    /// # Errors
    /// `Invariant` where the authority, the grant or the key is not one of this engine's.
    fn install(
        &self,
        node: &NodeContext<'_>,
        grant: &Grant,
        secret: Option<&Secret>,
    ) -> Result<Installation, Fault>;

    /// The grant, if an earlier start installed it and crashed before it recorded that.
    fn installed_grant(
        &self,
        observed: &Observed,
        recorded: &EngineRecord,
        grant: &Grant,
    ) -> Option<Grant> {
        let _ = (observed, recorded, grant);
        None
    }

    /// The bundle that removes these installed files. The engine's own files stay.
    fn clear(&self, installed: &[Installed], recorded: &EngineRecord, state_dir: &str) -> Bundle {
        let _ = (recorded, state_dir);
        let remove = |file: &Installed| Action::RemoveWithBackup { path: file.path.clone() };
        Bundle::of(installed.iter().map(remove).collect())
    }
}

/// The engines' directories that the systemd units name in `ReadWritePaths=`.
pub fn writable_directories() -> impl Iterator<Item = &'static str> {
    let lists: [&[&str]; 4] =
        [&puppet::WRITABLE, &chef::WRITABLE, &opsworks_agent::WRITABLE, &ssm_agent::WRITABLE];
    lists.into_iter().flatten().copied()
}

/// The directories of the vendors' packages with the engines' programs.
pub const PROGRAM_DIRECTORIES: [&str; 3] =
    ["/opt/puppetlabs/bin", "/opt/chef/bin", "/opt/cinc/bin"];

/// The directories of snaps with programs that have no name in `/snap/bin`.
pub const SNAP_DIRECTORIES: [&str; 1] = ["/snap/amazon-ssm-agent/current"];

/// How a grant is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installation {
    Bundle(Bundle),
    /// The engine registers itself.
    HandOver(HandOver),
    /// The grant's secret is needed and lost, so another grant is needed.
    SecretLost,
}

/// The settings that an engine must use, checked before and after the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequiredSettings {
    Puppet(Box<puppet::agent_settings::Expected>),
    /// `client.rb`, the file with enlist's lines, which may be the same, and the lines that must take effect.
    Chef {
        client_rb: String,
        file: String,
        content: String,
    },
}

impl RequiredSettings {
    #[must_use]
    pub fn engine(&self) -> EngineId {
        match self {
            Self::Puppet(_) => EngineId::Puppet,
            Self::Chef { .. } => EngineId::Chef,
        }
    }
}

/// An extension request, for people. The value of a secret one is hidden.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Requested {
    pub name: String,
    pub value: String,
    /// `settings`, `csr_attributes.yaml`, `this node` or `instance tag`.
    pub source: &'static str,
}

/// Every engine with its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engines {
    pub puppet: puppet::Puppet,
    pub chef: chef::Chef,
    pub ssm_agent: ssm_agent::SsmAgent,
    pub opsworks_agent: opsworks_agent::OpsworksAgent,
}

impl Engines {
    /// What to look for on the node, for all of them.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let nothing = EngineRecord::default();
        Wanted {
            puppet: self.puppet.wanted(&nothing).puppet,
            ssm_agent: self.ssm_agent.wanted(&nothing).ssm_agent,
            opsworks_agent: true,
            chef: self.chef.wanted(&nothing).chef,
        }
    }

    /// The secrets that the settings have as values.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let requests = self.puppet.extension_requests.iter();
        let secret = requests.filter(|(name, _)| crate::pki::oid::is_secret(name));
        secret.map(|(_, value)| value.expose())
    }

    #[must_use]
    pub fn get(&self, id: EngineId) -> &dyn Engine {
        match id {
            EngineId::Puppet => &self.puppet,
            EngineId::Chef => &self.chef,
            EngineId::SsmAgent => &self.ssm_agent,
            EngineId::OpsworksAgent => &self.opsworks_agent,
        }
    }
}

pub(crate) fn invariant(what: &str) -> Fault {
    Fault::new(Kind::Invariant, what, "the engine", "this is a bug in enlist; please report it")
}
