#![forbid(unsafe_code)]
//! Makes the files that the packages contain besides the program: man pages and completions from the
//! command line, the file of defaults from the list of settings, the licences from the dependencies.
//! Not part of a package itself.
//!
//!     enlist-packaging DIRECTORY DATE      DATE: of the release, YYYY-MM-DD
#![allow(clippy::disallowed_methods, reason = "a build tool: it writes files and runs cargo")]
#![allow(clippy::indexing_slicing, reason = "indexing JSON yields null for a missing member")]

mod defaults;
mod licences;
mod man;

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use enlist::cli::Cli;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, date] = arguments.as_slice() else {
        return Err("usage: enlist-packaging DIRECTORY DATE".into());
    };
    let out = Path::new(directory);
    for part in ["man", "completions"] {
        fs::create_dir_all(out.join(part))?;
    }
    man::write(&out.join("man"), date)?;
    completions(&out.join("completions"))?;
    fs::write(out.join("enlist.toml"), defaults::commented())?;
    let crates = licences::linked()?;
    fs::write(out.join("copyright"), licences::copyright(&crates))?;
    fs::write(out.join("third-party-licences"), licences::texts(&crates)?)?;
    Ok(())
}

/// The completions, under the names that the shells look for.
fn completions(out: &Path) -> Outcome {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "enlist", out)?;
    }
    fs::rename(out.join("enlist.bash"), out.join("enlist"))?;
    Ok(())
}
