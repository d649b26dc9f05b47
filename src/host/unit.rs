//! The state of enlist's systemd units, for `enlist doctor`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::process::{self, Network};
use super::program;
use super::root::Root;
use super::sandbox;
use crate::fault::{Fault, Kind};

const LIMIT: Duration = Duration::from_secs(10);

/// The service, and the unit that joins at boot and ends.
const UNITS: [&str; 2] = ["enlist.service", "enlist-join.service"];

/// The properties of one unit (systemctl(1), "show").
#[derive(Clone, Debug, Default)]
pub struct Unit(BTreeMap<String, String>);

impl Unit {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The directories that its sandbox lets it write.
    pub fn writable(&self) -> impl Iterator<Item = &str> {
        self.get("ReadWritePaths")
            .split_whitespace()
            .map(|path| path.trim_start_matches(['-', '+']))
    }

    /// Whether it has a sandbox.
    #[must_use]
    pub fn is_sandboxed(&self) -> bool {
        self.get("ProtectSystem") == "strict"
    }

    fn is_enabled(&self) -> bool {
        self.get("UnitFileState").starts_with("enabled")
    }
}

/// The units that are installed. Empty without systemd.
pub async fn installed(root: &Root) -> Vec<(&'static str, Unit)> {
    let Ok(Some(systemctl)) = program::find(root, &["systemctl"], None) else { return Vec::new() };
    let mut found = Vec::new();
    for unit in UNITS {
        let properties = "--property=LoadState,ActiveState,SubState,Result,UnitFileState,ExecMainStatus,ReadWritePaths,ProtectSystem";
        let arguments = ["show", unit, properties];
        let ran = process::run(&root.shown(&systemctl), &arguments, LIMIT, Network::Unused).await;
        let Ok(output) = ran else { continue };
        let pairs = output.stdout.lines().filter_map(|line| line.split_once('='));
        let state = Unit(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        if output.code == Some(0) && state.get("LoadState") == "loaded" {
            found.push((unit, state));
        }
    }
    found
}

/// Checks that a unit that is enabled runs, or has done its work.
///
/// # Errors
/// `Host` if it has failed or does not run.
pub fn check(units: &[(&'static str, Unit)]) -> Result<String, Fault> {
    let mut said = Vec::new();
    for (name, unit) in units {
        let (active, sub) = (unit.get("ActiveState"), unit.get("SubState"));
        let on = format!("{name}: {active} ({sub}), {}", unit.get("UnitFileState"));
        let short = name.trim_end_matches(".service");
        if active == "failed" {
            let todo = format!(
                "read its last lines: `journalctl -u {short} -b -n 50`; then `systemctl restart {short}`"
            );
            let status = unit.get("ExecMainStatus");
            let cause = format!("result {}, exit code {status}", unit.get("Result"));
            return Err(Fault::new(Kind::Host, "the unit has failed", on, todo).cause(cause));
        }
        // The one that joins at boot ends afterwards.
        if active == "inactive" && unit.is_enabled() && *name == "enlist.service" {
            let todo = format!("start it: `systemctl start {short}`");
            return Err(Fault::new(Kind::Host, "the unit is enabled and does not run", on, todo));
        }
        said.push(on);
    }
    Ok(said.join("; "))
}

/// Checks that the sandbox of a unit lets it write these paths.
///
/// # Errors
/// `Host` with the drop-in to add.
pub fn check_sandbox(name: &str, unit: &Unit, paths: &[String]) -> Result<String, Fault> {
    if !unit.is_sandboxed() {
        return Ok(format!("{name} has no sandbox"));
    }
    let is_writable = |path: &String| {
        unit.writable()
            .chain(["/var/lib/enlist", "/run/enlist"])
            .any(|known| Path::new(path).starts_with(known))
    };
    match paths.iter().find(|path| !is_writable(path)) {
        None => Ok(format!("{name} may write all {} paths", paths.len())),
        Some(path) => {
            let directory = Path::new(path).parent().unwrap_or(Path::new("/"));
            let todo = sandbox::drop_in(name, directory);
            let what = format!("the sandbox of {name} does not let it write this path");
            Err(Fault::new(Kind::Host, what, path.as_str(), todo))
        }
    }
}
