//! `enlist run`: the daemon, in the foreground for systemd, or by itself where there is none.

use clap::Args;
use daemonize::Daemonize;

use super::{Global, parse, runtime};
use crate::config::{ConfigError, Settings};
use crate::daemon;
use crate::fault::{Fault, Kind};
use crate::host::{Root, files, lock};

#[derive(Debug, Args)]
pub struct Options {
    /// Go to the background, for hosts without systemd
    #[arg(long)]
    daemonize: bool,
    /// Where the background process writes its id
    #[arg(long, value_name = "FILE", default_value = "/run/enlist/enlist.pid")]
    pid_file: String,
    /// Where the background process writes its log
    #[arg(long, value_name = "FILE", default_value = "/var/log/enlist.log")]
    log_file: String,
}

pub fn run(global: &Global, options: &Options) -> Result<u8, Fault> {
    let root = global.root()?;
    // The background process goes to another directory, and reads it again from there.
    let config =
        global.config.as_ref().map(|path| std::path::absolute(path).unwrap_or(path.clone()));
    let global = &Global { config, ..global.clone() };
    let read = || settings(global, &root);
    // What is wrong with them is said here, where it is seen, and not in the background.
    let first = read()?;
    // So is that there is one already; what forks off inherits the lock.
    let _place = lock::acquire_daemon(&root)?;
    if options.daemonize {
        to_background(&root, options)?;
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(&root, &read, first));
    // A key that is being made is nobody's any more.
    runtime.shutdown_background();
    ended.map(|()| 0)
}

/// None while no target is configured: the package may be installed before its settings are.
fn settings(global: &Global, root: &Root) -> Result<Option<Settings>, Fault> {
    match parse(&global.input(root)?, root) {
        Ok(settings) => Ok(Some(settings)),
        Err(ConfigError::NoTarget { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Before the runtime starts: of a process's threads, only the one that forks goes on.
///
/// `daemonize` forks, leaves the session and redirects the streams, and no more: it would open the
/// files by their path and follow links.
fn to_background(root: &Root, options: &Options) -> Result<(), Fault> {
    let (pid_file, log_file) = (&options.pid_file, &options.log_file);
    let no_log =
        |error: &std::io::Error| files::fault(root, "the log can't be written", log_file, error);
    // What is wrong with a path is said here, where it is seen, and not in the background.
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
            let todo = "check the limits on processes and memory";
            let what = "it could not go to the background";
            Fault::new(Kind::Host, what, "enlist run --daemonize", todo).because(&error)
        })?;
    let pid = format!("{}\n", std::process::id());
    files::replace(root, pid_file, pid.as_bytes(), 0o644, None)
}
