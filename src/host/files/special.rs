//! Files with a special use: locks, a log, a socket.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::process::{Gid, Uid};

use super::refusal::Refusal;
use super::walk::{self, OpenDirectory, Walk};
use super::write::{open_or_make, set};
use super::{Ids, open_regular, parent_of, place, purpose_of};
use crate::host::root::Root;

/// Opens a lock file, and makes it with mode 0600 if it is missing.
///
/// # Errors
/// If it can't be made or opened, or is not a regular file.
pub fn open_lock(root: &Root, path: &str) -> io::Result<File> {
    open_or_create(root, path, OFlags::RDWR, 0o600).map(|(file, _)| file)
}

/// Opens a file that exists, to look at its lock.
///
/// # Errors
/// If there is none, or it is not a regular file.
pub fn open_to_read(root: &Root, path: &str) -> io::Result<File> {
    let place = place(root, path)?;
    open_regular(root, &place, OFlags::RDONLY).map(|(file, _)| file)
}

/// Opens a log for appending, and makes it and its directory if they are missing. A file that others
/// may have put there is refused.
///
/// # Errors
/// As for [`open_lock`].
pub fn append(root: &Root, path: &str, mode: u32) -> io::Result<File> {
    if let Some(parent) = parent_of(path) {
        open_or_make(root, parent, 0o755, None)?;
    }
    open_or_create(root, path, OFlags::WRONLY | OFlags::APPEND, mode).map(|(file, _)| file)
}

/// Appends one line, and makes the file and its directory if they are missing. A line that was torn, by
/// a full disk, is ended first, so that it takes no other line with it. Processes that append at the
/// same time wait for each other. A new file that root makes belongs to the owner of its directory, who
/// is to append to it, too.
///
/// # Errors
/// As for [`append`], if everybody can write to the file or replace it, and if the line can't be written
/// whole.
pub fn append_line(root: &Root, path: &str, mode: u32, line: &str) -> io::Result<()> {
    if let Some(parent) = parent_of(path) {
        open_or_make(root, parent, 0o755, None)?;
    }
    let access = OFlags::RDWR | OFlags::APPEND;
    let (mut file, directory) = open_or_create(root, path, access, mode)?;
    let holder = directory.stat();
    // In a sticky directory, others can't replace the file.
    if holder.st_mode & 0o1002 == 0o002 {
        return Err(Refusal::forgeable(&root.at(parent_of(path).unwrap_or("/"))));
    }
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    let metadata = file.metadata()?;
    if metadata.mode() & 0o002 != 0 {
        return Err(Refusal::forgeable(&root.at(path)));
    }
    let mut last = [b'\n'];
    let length = metadata.len();
    if let Some(at) = length.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    if length == 0 && rustix::process::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(holder.st_uid), Gid::from_raw(holder.st_gid));
        rustix::fs::fchown(&file, Some(user), Some(group))?;
    }
    let start = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{start}{line}\n").as_bytes())
}

/// Whether the file is a regular one, and the account that it belongs to, by name. None if there is
/// none, or it can't be looked at.
#[must_use]
pub fn holder(root: &Root, path: &str) -> Option<(bool, String)> {
    let stat = place(root, path).ok()?.stat?;
    Some((walk::is(&stat, FileType::RegularFile), root.account(stat.st_uid)))
}

/// The file, and the directory that it is in.
fn open_or_create(
    root: &Root,
    path: &str,
    access: OFlags,
    mode: u32,
) -> io::Result<(File, OpenDirectory)> {
    let mut place = place(root, path)?;
    if place.stat.is_none() {
        let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        match rustix::fs::openat(&place.directory, &place.name, flags, mode) {
            Ok(fd) => {
                rustix::fs::fchmod(&fd, mode)?;
                return Ok((File::from(fd), place.directory));
            }
            // Another process made it meanwhile: open it like any existing file.
            Err(rustix::io::Errno::EXIST) => {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                place.stat = Some(rustix::fs::statat(&place.directory, &place.name, flags)?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let (file, stat) = open_regular(root, &place, access)?;
    if !root.trusts(stat.st_uid) || stat.st_nlink > 1 {
        return Err(Refusal::foreign(root, &place.path(), &stat));
    }
    Ok((file, place.directory))
}

/// A lock file that other programs check too. It holds a process id, and is removed when dropped.
#[derive(Debug)]
pub struct LinkLock {
    directory: OpenDirectory,
    name: OsString,
}

/// Makes such a lock, atomically with its content: an empty file would not name the holder.
///
/// # Errors
/// `AlreadyExists` if the lock exists; else if it can't be made.
pub fn link_lock(
    root: &Root,
    path: &str,
    content: &str,
    mode: u32,
    owner: Option<Ids>,
) -> io::Result<LinkLock> {
    const TEMPORARY: &str = ".ssl.lock.enlist-new";
    let place = place(root, path)?;
    if place.stat.is_some() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let held = &place.directory;
    let _ = rustix::fs::unlinkat(held, TEMPORARY, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let linked = rustix::fs::openat(held, TEMPORARY, flags, Mode::from_raw_mode(mode & 0o600))
        .map_err(io::Error::from)
        .and_then(|fd| {
            let mut file = File::from(fd);
            file.write_all(content.as_bytes())?;
            set(&file, mode, owner)?;
            Ok(rustix::fs::linkat(held, TEMPORARY, held, &place.name, AtFlags::empty())?)
        });
    let _ = rustix::fs::unlinkat(held, TEMPORARY, AtFlags::empty());
    linked.map(|()| LinkLock { directory: place.directory, name: place.name })
}

impl Drop for LinkLock {
    fn drop(&mut self) {
        let _ = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty());
    }
}

/// Listens on a Unix socket, and makes its directory if it is missing. An existing socket is
/// replaced. The socket has its mode from the beginning.
///
/// # Errors
/// If something else exists there, or it can't be made.
pub fn bind(root: &Root, path: &str, mode: u32) -> io::Result<UnixListener> {
    if let Some(parent) = parent_of(path) {
        open_or_make(root, parent, 0o755, None)?;
    }
    let place = Walk::new(root, path, purpose_of(path))?.into_entry()?;
    if let Some(stat) = &place.stat {
        if !walk::is(stat, FileType::Socket) {
            return Err(Refusal::not_a_socket(&place.path()));
        }
        rustix::fs::unlinkat(&place.directory, &place.name, AtFlags::empty())?;
    }
    // There is no `bindat`. This path names the open directory, wherever its own path leads now.
    let by_descriptor = std::path::PathBuf::from("/proc/self/fd")
        .join(place.directory.as_fd().as_raw_fd().to_string())
        .join(&place.name);
    // Only the umask decides a socket's mode. Every other file gets its mode explicitly.
    let before = rustix::process::umask(Mode::from_raw_mode(0o777 & !mode));
    let listener = UnixListener::bind(by_descriptor);
    rustix::process::umask(before);
    listener
}
