//! `serve`: the emulator until a signal comes.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use enlist_emulator::{Emulator, Options};

use super::Failure;
use super::arguments::Arguments;

/// Serve until SIGINT or SIGTERM; print the environment for clients, log calls on stderr.
#[derive(Args)]
pub struct Serve {
    /// Where the API listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the metadata service listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    imds_listen: SocketAddr,
    /// Do not log calls
    #[arg(short, long)]
    quiet: bool,
    /// Print the environment as JSON, not as shell commands
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    arguments: Arguments,
}

impl Serve {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let options = Options {
            listen: self.listen,
            imds_listen: self.imds_listen,
            log: !self.quiet,
            ..self.arguments.options()?
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::Signals)?;
        let _inside = runtime.enter();
        // Before the environment is printed: who reads it may stop us at once.
        let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signals)?;

        let emulator = Emulator::start(options)?;
        print(&emulator.env(), self.json).map_err(Failure::Output)?;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        });
        Ok(ExitCode::SUCCESS)
    }
}

fn print(environment: &[(String, String)], json: bool) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    if json {
        let pairs = environment.iter().cloned();
        let object: Map<_, _> = pairs.map(|(name, value)| (name, Value::String(value))).collect();
        writeln!(output, "{}", Value::Object(object))?;
    } else {
        for (name, value) in environment {
            writeln!(output, "export {name}={}", quoted(value))?;
        }
    }
    output.flush()
}

/// A shell word that stands for itself.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}
