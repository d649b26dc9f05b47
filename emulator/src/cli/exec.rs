//! `exec`: the emulator for as long as a command runs.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use enlist_emulator::{Emulator, MISLEADING_ENV, Options};

use super::arguments::Arguments;
use super::aws_wrapper::{self, Wrapper};
use super::{Failure, say};

/// Run a command with the emulator's environment; exit with its code, or 128 and its signal.
#[derive(Args)]
pub struct Exec {
    /// Log each call on stderr
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    arguments: Arguments,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl Exec {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let options = Options { log: self.verbose, ..self.arguments.options()? };
        let emulator = Emulator::start(options)?;
        say(&format!(
            "enlist-emulator: API at {}, instance metadata at {}",
            emulator.api_url(),
            emulator.imds_url()
        ));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::Signals)?;
        let status = runtime.block_on(run(&self.command, &emulator))?;
        Ok(ExitCode::from(exit_code(status)))
    }
}

/// The exit code of a command that could not be started, as shells have it.
pub fn not_started(error: &std::io::Error) -> u8 {
    if error.kind() == ErrorKind::NotFound { 127 } else { 126 }
}

async fn run(words: &[OsString], emulator: &Emulator) -> Result<ExitStatus, Failure> {
    let [program, arguments @ ..] = words else {
        return Ok(ExitStatus::default());
    };
    // A terminal sends its interrupt to the command as well; we only must outlive it.
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(Failure::Signals)?;

    let path = std::env::var_os("PATH").unwrap_or_default();
    let wrapper = Wrapper::new(&path).unwrap_or_else(|error| {
        say(&format!(
            "enlist-emulator: no wrapper for old AWS CLIs, which need a directory: {error}"
        ));
        None
    });
    let path = wrapper.as_ref().map_or(path.clone(), |wrapper| wrapper.before(&path));
    let found = aws_wrapper::find(program, &path);
    let mut command = Command::new(found.as_deref().unwrap_or(program.as_ref()));
    command.arg0(program).env("PATH", &path);
    command.args(aws_wrapper::arguments(program, arguments, emulator.api_url())).args(arguments);
    for name in MISLEADING_ENV {
        command.env_remove(name);
    }
    command.envs(emulator.env()).envs(around_proxies());
    let failed = |source| Failure::Command { command: program.display().to_string(), source };
    let mut child = command.spawn().map_err(failed)?;
    loop {
        tokio::select! {
            status = child.wait() => return status.map_err(failed),
            _ = interrupted.recv() => {}
            _ = terminated.recv() => pass_on(&child, Signal::TERM),
            _ = hung_up.recv() => pass_on(&child, Signal::HUP),
        }
    }
}

/// Where a proxy is set, it does not get requests to this machine.
fn around_proxies() -> Vec<(&'static str, String)> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    if proxies.into_iter().find_map(variable).is_none() {
        return Vec::new();
    }
    let known = ["no_proxy", "NO_PROXY"].into_iter().find_map(variable);
    let all = [known, Some("127.0.0.1,localhost".to_owned())];
    let all = all.into_iter().flatten().collect::<Vec<_>>().join(",");
    vec![("no_proxy", all.clone()), ("NO_PROXY", all)]
}

fn pass_on(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It fails only when the command has just ended, and then its end is next.
        let _ = kill_process(pid, signal);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
