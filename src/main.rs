#![forbid(unsafe_code)]
//! Parses the command line, runs the command, prints its fault, and exits.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use enlist::cli::{self, Cli, autosign};
use enlist::fault::Kind;

fn main() -> ExitCode {
    if autosign::is_program(std::env::args_os().next().as_deref()) {
        return match autosign::Program::try_parse() {
            Ok(program) => ExitCode::from(program.run()),
            Err(error) => usage(&error),
        };
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            cli::print_error(&fault);
            ExitCode::from(fault.kind.exit_code())
        }
    }
}

/// Prints the help, the version, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    // If this fails, nobody reads the output.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(Kind::Usage.exit_code()),
    }
}
