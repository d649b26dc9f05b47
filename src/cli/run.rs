//! `enlist run`: the daemon. It runs in the foreground for systemd, and in the background without.

use clap::Args;
use daemonize::Daemonize;

use super::{Global, parse, runtime};
use crate::config::{ConfigError, Settings};
use crate::daemon;
use crate::fault::{Fault, Kind};
use crate::host::{Root, files, lock};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  enlist run                            in the foreground, for systemd
  enlist run --daemonize                on a host without systemd")]
pub struct Options {
    /// Run in the background, for hosts without systemd
    #[arg(long)]
    daemonize: bool,
    /// File for the process id of the background process
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/run/enlist/enlist.pid",
        requires = "daemonize"
    )]
    pid_file: String,
    /// File for the log of the background process
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/log/enlist.log",
        requires = "daemonize"
    )]
    log_file: String,
}

pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    // The background process has another working directory, and reads this file again on reload.
    let config =
        global.config.as_ref().map(|path| std::path::absolute(path).unwrap_or(path.clone()));
    let global = &Global { config, ..global.clone() };
    let read = || settings(global, &root);
    // Errors in the settings are printed here: in the background they would only be logged.
    let first = read()?;
    // The background process inherits the lock.
    let _lock = lock::acquire_daemon(&root)?;
    if options.daemonize {
        to_background(&root, options)?;
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(&root, &read, first));
    // Does not wait for a key that is still being generated: nobody will use it.
    runtime.shutdown_background();
    if options.daemonize {
        remove_pid_file(&root, &options.pid_file);
    }
    ended.map(|()| 0)
}

/// Removes the file with the id of this process, which ends.
fn remove_pid_file(root: &Root, path: &str) {
    if root.line(path) == Some(std::process::id().to_string())
        && let Err(fault) = files::remove(root, path)
    {
        tracing::warn!("{}", fault.sentence());
    }
}

/// The settings; none if no target is configured. The package may be installed before its settings.
fn settings(global: &Global, root: &Root) -> Result<Option<Settings>, Fault> {
    match parse(&global.input(root)?, root) {
        Ok(settings) => Ok(Some(settings)),
        Err(ConfigError::NoTarget { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Continues in the background. This happens before the runtime starts, since of all threads only
/// the one that forks continues.
///
/// `daemonize` is used to fork, to leave the session and to redirect the streams. It does not open
/// files here: it would follow links.
fn to_background(root: &Root, options: &Options) -> Result<(), Fault> {
    let (pid_file, log_file) = (&options.pid_file, &options.log_file);
    let no_log =
        |error: &std::io::Error| files::fault(root, "the log can't be written", log_file, error);
    // Errors in a path are printed here: in the background they would only be logged.
    if let Some((directory, _)) = pid_file.rsplit_once('/') {
        files::make_directory(root, directory, 0o755, None)?;
    }
    files::check_writable(root, pid_file)?;
    let log = files::append(root, log_file, 0o600).map_err(|error| no_log(&error))?;
    let again = log.try_clone().map_err(|error| no_log(&error))?;
    Daemonize::new()
        .working_directory("/")
        .umask(0o077)
        .stdout(log)
        .stderr(again)
        .start()
        .map_err(|error| {
            let todo = "check the limits on processes and memory: `ulimit -u -v`";
            let what = "the background process could not be started";
            Fault::new(Kind::Host, what, "enlist run --daemonize", todo).because(&error)
        })?;
    let pid = format!("{}\n", std::process::id());
    files::replace(root, pid_file, pid.as_bytes(), 0o644, None)
}
