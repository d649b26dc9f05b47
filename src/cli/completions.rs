//! `enlist completions`: prints the completions of a shell, for hosts without the package.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, printer};
use crate::fault::Fault;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist completions bash >/etc/bash_completion.d/enlist
  enlist completions fish >~/.config/fish/completions/enlist.fish")]
pub struct Options {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

pub fn run(options: &Options) -> Result<u8, Fault> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "enlist", &mut text);
    printer::out(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
