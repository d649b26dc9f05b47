//! Whether something can be written, found out without writing it: before an authority is asked
//! for what could then not be installed.

use std::cell::OnceCell;

use super::files;
use super::root::Root;
use crate::engines::Written;
use crate::fault::{Fault, Kind};

const NOTHING_ASKED: &str = "the authority was not asked, and nothing was written";

/// The mount points of this system, read when they are first needed.
#[derive(Debug, Default)]
pub struct Mounts(OnceCell<String>);

impl Mounts {
    /// Whether something is mounted on this path, which has the prefix of `--root`. As
    /// `/proc/self/mountinfo` has it (proc(5)): the fifth field, blanks as octal numbers.
    fn is_mount_point(&self, path: &str) -> bool {
        let read = || Root::running_system().text("/proc/self/mountinfo").unwrap_or_default();
        let wanted = path.replace('\\', "\\134").replace(' ', "\\040");
        let mut lines = self.0.get_or_init(read).lines();
        lines.any(|line| line.split(' ').nth(4) == Some(wanted.as_str()))
    }
}

/// # Errors
/// `Host`, with what is in the way; `Config` where an owner or a mode is.
pub fn check(root: &Root, mounts: &Mounts, written: &Written) -> Result<(), Fault> {
    let path = &written.path;
    let checked = if written.is_directory && files::is_directory(root, path) {
        // It stays as it is. Whether something can be made in it, the files that are say.
        Ok(())
    } else if written.is_directory {
        files::check_directory(root, path)
    } else {
        files::check_writable(root, path).and_then(|()| check_mount(root, mounts, path))
    };
    checked.map_err(|fault| fault.cause(NOTHING_ASKED))
}

fn check_mount(root: &Root, mounts: &Mounts, path: &str) -> Result<(), Fault> {
    if !mounts.is_mount_point(&root.shown(path)) {
        return Ok(());
    }
    let todo = "take the mount away, or mount its directory instead: a file is replaced whole";
    let what = "a file that is a mount point can't be replaced";
    Err(Fault::new(Kind::Host, what, root.shown(path), todo))
}
