#![forbid(unsafe_code)]
//! Parses the command line, runs the command, prints its fault, and exits.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use enlist::cli::{self, Cli};
use enlist::fault::Kind;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If this fails, nobody reads the output.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(Kind::Usage.exit_code()),
            };
        }
    };
    match cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            cli::print_error(&fault);
            ExitCode::from(fault.kind.exit_code())
        }
    }
}
