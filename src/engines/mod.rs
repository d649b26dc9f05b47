//! What is written for the engine once we are in. Plans are pure: a [`Bundle`] says what is to
//! stand where, and the host makes it so. Every action is idempotent: a bundle that was half
//! performed is performed again, whole.

pub mod block;
pub mod chef;
pub mod chef_settings;
pub mod csr_attributes;
pub mod opsworks_agent;
pub mod psych;
pub mod puppet;
pub mod puppet_conf;
pub mod puppet_reading;
pub mod puppet_service;
pub mod puppet_settings;
pub mod ssm_agent;
mod yaml;

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
    /// Settings in an INI file of the engine's, every other line of it kept. Those of `overriding`
    /// are set only where the file has them.
    Settings {
        at: Place,
        values: Vec<(&'static str, String)>,
        overriding: Vec<(&'static str, String)>,
    },
    /// A block of ours in a file of the admin's, between two lines that mark it; every other line
    /// is kept.
    Block { what: &'static str, at: Place, content: String },
    /// A file with the private key in it, where its format wants that: the key's PEM stands for
    /// the marker, every line of it indented like the marker's. Read from `key`, never planned.
    WithKey { what: &'static str, at: Place, content: String, marker: &'static str, key: String },
    /// A file whose content is a secret.
    Secret { what: &'static str, at: Place, content: Secret },
    /// Removes a file of ours, after a backup.
    RemoveWithBackup { path: String },
    /// Removes a file that holds a secret, and keeps no copy.
    RemoveSecret { path: String },
    /// Takes the settings of ours out of an INI file, and puts back what they had replaced.
    RemoveSettings { path: String, names: Vec<&'static str> },
    /// Takes the block of ours out of a file.
    RemoveBlock { path: String },
    /// A file that keeps the engine still; made only where there is none.
    Hold { at: Place, content: String },
    /// Removes such a file, if it has this content and is therefore ours.
    Release { path: String, content: String },
    /// Fails where a file or directory of this path could not be written; nothing is.
    Writable(Written),
    /// Fails where the engine would not use what is going to be installed, as far as that can be
    /// seen beforehand.
    Foresee(Use),
    /// Asks the engine what it uses, sets what is ours to set, and fails where it still would not
    /// use what was installed.
    Confirm(Use),
}

/// Something that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: String,
    pub is_directory: bool,
}

/// What an engine has to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    Puppet(Box<puppet_settings::Expected>),
    /// The file, and the lines of ours that have to count.
    Chef {
        client_rb: String,
        content: String,
    },
}

impl Use {
    /// The engine's name, for people.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self {
            Self::Puppet(_) => Engine::Puppet,
            Self::Chef { .. } => Engine::Chef,
        }
    }

    /// The file with the settings.
    #[must_use]
    pub fn file(&self) -> String {
        match self {
            Self::Puppet(expected) => expected.conf(),
            Self::Chef { client_rb, .. } => client_rb.clone(),
        }
    }
}

impl Bundle {
    /// What stands because of it once it is performed: what it is, and where.
    #[must_use]
    pub fn installed_files(&self) -> Vec<(&'static str, &str)> {
        self.actions.iter().filter_map(Action::installed_file).collect()
    }

    /// Before anything else, looks whether this bundle and the one that is installed later can be
    /// written, and whether the engine will use it.
    pub fn look_first(&mut self, later: &Self, used: Option<Use>) {
        let written = self.written().into_iter().chain(later.written());
        let mut looks: Vec<Action> = written.map(Action::Writable).collect();
        looks.extend(used.map(Action::Foresee));
        self.actions.splice(0..0, looks);
    }

    /// What it writes, for looking at it beforehand.
    #[must_use]
    pub fn written(&self) -> Vec<Written> {
        self.actions.iter().filter_map(Action::written).collect()
    }
}

impl Action {
    #[must_use]
    pub fn installed_file(&self) -> Option<(&'static str, &str)> {
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

    fn written(&self) -> Option<Written> {
        let (path, is_directory) = match self {
            Self::Directory(at) => (&at.path, true),
            Self::File { at, .. }
            | Self::Key { at, .. }
            | Self::Settings { at, .. }
            | Self::Block { at, .. }
            | Self::WithKey { at, .. }
            | Self::Secret { at, .. }
            | Self::Hold { at, .. } => (&at.path, false),
            Self::RemoveSecret { path } => (path, false),
            _ => return None,
        };
        Some(Written { path: path.clone(), is_directory })
    }
}

/// A command, its arguments, and the exit codes that mean success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub program: &'static str,
    /// Its path, where the settings name it.
    pub path: Option<String>,
    pub arguments: Vec<String>,
    pub succeeds_with: Vec<i32>,
}
