//! What is written for an engine. A [`Bundle`] is a pure plan: it says what is to stand where, and
//! the host makes it so. Every action is idempotent: a bundle that was cut short is performed again,
//! whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RequiredSettings;
use crate::secret::Secret;

/// Where something stands, and whose it is. Paths carry no `--root`; the host adds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    /// Permission bits, such as `0o640`.
    pub mode: u32,
    /// The account (user and group of that name) that owns it where it exists, else root.
    pub owner: Option<&'static str>,
}

/// What kind of file is installed. The text of each is part of the record and of
/// `enlist status --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    #[serde(rename = "key")]
    Key,
    #[serde(rename = "certificate")]
    Certificate,
    /// A certificate request.
    #[serde(rename = "request")]
    Request,
    #[serde(rename = "CA")]
    Ca,
    #[serde(rename = "settings")]
    Settings,
    /// What the engine's first run is told.
    #[serde(rename = "first boot")]
    FirstBoot,
    /// The engine's own file of its identity, with the key in it.
    #[serde(rename = "agent")]
    AgentIdentity,
    /// An activation's id and code.
    #[serde(rename = "activation")]
    Activation,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Certificate => "certificate",
            Self::Request => "request",
            Self::Ca => "CA",
            Self::Settings => "settings",
            Self::FirstBoot => "first boot",
            Self::AgentIdentity => "agent",
            Self::Activation => "activation",
        })
    }
}

/// A file that enlist installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    #[serde(rename = "what")]
    pub item: Item,
    /// Without the `--root` prefix.
    pub path: String,
}

impl Installed {
    #[must_use]
    pub fn new(item: Item, path: &str) -> Self {
        Self { item, path: path.to_owned() }
    }
}

/// Everything that is done for the engine at one moment, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The engine's own lock, held while the actions are performed.
    pub lock: Option<PidLock>,
    pub actions: Vec<Action>,
    /// A command to run after them.
    pub run: Option<Run>,
}

/// A lock file that holds the pid of whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidLock {
    pub at: Place,
    /// What a process of the engine has in its arguments. A pid that now belongs to some other
    /// program holds nothing.
    pub program: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a directory with this mode and owner where it is missing.
    Directory(Place),
    /// Replaces a file as a whole.
    File {
        item: Item,
        at: Place,
        content: String,
        /// Files that are of no use once this one's content changes; moved to the backups.
        outdates: Vec<String>,
    },
    /// Moves the private key to its place from where it was made. A plan never holds its content.
    Key { at: Place, from: String },
    /// Sets settings in the engine's INI file and keeps every other line. Those of `overriding` are
    /// set only where the file has them.
    Settings {
        at: Place,
        values: Vec<(&'static str, String)>,
        overriding: Vec<(&'static str, String)>,
    },
    /// Writes a block of ours, between two lines that mark it, into a file of the admin's. Every
    /// other line is kept.
    Block { item: Item, at: Place, content: String },
    /// Writes a file that holds the private key. The key's PEM is read from `key` and put in place
    /// of the marker, each line indented like it; a plan never holds it.
    WithKey { item: Item, at: Place, content: String, marker: &'static str, key: String },
    /// Writes a file whose content is a secret.
    Secret { item: Item, at: Place, content: Secret },
    /// Removes a file of ours after a backup.
    RemoveWithBackup { path: String },
    /// Removes a file that holds a secret; no copy is kept.
    RemoveSecret { path: String },
    /// Removes our settings from an INI file and puts back those that they replaced.
    RemoveSettings { path: String, names: Vec<&'static str> },
    /// Removes our block from a file.
    RemoveBlock { path: String },
    /// Makes a file that keeps the engine from running, where there is none.
    Hold { at: Place, content: String },
    /// Removes such a file if it has this content, and so is ours.
    Release { path: String, content: String },
    /// Fails where this file or directory could not be written. Writes nothing.
    CheckWritable(Written),
    /// Fails where it can be seen that the engine would not use what is going to be installed.
    CheckSettings(RequiredSettings),
    /// Asks the engine what it uses, sets what is ours to set, and fails where the engine still
    /// would not use what was installed.
    ConfirmSettings(RequiredSettings),
}

/// Something that will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub path: String,
    pub is_directory: bool,
}

impl Bundle {
    #[must_use]
    pub fn of(actions: Vec<Action>) -> Self {
        Self { actions, ..Self::default() }
    }

    /// The files that stand once it is performed.
    #[must_use]
    pub fn installed_files(&self) -> Vec<Installed> {
        let files = self.actions.iter().filter_map(Action::installed_file);
        files.map(|(item, path)| Installed::new(item, path)).collect()
    }

    /// Puts checks before its actions: whether it and `later` can be written, and whether the engine
    /// will use what `later` installs.
    pub fn check_first(&mut self, later: &Self, required: Option<RequiredSettings>) {
        let written = self.written().into_iter().chain(later.written());
        let mut checks: Vec<Action> = written.map(Action::CheckWritable).collect();
        checks.extend(required.map(Action::CheckSettings));
        self.actions.splice(0..0, checks);
    }

    fn written(&self) -> Vec<Written> {
        self.actions.iter().filter_map(Action::written).collect()
    }
}

impl Action {
    #[must_use]
    pub fn installed_file(&self) -> Option<(Item, &str)> {
        match self {
            Self::File { item, at, .. }
            | Self::Block { item, at, .. }
            | Self::WithKey { item, at, .. }
            | Self::Secret { item, at, .. } => Some((*item, at.path.as_str())),
            Self::Key { at, .. } => Some((Item::Key, at.path.as_str())),
            Self::Settings { at, .. } => Some((Item::Settings, at.path.as_str())),
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
