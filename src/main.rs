#![forbid(unsafe_code)]
//! Parses the command line, runs the command, prints its fault, and exits.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use enlist::cli::{self, Cli, autosign};
use enlist::fault::Kind;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if autosign::is_program(arguments.first().map(OsString::as_os_str)) {
        return ExitCode::from(autosign::Program::run(arguments));
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
    let printed = error.print().and_then(|()| io::stdout().flush());
    match (error.kind(), printed) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error))
            if error.kind() != io::ErrorKind::BrokenPipe =>
        {
            ExitCode::from(Kind::Host.exit_code())
        }
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(Kind::Usage.exit_code()),
    }
}
