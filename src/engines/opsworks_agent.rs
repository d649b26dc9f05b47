//! The OpsWorks Stacks agent: what it read its identity from.

use super::{Action, Bundle, Place};
use crate::facts::OpsworksSite;

const DIRECTORY: &str = "/etc/aws/opsworks";

/// Stands for the private key in the agent's file.
const MARKER: &str = "@PRIVATE-KEY@";

/// Where the instance's private key stands.
#[must_use]
pub fn key_place() -> Place {
    place("instance-key.pem", 0o600)
}

/// Where the agent's file stands.
#[must_use]
pub fn agent_file() -> Place {
    place("instance-agent.yml", 0o600)
}

/// What is public in the agent's file: ours, or one that the original agent wrote.
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
        Action::WithKey { what: "agent", at: agent_file(), content, marker: MARKER, key: key.path },
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
    let actions = installed.iter().map(|(_, path)| Action::RemoveWithBackup { path: path.clone() });
    Bundle { actions: actions.collect(), ..Bundle::default() }
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
    fn other_spellings_of_the_file_are_read_and_no_text_is_believed() {
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
