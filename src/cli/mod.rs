//! The command line: one file per command.

#![allow(clippy::disallowed_types, reason = "it waits")]

mod accept;
pub mod autosign;
mod bug_report;
mod check;
mod completions;
mod csr;
mod doctor;
mod drive;
mod facts;
mod join;
mod leave;
mod logging;
mod plan;
mod policy;
mod prepare;
mod printer;
mod progress;
mod rehearsal;
mod renew;
mod repair;
mod report;
mod run;
mod status;
mod status_text;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::fragments::{self, Unreadable};
use crate::config::{ConfigError, Input, Settings};
use crate::driver::milestones;
use crate::fault::{Fault, Kind};
use crate::host::{Root, core_dumps, file_limit, files, variables};

pub use printer::error as print_error;

/// Joins this machine to the service that manages it: key, request, approval, checks, installation
#[derive(Debug, Parser)]
#[command(name = "enlist", version, long_version = version(), propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 joined; 64 usage; 65 unacceptable key or certificate; 69 rejected; \
70 bug or damaged record; 74 disk, permissions, lock; 75 budget spent; 76 not the API; 77 denied; 78 settings; \
130 interrupted.

Examples:
  enlist check                  are the settings valid?
  enlist doctor                 what keeps this node from joining?
  enlist join --plan            what would a join do?
  enlist join
  enlist status --probe         is it a member, is it healthy, does the authority know it?"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The version, the commit that it was built from, and the build. The commit is given by the build
/// (`BUILD_COMMIT`), so that building a commit twice gives the same bytes.
fn version() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let commit = option_env!("BUILD_COMMIT").unwrap_or("unknown");
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let (version, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        format!("{version}\ncommit {commit}\nbuild {build}, {machine}")
    })
}

#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Read the settings from this file only
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Prefix of every path that is read or written, for images and tests
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Override a setting: TABLE.KEY=VALUE
    #[arg(long = "set", global = true, value_name = "SETTING")]
    pub set: Vec<String>,
    /// Log more: -v each call, -vv also each step, connection and answer
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Format of the log on stderr; with "journal" it goes to the systemd journal
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
    Journal,
}

const RENEW_EXAMPLES: &str = "Examples:
  enlist renew                        every target that can be renewed
  enlist renew --target chef-server   a new key for this client";

const REPAIR_EXAMPLES: &str = "Examples:
  enlist repair                       every target
  enlist repair --target opsworks-cm  files and settings of this one; the authority is not asked";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join every configured target, then exit
    Join(join::Options),
    /// Join every configured target, then stay: monitor, renew, report (the service)
    Run(run::Options),
    /// Show the membership and the health of each target, and the next step
    Status(status::Options),
    /// Check everything that a join or a member needs; change nothing
    Doctor(doctor::Options),
    /// Renew the certificates, and the keys of Chef clients, now
    #[command(after_help = RENEW_EXAMPLES)]
    Renew(drive::Selection),
    /// Restore what is installed from the record, and correct the engine's settings
    #[command(after_help = REPAIR_EXAMPLES)]
    Repair(drive::Selection),
    /// Tell the authorities that this node leaves, then remove what enlist installed
    Leave(leave::Options),
    /// Show what this node would tell an authority about itself
    Facts(facts::Options),
    /// Validate the settings, and show each with where it was set
    Check(check::Options),
    /// Print the least IAM policy for the configured targets, as JSON
    Policy(policy::Options),
    /// Print the certificate request of a join, with its proof, and ask no authority
    Csr(csr::Options),
    /// Check and install an answer that a person has carried here (see csr --by-hand)
    Accept(accept::Options),
    /// Decide whether a Puppet Server signs a certificate request (on the server; see enlist-autosign)
    Autosign(autosign::Options),
    /// Write one archive with what somebody else needs to find out what is wrong, without secrets
    BugReport(bug_report::Options),
    /// Print the completions of a shell
    Completions(completions::Options),
    /// Make the missing directories of the configured targets (the first step of the units)
    #[command(hide = true)]
    Prepare(prepare::Options),
}

