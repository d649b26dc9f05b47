//! The Systems Manager agent: it registers itself, with an activation that it is told.
//!
//! Its `-register` writes its vault before it asks the API, and asks on standard input without
//! `-y`; a call that fails leaves no registration where a good one was. So its vault is backed up
//! and put back. It takes the code as an argument and in no other way: while it runs, the code
//! can be read from the process list by whoever may read that of root's processes. Such a code is
//! good for one node and a short time.

use serde::Serialize;

use super::{
    Action, Bundle, Engine, EngineRecord, Grant, Installation, Installed, Item, NodeContext,
    Observed, Place, Wanted, invariant,
};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

/// The agent's program: `/usr/bin` of deb and rpm, a snap's own directory, `/usr/sbin` or
/// `/usr/share/oem` elsewhere.
pub const PROGRAM: &str = "amazon-ssm-agent";

/// What the agent keeps its registration in: its vault, in which a manifest names the files, and
/// a file beside it. The vault is the one to trust.
pub const VAULT_DIRECTORY: &str = "/var/lib/amazon/ssm/Vault";
pub const VAULT: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
pub const REGISTRATION: &str = "/var/lib/amazon/ssm/registration";

/// The directories of its packages that the units let enlist write.
pub const WRITABLE: [&str; 2] = ["/var/lib/amazon/ssm", "/var/log/amazon/ssm"];

/// Both services' names, by packaging.
pub const SERVICES: [&str; 2] =
    ["amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service"];

/// The agent's part of the `[ssm]` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SsmAgent {
    /// The agent's program; none: where it is usually found.
    pub program: Option<String>,
    pub hand_over: HandOverTo,
    /// Where the code of an activation is that was made elsewhere.
    pub code_source: Option<String>,
}

/// Who gets id and code of the activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum HandOverTo {
    #[default]
    Agent,
    File,
}

/// What is to be looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SsmWanted {
    /// The agent's program, where the settings name it.
    pub program: Option<String>,
}

/// The Systems Manager agent on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SsmSite {
    /// The agent's program; none where it is not installed.
    pub agent: Option<String>,
    /// The `mi-` (or `i-`) id in its vault.
    pub instance: Option<String>,
    /// The activation id in the file that a hand-over to a file leaves.
    pub handed_over: Option<String>,
}

impl Engine for SsmAgent {
    fn wanted(&self, _: &EngineRecord) -> Wanted {
        let ssm_agent = Some(SsmWanted { program: self.program.clone() });
        Wanted { ssm_agent, ..Wanted::default() }
    }

    fn directories(&self, _: &Observed) -> Vec<Place> {
        match self.hand_over {
            HandOverTo::Agent => directories(),
            HandOverTo::File => Vec::new(),
        }
    }

    fn check(&self, observed: &Observed, _: &str) -> Result<(), Fault> {
        if self.hand_over == HandOverTo::Agent && program(observed).is_none() {
            return Err(Fault::new(
                Kind::Host,
                "amazon-ssm-agent is not installed",
                self.program.as_deref().unwrap_or(PROGRAM),
                "install it, say where it is with agent in [ssm], or set hand_over = \"file\" in [ssm]",
            ));
        }
        Ok(())
    }

    fn registers_itself(&self) -> bool {
        true
    }

    fn install(
        &self,
        node: &NodeContext<'_>,
        grant: &Grant,
        secret: Option<&Secret>,
    ) -> Result<Installation, Fault> {
        let Grant::Activation { id } = grant else {
            return Err(invariant("the SSM agent registers with an activation"));
        };
        let code = match (&self.code_source, secret) {
            (_, Some(secret)) => Code::Known(secret.clone()),
            (Some(source), None) => Code::File(source.clone()),
            // It came with a reply that an earlier start received.
            (None, None) => return Ok(Installation::SecretLost),
        };
        Ok(match (self.hand_over, code) {
            (HandOverTo::File, Code::Known(code)) => {
                Installation::Bundle(file(&activation_file(node.state_dir), id, &code))
            }
            (_, code) => Installation::HandOver(HandOver {
                activation: id.clone(),
                code,
                region: None,
                program: program(node.observed).map(str::to_owned),
            }),
        })
    }

    fn installed_grant(
        &self,
        observed: &Observed,
        recorded: &EngineRecord,
        grant: &Grant,
    ) -> Option<Grant> {
        let Grant::Activation { id: activation } = grant else {
            return None;
        };
        let site = observed.ssm_agent.as_ref()?;
        if self.hand_over == HandOverTo::File {
            return (site.handed_over.as_ref() == Some(activation)).then(|| grant.clone());
        }
        // Another registration than when we began: the hand-over had succeeded.
        let former = recorded.former_registration.as_deref();
        let now = site.instance.as_deref();
        let now = now.filter(|now| now.starts_with("mi-") && Some(*now) != former)?;
        Some(Grant::Managed { id: now.to_owned(), activation: Some(activation.clone()) })
    }

    /// The agent's own files are the agent's.
    fn clear(&self, installed: &[Installed], _: &EngineRecord, _: &str) -> Bundle {
        let actions = installed.iter();
        let actions = actions.map(|file| Action::RemoveWithBackup { path: file.path.clone() });
        Bundle::of(actions.collect())
    }
}

/// Where a hand-over to a file leaves id and code.
#[must_use]
pub fn activation_file(state_dir: &str) -> String {
    format!("{state_dir}/activation.json")
}

fn program(observed: &Observed) -> Option<&str> {
    observed.ssm_agent.as_ref()?.agent.as_deref()
}

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
fn directories() -> Vec<Place> {
    let place = |path: &str, mode| Place { path: path.to_owned(), mode, owner: None };
    vec![place("/var/lib/amazon/ssm", 0o700), place("/var/log/amazon/ssm", 0o755)]
}

/// The activation as a file for whoever hands it over: id and code as JSON, for root alone.
fn file(path: &str, activation: &str, code: &Secret) -> Bundle {
    let content =
        serde_json::json!({ "ActivationId": activation, "ActivationCode": code.expose() });
    let at = Place { path: path.to_owned(), mode: 0o600, owner: None };
    let content = Secret::new(format!("{content:#}\n"));
    Bundle::of(vec![Action::Secret { item: Item::Activation, at, content }])
}
