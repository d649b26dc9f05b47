//! The sandbox of the units (`systemd/*.service`): the directories that enlist may write, making
//! the missing ones before the sandbox is set up, and the advice for a path it does not allow.
//!
//! A directory that does not exist when a unit starts is not part of the sandbox, and stays
//! read-only. So `enlist prepare` makes the directories that the settings need: it is the unit's
//! first step, and runs outside of the sandbox (decision 0011).

use std::path::{Path, PathBuf};

use super::files::{self, ids_of};
use super::root::Root;
use super::variables;
use crate::engines::{EngineRecord, Engines, writable_directories};
use crate::fault::Fault;
use crate::targets::Target;

/// Makes the missing directories that these targets' engines need.
///
/// # Errors
/// `Host` for the first that can't be made.
pub fn prepare(root: &Root, targets: &[Box<dyn Target>], engines: &Engines) -> Result<(), Fault> {
    let ids = targets.iter().flat_map(|target| target.engines());
    for engine in ids.map(|id| engines.get(id)) {
        let expected = super::engines::expect(root, engine.wanted(&EngineRecord::default()));
        for place in engine.directories(&expected) {
            if !files::is_directory(root, &place.path) {
                let owner = ids_of(root, place.owner);
                files::make_directory(root, &place.path, place.mode, owner)?;
                tracing::info!(path = root.shown(&place.path), "made");
            }
        }
    }
    Ok(())
}

/// What to do about a read-only file system. In a unit, the cause is most likely its sandbox.
#[must_use]
pub fn advice(root: &Root, path: &str) -> String {
    let Some(unit) = unit() else {
        return "mount the file system read-write; the next join continues where this one stopped"
            .to_owned();
    };
    let is_there = |directory: &Path| {
        directory.to_str().is_some_and(|directory| files::is_directory(root, directory))
    };
    advice_in(&unit, Path::new(path), &is_there)
}

fn advice_in(unit: &str, path: &Path, is_there: &dyn Fn(&Path) -> bool) -> String {
    if writable_directories().any(|known| path.starts_with(known)) {
        return format!(
            "`systemctl restart {unit}`: the directory was missing when the unit started, or the disk is read-only"
        );
    }
    let directory = directory_for(path, is_there);
    let first = if is_there(&directory) {
        String::new()
    } else {
        format!("`mkdir -p {}`, ", directory.display())
    };
    let rest = drop_in(unit, &directory);
    format!("the sandbox of {unit} keeps this path read-only: {first}{rest}")
}

/// The commands that let a unit write a directory.
pub(super) fn drop_in(unit: &str, directory: &Path) -> String {
    format!(
        "`systemctl edit {unit}` with the two lines `[Service]` and `ReadWritePaths={}`, then `systemctl restart {unit}`",
        directory.display()
    )
}

/// The path itself if it is a directory, or else the nearest directory above it that exists. Not one
/// directly below `/`, which would allow too much.
fn directory_for(path: &Path, is_there: &dyn Fn(&Path) -> bool) -> PathBuf {
    let is_narrow = |directory: &&Path| directory.components().count() > 2;
    let parent = path.parent().filter(is_narrow).unwrap_or(path);
    let mut above = path.ancestors().take_while(is_narrow);
    above.find(|directory| is_there(directory)).unwrap_or(parent).to_owned()
}

/// The unit that this process runs in.
fn unit() -> Option<String> {
    // Set in every service (systemd.exec(5)).
    variables::variable("INVOCATION_ID")?;
    unit_in(&Root::running_system().text("/proc/self/cgroup")?)
}

/// The unit in lines of `ID:CONTROLLERS:PATH` (cgroups(7)): the last part of the path that names a
/// service.
fn unit_in(cgroups: &str) -> Option<String> {
    let is_service = |part: &&str| Path::new(part).extension() == Some("service".as_ref());
    let unit = cgroups.lines().find_map(|line| line.rsplit('/').find(is_service))?;
    Some(unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{advice_in, unit_in, writable_directories};
    use std::path::Path;

    #[test]
    fn the_units_allow_exactly_the_listed_directories() {
        for (unit, text) in [
            ("enlist", include_str!("../../systemd/enlist.service")),
            ("enlist-join", include_str!("../../systemd/enlist-join.service")),
        ] {
            let lines = text.lines().filter_map(|line| line.strip_prefix("ReadWritePaths="));
            let paths: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
            let writable: Vec<String> =
                writable_directories().map(|path| format!("-{path}")).collect();
            assert_eq!(paths, writable, "{unit}");
        }
    }

    #[test]
    fn the_advice_is_the_drop_in_for_the_narrowest_directory() {
        let there = |known: &'static str| {
            move |path: &Path| Path::new(known).ancestors().any(|above| above == path)
        };
        for (path, known, lines) in [
            ("/srv/puppet/ssl/certs/a.pem", "/srv/puppet/ssl", "ReadWritePaths=/srv/puppet/ssl`"),
            ("/srv/puppet/ssl", "/srv/puppet/ssl", "ReadWritePaths=/srv/puppet/ssl`"),
            ("/srv/puppet/ssl", "/srv/puppet", "ReadWritePaths=/srv/puppet`"),
            ("/srv/puppet/ssl", "/srv", "`mkdir -p /srv/puppet`"),
            ("/srv/puppet", "/srv", "`mkdir -p /srv/puppet`"),
            (
                "/var/lib/prometheus/x/e.prom",
                "/var/lib/prometheus/x",
                "ReadWritePaths=/var/lib/prometheus/x`",
            ),
        ] {
            let advice = advice_in("enlist.service", Path::new(path), &there(known));
            assert!(
                advice.contains("`systemctl edit enlist.service` with the two lines `[Service]`")
            );
            assert!(advice.contains(lines), "{path}: {advice}");
        }
        let advice = advice_in("enlist.service", Path::new("/etc/chef/x"), &there("/etc"));
        assert!(advice.starts_with("`systemctl restart enlist.service`"), "{advice}");
    }

    #[test]
    fn the_unit_is_found_in_both_forms_of_cgroups() {
        let unit = Some("enlist.service".to_owned());
        assert_eq!(unit_in("0::/system.slice/enlist.service\n"), unit);
        assert_eq!(unit_in("2:cpu:/\n1:name=systemd:/a.slice/enlist.service/sub\n"), unit);
        assert_eq!(unit_in("0::/user.slice/session-1.scope\n"), None);
    }
}
