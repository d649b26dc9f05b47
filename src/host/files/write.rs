//! Writing so that a power cut leaves the old file or the new one, never half of either:
//! temporary file in the same directory, fsync, rename, fsync of the directory.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid};

use super::walk::{self, Missing, OpenDirectory, Place, Walk};
use super::{Ids, LOOSE, fault, is_absent, is_foreign, open_regular, place, purpose_of};
use crate::fault::Fault;
use crate::host::root::Root;

/// What a file is called until it is whole. One name a directory, so that what a kill left behind
/// is taken by the next writing there: the final names of backups and evidence hold the time.
/// There is one writer, under our own lock.
pub(super) const TEMPORARY: &str = ".enlist-new";

/// How often a directory is made that somebody else is making, too.
const MOST_TRIES: u32 = 50;

/// Replaces a file at once and whole. Where a link of root's stands in its place, what that leads
/// to is replaced, and the link stays.
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
            // Whatever is left of it is worth nothing, and the disk may be full.
            let _ = remove_temporary(held);
            return Err(error);
        }
        held.sync()
    });
    written.map_err(|error| fault(root, "could not write", path, &error))
}

fn write_new(
    held: &OpenDirectory,
    content: &[u8],
    mode: u32,
    owner: Option<Ids>,
) -> io::Result<()> {
    remove_temporary(held)?;
    // New and exclusive, so that no link set there by another is followed (O_EXCL); nobody else
    // may read it before its mode is set.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(held, TEMPORARY, flags, Mode::from_raw_mode(mode & 0o600))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    set(&file, mode, owner)?;
    file.sync_all()
}

/// Owner first: giving a file away clears some of its mode's bits.
pub(super) fn set(file: impl std::os::fd::AsFd, mode: u32, owner: Option<Ids>) -> io::Result<()> {
    if let Some((uid, gid)) = owner {
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
}

/// Makes a directory and its parents where they are missing, with these modes whatever the umask;
/// those that stand stay as they are.
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
/// Where it can't be made, or others than root may choose where it leads.
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
            // Parents that we have to make are no secret; what needs guarding is the last one.
            let (mode, owner) = if is_last { (mode, owner) } else { (0o755, None) };
            directory_new(directory, name, mode, owner)
        },
    )
}

/// Like a file: it is there with its mode and owner, or not at all. Two programs that start at
/// the same moment make the state directory together, before either has the lock, and take each
/// other's temporary one away: then it is tried again.
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
        // Somebody else made it meanwhile: the walk judges what it is.
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
    // Not over one that is there, whose maker may be at work in it by now.
    match rustix::fs::renameat_with(held, TEMPORARY, held, name, RenameFlags::NOREPLACE) {
        // A file system, or a kernel before 3.15, that can't do that.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            Ok(rustix::fs::renameat(held, TEMPORARY, held, name)?)
        }
        renamed => Ok(renamed?),
    }
}

/// Gives the new directory its owner and mode. In a directory of another account, that account
/// may have put another one in its place: it is given away only where it is ours, a directory,
/// and has nothing in it.
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
            "somebody else replaced the directory that was being made in {}",
            held.path().display()
        )));
    }
    set(&directory, mode, owner)?;
    Ok(rustix::fs::fsync(&directory)?)
}

/// Removes a file, or the link that stands in its place; that there is none is as good.
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

pub(super) fn unlink(place: &Place, flags: AtFlags) -> io::Result<()> {
    rustix::fs::unlinkat(&place.directory, &place.name, flags)?;
    place.directory.sync()
}

/// Removes what a kill left behind where this file, or a directory above it, was being written:
/// for a path that nothing more is written to.
///
/// # Errors
/// `Host`.
pub fn remove_temporaries(root: &Root, path: &str) -> Result<(), Fault> {
    Path::new(path)
        .ancestors()
        .filter_map(|path| path.parent()?.to_str())
        .try_for_each(|directory| remove_temporaries_in(root, directory))
}

/// Likewise, in one directory.
///
/// # Errors
/// `Host`.
pub fn remove_temporaries_in(root: &Root, directory: &str) -> Result<(), Fault> {
    let tidied = Walk::new(root, directory, purpose_of(directory))
        .and_then(Walk::into_directory)
        .and_then(|held| if remove_temporary(&held)? { held.sync() } else { Ok(()) });
    match tidied {
        Err(error) if !is_absent(&error) => {
            let path = format!("{}/{TEMPORARY}", directory.trim_end_matches('/'));
            Err(fault(root, "could not remove", &path, &error))
        }
        _ => Ok(()),
    }
}

/// A file, or a directory with nothing in it; whether there was one.
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

/// Takes the permissions away that a private key must not give to others; says so. One that
/// belongs to neither root nor its owner is given to the owner. That there is no such file is as
/// good.
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
                "this private key belonged to another user; it no longer does"
            );
            set(&file, mode & !LOOSE, owner.or(Some((0, 0))))?;
        } else if mode & LOOSE != 0 {
            let was = format!("{mode:04o}");
            tracing::warn!(
                path,
                was,
                "other users could read or write this private key; they no longer can"
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
