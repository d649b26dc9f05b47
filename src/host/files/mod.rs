//! The one module that touches files. Every path is walked from the node's root by `walk`, on
//! directory descriptors, so that no other account of this machine leads root elsewhere; then
//! everything happens by name in the directory that is held.

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
pub use special::{LinkLock, append, bind, link_lock, open_lock};
pub use tree::{copy_tree, move_file, names, remove_tree};
pub use write::{
    make_directory, make_root, remove, remove_temporaries, remove_temporaries_in, replace, tighten,
};

/// The largest file that is read. A certificate authority's bundle or an admin's `puppet.conf`
/// takes some tens of KiB, and a hosts file with a long list of names may take a few MiB.
pub const LARGEST: u64 = 8 * 1024 * 1024;

/// Permission bits that no private key has: others may do nothing with it, its group not write.
pub const LOOSE: u32 = 0o027;

/// User and group ids.
pub type Ids = (u32, u32);

/// A file as it was read: all of it from one descriptor.
#[derive(Debug)]
pub struct Existing {
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    pub owner: Ids,
    /// The user id of the directory's owner.
    pub directory_owner: u32,
}

/// The ids of an account, from the root's own `/etc/passwd`, where we may give files away at all.
#[must_use]
pub fn ids_of(root: &Root, account: Option<&str>) -> Option<Ids> {
    let account = account?;
    // Not by the owner of our own entry in /proc: that is root for every process that may not be
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

/// Whether a private key of this user belongs to somebody else than root, the user that runs this
/// program, its owner, and the owner of its directory. Only root looks, who can put it right.
#[must_use]
pub fn is_foreign(root: &Root, user: u32, directory_owner: u32, owner: Option<Ids>) -> bool {
    rustix::process::geteuid().is_root()
        && !root.trusts(user)
        && directory_owner != user
        && owner.is_none_or(|(owner, _)| owner != user)
}

/// A file's bytes.
///
/// # Errors
/// `Host` where it can't be read, or may not be.
pub fn read(root: &Root, path: &str) -> Result<Vec<u8>, Fault> {
    read_bounded(root, path, LARGEST).map_err(|error| fault(root, "could not read", path, &error))
}

/// A file's bytes, or none where there is no such file.
///
/// # Errors
/// As for [`read`].
pub fn read_if_there(root: &Root, path: &str) -> Result<Option<Vec<u8>>, Fault> {
    existing(root, path).map(|found| found.map(|found| found.content))
}

/// A file with its mode and owner, or none where there is no such file.
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

/// At most so many bytes: what is larger is an error.
///
/// # Errors
/// Where it can't be read, may not be, is too large or no regular file.
pub fn read_bounded(root: &Root, path: &str, largest: u64) -> io::Result<Vec<u8>> {
    read_whole(root, path, purpose_of(path), largest).map(|found| found.content)
}

/// Likewise, and it has to be UTF-8.
///
/// # Errors
/// As for [`read_bounded`].
pub fn read_text(root: &Root, path: &str, largest: u64) -> io::Result<String> {
    String::from_utf8(read_bounded(root, path, largest)?).map_err(io::Error::other)
}

/// A file that steers this program: settings, or what they name. Nobody but root, and the user
/// that runs this program, may be able to write it or anything on the way to it. `/dev/null` is how
/// people name an empty one (`AWS_CONFIG_FILE=/dev/null`), and is read as that.
///
/// # Errors
/// As for [`read_text`], and where others may write it, with the command that ends that.
pub fn read_trusted_text(root: &Root, path: &str, largest: u64) -> io::Result<String> {
    if path == "/dev/null" {
        return Ok(String::new());
    }
    let found = read_whole(root, path, Purpose::Trusted, largest)?;
    String::from_utf8(found.content).map_err(io::Error::other)
}

/// Likewise, whatever bytes it holds.
///
/// # Errors
/// As for [`read_trusted_text`].
pub fn read_trusted(root: &Root, path: &str) -> io::Result<Vec<u8>> {
    read_whole(root, path, Purpose::Trusted, LARGEST).map(|found| found.content)
}

/// A secret that the admin put into a file. As for [`read_trusted_text`]; and that others may read
/// it is said.
///
/// # Errors
/// As for [`read_trusted_text`].
pub fn read_secret(root: &Root, path: &str) -> io::Result<zeroize::Zeroizing<String>> {
    let found = read_whole(root, path, Purpose::Trusted, LARGEST)?;
    if found.mode & 0o004 != 0 {
        let path = root.shown(path);
        tracing::warn!(
            path,
            "everybody on this machine can read this secret; run: chmod o-r {path}"
        );
    }
    String::from_utf8(found.content)
        .map(zeroize::Zeroizing::new)
        .map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Whether a program stands there that may be run. What is run steers us, like settings.
///
/// # Errors
/// Where others than root, and the user that runs this program, may write it or anything on the
/// way to it.
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
    // Opened for nothing but to be judged: it may be one that nobody may read.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty())?;
    place.check_file(root, &fd, &rustix::fs::fstat(&fd)?)?;
    let flags = AtFlags::EACCESS;
    let may = rustix::fs::accessat(&place.directory, &place.name, Access::EXEC_OK, flags);
    Ok(may.is_ok())
}

/// Whether something stands there, whatever it is; a link counts as what it leads to.
///
/// # Errors
/// `Host` where that can't be found out.
pub fn try_exists(root: &Root, path: &str) -> Result<bool, Fault> {
    match place(root, path) {
        Ok(place) => Ok(place.stat.is_some()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(fault(root, "could not look at", path, &error)),
    }
}

/// Likewise for a first look: what can't be found out is not there.
#[must_use]
pub fn exists(root: &Root, path: &str) -> bool {
    place(root, path).is_ok_and(|place| place.stat.is_some())
}

/// Whether a directory stands there.
#[must_use]
pub fn is_directory(root: &Root, path: &str) -> bool {
    Walk::new(root, path, purpose_of(path)).and_then(Walk::into_directory).is_ok()
}

/// `Host`, with what the error suggests doing; `Config` where an owner or a mode has to be
/// corrected before it can be tried again.
#[must_use]
pub fn fault(root: &Root, what: &str, path: &str, error: &io::Error) -> Fault {
    let on = root.shown(path);
    if let Some(refusal) = Refusal::of(error) {
        return Fault::new(Kind::Config, what, on, refusal.todo.clone()).because(error);
    }
    let (read_only, immutable);
    let todo = match error.kind() {
        // EPERM, not EACCES: not even root may, until the attribute is gone.
        _ if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error())
            && rustix::process::geteuid().is_root() =>
        {
            immutable = format!(
                "`lsattr -d {on}` shows whether it, or the directory around it, is immutable (i) or append-only (a): `chattr -ia {on}`"
            );
            &immutable
        }
        ErrorKind::PermissionDenied => {
            "run enlist as root, or give this path to the user it runs as"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space; the next join continues where this one stopped"
        }
        ErrorKind::ReadOnlyFilesystem => {
            read_only = super::sandbox::advice(root, path);
            &read_only
        }
        ErrorKind::NotADirectory => {
            "something that is no directory stands in the path; move it away, and the next join continues where this one stopped"
        }
        ErrorKind::FileTooLarge => {
            "nothing of that size belongs there; look into it, and move it away"
        }
        ErrorKind::IsADirectory => "a directory stands where a file belongs; move it away",
        _ => "correct the path; the next join continues where this one stopped",
    };
    Fault::new(Kind::Host, what, on, todo).because(error)
}

/// What to do about an error of this module, where it says so itself.
#[must_use]
pub fn advice(error: &io::Error) -> Option<&str> {
    Refusal::of(error).map(|refusal| refusal.todo.as_str())
}

/// The directory of a path, held open, and the last name in it.
fn place(root: &Root, path: &str) -> io::Result<Place> {
    Walk::new(root, path, purpose_of(path))?.into_place()
}

/// What stands in our own directory steers us, like settings: a record says what is removed when
/// this node leaves.
fn purpose_of(path: &str) -> Purpose {
    let is_own =
        path.strip_prefix(STATE_DIR).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_own { Purpose::Trusted } else { Purpose::Engine }
}

/// There is nothing: not even, perhaps, the directory that it would be in.
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

/// Opens a file that is there. Nothing but a regular one is opened at all: opening a device can
/// do things, and a pipe may never say anything.
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

/// The path of the directory above; none for the root itself.
fn parent_of(path: &str) -> Option<&str> {
    Path::new(path).parent().and_then(Path::to_str)
}
