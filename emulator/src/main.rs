//! `enlist-emulator`: the control plane and metadata service for the command line.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
