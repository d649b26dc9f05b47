//! Checks that files can be written, without writing them. This is done before the authority is
//! asked, so that nothing is granted that could not be installed.

use std::cell::OnceCell;

use super::files;
use super::root::Root;
use crate::engines::Written;
use crate::fault::{Fault, Kind};

const NOTHING_ASKED: &str = "the authority was not asked, and nothing was written";

/// The mount points of this system, read at the first check.
#[derive(Debug, Default)]
pub struct Mounts(OnceCell<String>);

impl Mounts {
    /// Whether something is mounted on this path, which includes the prefix of `--root`. The mount
    /// point is the fifth field of `/proc/self/mountinfo`, with blanks as octal numbers (proc(5)).
    fn is_mount_point(&self, path: &str) -> bool {
        let read = || Root::running_system().text("/proc/self/mountinfo").unwrap_or_default();
        let wanted = path.replace('\\', "\\134").replace(' ', "\\040");
        let mut lines = self.0.get_or_init(read).lines();
        lines.any(|line| line.split(' ').nth(4) == Some(wanted.as_str()))
    }
}

/// Checks one file or directory.
///
/// # Errors
/// `Host` with the reason; `Config` where the reason is an owner or a mode.
pub fn check(root: &Root, mounts: &Mounts, written: &Written) -> Result<(), Fault> {
    let path = &written.path;
    let checked = if written.is_directory && files::is_directory(root, path) {
        // An existing directory is not changed. The checks of its files cover the rest.
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
    let todo = "unmount it, or mount its directory instead: enlist replaces the whole file";
    let what = "this file is a mount point, and can't be replaced";
    Err(Fault::new(Kind::Host, what, root.shown(path), todo))
}
