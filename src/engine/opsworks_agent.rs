//! The OpsWorks Stacks agent: what it read its identity from.

use super::{Action, Bundle, Place};

const DIRECTORY: &str = "/etc/aws/opsworks";

/// Stands for the private key in the agent's file.
const MARKER: &str = "@PRIVATE-KEY@";

/// Where the instance's private key stands.
#[must_use]
pub fn key_place() -> Place {
    place("instance-key.pem", 0o600)
}

/// The key, and `instance-agent.yml` with the four members that the original agent kept.
#[must_use]
pub fn install(instance: &str, public_key: &str, fingerprint: &str, staged: &str) -> Bundle {
    let public_key: String = public_key.lines().map(|line| format!("  {line}\n")).collect();
    // Identity and fingerprint are hexadecimal digits and dashes; quoted, they are YAML texts.
    let content = format!(
        "---\n:identity: \"{instance}\"\n:instance_private_key: |\n  {MARKER}\n:instance_public_key: |\n{public_key}:instance_public_key_fingerprint: \"{fingerprint}\"\n"
    );
    let key = key_place();
    let [parent, own] = directories();
    let actions = vec![
        Action::Directory(parent),
        Action::Directory(own),
        Action::Key { at: key.clone(), from: staged.to_owned() },
        Action::WithKey {
            what: "agent",
            at: place("instance-agent.yml", 0o600),
            content,
            marker: MARKER,
            key: key.path,
        },
    ];
    Bundle { actions, ..Bundle::default() }
}

/// The agent's directory, and the one above it.
#[must_use]
pub fn directories() -> [Place; 2] {
    [("/etc/aws", 0o755), (DIRECTORY, 0o700)].map(|(path, mode)| Place {
        path: path.to_owned(),
        mode,
        owner: None,
    })
}

/// Takes back what [`install`] put there.
#[must_use]
pub fn clear(installed: &[(String, String)]) -> Bundle {
    let actions = installed.iter().map(|(_, path)| Action::Retire { path: path.clone() });
    Bundle { actions: actions.collect(), ..Bundle::default() }
}

fn place(name: &str, mode: u32) -> Place {
    Place { path: format!("{DIRECTORY}/{name}"), mode, owner: None }
}
