//! Finds other programs in fixed directories, whatever the PATH of the user who became root. A
//! program that others can write is not run.

use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, statat};

use super::files;
use super::root::Root;
use crate::engines::{PROGRAM_DIRECTORIES as VENDORS, SNAP_DIRECTORIES as SNAPS};
use crate::fault::Fault;

/// The usual directories, and those of distributions with a read-only `/usr`.
const DIRECTORIES: [&str; 9] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/bin",
    "/usr/share/oem/bin",
    "/snap/bin",
];

/// Finds the program with one of these names, without the prefix of `--root`: the one that the
/// settings name, or else the first that exists and that others can't write.
///
/// # Errors
/// `Config` if others can write the one that the settings name.
pub fn find(root: &Root, names: &[&str], set: Option<&str>) -> Result<Option<String>, Fault> {
    if let Some(path) = set {
        let found = files::is_program(root, path)
            .map_err(|error| files::fault(root, "this program is not run", path, &error))?;
        return Ok(found.then(|| path.to_owned()));
    }
    let usual = DIRECTORIES.iter();
    let directories: Vec<&str> = VENDORS.iter().chain(usual).chain(SNAPS.iter()).copied().collect();
    let paths = |name: &&str| {
        let path = |directory: &&str| format!("{directory}/{name}");
        directories.iter().map(path).collect::<Vec<String>>()
    };
    Ok(names.iter().flat_map(paths).find(|path| may_be_run(root, path)))
}

fn may_be_run(root: &Root, path: &str) -> bool {
    files::is_program(root, path).unwrap_or_else(|error| {
        if files::exists(root, path) {
            let program = root.shown(path);
            tracing::warn!(program, %error, "this program is not run");
        }
        false
    })
}

/// The size and the time of change of a program, to notice that it was replaced.
#[must_use]
pub fn version(path: &str) -> Option<(i64, i64)> {
    let stat = statat(CWD, PathBuf::from(path), AtFlags::empty()).ok()?;
    Some((stat.st_size, stat.st_mtime))
}
