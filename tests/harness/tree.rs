//! What stands on a node's disk, and how it came to stand there: one write or removal after the
//! other, each with the state that a crash in the middle of it leaves.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use enlist::engines::Place;

/// What `host::files` calls a file until it is whole.
pub const TEMPORARY: &str = ".enlist-new";

/// Above the largest pid there can be (2^22), so nobody's: what a lock says whose holder died.
const NOBODY: &str = "4194305";

/// Files (content, mode) and directories (mode), by their path below the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
    pub directories: BTreeMap<PathBuf, u32>,
}

/// One change that the kernel makes whole or not at all.
#[derive(Clone, Debug)]
enum Change {
    /// Under a temporary name, then its renaming.
    Directory(PathBuf, u32),
    /// Likewise.
    Write(PathBuf, Vec<u8>, u32),
    Remove(PathBuf),
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Self::Directory(path, _) | Self::Write(path, ..) | Self::Remove(path) => path,
        }
    }
}

impl Tree {
    /// What stands below a root. Links (the agent's program) are no part of it.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        tree.read_below(root, Path::new(""));
        tree
    }

    fn read_below(&mut self, root: &Path, below: &Path) {
        for entry in fs::read_dir(root.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            let meta = entry.metadata().unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            if meta.is_dir() {
                self.directories.insert(path.clone(), mode);
                self.read_below(root, &path);
            } else if meta.is_file() {
                self.files.insert(path, (fs::read(entry.path()).unwrap(), mode));
            }
        }
    }

    /// Changes the directory, which is in the state `self`, so that it is in `wanted`.
    pub fn make_so(&self, root: &Path, wanted: &Self) {
        for path in self.files.keys().filter(|path| !wanted.files.contains_key(*path)) {
            fs::remove_file(root.join(path)).unwrap();
        }
        for path in self.directories.keys().rev() {
            if !wanted.directories.contains_key(path) {
                fs::remove_dir(root.join(path)).unwrap();
            }
        }
        for (path, mode) in &wanted.directories {
            if !self.directories.contains_key(path) {
                fs::create_dir(root.join(path)).unwrap();
            }
            fs::set_permissions(root.join(path), Permissions::from_mode(*mode)).unwrap();
        }
        for (path, (content, mode)) in &wanted.files {
            if self.files.get(path) != Some(&(content.clone(), *mode)) {
                fs::write(root.join(path), content).unwrap();
                fs::set_permissions(root.join(path), Permissions::from_mode(*mode)).unwrap();
            }
        }
    }

    /// How many states a crash on that way can leave.
    pub fn states_between(&self, after: &Self) -> usize {
        let weight = |change: &Change| match change {
            Change::Directory(..) | Change::Write(..) => 2,
            Change::Remove(_) => 1,
        };
        self.changes_towards(after).iter().map(weight).sum()
    }

    /// Every state that a crash on the way from `self` to `after` can leave, in order; the last
    /// one is `after`.
    pub fn states_towards(&self, after: &Self) -> Vec<Self> {
        let mut states = Vec::new();
        let mut state = self.clone();
        for change in self.changes_towards(after) {
            match change {
                Change::Directory(path, mode) => {
                    let mut torn = state.without_temporary(&path);
                    torn.directories.insert(path.with_file_name(TEMPORARY), mode & 0o700);
                    states.push(torn);
                    state = state.without_temporary(&path);
                    state.directories.insert(path, mode);
                }
                Change::Write(path, content, mode) => {
                    let mut torn = state.without_temporary(&path);
                    let temporary = path.with_file_name(TEMPORARY);
                    let half = content[..content.len() / 2].to_vec();
                    torn.files.insert(temporary, (half, mode & 0o600));
                    states.push(torn);
                    // Renamed, and with it goes what an earlier crash left there.
                    state = state.without_temporary(&path);
                    state.files.insert(path, (content, mode));
                }
                Change::Remove(path) => {
                    state.files.remove(&path);
                }
            }
            states.push(state.clone());
        }
        assert_eq!(states.last().unwrap_or(self).files, after.files);
        states
    }

    /// What an earlier crash left beside this path goes with the next writing there.
    fn without_temporary(&self, path: &Path) -> Self {
        let mut tree = self.clone();
        tree.files.remove(&path.with_file_name(TEMPORARY));
        tree.directories.remove(&path.with_file_name(TEMPORARY));
        tree
    }

    /// The order is that of every room that writes: copies first, a former file goes once its
    /// copy stands, then comes what all that was for; what was moved goes last.
    fn changes_towards(&self, after: &Self) -> Vec<Change> {
        let made = after.directories.iter();
        let made = made.filter(|(path, _)| !self.directories.contains_key(*path));
        let mut changes: Vec<Change> =
            made.map(|(path, mode)| Change::Directory(path.clone(), *mode)).collect();
        // A temporary file goes with the renaming that it is there for.
        let removed = self
            .files
            .keys()
            .filter(|path| !after.files.contains_key(*path) && !path.ends_with(TEMPORARY));
        let written = after.files.iter().filter(|(path, file)| self.files.get(*path) != Some(file));
        let (copies, others): (Vec<_>, Vec<_>) = written.partition(|(path, _)| is_kept_aside(path));
        let moved =
            |gone: &PathBuf| others.iter().any(|(_, (text, _))| *text == self.files[gone].0);
        let (last, mut first): (Vec<_>, Vec<_>) = removed.partition(|path| moved(path));
        for (path, (content, mode)) in copies {
            changes.push(Change::Write(path.clone(), content.clone(), *mode));
            first.retain(|gone| {
                let is_copied = self.files[*gone].0 == *content;
                if is_copied {
                    changes.push(Change::Remove((*gone).clone()));
                }
                !is_copied
            });
        }
        changes.extend(first.into_iter().cloned().map(Change::Remove));
        for (path, (content, mode)) in others {
            changes.push(Change::Write(path.clone(), content.clone(), *mode));
        }
        changes.extend(last.into_iter().cloned().map(Change::Remove));
        // Half of a writing that nobody took up again.
        let is_written = |path: &PathBuf| {
            let parent = path.parent();
            changes.iter().any(|change| {
                !matches!(change, Change::Remove(_)) && change.path().parent() == parent
            })
        };
        let halves = self.files.keys().filter(|path| {
            path.ends_with(TEMPORARY) && !after.files.contains_key(*path) && !is_written(path)
        });
        let halves: Vec<Change> = halves.cloned().map(Change::Remove).collect();
        changes.extend(halves);
        changes
    }
}

/// The state with the lock in it, where its directory stands by then; its holder is dead.
pub fn locked(mut state: Tree, lock: Option<&Place>) -> Tree {
    if let Some(lock) = lock {
        let path = PathBuf::from(lock.path.trim_start_matches('/'));
        if path.parent().is_some_and(|parent| state.directories.contains_key(parent)) {
            state.files.insert(path, (NOBODY.as_bytes().to_vec(), lock.mode));
        }
    }
    state
}

/// Whether a path is a copy that `Store` keeps: a backup, or another machine's identity.
pub fn is_kept_aside(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/backup/") || text.contains("/aside-")
}
