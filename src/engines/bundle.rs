//! What is written for an engine. A [`Bundle`] is a pure list of actions, which the host performs.
//! Every action is idempotent, so an interrupted bundle is performed again from its start.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RequiredSettings;
use crate::secret::Secret;

/// A file's path, mode and owner. The path is without the `--root` prefix; the host adds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    /// Permission bits, such as `0o640`.
    pub mode: u32,
    /// The owner: user and group of this name. None, or where there is no such account: root.
    pub owner: Option<&'static str>,
}

/// The kind of an installed file. Its text is part of the record and of `enlist status --json`.
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
    /// Revocation lists, which the engine renews by itself.
    #[serde(rename = "CRL")]
    Crl,
    #[serde(rename = "settings")]
    Settings,
    /// Chef's `first-boot.json`: the run list or policy of the first run.
    #[serde(rename = "first boot")]
    FirstBoot,
    /// The OpsWorks agent's identity file, which contains the private key.
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
            Self::Crl => "CRL",
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

/// Actions for one engine that are performed together, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The engine's own lock, held while the actions are performed.
    pub lock: Option<PidLock>,
    pub actions: Vec<Action>,
    /// A command to run after them.
    pub run: Option<Run>,
}

/// A lock file that contains the pid of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidLock {
    pub at: Place,
    /// A text in the arguments of the engine's processes. If the pid belongs to another program, the
    /// lock is stale.
    pub program: &'static str,
    /// The name that our process has while it holds the lock: the engine takes away a lock whose holder has
    /// a name unlike its own. At most 15 characters (proc_pid_comm(5)).
    pub held_as: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a directory with this mode and owner, unless it exists.
    Directory(Place),
    /// Replaces a whole file.
    File {
        item: Item,
        at: Place,
        content: String,
        /// Files that become invalid when this one changes. They are moved to the backups.
        outdates: Vec<String>,
    },
    /// Moves the private key from the staging path to its place. Its content is never part of a bundle.
    /// `replaces` is SHA-256 of the public key of the one key that may be overwritten, after a backup.
    Key { at: Place, from: String, replaces: Option<String> },
    /// Gives the installed private key its mode and owner.
    KeyMode { at: Place },
    /// Sets `values` in the engine's INI file and keeps every other line. The settings of `overriding`
    /// are changed only where the file has them already.
    Settings {
        at: Place,
        values: Vec<(&'static str, String)>,
        overriding: Vec<(&'static str, String)>,
    },
    /// Writes a block into a file of the admin's, between two comment lines that mark it. Every other
    /// line is kept.
    Block { item: Item, at: Place, content: String },
    /// Writes a file that contains the private key. The host reads the key's PEM from the file `key`
    /// and replaces the marker with it, each line indented like the marker.
    WithKey { item: Item, at: Place, content: String, marker: &'static str, key: String },
    /// Writes a file whose content is a secret.
    Secret { item: Item, at: Place, content: Secret },
    /// Backs up a file that enlist installed, and removes it.
    RemoveWithBackup { path: String },
    /// Removes a file that contains a secret, without a backup.
    RemoveSecret { path: String },
    /// Removes the settings that enlist set in an INI file, and restores those that they replaced.
    RemoveSettings { path: String, names: Vec<&'static str> },
    /// Removes the block that enlist wrote from a file.
    RemoveBlock { path: String },
    /// Makes the file that holds the engine, unless it exists. `unit` is stopped and masked as well, for an
    /// engine that does not look at the file.
    Hold { at: Place, content: String, unit: Option<&'static str> },
    /// Removes the file that holds the engine, if its content shows that enlist made it. A unit that was
    /// masked is unmasked, and started if it ran.
    Release { path: String, content: String },
    /// Checks that this file or directory can be written. Writes nothing.
    CheckWritable(Written),
    /// Checks, before the installation, that nothing would override the settings to be installed.
    CheckSettings(RequiredSettings),
    /// Asks the engine which settings it uses, corrects those that enlist may set, and fails if the
    /// engine still would not use what was installed.
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

    /// The files that exist after it is performed.
    #[must_use]
    pub fn installed_files(&self) -> Vec<Installed> {
        let files = self.actions.iter().filter_map(Action::installed_file);
        files.map(|(item, path)| Installed::new(item, path)).collect()
    }

    /// The same without stopping a unit.
    #[must_use]
    pub fn without_unit(mut self) -> Self {
        for action in &mut self.actions {
            if let Action::Hold { unit, .. } = action {
                *unit = None;
            }
        }
        self
    }

    /// Only what lets the engine run again.
    #[must_use]
    pub fn releases(&self) -> Self {
        let is_release = |action: &&Action| matches!(action, Action::Release { .. });
        Self::of(self.actions.iter().filter(is_release).cloned().collect())
    }

    /// The same, but the installed private key stays, whatever is staged.
    #[must_use]
    pub fn keeping_key(mut self) -> Self {
        for action in &mut self.actions {
            if let Action::Key { at, .. } = action {
                *action = Action::KeyMode { at: at.clone() };
            }
        }
        self
    }

    /// Removes CA files that were installed before and that it does not install.
    pub fn remove_outdated(&mut self, installed: &[Installed]) {
        let kept = self.installed_files();
        let outdated = installed.iter().filter(|it| it.item == Item::Ca && !kept.contains(it));
        let remove = |file: &Installed| Action::RemoveWithBackup { path: file.path.clone() };
        self.actions.extend(outdated.map(remove));
    }

    /// Inserts checks before its actions: that its files and those of `later` can be written, and that
    /// the engine will use what `later` installs.
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
            Self::Key { at, .. } | Self::KeyMode { at } => Some((Item::Key, at.path.as_str())),
            Self::Settings { at, .. } => Some((Item::Settings, at.path.as_str())),
            _ => None,
        }
    }

    fn written(&self) -> Option<Written> {
        let (path, is_directory) = match self {
            Self::Directory(at) => (&at.path, true),
            Self::File { at, .. }
            | Self::Key { at, .. }
            | Self::KeyMode { at }
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
    /// Its path, where the settings give one.
    pub path: Option<String>,
    pub arguments: Vec<String>,
    pub succeeds_with: Vec<i32>,
    /// Exit codes that a person has to do something about: what they mean, and what to do.
    pub failures: &'static [(i32, &'static str)],
}
