//! Whom a directory and what stands in it are left to, by owner and mode.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::refusal::Refusal;
use super::walk::{OpenDirectory, Purpose, is};
use crate::host::root::Root;

/// Whether what stands in a directory can be what root put there: in one that others may write
/// to, it need not be.
pub(super) fn check_entry(
    root: &Root,
    purpose: Purpose,
    directory: &OpenDirectory,
    stat: &Stat,
    path: &Path,
) -> io::Result<()> {
    let holder = directory.stat();
    // In a sticky directory, nobody can rename or remove what belongs to root.
    let is_kept = holder.st_mode & 0o1000 != 0 && root.trusts(stat.st_uid);
    if root.trusts(holder.st_uid) && holder.st_mode & 0o002 != 0 && !is_kept {
        return Err(Refusal::anyone(root, directory.path(), path, holder));
    }
    // In a sticky one, it can be another name of what belongs to root.
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

/// Whether somebody may write it who is not root, nor the user that runs this program.
pub(super) fn others_may_write(root: &Root, stat: &Stat) -> bool {
    !root.trusts(stat.st_uid)
        || stat.st_mode & 0o002 != 0
        || (stat.st_mode & 0o020 != 0 && !root.trusts_group(stat.st_gid))
}

/// Whether an access control list (acl(5)) lets others write. Where there is one, the group's bits
/// of the mode are its mask: without the group's write permission, it lets nobody.
pub(super) fn acl_grants_write(fd: impl AsFd, stat: &Stat) -> bool {
    // By this name also for a descriptor that is there for nothing but to name it (O_PATH).
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    stat.st_mode & 0o020 != 0
        && match rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 64]) {
            Ok(_) | Err(Errno::RANGE) => true,
            Err(_) => false,
        }
}

/// Whether others can have renamed what root made in it, and given it other names.
pub(super) fn is_shared(root: &Root, directory: &OpenDirectory) -> bool {
    let stat = directory.stat();
    root.trusts(stat.st_uid) && stat.st_mode & 0o1000 == 0 && directory.is_writable_to_others(root)
}
