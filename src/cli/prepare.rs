//! `enlist prepare`: makes the directories of the configured targets before the sandbox of the unit is
//! set up.

use clap::Args;

use super::Global;
use crate::fault::Fault;
use crate::host::sandbox;

#[derive(Debug, Args)]
pub struct Options {}

/// Makes directories only; it does not use the network.
pub fn run(global: &Global, _: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    let settings = global.settings(&root)?;
    sandbox::prepare(&root, &settings.targets(), &settings.engines)?;
    Ok(0)
}
