//! Other programs, run without our secrets.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::files;
use super::root::Root;
use super::variables;

/// What must not reach a child: it is none of its business, and its logs are not ours.
const WITHHELD: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

/// What systemd-run may take to say that the unit has ended.
const CLIENT_GRACE: Duration = Duration::from_secs(10);

/// What is kept of each of a program's outputs, in bytes: its last words.
const MOST_KEPT: usize = 64 * 1024;

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
#[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
pub async fn run(program: &str, arguments: &[&str], limit: Duration) -> std::io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for name in WITHHELD {
        command.env_remove(name);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async { tokio::try_join!(child.wait(), tail(stdout), tail(stderr)) };
    let (status, stdout, stderr) = tokio::time::timeout(limit, ended).await.map_err(|_| {
        std::io::Error::other(format!("it did not end within {} s", limit.as_secs()))
    })??;
    Ok(Ended { code: status.code(), stdout, stderr })
}

/// All of it is read, so that the program is not held up, and the end of it is kept.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let (mut kept, mut part) = (Vec::new(), vec![0; 8192]);
    loop {
        let read = pipe.read(&mut part).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(part.get(..read).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(MOST_KEPT));
    }
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
    let is_service = variables::variable("INVOCATION_ID").is_some();
    if !is_service || !files::is_directory(&Root::running_system(), "/run/systemd/system") {
        return run(program, arguments, limit).await;
    }
    // The unit ends by itself at the limit; it would outlive its client.
    let bound = format!("--property=RuntimeMaxSec={}", limit.as_secs());
    let mut all = vec!["--wait", "--pipe", "--collect", "--quiet", &bound, "--", program];
    all.extend(arguments);
    run("systemd-run", &all, limit + CLIENT_GRACE).await
}
