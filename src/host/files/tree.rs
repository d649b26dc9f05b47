//! Directories with their content. Each step walks its path anew, so another account can't redirect
//! it by a change in between.

use std::io;

use rustix::fs::{AtFlags, Dir};

use super::walk::Walk;
use super::write::unlink;
use super::{
    Existing, existing, fault, is_absent, make_directory, parent_of, purpose_of, remove, replace,
};
use crate::fault::Fault;
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

/// Copies a file, or a directory with its content. Does nothing if it does not exist.
///
/// # Errors
/// `Host`.
pub fn copy_tree(root: &Root, from: &str, to: &str) -> Result<(), Fault> {
    let walked = Walk::new(root, from, purpose_of(from)).and_then(Walk::into_directory);
    let Ok(held) = walked else {
        let Some(Existing { content, mode, .. }) = existing(root, from)? else {
            return Ok(());
        };
        let content = zeroize::Zeroizing::new(content);
        parent_of(to).map_or(Ok(()), |parent| make_directory(root, parent, 0o700, None))?;
        return replace(root, to, &content, mode & 0o777, None);
    };
    make_directory(root, to, held.stat().st_mode & 0o777, None)?;
    let names = names(root, from).map_err(|error| fault(root, "could not read", from, &error))?;
    names
        .iter()
        .try_for_each(|name| copy_tree(root, &format!("{from}/{name}"), &format!("{to}/{name}")))
}

/// Removes a file, or a directory with its content. Removes a link itself, not its target. Does
/// nothing if it does not exist.
///
/// # Errors
/// `Host`.
pub fn remove_tree(root: &Root, path: &str) -> Result<(), Fault> {
    let failed = |error: &io::Error| fault(root, "could not remove", path, error);
    let place = match Walk::new(root, path, purpose_of(path)).and_then(Walk::into_entry) {
        Ok(place) => place,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    if !place.is_directory() {
        return remove(root, path);
    }
    for name in names(root, path).map_err(|error| failed(&error))? {
        remove_tree(root, &format!("{path}/{name}"))?;
    }
    unlink(&place, AtFlags::REMOVEDIR).map_err(|error| failed(&error))
}
