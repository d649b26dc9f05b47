//! Other programs, run without our secrets.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What must not reach a child: it is none of its business, and its logs are not ours.
const WITHHELD: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

/// What systemd-run may take to say that the unit has ended.
const CLIENT_GRACE: Duration = Duration::from_secs(10);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end or to the limit, whichever comes first.
///
/// # Errors
/// Where it can't be started, or the limit came first.
pub async fn run(program: &str, arguments: &[&str], limit: Duration) -> std::io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for name in WITHHELD {
        command.env_remove(name);
    }
    let output = tokio::time::timeout(limit, command.output()).await.map_err(|_| {
        std::io::Error::other(format!("it did not end within {} s", limit.as_secs()))
    })??;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// As [`run`], but outside of the service's sandbox: where systemd started us, it starts the
/// program as a unit of its own. For what changes the whole machine, such as an engine's run.
///
/// # Errors
/// As for [`run`].
pub async fn run_apart(
    program: &str,
    arguments: &[&str],
    limit: Duration,
) -> std::io::Result<Ended> {
    // Set in every service (systemd.exec(5)).
    let is_service = std::env::var_os("INVOCATION_ID").is_some();
    if !is_service || !Path::new("/run/systemd/system").is_dir() {
        return run(program, arguments, limit).await;
    }
    // The unit ends by itself at the limit; it would outlive its client.
    let bound = format!("--property=RuntimeMaxSec={}", limit.as_secs());
    let mut all = vec!["--wait", "--pipe", "--collect", "--quiet", &bound, "--", program];
    all.extend(arguments);
    run("systemd-run", &all, limit + CLIENT_GRACE).await
}
