//! The command line: arguments in, exit code out.

#![allow(clippy::disallowed_methods, reason = "the room that runs commands")]

mod arguments;
mod aws_wrapper;
mod endpoint_arguments;
mod exec;
mod seed_file;
mod serve;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use enlist_emulator::{StartError, StateError};
use seed_file::SeedFileError;

/// Exit codes of BSD's sysexits: the agent has the same.
const USAGE: u8 = 64;
const DATA: u8 = 65;
const SOFTWARE: u8 = 70;
const IO: u8 = 74;

/// A command that failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    SeedFile(#[from] seed_file::SeedFileError),
    #[error("the emulator did not start")]
    Start(#[from] StartError),
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    #[error("cannot run '{command}'")]
    Command { command: String, source: std::io::Error },
}

/// An API-compatible control plane (AWS OpsWorks CM, OpsWorks Stacks, Systems Manager) and EC2
/// instance metadata service.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
enum Cli {
    Serve(serve::Serve),
    Exec(exec::Exec),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(Cli::Serve(serve)) => serve.run(),
        Ok(Cli::Exec(exec)) => exec.run(),
        Err(error) => return refuse(&error),
    };
    done.unwrap_or_else(|failure| report(&failure))
}

/// Help and version are results; all else is a mistake of the caller.
fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing can be done when the terminal is gone.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

/// Says what failed, and its causes, one a line.
fn report(failure: &Failure) -> ExitCode {
    say(&format!("enlist-emulator: {failure}"));
    let mut cause = failure.source();
    while let Some(error) = cause {
        say(&format!("  because: {error}"));
        cause = error.source();
    }
    ExitCode::from(failure.exit_code())
}

/// A line for people; that nobody reads it is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::SeedFile(SeedFileError::Read { .. } | SeedFileError::Key { .. }) => IO,
            Self::SeedFile(_)
            | Self::Start(
                StartError::Ca(_)
                | StartError::Node { .. }
                | StartError::State(StateError::Damaged { .. } | StateError::Foreign { .. }),
            ) => DATA,
            Self::Start(StartError::Randomness | StartError::Thread(_)) => SOFTWARE,
            Self::Start(_) | Self::Output(_) | Self::Signals(_) => IO,
            Self::Command { source, .. } => exec::not_started(source),
        }
    }
}
