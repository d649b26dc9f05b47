//! What is written for the engine once we are in. Plans are pure: a [`Bundle`] says what is to
//! stand where, and the host makes it so. Every action is idempotent: a bundle that was half
//! performed is performed again, whole.

pub mod block;
pub mod chef;
pub mod csr_attributes;
pub mod opsworks_agent;
pub mod puppet;
pub mod puppet_conf;
pub mod ssm_agent;

use std::fmt;

use crate::secret::Secret;

/// What will manage the node afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    Puppet,
    Chef,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Puppet => "Puppet",
            Self::Chef => "Chef",
        })
    }
}

/// Where something is to stand, and whose it is. Paths carry no `--root`; the host prefixes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    /// Permission bits, such as `0o640`.
    pub mode: u32,
    /// The account (user and group of that name) it belongs to where that exists, else root.
    pub owner: Option<&'static str>,
}

/// Everything to be done for the engine at one moment, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The engine's own lock file, held while the actions run: a file that holds a pid.
    pub lock: Option<Place>,
    pub actions: Vec<Action>,
    /// A command to run once everything stands.
    pub run: Option<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A directory, made with its mode and owner where it is missing, else left as it is.
    Directory(Place),
    /// A file with this content, replaced at once and whole.
    File {
        /// For people: `certificate`, `CA`.
        what: &'static str,
        at: Place,
        content: String,
        /// Files that are of no use once this one's content changes; moved to the backups.
        outdates: Vec<String>,
    },
    /// The private key, moved from where it was made. Its content never passes through a plan.
    Key { at: Place, from: String },
    /// Settings in an INI file of the engine's, every other line of it kept.
    Settings { at: Place, values: Vec<(&'static str, String)> },
    /// A block of ours in a file of the admin's, between two lines that mark it; every other line
    /// is kept.
    Block { what: &'static str, at: Place, content: String },
    /// A file with the private key in it, where its format wants that: the key's PEM stands for
    /// the marker, every line of it indented like the marker's. Read from `key`, never planned.
    WithKey { what: &'static str, at: Place, content: String, marker: &'static str, key: String },
    /// A file whose content is a secret.
    Secret { what: &'static str, at: Place, content: Secret },
    /// Removes a file of ours, after a backup.
    Retire { path: String },
    /// Removes a file that holds a secret, and keeps no copy.
    Discard { path: String },
    /// Takes the settings of ours out of an INI file, and puts back what they had replaced.
    Unset { path: String, names: Vec<&'static str> },
    /// Takes the block of ours out of a file.
    Unblock { path: String },
    /// A file that keeps the engine still; made only where there is none.
    Hold { at: Place, content: String },
    /// Removes such a file, if it has this content and is therefore ours.
    Release { path: String, content: String },
}

impl Bundle {
    /// What stands because of it once it is performed: what it is, and where.
    #[must_use]
    pub fn leaves(&self) -> Vec<(&'static str, &str)> {
        self.actions.iter().filter_map(Action::leaves).collect()
    }
}

impl Action {
    #[must_use]
    pub fn leaves(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::File { what, at, .. }
            | Self::Block { what, at, .. }
            | Self::WithKey { what, at, .. }
            | Self::Secret { what, at, .. } => Some((what, at.path.as_str())),
            Self::Key { at, .. } => Some(("key", at.path.as_str())),
            Self::Settings { at, .. } => Some(("settings", at.path.as_str())),
            _ => None,
        }
    }
}

/// A command, its arguments, and the exit codes that mean success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub program: &'static str,
    pub arguments: Vec<String>,
    pub succeeds_with: Vec<i32>,
}
