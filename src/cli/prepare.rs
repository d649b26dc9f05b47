//! `enlist prepare`: the directories of the configured targets, made before the unit's sandbox is.

use clap::Args;

use super::Global;
use crate::fault::Fault;
use crate::host::sandbox;

#[derive(Debug, Args)]
pub struct Options {}

/// Installs nothing and asks nobody.
pub fn run(global: &Global, _: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let settings = global.settings(&root)?;
    sandbox::prepare(&root, &settings.targets(), &settings.engines)?;
    Ok(0)
}
