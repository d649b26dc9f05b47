//! Checks whether a path can be written, without writing to it.

use std::io::{self, ErrorKind};

use rustix::fs::{Access, AtFlags, FileType, StatVfsMountFlags};
use rustix::io::Errno;

use super::refusal::Refusal;
use super::walk::{self, OpenDirectory, Place, Walk};
use super::{fault, parent_of, place, purpose_of, trust};
use crate::fault::Fault;
use crate::host::root::Root;

/// Checks whether a file can be written later: the existing directories of the path may be used,
/// the last of them and the file are writable, and the file system has room.
///
/// # Errors
/// `Host`, as `replace` would return it.
pub fn check_writable(root: &Root, path: &str) -> Result<(), Fault> {
    let checked = match place(root, path) {
        Ok(found) if found.is_directory() => Err(Errno::ISDIR.into()),
        Ok(found) => writable(root, &found.directory).and_then(|()| replaceable(&found)),
        // Its directory does not exist yet, so check the nearest directory that does.
        Err(error) if error.kind() == ErrorKind::NotFound && Refusal::of(&error).is_none() => {
            match (dangling(root, path), parent_of(path)) {
                (Err(error), _) => Err(error),
                (Ok(()), Some(parent)) if parent != "/" => return check_directory(root, parent),
                (Ok(()), _) => return Ok(()),
            }
        }
        Err(error) => Err(error),
    };
    checked.map_err(|error| fault(root, "it can't be written", path, &error))
}

/// A link into a directory that does not exist: nothing can be written there, and the directory is not
/// made.
fn dangling(root: &Root, path: &str) -> io::Result<()> {
    let Ok(entry) = Walk::new(root, path, purpose_of(path)).and_then(Walk::into_entry) else {
        return Ok(());
    };
    if !entry.stat.is_some_and(|stat| walk::is(&stat, FileType::Symlink)) {
        return Ok(());
    }
    let target = rustix::fs::readlinkat(&entry.directory, &entry.name, Vec::new())?;
    Err(Refusal::dangling(&entry.path(), &target.to_string_lossy()))
}

/// Checks whether files can be written in a directory, which may not exist yet.
///
/// # Errors
/// As for [`check_writable`].
pub fn check_directory(root: &Root, path: &str) -> Result<(), Fault> {
    let held = Walk::new(root, path, purpose_of(path)).and_then(Walk::into_directory);
    match held {
        Err(error) if error.kind() == ErrorKind::NotFound && Refusal::of(&error).is_none() => {
            parent_of(path).map_or(Ok(()), |parent| check_directory(root, parent))
        }
        held => held
            .and_then(|held| writable(root, &held))
            .map_err(|error| fault(root, "nothing can be written in it", path, &error)),
    }
}

/// The kernel refuses to replace an immutable file, even for root.
fn replaceable(place: &Place) -> io::Result<()> {
    if place.stat.is_none() {
        return Ok(());
    }
    let flags = AtFlags::EACCESS;
    match rustix::fs::accessat(&place.directory, &place.name, Access::WRITE_OK, flags) {
        Err(error @ (Errno::PERM | Errno::ROFS)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn writable(root: &Root, held: &OpenDirectory) -> io::Result<()> {
    // What is written there could not be read again.
    trust::check_holder(root, held)?;
    let space = rustix::fs::fstatvfs(held)?;
    if space.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(Errno::ROFS.into());
    }
    // Some file systems do not count blocks or inodes, and report 0 of 0.
    let has_no_block = space.f_blocks > 0 && space.f_bfree == 0;
    let has_no_inode = space.f_files > 0 && space.f_ffree == 0;
    if has_no_block || has_no_inode {
        return Err(Errno::NOSPC.into());
    }
    rustix::fs::accessat(held, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
    // `chattr +i` stops root, too. A file system may not have these attributes.
    let attributes = held.readable().and_then(|fd| Ok(rustix::fs::ioctl_getflags(fd)?));
    let fixed = rustix::fs::IFlags::IMMUTABLE | rustix::fs::IFlags::APPEND;
    if attributes.is_ok_and(|flags| flags.intersects(fixed)) {
        let what =
            format!("{} has the attribute i or a; see: lsattr -d {0}", held.path().display());
        return Err(io::Error::new(ErrorKind::PermissionDenied, what));
    }
    Ok(())
}
