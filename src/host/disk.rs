//! Space on the disks that enlist writes to.

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::root::Root;
use crate::fault::{Fault, Kind};

/// What a join writes at most, with room to spare: keys, certificates, a record, copies of settings.
const LEAST_BYTES: u64 = 4 * 1024 * 1024;
const LEAST_FILES: u64 = 64;

/// Checks that there is room below this path, or below its nearest directory that exists. Returns how much.
///
/// # Errors
/// `Host` if there is not.
#[expect(
    clippy::disallowed_methods,
    reason = "opens a path to ask for its file system, and reads nothing"
)]
pub fn check(root: &Root, path: &str) -> Result<String, Fault> {
    let mut directory = root.at(path);
    let opened = loop {
        match openat(CWD, &directory, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) if directory.pop() => {}
            opened => break opened,
        }
    };
    let shown = directory.display().to_string();
    let unreadable = |error: rustix::io::Errno| {
        let todo = format!("look at it: `namei -l {shown}`");
        Fault::new(Kind::Host, "the file system can't be asked", shown.as_str(), todo)
            .cause(std::io::Error::from(error).to_string())
    };
    let stat = rustix::fs::fstatvfs(opened.map_err(unreadable)?).map_err(unreadable)?;
    let bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    // A file system without a limit of files says 0 files.
    let has_files = stat.f_files == 0 || stat.f_favail >= LEAST_FILES;
    if bytes >= LEAST_BYTES && has_files {
        return Ok(format!("{shown}: {} MiB free", bytes / 1024 / 1024));
    }
    let (what, todo) = if has_files {
        ("the disk is full", format!("free some space: `df -h {shown}`"))
    } else {
        ("the disk has no room for more files", format!("remove files: `df -i {shown}`"))
    };
    Err(Fault::new(Kind::Host, what, shown.as_str(), todo)
        .cause(format!("{} KiB are free", bytes / 1024)))
}
