//! The OpsWorks Stacks agent: its key and its identity file.

use serde::Serialize;

use super::{
    Action, Authority, Bundle, EarlyKey, Engine, EngineRecord, Grant, Installation, Item, KeySpec,
    NodeContext, Observed, Place, Wanted, invariant, node,
};
use crate::fault::Fault;
use crate::secret::Secret;

const DIRECTORY: &str = "/etc/aws/opsworks";

/// The directory that the systemd units allow enlist to write.
pub const WRITABLE: [&str; 1] = [DIRECTORY];

/// The place of the private key in the content of the agent's file.
const MARKER: &str = "@PRIVATE-KEY@";

/// As the original agent's keys had.
const KEY_BITS: u32 = 2048;

/// The engine. It has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpsworksAgent;

/// The public part of `instance-agent.yml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OpsworksSite {
    /// The id of the instance as which this node is registered; none where the file has none.
    pub instance: Option<String>,
    /// SHA-1 of its public key, lower-case hexadecimal digits.
    pub fingerprint: Option<String>,
}

impl Engine for OpsworksAgent {
    fn wanted(&self, _: &EngineRecord) -> Wanted {
        Wanted { opsworks_agent: true, ..Wanted::default() }
    }

    fn early_key(&self, state_dir: &str) -> Option<EarlyKey> {
        let (staged, at) = (node::staged_key(state_dir), Some(key_place().path));
        Some(EarlyKey { bits: KEY_BITS, staged, at })
    }

    fn directories(&self, _: &Observed) -> Vec<Place> {
        directories().to_vec()
    }

    fn planned(&self, _: &NodeContext<'_>) -> Option<Bundle> {
        Some(install("", "", "", ""))
    }

    fn hold(&self, _: &NodeContext<'_>) -> Option<Bundle> {
        let mut hold = Bundle::default();
        hold.check_first(&install("", "", "", ""), None);
        Some(hold)
    }

    fn key(&self, node: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        Ok(Some(KeySpec::plain(node, key_place(), KEY_BITS)))
    }

    fn install(
        &self,
        node: &NodeContext<'_>,
        grant: &Grant,
        _: Option<&Secret>,
    ) -> Result<Installation, Fault> {
        let (Authority::Stack { .. }, Grant::Instance { id }) = (node.authority, grant) else {
            return Err(invariant("the OpsWorks agent is installed as an instance of a stack"));
        };
        let key = &node.key()?.public;
        let bundle = install(id, &key.to_pem(), &key.sha1_fingerprint(), &node.staged_key());
        Ok(Installation::Bundle(bundle))
    }
}

/// Where the instance's private key is installed.
fn key_place() -> Place {
    place("instance-key.pem", 0o600)
}

/// The agent's identity file.
#[must_use]
pub fn agent_file() -> Place {
    place("instance-agent.yml", 0o600)
}

/// Reads the public part of the agent's file, whether enlist or the original agent wrote it.
#[must_use]
pub fn read(text: &str) -> OpsworksSite {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let plain = line.trim().trim_matches(['"', '\'']);
        let is_word = plain.chars().all(|c| c.is_ascii_hexdigit() || c == '-' || c == ':');
        (is_word && !plain.is_empty()).then(|| plain.to_ascii_lowercase())
    };
    OpsworksSite {
        instance: value(":identity:"),
        fingerprint: value(":instance_public_key_fingerprint:").map(|text| text.replace(':', "")),
    }
}

/// Installs the key, and `instance-agent.yml` with the four members that the original agent kept.
fn install(instance: &str, public_key: &str, fingerprint: &str, staged: &str) -> Bundle {
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
        Action::Key { at: key.clone(), from: staged.to_owned(), replaces: None },
        Action::WithKey {
            item: Item::AgentIdentity,
            at: agent_file(),
            content,
            marker: MARKER,
            key: key.path,
        },
    ];
    Bundle::of(actions)
}

/// The parent directory, and the agent's own.
fn directories() -> [Place; 2] {
    [("/etc/aws", 0o755), (DIRECTORY, 0o700)].map(|(path, mode)| Place {
        path: path.to_owned(),
        mode,
        owner: None,
    })
}

fn place(name: &str, mode: u32) -> Place {
    Place { path: format!("{DIRECTORY}/{name}"), mode, owner: None }
}

#[cfg(test)]
mod tests {
    use super::{agent_file, install, read};
    use crate::engines::Action;

    const ID: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";

    #[test]
    fn what_is_installed_is_read_back() {
        let bundle = install(ID, "-----BEGIN PUBLIC KEY-----\n", "abcdef01", "/staged");
        let content = bundle.actions.iter().find_map(|action| match action {
            Action::WithKey { at, content, .. } if *at == agent_file() => Some(content),
            _ => None,
        });
        let site = read(content.unwrap());
        assert_eq!(site.instance.as_deref(), Some(ID));
        assert_eq!(site.fingerprint.as_deref(), Some("abcdef01"));
    }

    #[test]
    fn other_spellings_are_read_and_invalid_ids_are_not() {
        for text in [
            format!(":identity: {ID}\n"),
            format!("---\n:identity: '{}'\n", ID.to_uppercase()),
            format!(":identity:   \"{ID}\"  \n:other: x\n"),
        ] {
            assert_eq!(read(&text).instance.as_deref(), Some(ID), "{text}");
        }
        for text in
            ["", ":identity:\n", ":identity: ../../x\n", "identity: x\n", ":identity: \u{1b}[2J\n"]
        {
            assert_eq!(read(text).instance, None, "{text:?}");
        }
    }
}
