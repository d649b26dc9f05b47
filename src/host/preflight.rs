//! Whether something can be written, found out without writing it: before an authority is asked
//! for what could then not be installed.

use super::files;
use super::root::Root;
use crate::engines::Written;
use crate::fault::{Fault, Kind};

const NOTHING_ASKED: &str = "the authority was not asked, and nothing was written";

/// # Errors
/// `Host`, with what is in the way; `Config` where an owner or a mode is.
pub fn check(root: &Root, written: &Written) -> Result<(), Fault> {
    let path = &written.path;
    let checked = if written.is_directory && files::is_directory(root, path) {
        // It stays as it is. Whether something can be made in it, the files that are say.
        Ok(())
    } else if written.is_directory {
        files::check_directory(root, path)
    } else {
        files::check_writable(root, path).and_then(|()| check_mount(root, path))
    };
    checked.map_err(|fault| fault.cause(NOTHING_ASKED))
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
