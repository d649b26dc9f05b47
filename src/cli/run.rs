//! `enlist run`: the daemon, in the foreground for systemd, or by itself where there is none.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use daemonize::Daemonize;

use super::{Global, parse, runtime};
use crate::config::{ConfigError, Settings};
use crate::daemon;
use crate::fault::{Fault, Kind};
use crate::host::{Root, lock};

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
    let _place = lock::daemon(&root)?;
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
fn to_background(root: &Root, options: &Options) -> Result<(), Fault> {
    let (pid_file, log_file) = (root.at(&options.pid_file), root.at(&options.log_file));
    let failed = |what: &str, path: &Path, error: &(dyn std::error::Error + 'static)| {
        let todo = "check the path, and that no other enlist is in the background";
        Fault::new(Kind::Host, what, path.display().to_string(), todo).because(error)
    };
    let directory = |path: &PathBuf| path.parent().map_or(Ok(()), std::fs::create_dir_all);
    directory(&pid_file).map_err(|error| failed("no place for the pid file", &pid_file, &error))?;
    let log = directory(&log_file)
        .and_then(|()| OpenOptions::new().create(true).append(true).mode(0o600).open(&log_file));
    let log = log.map_err(|error| failed("the log can't be written", &log_file, &error))?;
    let again =
        log.try_clone().map_err(|error| failed("the log can't be written", &log_file, &error))?;
    Daemonize::new()
        .pid_file(&pid_file)
        .working_directory("/")
        .umask(0o077)
        .stdout(log)
        .stderr(again)
        .start()
        .map_err(|error| failed("it could not go to the background", &pid_file, &error))
}
