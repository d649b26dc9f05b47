//! Runs other programs. They are searched in fixed directories, and get only the environment
//! variables listed here: no secret, and nothing that changes what they load or run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::files;
use super::root::Root;
use super::{timer, variables};
use crate::engines::PROGRAM_DIRECTORIES;
use crate::text;

/// The beginning of every child's PATH. It does not depend on the PATH of the user who became root.
/// The directories of the engines' vendors follow.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables that every child gets from our environment, besides LC_*: language and time zone.
const COMMON: [&str; 3] = ["LANG", "LANGUAGE", "TZ"];

/// The variables that a child gets if it uses the network: proxies, and trusted CAs.
const NETWORK: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// How long systemd-run may take to report the end of the unit.
const CLIENT_GRACE: Duration = Duration::from_secs(10);

/// How much is kept of each output of a program, in bytes: its end.
const MOST_KEPT: usize = 64 * 1024;

/// Whether a program uses the network, and so gets the variables for proxies and CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Unused,
    Used,
}

/// The exit code and the outputs of a program.
#[derive(Debug)]
pub struct Output {
    /// None if a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program until it ends, for as long as the limit at most. A name without a directory is
/// searched in the fixed directories.
///
/// # Errors
/// If the program can't be started, or does not end within the limit.
#[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
pub async fn run(
    program: &str,
    arguments: &[&str],
    limit: Duration,
    network: Network,
) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env_clear().envs(environment(network, variables::all()));
    // As for a service: relative paths do not depend on the directory that enlist was started in.
    command.current_dir("/");
    // A group of its own, so that what the program has started ends with it.
    command.process_group(0);
    let limit = timer::cut(limit);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async { tokio::try_join!(child.wait(), tail(stdout), tail(stderr)) };
    let (status, stdout, stderr) = tokio::time::timeout(limit, ended).await.map_err(|_| {
        let what = format!("it did not end within {} s", limit.as_secs());
        std::io::Error::new(std::io::ErrorKind::TimedOut, what)
    })??;
    group.0 = None;
    Ok(Output { code: status.code(), stdout, stderr })
}

/// The processes of a program that has not ended. They are killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The environment of a child, made from ours.
fn environment(
    network: Network,
    ours: impl Iterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    let is_root = rustix::process::geteuid().is_root();
    let is_passed = |name: &str| {
        COMMON.contains(&name)
            || name.starts_with("LC_")
            || (network == Network::Used && NETWORK.contains(&name))
            || (!is_root && name == "HOME")
    };
    let mut passed: BTreeMap<OsString, OsString> =
        ours.filter(|(name, _)| name.to_str().is_some_and(is_passed)).collect();
    passed.insert("PATH".into(), path().into());
    if is_root {
        // Not the home of the user who became root.
        passed.insert("HOME".into(), "/root".into());
    }
    passed
}

/// Reads everything, so that the program does not block, and keeps the end.
async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let (mut kept, mut part) = (Vec::new(), vec![0; 8192]);
    loop {
        let read = pipe.read(&mut part).await?;
        if read == 0 {
            return Ok(text::lines(&String::from_utf8_lossy(&kept)));
        }
        kept.extend_from_slice(part.get(..read).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(MOST_KEPT));
    }
}

/// Runs a program like [`run`], but outside of the service's sandbox: under systemd, as a unit of
/// its own. For programs that change the whole machine, such as an engine's first run.
///
/// # Errors
/// As for [`run`].
pub async fn run_outside_sandbox(
    program: &str,
    arguments: &[&str],
    limit: Duration,
) -> std::io::Result<Output> {
    // Set in every service (systemd.exec(5)).
    let is_service = variables::variable("INVOCATION_ID").is_some();
    if !is_service || !files::is_directory(&Root::running_system(), "/run/systemd/system") {
        return run(program, arguments, limit, Network::Used).await;
    }
    // The unit has to end at the limit by itself: it goes on when systemd-run is killed.
    let bound = format!("--property=RuntimeMaxSec={}", limit.as_secs());
    let passed = set_in_unit(&environment(Network::Used, variables::all()));
    let mut all = vec!["--wait", "--pipe", "--collect", "--quiet", &bound];
    all.extend(passed.iter().map(String::as_str));
    all.extend(["--", program]);
    all.extend(arguments);
    run("systemd-run", &all, limit + CLIENT_GRACE, Network::Used).await
}

