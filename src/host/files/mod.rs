//! The one module that opens files. `walk` walks every path from the node's root, on directory
//! descriptors, so that no other account can redirect root to another file. Then each operation is
//! by name in the open directory.

#![allow(clippy::disallowed_methods, reason = "the one module that touches files")]

mod check;
mod refusal;
mod special;
mod tree;
mod trust;
mod walk;
mod write;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};

use super::root::Root;
use crate::fault::{Fault, Kind};
use crate::targets::STATE_DIR;
use refusal::Refusal;
use walk::{Place, Purpose, Walk};

pub use check::{check_directory, check_writable};
pub use special::{
    LinkLock, append, append_line, bind, holder, link_lock, open_lock, open_to_read,
};
pub use tree::{copy_tree, move_file, names, remove_tree};
pub use write::{
    create, make_directory, make_root, remove, remove_secret, remove_temporaries,
    remove_temporaries_in, replace, tighten,
};

/// The largest file that is read, in bytes. A CA bundle or an engine's settings take some tens of KiB,
/// and a hosts file with a long list of names a few MiB.
pub const LARGEST: u64 = 8 * 1024 * 1024;

/// Permission bits that a private key must not have: the group may read it, others nothing.
pub const LOOSE: u32 = 0o027;

/// User and group ids.
pub type Ids = (u32, u32);

/// A file's content, mode and owner, all from one descriptor.
#[derive(Debug)]
pub struct Existing {
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    pub owner: Ids,
    /// The user id of the directory's owner.
    pub directory_owner: u32,
}

/// The ids of an account, from `/etc/passwd` below the root. None if this process is not root and so
/// can't change owners.
#[must_use]
pub fn ids_of(root: &Root, account: Option<&str>) -> Option<Ids> {
    let account = account?;
    // The owner of our own entry in /proc does not tell: it is root for every process that can't be
    // dumped.
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = root.text("/etc/passwd")?;
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(account)).then_some(fields))?;
    let (uid, gid) = (fields.nth(1)?, fields.next()?);
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// Whether a private key belongs to a foreign user: not root, our user, its intended owner, or the
/// owner of its directory. Only root checks, because only root can correct it.
#[must_use]
pub fn is_foreign(root: &Root, user: u32, directory_owner: u32, owner: Option<Ids>) -> bool {
    rustix::process::geteuid().is_root()
        && !root.trusts(user)
        && directory_owner != user
        && owner.is_none_or(|(owner, _)| owner != user)
}

/// Reads a file.
///
/// # Errors
/// `Host` if it can't be read; `Config` if it is refused.
pub fn read(root: &Root, path: &str) -> Result<Vec<u8>, Fault> {
    read_bounded(root, path, LARGEST).map_err(|error| fault(root, "could not read", path, &error))
}

/// Reads a file; none if it does not exist.
///
/// # Errors
/// As for [`read`].
pub fn read_if_there(root: &Root, path: &str) -> Result<Option<Vec<u8>>, Fault> {
    existing(root, path).map(|found| found.map(|found| found.content))
}

/// Reads a file with its mode and owner; none if it does not exist.
///
/// # Errors
/// As for [`read`].
pub fn existing(root: &Root, path: &str) -> Result<Option<Existing>, Fault> {
    match read_whole(root, path, purpose_of(path), LARGEST) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault(root, "could not read", path, &error)),
    }
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// If it can't be read, is refused, is larger, or is not a regular file.
pub fn read_bounded(root: &Root, path: &str, largest: u64) -> io::Result<Vec<u8>> {
    read_whole(root, path, purpose_of(path), largest).map(|found| found.content)
}

/// Likewise, as UTF-8 text.
///
/// # Errors
/// As for [`read_bounded`], and if it is not UTF-8.
pub fn read_text(root: &Root, path: &str, largest: u64) -> io::Result<String> {
    String::from_utf8(read_bounded(root, path, largest)?).map_err(not_text)
}

