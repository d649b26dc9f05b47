//! The Systems Manager agent. It registers itself, with the id and code of an activation.
//!
//! Its `-register` overwrites its vault before it calls the API, so a failed call destroys a good
//! registration. Therefore the vault is backed up before and restored after a failure. Without `-y`
//! it asks on standard input. It takes the code only as an argument: while it runs, a user who can
//! read the arguments of root's processes can read the code. The code is valid for one node and a
//! short time.

use serde::Serialize;

use super::{
    Action, Bundle, Engine, EngineRecord, Grant, Installation, Item, NodeContext, Observed, Place,
    Wanted, invariant,
};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

/// The agent's program. The deb and rpm packages install it in `/usr/bin`, the snap in its own
/// directory, other systems in `/usr/sbin` or `/usr/share/oem`.
pub const PROGRAM: &str = "amazon-ssm-agent";

/// The files of the agent's registration: its vault, and a file beside it. Where they differ, the
/// vault counts.
pub const VAULT_DIRECTORY: &str = "/var/lib/amazon/ssm/Vault";
pub const VAULT: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";
pub const REGISTRATION: &str = "/var/lib/amazon/ssm/registration";

/// The directories of its packages that the systemd units allow enlist to write.
pub const WRITABLE: [&str; 2] = ["/var/lib/amazon/ssm", "/var/log/amazon/ssm"];

/// The names of its service in deb and rpm packages, and in the snap.
pub const SERVICES: [&str; 2] =
    ["amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service"];

/// The agent's part of the `[ssm]` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SsmAgent {
    /// The agent's program. None: it is looked for in the usual directories.
    pub program: Option<String>,
    pub hand_over: HandOverTo,
    /// The file or systemd credential with the code of an activation that the settings give.
    pub code_source: Option<String>,
}

/// Who gets the id and code of the activation: the agent, or a file for another program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum HandOverTo {
    #[default]
    Agent,
    File,
}

/// What to look for on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SsmWanted {
    /// The agent's program, where the settings give it.
    pub program: Option<String>,
}

/// The Systems Manager agent on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SsmSite {
    /// The agent's program; none where it is not installed.
    pub agent: Option<String>,
    /// The `mi-` (or `i-`) id in its vault.
    pub instance: Option<String>,
    /// The activation id in the file of a hand-over to a file.
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
                "install it, set agent in [ssm] to its path, or set hand_over = \"file\" in [ssm]",
            ));
        }
        Ok(())
    }

    fn planned(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let path = activation_file(node.state_dir);
        (self.hand_over == HandOverTo::File).then(|| file(&path, "", &Secret::new(String::new())))
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
            // An earlier start received the code and ended.
            (None, None) => return Ok(Installation::SecretLost),
        };
        Ok(match (self.hand_over, code) {
            (HandOverTo::File, Code::Known(code)) => {
                Installation::Bundle(file(&activation_file(node.state_dir), id, &code))
            }
            (_, code) => Installation::HandOver(HandOver {
                activation: id.clone(),
                code,
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
        // The registration differs from the former one, so the hand-over succeeded.
        let former = recorded.former_registration.as_deref();
        let now = site.instance.as_deref();
        let now = now.filter(|now| now.starts_with("mi-") && Some(*now) != former)?;
        Some(Grant::Managed { id: now.to_owned(), activation: Some(activation.clone()) })
    }
}

/// The file with id and code after a hand-over to a file.
#[must_use]
pub fn activation_file(state_dir: &str) -> String {
    format!("{state_dir}/activation.json")
}

fn program(observed: &Observed) -> Option<&str> {
    observed.ssm_agent.as_ref()?.agent.as_deref()
}

/// The activation's code, or where to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// It came with the activation.
    Known(Secret),
    /// A file. A bare name is a credential, below `$CREDENTIALS_DIRECTORY` (systemd.exec(5)).
    File(String),
}

/// What the agent registers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    pub activation: String,
    pub code: Code,
    /// The path of the agent's program.
    pub program: Option<String>,
}

/// The directories that the agent writes when it registers itself: of its vault and of its log.
fn directories() -> Vec<Place> {
    let place = |path: &str, mode| Place { path: path.to_owned(), mode, owner: None };
    vec![place("/var/lib/amazon/ssm", 0o700), place("/var/log/amazon/ssm", 0o755)]
}

/// Writes the activation to a file as JSON, readable only by root, for another program.
fn file(path: &str, activation: &str, code: &Secret) -> Bundle {
    let content =
        serde_json::json!({ "ActivationId": activation, "ActivationCode": code.expose() });
    let at = Place { path: path.to_owned(), mode: 0o600, owner: None };
    let content = Secret::new(format!("{content:#}\n"));
    Bundle::of(vec![Action::Secret { item: Item::Activation, at, content }])
}
