//! Writes files so that a power cut leaves the old file or the new one, never a partial one:
//! temporary file in the same directory, fsync, rename, fsync of the directory.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid};

use super::walk::{self, Missing, OpenDirectory, Place, Walk};
use super::{Ids, LOOSE, fault, is_absent, is_foreign, open_regular, place, purpose_of};
use crate::fault::{Fault, Kind};
use crate::host::root::Root;

/// The name of a file until it is complete. It is the same in every directory, so that the next
/// write replaces what a killed process left behind. There is one writer, under our own lock.
pub(super) const TEMPORARY: &str = ".enlist-new";

/// How often to try to make a directory that another process is making, too.
const MOST_TRIES: u32 = 50;

/// Replaces a file atomically. If it is a link of root's, the link stays and its target is replaced.
///
/// # Errors
/// `Host`.
pub fn replace(
    root: &Root,
    path: &str,
    content: &[u8],
    mode: u32,
    owner: Option<Ids>,
) -> Result<(), Fault> {
    let written = root.make().and_then(|()| place(root, path)).and_then(|place| {
        let held = &place.directory;
        let written = write_new(held, content, mode, owner)
            .and_then(|()| Ok(rustix::fs::renameat(held, TEMPORARY, held, &place.name)?));
        if let Err(error) = written {
            // The partial file is useless, and the disk may be full.
            let _ = remove_temporary(held);
            return Err(error);
        }
        held.sync()
    });
    written.map_err(|error| fault(root, "could not write", path, &error))
}

/// Writes a file that is not there yet. What is there, a link included, is left as it is.
///
/// # Errors
/// `Host`.
pub fn create(root: &Root, path: &str, content: &[u8], mode: u32) -> Result<(), Fault> {
    let entry = Walk::new(root, path, purpose_of(path)).and_then(Walk::into_entry);
    let written = entry.and_then(|Place { directory, name, .. }| {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&directory, &name, flags, Mode::from_raw_mode(mode & 0o600))?;
        let mut file = std::fs::File::from(fd);
        let written = file.write_all(content).and_then(|()| set(&file, mode, None));
        if let Err(error) = written.and_then(|()| file.sync_all()) {
            let _ = rustix::fs::unlinkat(&directory, &name, AtFlags::empty());
            return Err(error);
        }
        directory.sync()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let todo = "name another file, or move this one away";
            Fault::new(Kind::Host, "a file of this name is there already", root.shown(path), todo)
        }
        _ => fault(root, "could not write", path, &error),
    })
}

fn write_new(
    held: &OpenDirectory,
    content: &[u8],
    mode: u32,
    owner: Option<Ids>,
) -> io::Result<()> {
    remove_temporary(held)?;
    // O_EXCL: a link that another account put there is not followed. Nobody else can read the file
    // before its mode is set.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(held, TEMPORARY, flags, Mode::from_raw_mode(mode & 0o600))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    set(&file, mode, owner)?;
    file.sync_all()
}

/// Sets owner and mode. The owner first: changing it clears some bits of the mode.
pub(super) fn set(file: impl std::os::fd::AsFd, mode: u32, owner: Option<Ids>) -> io::Result<()> {
    if let Some((uid, gid)) = owner {
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
}

/// Makes a directory and its missing parents, whatever the umask. Existing ones are not changed.
///
/// # Errors
/// `Host`.
pub fn make_directory(root: &Root, path: &str, mode: u32, owner: Option<Ids>) -> Result<(), Fault> {
    open_or_make(root, path, mode, owner)
        .map(drop)
        .map_err(|error| fault(root, "could not make the directory", path, &error))
}

/// Makes the directory that `--root` names.
///
/// # Errors
/// If it can't be made, or if others than root can redirect its path.
pub fn make_root(path: &Path) -> io::Result<()> {
    let path = path.to_str().ok_or(ErrorKind::InvalidInput)?;
    open_or_make(&Root::running_system(), path, 0o755, None).map(drop)
}

pub(super) fn open_or_make(
    root: &Root,
    path: &str,
    mode: u32,
    owner: Option<Ids>,
) -> io::Result<OpenDirectory> {
    root.make()?;
    Walk::new(root, path, purpose_of(path))?.into_directory_making(
        |Missing { directory, name, is_last }| {
            // Only the last directory needs the mode: parents hold no secret.
            let (mode, owner) = if is_last { (mode, owner) } else { (0o755, None) };
            directory_new(directory, name, mode, owner)
        },
    )
}

/// Makes a directory atomically with its mode and owner. Two processes that start at the same time
/// both make the state directory before either has the lock, and remove each other's temporary
/// directory: then it is tried again.
fn directory_new(
    held: &OpenDirectory,
    name: &OsStr,
    mode: u32,
    owner: Option<Ids>,
) -> io::Result<()> {
    let mut tries = 0;
    loop {
        let Err(error) = try_directory_new(held, name, mode, owner) else {
            return held.sync();
        };
        // Another process made it meanwhile: the walk checks what it is.
        if rustix::fs::statat(held, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(());
        }
        tries += 1;
        let is_race = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists);
        if !is_race || tries == MOST_TRIES {
            let _ = remove_temporary(held);
            return Err(error);
        }
    }
}