/// Reads a file that decides what this program does: settings, and files that they name. Only root
/// and our user may have write permission for it and for every directory of its path. `/dev/null`
/// counts as an empty file (`AWS_CONFIG_FILE=/dev/null`).
///
/// # Errors
/// As for [`read_text`], and if others can write it, with the command that corrects that.
pub fn read_trusted_text(root: &Root, path: &str, largest: u64) -> io::Result<String> {
    if path == "/dev/null" {
        return Ok(String::new());
    }
    let found = read_whole(root, path, Purpose::Trusted, largest)?;
    String::from_utf8(found.content).map_err(not_text)
}

fn not_text(error: std::string::FromUtf8Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Likewise, as bytes.
///
/// # Errors
/// As for [`read_trusted_text`].
pub fn read_trusted(root: &Root, path: &str) -> io::Result<Vec<u8>> {
    read_whole(root, path, Purpose::Trusted, LARGEST).map(|found| found.content)
}

/// Reads a secret from a file, like [`read_trusted_text`]. Logs a warning if others can read it.
///
/// # Errors
/// As for [`read_trusted_text`].
pub fn read_secret(root: &Root, path: &str) -> io::Result<zeroize::Zeroizing<String>> {
    let (text, is_open) = secret(root, path)?;
    if is_open {
        let path = root.shown(path);
        tracing::warn!(
            path,
            "all users of this machine can read this secret; run: chmod o-r {path}"
        );
    }
    Ok(text)
}

/// Likewise, and refuses a secret that everybody can read.
///
/// # Errors
/// As for [`read_secret`], and if everybody can read it, with the command that corrects that.
pub fn read_closed_secret(root: &Root, path: &str) -> io::Result<zeroize::Zeroizing<String>> {
    let (text, is_open) = secret(root, path)?;
    if is_open { Err(Refusal::readable(&root.at(path))) } else { Ok(text) }
}

/// A secret, and whether everybody can read it.
fn secret(root: &Root, path: &str) -> io::Result<(zeroize::Zeroizing<String>, bool)> {
    let found = read_whole(root, path, Purpose::Trusted, LARGEST)?;
    // A SEQUENCE with a length of two bytes, as all RSA keys have it.
    if found.content.starts_with(&[0x30, 0x82]) {
        return Err(Refusal::binary(&root.at(path)));
    }
    let text = String::from_utf8(found.content).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok((zeroize::Zeroizing::new(text), found.mode & 0o004 != 0))
}

/// Whether other users of this machine can read or write this file.
#[must_use]
pub fn is_open_to_others(root: &Root, path: &str) -> bool {
    let found = read_whole(root, path, Purpose::Engine, LARGEST);
    found.is_ok_and(|found| found.mode & LOOSE != 0)
}

/// Whether all users of this machine can read this file.
#[must_use]
pub fn is_readable_by_all(root: &Root, path: &str) -> bool {
    secret(root, path).is_ok_and(|(_, is_open)| is_open)
}

/// Whether an executable program exists there. It must be trusted, like settings.
///
/// # Errors
/// If others than root and our user can write it or a directory of its path.
pub fn is_program(root: &Root, path: &str) -> io::Result<bool> {
    let found = Walk::new(root, path, Purpose::Trusted).and_then(Walk::into_place);
    let place = match found {
        Err(error) if is_absent(&error) => return Ok(false),
        found => found?,
    };
    let is_file = |stat: &Stat| walk::is(stat, FileType::RegularFile);
    if !place.stat.as_ref().is_some_and(is_file) {
        return Ok(false);
    }
    // O_PATH: the program may be executable without being readable.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())?;
    place.check_file(root, &fd, &rustix::fs::fstat(&fd)?)?;
    let flags = AtFlags::EACCESS;
    let may = rustix::fs::accessat(&place.directory, &place.name, Access::EXEC_OK, flags);
    Ok(may.is_ok())
}

/// Whether anything exists there. A link counts as its target.
///
/// # Errors
/// `Host` if that can't be determined.
pub fn try_exists(root: &Root, path: &str) -> Result<bool, Fault> {
    match place(root, path) {
        Ok(place) => Ok(place.stat.is_some()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(fault(root, "could not look at", path, &error)),
    }
}

/// Whether anything exists there. An error counts as no.
#[must_use]
pub fn exists(root: &Root, path: &str) -> bool {
    place(root, path).is_ok_and(|place| place.stat.is_some())
}

/// Whether a directory exists there.
#[must_use]
pub fn is_directory(root: &Root, path: &str) -> bool {
    Walk::new(root, path, purpose_of(path)).and_then(Walk::into_directory).is_ok()
}

/// The fault for an error of this module: `Host`, with the advice for the error's kind; `Config` if
/// an owner or a mode has to be corrected first.
#[must_use]
pub fn fault(root: &Root, what: &str, path: &str, error: &io::Error) -> Fault {
    let on = root.shown(path);
    if let Some(refusal) = Refusal::of(error) {
        return Fault::new(Kind::Config, what, on, refusal.todo.clone()).because(error);
    }
    let (read_only, immutable);
    let todo = match error.kind() {
        // EPERM, not EACCES: an attribute of the file stops even root.
        _ if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error())
            && rustix::process::geteuid().is_root() =>
        {
            immutable = format!(
                "`lsattr -d {on}` shows whether it, or its directory, is immutable (i) or append-only (a); `chattr -ia {on}` removes both"
            );
            &immutable
        }
        ErrorKind::PermissionDenied => {
            "run enlist as root, or make this path writable for the user that enlist runs as"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some disk space; the next join continues where this one stopped"
        }
        ErrorKind::ReadOnlyFilesystem => {
            read_only = super::sandbox::advice(root, path);
            &read_only
        }
        ErrorKind::NotADirectory => {
            "a part of the path is not a directory: move it away; the next join continues where this one stopped"
        }
        ErrorKind::FileTooLarge => "no such file is that large: check it, and move it away",
        ErrorKind::IsADirectory => "a directory is in the place of this file: move it away",
        _ => "correct the path; the next join continues where this one stopped",
    };
    Fault::new(Kind::Host, what, on, todo).because(error)
}

/// The advice that an error of this module carries; none for a plain I/O error.
#[must_use]
pub fn advice(error: &io::Error) -> Option<&str> {
    Refusal::of(error).map(|refusal| refusal.todo.as_str())
}

/// The open directory of a path, and the last name in it.
fn place(root: &Root, path: &str) -> io::Result<Place> {
    Walk::new(root, path, purpose_of(path))?.into_place()
}

/// Files in our own directory must be trusted, like settings: the record says which files to remove
/// when this node leaves.
fn purpose_of(path: &str) -> Purpose {
    let is_own =
        path.strip_prefix(STATE_DIR).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_own { Purpose::Trusted } else { Purpose::Engine }
}

/// Whether nothing exists there; the directory may be missing, too.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        && Refusal::of(error).is_none()
}

