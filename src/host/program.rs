//! Where other programs are: in root's own directories, whatever the PATH of the user is who
//! became root. One that others may write is not run.

use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, statat};

use super::files;
use super::root::Root;
use crate::fault::Fault;

/// The vendors' own directories, the usual ones, and those of distributions whose `/usr` is
/// read-only.
const DIRECTORIES: [&str; 13] = [
    "/opt/puppetlabs/bin",
    "/opt/chef/bin",
    "/opt/cinc/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/bin",
    "/usr/share/oem/bin",
    "/snap/bin",
    "/snap/amazon-ssm-agent/current",
];

/// The program of one of these names, without the root's prefix: where the settings say, else the
/// first one that is found and that nobody else may write.
///
/// # Errors
/// `Config` where the settings name one that others may write.
pub fn find(root: &Root, names: &[&str], told: Option<&str>) -> Result<Option<String>, Fault> {
    if let Some(told) = told {
        let found = files::is_program(root, told)
            .map_err(|error| files::fault(root, "this program is not run", told, &error))?;
        return Ok(found.then(|| told.to_owned()));
    }
    let paths = |name: &&str| DIRECTORIES.map(|directory| format!("{directory}/{name}"));
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

/// What tells this program from a later one in its place: size and time of change.
#[must_use]
pub fn version(path: &str) -> Option<(i64, i64)> {
    let stat = statat(CWD, PathBuf::from(path), AtFlags::empty()).ok()?;
    Some((stat.st_size, stat.st_mtime))
}
