//! Whether something can be written, found out without writing it: before an authority is asked
//! for what could then not be installed.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};
use rustix::io::Errno;

use super::files;
use super::root::Root;
use crate::engine::Written;
use crate::fault::{Fault, Kind};

const NOTHING_ASKED: &str = "the authority was not asked, and nothing was written";

/// # Errors
/// `Host`, with what is in the way; `Config` where an owner or a mode is.
pub fn check(root: &Root, written: &Written) -> Result<(), Fault> {
    let path = &written.path;
    let checked = if written.is_directory {
        // Something in it, of a name that nothing has.
        files::check_writable(root, &format!("{path}/.enlist-look"))
    } else {
        files::check_writable(root, path)
            .and_then(|()| check_file(root, path))
            .and_then(|()| check_mount(root, path))
    };
    checked.and_then(|()| check_room(root, path)).map_err(|fault| fault.cause(NOTHING_ASKED))
}

/// A file is replaced, and the kernel refuses that for one that is immutable, whoever asks.
fn check_file(root: &Root, path: &str) -> Result<(), Fault> {
    match accessat(CWD, root.at(path), Access::WRITE_OK, AtFlags::EACCESS) {
        Err(error @ (Errno::PERM | Errno::ROFS)) => {
            Err(files::fault(root, "it can't be written", path, &error.into()))
        }
        _ => Ok(()),
    }
}

/// As `/proc/self/mountinfo` has it (proc(5)): the fifth field, blanks as octal numbers.
fn check_mount(root: &Root, path: &str) -> Result<(), Fault> {
    let mounts = Root::running_system().text("/proc/self/mountinfo").unwrap_or_default();
    let wanted = root.shown(path).replace('\\', "\\134").replace(' ', "\\040");
    if !mounts.lines().any(|line| line.split(' ').nth(4) == Some(wanted.as_str())) {
        return Ok(());
    }
    let todo = "take the mount away, or mount its directory instead: a file is replaced whole";
    let what = "a file that is a mount point can't be replaced";
    Err(Fault::new(Kind::Host, what, root.shown(path), todo))
}

/// That the file system is not full to the last block.
fn check_room(root: &Root, path: &str) -> Result<(), Fault> {
    let above = Path::new(path).ancestors().filter_map(Path::to_str);
    let Some(stands) = above.into_iter().find(|path| files::is_directory(root, path)) else {
        return Ok(());
    };
    let Ok(space) = statvfs(root.at(stands)) else { return Ok(()) };
    // Some file systems have no blocks or inodes to count, and say 0 of 0.
    let has_no_block = space.f_blocks > 0 && space.f_bfree == 0;
    let has_no_inode = space.f_files > 0 && space.f_ffree == 0;
    if has_no_block || has_no_inode {
        let error = Errno::NOSPC.into();
        return Err(files::fault(root, "it can't be written", stands, &error));
    }
    Ok(())
}
