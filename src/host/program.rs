//! Where other programs are: hosts differ, and a service's PATH is short.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, statat};

use super::root::Root;
use super::variables;

/// Beside those of PATH: the vendors' own directories, and those of distributions whose `/usr` is
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
/// first one that is found.
#[must_use]
pub fn find(root: &Root, names: &[&str], told: Option<&str>) -> Option<String> {
    if let Some(told) = told {
        return is_program(&root.at(told)).then(|| told.to_owned());
    }
    let path = variables::text("PATH").unwrap_or_default();
    // What is on our own PATH is nothing to an image.
    let own =
        path.split(':').filter(|directory| root.is_running_system() && directory.starts_with('/'));
    let directories: Vec<&str> = own.chain(DIRECTORIES).collect();
    names.iter().find_map(|name| {
        let mut paths = directories.iter().map(|directory| format!("{directory}/{name}"));
        paths.find(|path| is_program(&root.at(path)))
    })
}

fn is_program(path: &Path) -> bool {
    let is_file = statat(CWD, path, AtFlags::empty())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    is_file && accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
}

/// What tells this program from a later one in its place: size and time of change.
#[must_use]
pub fn version(path: &str) -> Option<(i64, i64)> {
    let stat = statat(CWD, PathBuf::from(path), AtFlags::empty()).ok()?;
    Some((stat.st_size, stat.st_mtime))
}
