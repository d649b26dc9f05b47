//! Other programs, run without our secrets.

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
