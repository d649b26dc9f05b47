//! Which version of an engine is installed, for `enlist doctor`.

use std::time::Duration;

use crate::engines::EngineId;
use crate::fault::{Fault, Kind};
use crate::host::process::{self, Network};
use crate::host::program;
use crate::host::root::Root;

const LIMIT: Duration = Duration::from_mins(1);

/// The names of the program, the option that prints its version, and the least major version that works
/// with what enlist installs.
fn program_of(id: EngineId) -> Option<(&'static [&'static str], &'static str, u32)> {
    match id {
        // Puppet Server 5 to 8.
        EngineId::Puppet => Some((&["puppet"], "--version", 5)),
        // trusted_certs_dir, and policies without a compatibility mode. Cinc is Chef under another name.
        EngineId::Chef => Some((&["chef-client", "cinc-client"], "--version", 12)),
        // Its -register has -y.
        EngineId::SsmAgent => Some((&[crate::engines::ssm_agent::PROGRAM], "-version", 2)),
        EngineId::OpsworksAgent => None,
    }
}

/// Finds the engine's program and asks for its version. None: it is not installed, which no engine but the
/// SSM agent has to be before the join.
///
/// # Errors
/// `Host` if it is too old, `Config` if others can write it.
pub async fn version(
    root: &Root,
    id: EngineId,
    set: Option<&str>,
) -> Result<Option<String>, Fault> {
    let Some((names, option, least)) = program_of(id) else { return Ok(None) };
    let Some(path) = program::find(root, names, set)? else { return Ok(None) };
    let shown = root.shown(&path);
    let output = match process::run(&shown, &[option], LIMIT, Network::Unused).await {
        Ok(output) => output,
        Err(error) => {
            let todo = format!("run `{shown} {option}`, and install the engine again if it fails");
            let what = format!("{id} can't be run");
            return Err(Fault::new(Kind::Host, what, shown, todo).because(&error));
        }
    };
    let text = crate::text::phrase(output.stdout.trim());
    let number =
        text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|part| part.contains('.'));
    let major = number.and_then(|number| number.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(major) if major < least => {
            let what = format!("{id} is too old: version {}", number.unwrap_or_default());
            let todo = format!("install version {least} or later");
            Err(Fault::new(Kind::Host, what, shown, todo))
        }
        _ => Ok(Some(format!("{shown}: {}", number.unwrap_or("unknown version")))),
    }
}
