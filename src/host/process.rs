//! Other programs. They are found in root's own directories, and their environment holds named
//! variables only: no secret, and nothing that changes what they load or run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::files;
use super::root::Root;
use super::variables;
use crate::text;

/// Where programs are looked for, and every child's PATH: whatever the PATH of the user is who
/// became root. Puppet's own packages put their programs into the last one.
const PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/puppetlabs/bin";

/// What every child gets of our own environment, besides LC_*: the form of its messages and times.
const COMMON: [&str; 3] = ["LANG", "LANGUAGE", "TZ"];

/// What a child gets that uses the network: the way through a proxy, and whom to trust there.
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

/// What systemd-run may take to say that the unit has ended.
const CLIENT_GRACE: Duration = Duration::from_secs(10);

/// What is kept of each of a program's outputs, in bytes: its last words.
const MOST_KEPT: usize = 64 * 1024;

/// Whether a program uses the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Unused,
    Used,
}

/// How a program ended.
#[derive(Debug)]
pub struct Output {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end or to the limit, whichever comes first. A bare name is looked for in
/// the standard directories.
///
/// # Errors
/// Where it can't be started, or the limit came first.
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
    // As a service is started: what a program makes of a relative path does not depend on where
    // enlist was called.
    command.current_dir("/");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async { tokio::try_join!(child.wait(), tail(stdout), tail(stderr)) };
    let (status, stdout, stderr) = tokio::time::timeout(limit, ended).await.map_err(|_| {
        std::io::Error::other(format!("it did not end within {} s", limit.as_secs()))
    })??;
    Ok(Output { code: status.code(), stdout, stderr })
}

/// A child's environment, of ours.
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
    passed.insert("PATH".into(), PATH.into());
    if is_root {
        // Not that of the user who became root.
        passed.insert("HOME".into(), "/root".into());
    }
    passed
}

/// All of it is read, so that the program is not held up, and the end of it is kept.
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

/// As [`run`], but outside of the service's sandbox: where systemd started us, it starts the
/// program as a unit of its own. For what changes the whole machine, such as an engine's run.
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
    // The unit ends by itself at the limit; it would wait_for_running_agent its client.
    let bound = format!("--property=RuntimeMaxSec={}", limit.as_secs());
    let passed = set_in_unit(&environment(Network::Used, variables::all()));
    let mut all = vec!["--wait", "--pipe", "--collect", "--quiet", &bound];
    all.extend(passed.iter().map(String::as_str));
    all.extend(["--", program]);
    all.extend(arguments);
    run("systemd-run", &all, limit + CLIENT_GRACE, Network::Used).await
}

/// Options by which systemd-run takes these variables from its own environment. Everybody may ask
/// for a unit's environment, so a proxy's password is left out.
fn set_in_unit(environment: &BTreeMap<OsString, OsString>) -> Vec<String> {
    let is_public = |value: &OsString| value.to_str().is_some_and(|value| !value.contains('@'));
    let names = environment.iter().filter(|(_, value)| is_public(value)).map(|(name, _)| name);
    names.map(|name| format!("--setenv={}", name.to_string_lossy())).collect()
}

#[cfg(test)]
mod tests {
    use super::{Network, PATH, environment, run, set_in_unit};
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
        assert_eq!(passed.get(&OsString::from("PATH")), Some(&OsString::from(PATH)));
        passed.into_keys().filter(|name| name != "HOME").collect()
    }

    #[test]
    fn children_get_named_variables_only() {
        assert_eq!(names(Network::Unused), ["LC_ALL", "PATH", "TZ"]);
        assert_eq!(names(Network::Used), ["HTTPS_PROXY", "LC_ALL", "PATH", "TZ", "no_proxy"]);
    }

    #[tokio::test]
    async fn children_start_where_a_service_does() {
        let ended = run("/bin/pwd", &[], Duration::from_secs(9), Network::Unused).await.unwrap();
        assert_eq!(ended.stdout.trim(), "/");
    }

    #[test]
    fn a_proxys_password_is_not_put_into_a_unit() {
        let ours = OURS.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let options = set_in_unit(&environment(Network::Used, ours));
        assert!(options.contains(&"--setenv=no_proxy".to_owned()), "{options:?}");
        assert!(!options.iter().any(|option| option.contains("PROXY")), "{options:?}");
    }
}