/// The options with which systemd-run passes these variables on. Any user can read a unit's
/// environment, so a proxy with a password is left out.
fn set_in_unit(environment: &BTreeMap<OsString, OsString>) -> Vec<String> {
    let is_public = |value: &OsString| value.to_str().is_some_and(|value| !value.contains('@'));
    let names = environment.iter().filter(|(_, value)| is_public(value)).map(|(name, _)| name);
    names.map(|name| format!("--setenv={}", name.to_string_lossy())).collect()
}

fn path() -> String {
    format!("{PATH}:{}", PROGRAM_DIRECTORIES.join(":"))
}

#[cfg(test)]
mod tests {
    use super::{Network, environment, path, run, set_in_unit};
    use std::ffi::OsString;
    use std::time::Duration;

    const OURS: [(&str, &str); 14] = [
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_PROFILE", "x"),
        ("ENLIST_PUPPET_EXTENSION_REQUESTS", "pp_preshared_key=x"),
        ("CREDENTIALS_DIRECTORY", "/run/credentials/enlist.service"),
        ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ("LD_PRELOAD", "/home/u/x.so"),
        ("RUBYOPT", "-r/home/u/x"),
        ("GEM_PATH", "/home/u"),
        ("PATH", "/home/u/bin"),
        ("TMPDIR", "/home/u"),
        ("HTTPS_PROXY", "http://u:pw@proxy:3128"),
        ("no_proxy", "localhost"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "Europe/Zurich"),
    ];

    fn names(network: Network) -> Vec<OsString> {
        let ours = OURS.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let passed = environment(network, ours);
        assert_eq!(passed.get(&OsString::from("PATH")), Some(&OsString::from(path())));
        passed.into_keys().filter(|name| name != "HOME").collect()
    }

    #[test]
    fn children_get_the_listed_variables_only() {
        assert_eq!(names(Network::Unused), ["LC_ALL", "PATH", "TZ"]);
        assert_eq!(names(Network::Used), ["HTTPS_PROXY", "LC_ALL", "PATH", "TZ", "no_proxy"]);
    }

    #[tokio::test]
    async fn children_start_in_the_root_directory() {
        let ended = run("/bin/pwd", &[], Duration::from_secs(9), Network::Unused).await.unwrap();
        assert_eq!(ended.stdout.trim(), "/");
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the files are the test's own and the kernel's")]
    async fn what_a_program_has_started_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!(
            "sh -c 'trap \"\" TERM; echo $$ >{}; while :; do sleep 1; done' & wait",
            file.display()
        );
        let ended = run("/bin/sh", &["-c", &script], Duration::from_secs(1), Network::Unused).await;
        assert!(ended.unwrap_err().to_string().contains("did not end within 1 s"));
        let id = std::fs::read_to_string(&file).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
        // A killed process stays until it is reaped.
        let is_over = || state().is_err() || state().is_ok_and(|text| text.contains(") Z "));
        for _ in 0..100 {
            if is_over() {
                return;
            }
            crate::host::timer::pause(Duration::from_millis(50)).await;
        }
        panic!("process {id} runs on");
    }

    #[test]
    fn a_proxy_with_a_password_is_not_passed_to_a_unit() {
        let ours = OURS.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let options = set_in_unit(&environment(Network::Used, ours));
        assert!(options.contains(&"--setenv=no_proxy".to_owned()), "{options:?}");
        assert!(!options.iter().any(|option| option.contains("PROXY")), "{options:?}");
    }
}
