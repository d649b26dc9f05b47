//! Who can change a directory and its entries, by owner and mode.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::refusal::Refusal;
use super::walk::{OpenDirectory, Purpose, is};
use crate::host::root::Root;

/// Checks whether an entry may be used. Where others can write to the directory, they may have
/// replaced what root put there.
pub(super) fn check_entry(
    root: &Root,
    purpose: Purpose,
    directory: &OpenDirectory,
    stat: &Stat,
    path: &Path,
) -> io::Result<()> {
    let holder = directory.stat();
    // In a sticky directory, nobody else can rename or remove an entry of root's.
    let is_kept = holder.st_mode & 0o1000 != 0 && root.trusts(stat.st_uid);
    if root.trusts(holder.st_uid) && holder.st_mode & 0o002 != 0 && !is_kept {
        return Err(Refusal::anyone(root, directory.path(), path, holder));
    }
    // But others can make a hard link to a file of root's there.
    let is_file = !is(stat, FileType::Directory);
    if is_kept && is_file && stat.st_nlink > 1 && directory.is_writable_to_others(root) {
        return Err(Refusal::shared(path, directory.path()));
    }
    if purpose == Purpose::Engine {
        return Ok(());
    }
    if !root.trusts(holder.st_uid) || (directory.is_writable_to_others(root) && !is_kept) {
        return Err(Refusal::writable(root, directory.path(), holder));
    }
    if !root.trusts(stat.st_uid) {
        return Err(Refusal::writable(root, path, stat));
    }
    Ok(())
}

/// Checks whether an entry that is made in this directory may be used afterwards, by the rule of
/// [`check_entry`].
pub(super) fn check_holder(root: &Root, directory: &OpenDirectory) -> io::Result<()> {
    let stat = directory.stat();
    if root.trusts(stat.st_uid) && stat.st_mode & 0o1002 == 0o002 {
        return Err(Refusal::anyone(root, directory.path(), directory.path(), stat));
    }
    Ok(())
}

/// Whether others than root and our user can write it.
pub(super) fn others_may_write(root: &Root, stat: &Stat) -> bool {
    !root.trusts(stat.st_uid)
        || stat.st_mode & 0o002 != 0
        || (stat.st_mode & 0o020 != 0 && !root.trusts_group(stat.st_gid))
}

/// Whether an access control list (acl(5)) may let others write. If there is a list, the mode's
/// group bits are its mask: without the group's write bit, the list lets nobody write.
pub(super) fn acl_grants_write(fd: impl AsFd, stat: &Stat) -> bool {
    // This path also works for an O_PATH descriptor.
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    stat.st_mode & 0o020 != 0
        && match rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 64]) {
            Ok(_) | Err(Errno::RANGE) => true,
            Err(_) => false,
        }
}

/// Whether others can rename, or make hard links to, entries that root made in it.
pub(super) fn is_shared(root: &Root, directory: &OpenDirectory) -> bool {
    let stat = directory.stat();
    root.trusts(stat.st_uid) && stat.st_mode & 0o1000 == 0 && directory.is_writable_to_others(root)
}
