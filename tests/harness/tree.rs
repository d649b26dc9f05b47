//! The files on a node's disk, and the changes between two states: one write or removal after the other,
//! each with the state that a crash during it leaves.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use enlist::engines::Place;

/// The temporary name of a file in `host::files`.
pub const TEMPORARY: &str = ".enlist-new";

/// The pid in the lock of a dead process: larger than the largest possible pid (2^22).
const NOBODY: &str = "4194305";

/// Files (content, mode) and directories (mode), by their path below the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
    pub directories: BTreeMap<PathBuf, u32>,
}

/// One change that the kernel makes completely or not at all.
#[derive(Clone, Debug)]
enum Change {
    /// A write under a temporary name, then a rename.
    Directory(PathBuf, u32),
    /// As a file.
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
    /// Reads the files below a root. Links (the agent's program) are left out.
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

    /// Changes the directory from the state `self` to the state `wanted`.
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

    /// How many states a crash between `self` and `after` can leave.
    pub fn states_between(&self, after: &Self) -> usize {
        let weight = |change: &Change| match change {
            Change::Directory(..) | Change::Write(..) => 2,
            Change::Remove(_) => 1,
        };
        self.changes_towards(after).iter().map(weight).sum()
    }

    /// Every state that a crash between `self` and `after` can leave, in order. The last one is `after`.
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
                    // The rename also replaces the temporary file of an earlier crash.
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

    /// The state without the temporary file of this path, which the next write replaces.
    fn without_temporary(&self, path: &Path) -> Self {
        let mut tree = self.clone();
        tree.files.remove(&path.with_file_name(TEMPORARY));
        tree.directories.remove(&path.with_file_name(TEMPORARY));
        tree
    }

    /// The changes in the order in which enlist makes them: copies first, then removals of copied files,
    /// then writes, and last the removals of moved files.
    fn changes_towards(&self, after: &Self) -> Vec<Change> {
        let made = after.directories.iter();
        let made = made.filter(|(path, _)| !self.directories.contains_key(*path));
        let mut changes: Vec<Change> =
            made.map(|(path, mode)| Change::Directory(path.clone(), *mode)).collect();
        // A temporary file is removed by its rename.
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
        // The temporary file of a write that was not repeated.
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

/// The state with the lock of a dead process, where the lock's directory exists.
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
