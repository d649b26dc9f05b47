//! Directories with their content. Each step walks its path anew, so another account can't redirect
//! it by a change in between.

use std::io;

use rustix::fs::{AtFlags, Dir};

use super::walk::Walk;
use super::write::unlink;
use super::{
    Existing, existing, fault, is_absent, make_directory, parent_of, purpose_of, remove, replace,
};
use crate::fault::{Fault, Kind};
use crate::host::root::Root;

/// How much memory the names of one directory may take, in bytes: some hundred thousand names.
const LARGEST_LIST: usize = 8 * 1024 * 1024;

/// The names in a directory, sorted. Names that are not UTF-8 are left out.
///
/// # Errors
/// If the directory does not exist or can't be read, or has too many names.
pub fn names(root: &Root, directory: &str) -> io::Result<Vec<String>> {
    let held = Walk::new(root, directory, purpose_of(directory))?.into_directory()?;
    let (mut names, mut bytes) = (Vec::new(), 0);
    for entry in Dir::read_from(held.readable()?)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => {
                bytes += name.len() + size_of::<String>();
                names.push(name.to_owned());
            }
        }
        if bytes > LARGEST_LIST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has too many names"));
        }
    }
    names.sort();
    Ok(names)
}

/// Moves a file, also to another file system, by copying it and then removing it. Does nothing if
/// the file does not exist.
///
/// # Errors
/// `Host`.
pub fn move_file(root: &Root, from: &str, to: &str) -> Result<(), Fault> {
    if let Some(Existing { content, mode, .. }) = existing(root, from)? {
        replace(root, to, &zeroize::Zeroizing::new(content), mode & 0o777, None)?;
        remove(root, from)?;
    }
    Ok(())
}

/// Limits for a tree. The largest that is copied is an agent's vault, a handful of files. If an
/// account can write to it, it could make a tree that takes hours, or fills the disk.
const DEEPEST: usize = 32;
const MOST_FILES: usize = 1000;
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Copies a file, or a directory with its content. Does nothing if it does not exist.
///
/// # Errors
/// `Host`, also if there is too much in the directory.
pub fn copy_tree(root: &Root, from: &str, to: &str) -> Result<(), Fault> {
    Copy { root, top: from, files: 0, bytes: 0 }.copy(from, to, 0)
}

struct Copy<'a> {
    root: &'a Root,
    top: &'a str,
    /// What was copied so far.
    files: usize,
    bytes: usize,
}

impl Copy<'_> {
    fn copy(&mut self, from: &str, to: &str, depth: usize) -> Result<(), Fault> {
        let root = self.root;
        let walked = Walk::new(root, from, purpose_of(from)).and_then(Walk::into_directory);
        let Ok(held) = walked else {
            return self.copy_file(from, to);
        };
        let names =
            names(root, from).map_err(|error| fault(root, "could not read", from, &error))?;
        self.files = self.files.saturating_add(names.len());
        if depth > DEEPEST || self.files > MOST_FILES {
            return Err(too_much(root, "could not copy", self.top));
        }
        make_directory(root, to, held.stat().st_mode & 0o777, None)?;
        drop(held);
        names.iter().try_for_each(|name| {
            self.copy(&format!("{from}/{name}"), &format!("{to}/{name}"), depth + 1)
        })
    }

    fn copy_file(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        let Some(Existing { content, mode, .. }) = existing(self.root, from)? else {
            return Ok(());
        };
        let content = zeroize::Zeroizing::new(content);
        self.bytes = self.bytes.saturating_add(content.len());
        if self.bytes > MOST_BYTES {
            return Err(too_much(self.root, "could not copy", self.top));
        }
        parent_of(to).map_or(Ok(()), |parent| make_directory(self.root, parent, 0o700, None))?;
        replace(self.root, to, &content, mode & 0o777, None)
    }
}

/// Removes a file, or a directory with its content. Removes a link itself, not its target. Does
/// nothing if it does not exist.
///
/// # Errors
/// `Host`, also if the directory is nested too deeply.
pub fn remove_tree(root: &Root, path: &str) -> Result<(), Fault> {
    remove_below(root, path, path, 0)
}

fn remove_below(root: &Root, top: &str, path: &str, depth: usize) -> Result<(), Fault> {
    let failed = |error: &io::Error| fault(root, "could not remove", path, error);
    if depth > DEEPEST {
        return Err(too_much(root, "could not remove", top));
    }
    let place = match Walk::new(root, path, purpose_of(path)).and_then(Walk::into_entry) {
        Ok(place) => place,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    if !place.is_directory() {
        return remove(root, path);
    }
    for name in names(root, path).map_err(|error| failed(&error))? {
        remove_below(root, top, &format!("{path}/{name}"), depth + 1)?;
    }
    unlink(&place, AtFlags::REMOVEDIR).map_err(|error| failed(&error))
}

fn too_much(root: &Root, what: &str, path: &str) -> Fault {
    let on = root.shown(path);
    let todo =
        format!("check what is in it, and remove what does not belong there: find {on} | tail");
    let cause = format!(
        "it has more than {MOST_FILES} files, {} MiB or {DEEPEST} levels of directories",
        MOST_BYTES / 1024 / 1024
    );
    Fault::new(Kind::Host, what, on, todo).cause(cause)
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, MOST_FILES, copy_tree, remove_tree};
    use crate::host::Root;
    use crate::host::files::{exists, make_directory, names, read, replace};

    fn scratch() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        (directory, root)
    }

    #[test]
    fn a_tree_is_copied_and_removed() {
        let (_directory, root) = scratch();
        make_directory(&root, "/a/b", 0o700, None).unwrap();
        replace(&root, "/a/b/c", b"x", 0o640, None).unwrap();
        copy_tree(&root, "/a", "/copy").unwrap();
        assert_eq!(read(&root, "/copy/b/c").unwrap(), b"x");
        copy_tree(&root, "/missing", "/other").unwrap();
        assert!(!exists(&root, "/other"));
        for _ in 0..2 {
            remove_tree(&root, "/a").unwrap();
            assert!(!exists(&root, "/a"));
        }
    }

    #[test]
    fn a_tree_that_is_too_deep_or_too_large_is_refused() {
        let (_directory, root) = scratch();
        let deep = |levels: usize| format!("/deep{}", "/d".repeat(levels));
        make_directory(&root, &deep(DEEPEST), 0o700, None).unwrap();
        copy_tree(&root, "/deep", "/copy").unwrap();
        make_directory(&root, &deep(DEEPEST + 1), 0o700, None).unwrap();
        assert!(copy_tree(&root, "/deep", "/other").is_err());
        assert!(remove_tree(&root, "/deep").is_err());
        make_directory(&root, "/many", 0o700, None).unwrap();
        for number in 0..=MOST_FILES {
            std::fs::write(root.at(&format!("/many/{number}")), "").unwrap();
        }
        assert!(copy_tree(&root, "/many", "/other").is_err());
        assert_eq!(names(&root, "/copy").unwrap(), ["d"]);
    }
}
