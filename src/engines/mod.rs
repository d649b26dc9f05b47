//! What manages the node afterwards. Pure: an engine says what it needs of the node (facts, name,
//! key), what is written for it and taken back, how it is kept from running meanwhile, and what it
//! has to use. Who the authority is, and how it is asked, belongs to `targets`.

pub mod bundle;
pub mod chef;
pub mod inspection;
pub mod membership;
mod node;
pub mod opsworks_agent;
pub mod puppet;
pub mod ssm_agent;

use std::fmt;

pub use bundle::{Action, Bundle, Installed, Item, PidLock, Place, Run, Written};
pub use chef::block;
pub use inspection::{FileState, Finding, ObservedFile};
pub use membership::{Authority, Grant};
pub use node::{
    EngineRecord, ExpectedKey, FactsWanted, KeyReport, KeySpec, NodeContext, Observed, Wanted,
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

/// One engine, with its settings. Every method but `install` and `clear` has a default for an engine
/// that needs nothing of the kind.
pub trait Engine {
    /// What is to be looked for on the node; `recorded` is what an earlier start found.
    fn wanted(&self, recorded: &EngineRecord) -> Wanted {
        let _ = recorded;
        Wanted::default()
    }

    /// The key that will most likely be wanted. It is made while the network is asked.
    fn expected_key(&self, state_dir: &str) -> Option<ExpectedKey> {
        let _ = state_dir;
        None
    }

    /// The directories that have to exist before the units' sandbox is set up, parents first.
    fn directories(&self, observed: &Observed) -> Vec<Place> {
        let _ = observed;
        Vec::new()
    }

    /// Whether this engine can manage this node under this name.
    ///
    /// # Errors
    /// `Config` with the rule that is broken, `Host` where the engine is not installed.
    fn check(&self, observed: &Observed, name: &str) -> Result<(), Fault> {
        let _ = (observed, name);
        Ok(())
    }

    /// What is done before the authority is asked: checks of what will be written, and what keeps
    /// the engine from running until it is installed.
    fn hold(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let _ = node;
        None
    }

    /// The file that keeps the engine from running, and its content where it is ours.
    fn held_by(&self, recorded: &EngineRecord) -> Option<(String, &'static str)> {
        let _ = recorded;
        None
    }

    /// The key that is wanted, and what is signed with it; none: the engine needs no key of ours.
    ///
    /// # Errors
    /// `Config` where the settings or the node's own files can't be used.
    fn key(&self, node: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        let _ = node;
        Ok(None)
    }

    /// Whether the engine registers itself, and an interrupted registration has to be settled first.
    fn registers_itself(&self) -> bool {
        false
    }

    /// What makes the engine ready to run. `secret` came with the grant and is lost after a restart.
    ///
    /// # Errors
    /// `Invariant` where something is missing that must be known by now.
    fn install(
        &self,
        node: &NodeContext<'_>,
        grant: &Grant,
        secret: Option<&Secret>,
    ) -> Result<Installation, Fault>;

    /// The grant that an earlier start had installed before it could record that.
    fn installed_grant(
        &self,
        observed: &Observed,
        recorded: &EngineRecord,
        grant: &Grant,
    ) -> Option<Grant> {
        let _ = (observed, recorded, grant);
        None
    }

    /// What removes what was installed.
    fn clear(&self, installed: &[Installed], recorded: &EngineRecord, state_dir: &str) -> Bundle;
}

/// The directories that the units' `ReadWritePaths=` name for the engines.
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
    /// The secret that came with the grant is needed and lost: another grant is asked for.
    SecretLost,
}

/// The settings of an engine that have to be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequiredSettings {
    Puppet(Box<puppet::agent_settings::Expected>),
    /// The file, and the lines of ours that have to count.
    Chef {
        client_rb: String,
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

/// Every engine with its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engines {
    pub puppet: puppet::Puppet,
    pub chef: chef::Chef,
    pub ssm_agent: ssm_agent::SsmAgent,
    pub opsworks_agent: opsworks_agent::OpsworksAgent,
}

impl Engines {
    /// What is to be looked for of all of them.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let nothing = EngineRecord::default();
        Wanted {
            puppet: self.puppet.wanted(&nothing).puppet,
            ssm_agent: self.ssm_agent.wanted(&nothing).ssm_agent,
            opsworks_agent: true,
        }
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