/// Runs the command and returns its exit code.
///
/// # Errors
/// The fault that ended the command; `main` prints it.
pub fn run(cli: Cli) -> Result<u8, Fault> {
    core_dumps::disable();
    // One line on stderr and nothing else: it has no log.
    if let Command::Autosign(options) = &cli.command {
        return autosign::command(&cli.global, options);
    }
    printer::remember(cli.global.config.as_deref(), &cli.global.root);
    let progress = progress::Progress::new(
        &cli.global,
        matches!(
            cli.command,
            Command::Join(_)
                | Command::Accept(_)
                | Command::Leave(_)
                | Command::Renew(_)
                | Command::Repair(_)
        ),
    );
    logging::start(&cli.global, &progress)?;
    let is_for_people = cli.global.log_format == LogFormat::Text;
    let result = match cli.command {
        Command::Join(options) => join::run(&cli.global, &options, &progress),
        Command::Run(options) => run::run(&cli.global, &options),
        Command::Leave(options) => leave::run(&cli.global, &options, &progress),
        Command::Status(options) => status::run(&cli.global, &options),
        Command::Doctor(options) => doctor::run(&cli.global, &options),
        Command::Renew(options) => renew::run(&cli.global, &options, &progress),
        Command::Repair(options) => repair::run(&cli.global, &options, &progress),
        Command::Facts(options) => facts::run(&cli.global, &options),
        Command::Check(options) => check::run(&cli.global, &options),
        Command::Policy(options) => policy::run(&cli.global, &options),
        Command::Csr(options) => csr::run(&cli.global, &options, &progress),
        Command::Accept(options) => accept::run(&cli.global, &options, &progress),
        Command::Autosign(options) => autosign::command(&cli.global, &options),
        Command::BugReport(options) => bug_report::run(&cli.global, &options),
        Command::Completions(options) => completions::run(&options),
        Command::Prepare(options) => prepare::run(&cli.global, &options),
    };
    // People read it on stderr. A log that programs read has to have it too.
    if let (false, Err(fault)) = (is_for_people, &result) {
        tracing::error!(
            message_id = milestones::FAILED,
            kind = fault.kind.word(),
            "{}",
            fault.sentence()
        );
    }
    result
}

impl Global {
    fn root(&self) -> Result<Root, Fault> {
        let absolute = std::path::absolute(&self.root);
        absolute.map(Root::new).map_err(|error| {
            let on = format!("--root {}", self.root.display());
            Fault::new(
                Kind::Usage,
                "this is not a path",
                on,
                "give the path of a directory: `--root /DIRECTORY`",
            )
            .because(&error)
        })
    }

    /// Everything that was set: files, then environment, then command line.
    fn input(&self, root: &Root) -> Result<Input, ConfigError> {
        let mut input = match &self.config {
            Some(path) => read_only(path)?,
            None => fragments::read_all(&Fragments(root))?,
        };
        input.add_environment(variables::all().filter_map(|(name, value)| {
            // A name that is not UTF-8 is not one of ours; a value that is not UTF-8 is invalid.
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))?;
        for argument in &self.set {
            input.add_argument(argument)?;
        }
        Ok(input)
    }

    /// The same, with all errors collected.
    fn collected(&self, root: &Root) -> Result<Input, ConfigError> {
        let mut input = match &self.config {
            Some(path) => read_only(path)?.collecting(),
            None => fragments::collect_all(&Fragments(root))?,
        };
        input.add_environment(variables::all().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))?;
        for argument in &self.set {
            let added = input.add_argument(argument);
            input.tolerate(added)?;
        }
        Ok(input)
    }

    fn settings(&self, root: &Root) -> Result<Settings, ConfigError> {
        parse(&self.input(root)?, root)
    }
}

fn parse(input: &Input, root: &Root) -> Result<Settings, ConfigError> {
    Settings::parse(input, &|path| read_file(root, path))
}

/// Reads a file that a setting names.
fn read_file(root: &Root, path: &str) -> Result<String, String> {
    files::read_trusted_text(root, path, files::LARGEST)
        .map_err(|error| format!("{}: {}", root.shown(path), because(&error)))
}

/// Reads `--config`, a path of the running system: `--root` does not apply to it.
fn read_only(path: &std::path::Path) -> Result<Input, ConfigError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    fragments::read_only(&Fragments(&Root::running_system()), &path.to_string_lossy())
}

/// The files of settings below a root.
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
    let inner =
        error.get_ref().and_then(|inner| inner.downcast_ref::<std::string::FromUtf8Error>());
    if let Some(error) = inner {
        let at = error.utf8_error().valid_up_to();
        return Unreadable {
            cause: format!("it is not UTF-8 text, from byte {} on", at + 1),
            todo: Some("save it as UTF-8; from Latin-1: `iconv -f ISO-8859-1 -t UTF-8`".to_owned()),
        };
    }
    Unreadable { cause: error.to_string(), todo: files::advice(error).map(str::to_owned) }
}

fn because(error: &std::io::Error) -> String {
    match files::advice(error) {
        Some(todo) => format!("{error}; {todo}"),
        None => error.to_string(),
    }
}

/// A runtime with one thread: almost all the time goes into waiting.
fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = built.map_err(|error| {
        let todo = "check the limits on open files and processes: `ulimit -n -u`";
        Fault::new(Kind::Host, "the runtime could not be started", "tokio", todo).because(&error)
    })?;
    let entered = runtime.enter();
    file_limit::make_it_an_error();
    drop(entered);
    Ok(runtime)
}