fn read_whole(root: &Root, path: &str, purpose: Purpose, largest: u64) -> io::Result<Existing> {
    let place = Walk::new(root, path, purpose)?.into_place()?;
    let (file, stat) = open_regular(root, &place, OFlags::RDONLY)?;
    let mut content = Vec::new();
    file.take(largest.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length > largest) {
        let what = format!("it is larger than {} KiB", largest / 1024);
        return Err(io::Error::new(ErrorKind::FileTooLarge, what));
    }
    let directory_owner = place.directory.stat().st_uid;
    let owner = (stat.st_uid, stat.st_gid);
    Ok(Existing { content, mode: stat.st_mode & 0o7777, owner, directory_owner })
}

/// Opens an existing regular file. Nothing else is opened: opening a device can have effects, and
/// reading a pipe can block for ever.
fn open_regular(root: &Root, place: &Place, access: OFlags) -> io::Result<(File, Stat)> {
    let seen = place.stat.ok_or(rustix::io::Errno::NOENT)?;
    if !walk::is(&seen, FileType::RegularFile) {
        let kind = FileType::from_raw_mode(seen.st_mode);
        return Err(Refusal::not_regular(&place.path(), kind));
    }
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    place.check_file(root, &fd, &stat)?;
    Ok((File::from(fd), stat))
}

/// The path of the parent directory; none for the root.
fn parent_of(path: &str) -> Option<&str> {
    Path::new(path).parent().and_then(Path::to_str)
}
