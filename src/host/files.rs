//! Writing files so that a power cut leaves the old one or the new one, never half of either:
//! temporary file in the same directory, fsync, rename, fsync of the directory.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::root::Root;
use crate::fault::{Fault, Kind};

/// What a file is called until it is whole.
const TEMPORARY: &str = ".enlist-new";

/// The largest file that is read. A certificate authority's bundle or an admin's `puppet.conf`
/// takes some tens of KiB, and a hosts file with a long list of names may take a few MiB.
pub const LARGEST: u64 = 8 * 1024 * 1024;

/// User and group ids.
pub type Ids = (u32, u32);

/// The ids of an account, from the root's own `/etc/passwd`, where we may give files away at all.
#[must_use]
pub fn ids_of(root: &Root, account: Option<&str>) -> Option<Ids> {
    let account = account?;
    if !is_superuser() {
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

/// Replaces a file at once and whole.
pub fn replace(path: &Path, content: &[u8], mode: u32, owner: Option<Ids>) -> Result<(), Fault> {
    write_whole(path, content, mode, owner).map_err(|error| fault("could not write", path, &error))
}

fn write_whole(path: &Path, content: &[u8], mode: u32, owner: Option<Ids>) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let written =
        write_new(&temporary, content, mode, owner).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Whatever is left of it is worth nothing, and the disk may be full.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_parent(path)
}

fn write_new(path: &Path, content: &[u8], mode: u32, owner: Option<Ids>) -> io::Result<()> {
    remove_temporary(path)?;
    // New and exclusive, so that no link set there by another is followed (O_EXCL); nobody else
    // may read it before its mode is set.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o600).open(path)?;
    file.write_all(content)?;
    if let Some((uid, gid)) = owner {
        fchown(&file, Some(uid), Some(gid))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Makes a directory and its parents where they are missing; those that stand stay as they are.
pub fn make_directory(path: &Path, mode: u32, owner: Option<Ids>) -> Result<(), Fault> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        // Parents that we have to make are nobody's secret; what needs guarding is the last one.
        make_directory(parent, 0o755, None)?;
    }
    let temporary = temporary_beside(path);
    let outcome =
        directory_new(&temporary, mode, owner).and_then(|()| fs::rename(&temporary, path));
    if outcome.is_err() {
        let _ = fs::remove_dir(&temporary);
        // Somebody else made it meanwhile, and has something in it.
        if path.is_dir() {
            return Ok(());
        }
    }
    outcome
        .and_then(|()| sync_parent(path))
        .map_err(|error| fault("could not make the directory", path, &error))
}

/// Like a file: it is there with its mode and owner, or not at all.
fn directory_new(path: &Path, mode: u32, owner: Option<Ids>) -> io::Result<()> {
    remove_temporary(path)?;
    fs::DirBuilder::new().mode(mode & 0o700).create(path)?;
    let directory = File::open(path)?;
    if let Some((uid, gid)) = owner {
        fchown(&directory, Some(uid), Some(gid))?;
    }
    directory.set_permissions(Permissions::from_mode(mode))?;
    directory.sync_all()
}

/// Removes what a kill left behind where this file, or a directory above it, was being written:
/// for a path that nothing more is written to.
pub fn tidy(root: &Root, path: &str) -> Result<(), Fault> {
    Path::new(path).ancestors().filter(|path| path.parent().is_some()).try_for_each(|path| {
        let temporary = temporary_beside(&root.at(&path.to_string_lossy()));
        tidy_one(&temporary)
    })
}

/// Likewise, in one directory.
pub fn tidy_directory(directory: &Path) -> Result<(), Fault> {
    tidy_one(&directory.join(TEMPORARY))
}

fn tidy_one(temporary: &Path) -> Result<(), Fault> {
    if fs::symlink_metadata(temporary).is_err() {
        return Ok(());
    }
    remove_temporary(temporary)
        .and_then(|()| sync_parent(temporary))
        .map_err(|error| fault("could not remove", temporary, &error))
}

/// A file, or a directory with nothing in it; that there is none is as good.
fn remove_temporary(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Moves a file, across file systems too, without a moment in which there is none.
pub fn carry(from: &Path, to: &Path) -> Result<(), Fault> {
    let content = zeroize::Zeroizing::new(read(from)?);
    let mode = fs::metadata(from).map_or(0o600, |meta| meta.mode() & 0o777);
    replace(to, &content, mode, None)?;
    remove(from)
}

/// Removes a file; that there is none is as good.
pub fn remove(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map_err(|error| fault("could not remove", path, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(fault("could not remove", path, &error)),
    }
}

/// Copies a file or a directory with everything in it, root's alone; that there is none is none.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), Fault> {
    if !from.is_dir() {
        return match read_if_there(from)? {
            Some(content) => {
                to.parent().map_or(Ok(()), |parent| make_directory(parent, 0o700, None))?;
                let mode = fs::metadata(from).map_or(0o600, |meta| meta.mode() & 0o777);
                replace(to, &zeroize::Zeroizing::new(content), mode, None)
            }
            None => Ok(()),
        };
    }
    let mode = fs::metadata(from).map_or(0o700, |meta| meta.mode() & 0o777);
    make_directory(to, mode, None)?;
    let entries = fs::read_dir(from).map_err(|error| fault("could not read", from, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| fault("could not read", from, &error))?.file_name();
        copy_tree(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Removes a file or a directory with everything in it; that there is none is as good.
pub fn remove_tree(path: &Path) -> Result<(), Fault> {
    if !path.is_dir() {
        return remove(path);
    }
    fs::remove_dir_all(path).map_err(|error| fault("could not remove", path, &error))?;
    sync_parent(path).map_err(|error| fault("could not remove", path, &error))
}

/// A file's bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    read_bounded(path, LARGEST).map_err(|error| fault("could not read", path, &error))
}

/// At most so many bytes: what is larger is an error, and so is a device without an end.
pub fn read_bounded(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= largest) {
        return Ok(bytes);
    }
    let what = format!("it is larger than {} KiB", largest / 1024);
    Err(io::Error::new(ErrorKind::FileTooLarge, what))
}

/// Likewise, and it has to be UTF-8.
pub fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    String::from_utf8(read_bounded(path, largest)?).map_err(io::Error::other)
}

/// A file's bytes, or none where there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match read_bounded(path, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault("could not read", path, &error)),
    }
}

/// `Host`, with what the error number suggests doing.
#[must_use]
pub fn fault(what: &str, path: &Path, error: &io::Error) -> Fault {
    let todo = match error.kind() {
        ErrorKind::PermissionDenied => {
            "run enlist as root, or give this path to the user it runs as"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space; the next join goes on where this one stopped"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "mount the file system for writing; the next join goes on where this one stopped"
        }
        ErrorKind::NotADirectory => {
            "something that is no directory stands in the path; move it away, and the next join goes on where this one stopped"
        }
        ErrorKind::FileTooLarge => {
            "nothing of that size belongs there; look into it, and move it away"
        }
        ErrorKind::IsADirectory => "a directory stands where a file belongs; move it away",
        _ => "mend the path; the next join goes on where this one stopped",
    };
    Fault::new(Kind::Host, what, path.display().to_string(), todo).because(error)
}

/// Whether this process may give files away. Not by the owner of our own entry in /proc: that is
/// root for every process that may not be dumped.
fn is_superuser() -> bool {
    rustix::process::geteuid().is_root()
}

/// One name a directory, so that what a kill left behind is taken by the next writing there: the
/// final names of backups and evidence hold the time. There is one writer, under our own lock.
fn temporary_beside(path: &Path) -> PathBuf {
    path.with_file_name(TEMPORARY)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
