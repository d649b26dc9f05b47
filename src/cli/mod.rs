//! The command line: one file per command.

#![allow(clippy::disallowed_types, reason = "the edge: waiting")]

mod check;
mod drive;
mod facts;
mod join;
mod leave;
mod logging;
mod policy;
mod prepare;
mod printer;
mod progress;
mod run;
mod status;

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::fragments::{self, Unreadable};
use crate::config::{Input, Settings};
use crate::fault::{Fault, Kind};
use crate::host::{Root, core_dumps, files, variables};

pub use printer::render;

/// Makes this machine a member of what manages it: keys, request, acceptance, checks, installation.
#[derive(Debug, Parser)]
#[command(name = "enlist", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 joined; 64 usage; 65 what came back is not acceptable; 69 refused; \
70 bug or damaged record; 74 disk, permissions, lock; 75 budget spent; 76 not the API; 77 denied; 78 settings."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Read the settings from this file alone
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Prefix of every path read or written, for images and tests
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Override a setting: TABLE.KEY=VALUE
    #[arg(long = "set", global = true, value_name = "SETTING")]
    pub set: Vec<String>,
    /// Say more: -v what is called, -vv everything of ours
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Form of the log on stderr; journal: to the journal's own socket
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
    Journal,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Drive every configured target until joined or the budget is spent, then exit
    Join(drive::Selection),
    /// Join every target, then stay: watch over it, renew, report; the service
    Run(run::Options),
    /// Where each target stands, since when, what comes next
    Status(status::Options),
    /// Tell the authorities that this node leaves, then clear away what is ours
    Leave(drive::Selection),
    /// What this node would say of itself
    Facts(facts::Options),
    /// The merged settings, each with what set it, validated
    Check(check::Options),
    /// The least IAM policy for the configured targets, as JSON
    Policy(policy::Options),
    /// Make the missing directories of the configured targets; the units' first step
    #[command(hide = true)]
    Prepare(prepare::Options),
}

/// Runs the command; the exit code where it is not a fault's.
///
/// # Errors
/// The fault that ended it, to be rendered by `main`.
pub fn run(cli: Cli) -> Result<u8, Fault> {
    core_dumps::disable();
    let progress = progress::Progress::new(
        &cli.global,
        matches!(cli.command, Command::Join(_) | Command::Leave(_)),
    );
    logging::start(&cli.global, &progress)?;
    match cli.command {
        Command::Join(options) => join::run(&cli.global, &options, &progress),
        Command::Run(options) => run::run(&cli.global, &options),
        Command::Leave(options) => leave::run(&cli.global, &options, &progress),
        Command::Status(options) => status::run(&cli.global, &options),
        Command::Facts(options) => facts::run(&cli.global, &options),
        Command::Check(options) => check::run(&cli.global, &options),
        Command::Policy(options) => policy::run(&cli.global, &options),
        Command::Prepare(options) => prepare::run(&cli.global, &options),
    }
}

impl Global {
    fn root(&self) -> Result<Root, Fault> {
        let absolute = std::path::absolute(&self.root);
        absolute.map(Root::new).map_err(|error| {
            let on = format!("--root {}", self.root.display());
            Fault::new(Kind::Usage, "this is no directory", on, "give a directory").because(&error)
        })
    }

    /// Everything that was set, in the order of its weight.
    fn input(&self, root: &Root) -> Result<Input, Fault> {
        let mut input = match &self.config {
            Some(path) => read_only(path)?,
            None => fragments::read_all(&Fragments(root))?,
        };
        input.add_environment(variables::all().filter_map(|(name, value)| {
            // What is not UTF-8 is not ours by its name, or not valid by its value.
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))?;
        for argument in &self.set {
            input.add_argument(argument)?;
        }
        Ok(input)
    }

    fn settings(&self, root: &Root) -> Result<Settings, Fault> {
        let input = self.input(root)?;
        Ok(parse(&input, root)?)
    }
}

fn parse(input: &Input, root: &Root) -> Result<Settings, crate::config::ConfigError> {
    let read = |path: &str| {
        files::read_trusted_text(root, path, files::LARGEST)
            .map_err(|error| format!("{}: {}", root.shown(path), because(&error)))
    };
    Settings::parse(input, &read)
}

/// `--config` is a path of the running system, whatever `--root` says.
fn read_only(path: &std::path::Path) -> Result<Input, crate::config::ConfigError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    fragments::read_only(&Fragments(&Root::running_system()), &path.to_string_lossy())
}

/// The settings' files below a root.
struct Fragments<'a>(&'a Root);

impl fragments::Source for Fragments<'_> {
    fn shown(&self, path: &str) -> String {
        self.0.shown(path)
    }

    fn names(&self, directory: &str) -> Result<Vec<String>, Unreadable> {
        match files::names(self.0, directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| unreadable(&error)),
        }
    }

    fn read(&self, path: &str) -> Result<Option<String>, Unreadable> {
        match files::read_trusted_text(self.0, path, fragments::LARGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            text => text.map(Some).map_err(|error| unreadable(&error)),
        }
    }
}

fn unreadable(error: &std::io::Error) -> Unreadable {
    Unreadable { cause: error.to_string(), todo: files::advice(error).map(str::to_owned) }
}

fn because(error: &std::io::Error) -> String {
    match files::advice(error) {
        Some(todo) => format!("{error}; {todo}"),
        None => error.to_string(),
    }
}

/// One thread is plenty: there is one thing to wait for at a time.
fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Fault::new(
            Kind::Host,
            "the runtime could not be started",
            "tokio",
            "check the limits on files and threads",
        )
        .because(&error)
    })
}