fn try_directory_new(
    held: &OpenDirectory,
    name: &OsStr,
    mode: u32,
    owner: Option<Ids>,
) -> io::Result<()> {
    remove_temporary(held)?;
    rustix::fs::mkdirat(held, TEMPORARY, Mode::from_raw_mode(mode & 0o700))?;
    give_directory(held, mode, owner)?;
    // Do not replace an existing directory: its maker may be using it already.
    match rustix::fs::renameat_with(held, TEMPORARY, held, name, RenameFlags::NOREPLACE) {
        // The file system, or a kernel before 3.15, does not support this.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            Ok(rustix::fs::renameat(held, TEMPORARY, held, name)?)
        }
        renamed => Ok(renamed?),
    }
}

/// Sets owner and mode of the new directory. In a directory of another account, that account may
/// have replaced it. So its owner is changed only if it is an empty directory of ours.
fn give_directory(held: &OpenDirectory, mode: u32, owner: Option<Ids>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(held, TEMPORARY, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&directory)?;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    let is_empty = rustix::fs::Dir::read_from(&directory)?
        .filter_map(Result::ok)
        .all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."));
    if !is_ours || !is_empty {
        return Err(io::Error::other(format!(
            "another process replaced the directory that was being made in {}",
            held.path().display()
        )));
    }
    set(&directory, mode, owner)?;
    Ok(rustix::fs::fsync(&directory)?)
}

/// Removes a file or a link. Does nothing if it does not exist.
///
/// # Errors
/// `Host`.
pub fn remove(root: &Root, path: &str) -> Result<(), Fault> {
    let entry = Walk::new(root, path, purpose_of(path)).and_then(Walk::into_entry);
    match entry.and_then(|place| unlink(&place, AtFlags::empty())) {
        Err(error) if !is_absent(&error) => Err(fault(root, "could not remove", path, &error)),
        _ => Ok(()),
    }
}

/// Removes a file that holds a secret. If the path is a link, the file that it leads to goes first, so that the
/// secret does not stay.
///
/// # Errors
/// `Host`.
pub fn remove_secret(root: &Root, path: &str) -> Result<(), Fault> {
    let file = Walk::new(root, path, purpose_of(path)).and_then(Walk::into_place);
    match file.and_then(|place| unlink(&place, AtFlags::empty())) {
        Err(error) if !is_absent(&error) => Err(fault(root, "could not remove", path, &error)),
        _ => remove(root, path),
    }
}

pub(super) fn unlink(place: &Place, flags: AtFlags) -> io::Result<()> {
    rustix::fs::unlinkat(&place.directory, &place.name, flags)?;
    place.directory.sync()
}

/// Removes temporary files that a killed process left in the directory of this path and in those
/// above it. For a path that is not written again.
///
/// # Errors
/// `Host`.
pub fn remove_temporaries(root: &Root, path: &str) -> Result<(), Fault> {
    Path::new(path)
        .ancestors()
        .filter_map(|path| path.parent()?.to_str())
        .try_for_each(|directory| remove_temporaries_in(root, directory))
}

/// Likewise, in one directory only.
///
/// # Errors
/// `Host`.
pub fn remove_temporaries_in(root: &Root, directory: &str) -> Result<(), Fault> {
    let removed = Walk::new(root, directory, purpose_of(directory))
        .and_then(Walk::into_directory)
        .and_then(|held| if remove_temporary(&held)? { held.sync() } else { Ok(()) });
    match removed {
        Err(error) if !is_absent(&error) => {
            let path = format!("{}/{TEMPORARY}", directory.trim_end_matches('/'));
            Err(fault(root, "could not remove", &path, &error))
        }
        _ => Ok(()),
    }
}

/// Removes the temporary file or empty directory; returns whether there was one.
fn remove_temporary(held: &OpenDirectory) -> io::Result<bool> {
    let stat = match rustix::fs::statat(held, TEMPORARY, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let flags =
        if walk::is(&stat, FileType::Directory) { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match rustix::fs::unlinkat(held, TEMPORARY, flags) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Removes the permissions that a private key must not have, and logs it. A key of a foreign user is
/// given to its intended owner. Does nothing if the file does not exist.
///
/// # Errors
/// `Host`.
pub fn tighten(root: &Root, path: &str, owner: Option<Ids>) -> Result<(), Fault> {
    let tightened = place(root, path).and_then(|place| {
        let (file, stat) = open_regular(root, &place, OFlags::RDONLY)?;
        let (mode, path) = (stat.st_mode & 0o7777, root.shown(path));
        if is_foreign(root, stat.st_uid, place.directory.stat().st_uid, owner) {
            let was = root.account(stat.st_uid);
            tracing::warn!(
                path,
                was,
                "this private key belonged to another user; its owner was corrected"
            );
            set(&file, mode & !LOOSE, owner.or(Some((0, 0))))?;
        } else if mode & LOOSE != 0 {
            let was = format!("{mode:04o}");
            tracing::warn!(
                path,
                was,
                "other users could read or write this private key; its mode was corrected"
            );
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & !LOOSE))?;
        }
        Ok(())
    });
    match tightened {
        Err(error) if !is_absent(&error) => {
            Err(fault(root, "its permissions can't be corrected", path, &error))
        }
        _ => Ok(()),
    }
}
