//! The hand-over to amazon-ssm-agent, with the care that its `-register` does not take: its vault
//! is backed up before and put back where it fails. One that was cut short is settled by the next
//! start before it looks at anything, by what the agent left in its vault.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files;
use super::process;
use super::root::Root;
use super::store::Store;
use crate::engine::ssm_agent::{
    Code, HandOver, PROGRAMS, REGISTRATION, SERVICES, VAULT, VAULT_DIRECTORY,
};
use crate::facts::SsmSite;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::target::{ssm, state_dir};

/// One call to the API, by a program that tries it for a while itself.
const REGISTER_LIMIT: Duration = Duration::from_mins(2);
const SERVICE_LIMIT: Duration = Duration::from_secs(30);
/// How often an agent that outlived us is looked for.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be seen of the agent on this node.
#[must_use]
pub fn site(root: &Root) -> SsmSite {
    let agent = PROGRAMS.iter().find(|program| root.at(program).exists());
    let handed_over = read_json(&root.at(&ssm::activation_file()));
    SsmSite {
        agent: agent.map(|program| (*program).to_owned()),
        instance: registered(root),
        handed_over: handed_over
            .and_then(|json| json.get("ActivationId")?.as_str().map(str::to_owned)),
    }
}

/// Has the agent register itself; the `mi-` id that it got.
///
/// # Errors
/// `Rejected` or `Transient` where the agent did not register, with its last words; its vault is
/// as it was.
pub async fn perform(
    root: &Root,
    store: &Store,
    wanted: &HandOver,
    region: Option<String>,
) -> Result<String, Fault> {
    let Some(program) = PROGRAMS.iter().find(|program| root.at(program).exists()) else {
        let todo = "install amazon-ssm-agent, or set hand_over = \"file\" in [ssm]";
        return Err(Fault::new(
            Kind::Host,
            "amazon-ssm-agent is not installed",
            PROGRAMS.join(", "),
            todo,
        ));
    };
    let Some(region) = wanted.region.clone().or(region) else {
        let todo = "set region in [aws], or AWS_REGION";
        return Err(Fault::new(
            Kind::Config,
            "no region is known to register in",
            &wanted.activation,
            todo,
        ));
    };
    let code = code(root, &wanted.code)?;
    settle(root).await?;
    let vault = Vault::new(root);
    let before = registered(root);
    vault.back_up(store, &wanted.activation)?;
    service(root, "stop").await;
    let outcome = register(root, program, &wanted.activation, &code, &region).await;
    let now = registered(root).filter(|now| now.starts_with("mi-"));
    let result = match (outcome, now) {
        (Ok(()), Some(id)) => Ok(id),
        (Ok(()), None) => {
            Err("the agent said that it registered, and its vault holds no mi- id".to_owned())
        }
        (Err(words), _) => Err(words),
    };
    if result.is_err() {
        vault.put_back()?;
    }
    vault.finish(root).await?;
    result.map_err(|words| failed(wanted, before.as_deref(), &words))
}

/// Brings a hand-over to its end that an earlier start was cut off in; there mostly is none. The
/// agent goes on by itself where only we were killed, so it is waited for. Then its vault says
/// whether it registered: that stays, and anything else is put back.
///
/// # Errors
/// `Transient` while that agent is still at work, `Host` where its vault can't be put back.
pub async fn settle(root: &Root) -> Result<(), Fault> {
    let vault = Vault::new(root);
    if !vault.directory.is_dir() {
        return Ok(());
    }
    if let Some(activation) = files::read_if_there(&vault.at_work)? {
        let activation = String::from_utf8_lossy(&activation).into_owned();
        outlive(&activation).await?;
        let now = registered(root).filter(|now| now.starts_with("mi-"));
        if now.is_some() && now != vault.registered_before() {
            tracing::info!(activation, "the agent had registered when enlist was stopped");
        } else {
            tracing::info!(
                activation,
                "enlist was stopped in a hand-over; the agent's vault is put back"
            );
            vault.put_back()?;
        }
    }
    vault.finish(root).await
}

/// Waits for the end of an agent that registers with this activation.
async fn outlive(activation: &str) -> Result<(), Fault> {
    let began = std::time::Instant::now();
    let mut said = false;
    while let Some(pid) = registering(activation) {
        if !said {
            tracing::info!(pid, "the agent that an earlier start began is at work; waiting for it");
            said = true;
        }
        if began.elapsed() >= REGISTER_LIMIT {
            let what = format!("amazon-ssm-agent is still registering, as process {pid}");
            let todo = "let it finish, or stop it; its vault is put back then";
            return Err(Fault::new(
                Kind::Transient,
                what,
                format!("activation {activation}"),
                todo,
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The process that has these arguments; whatever its program is called, nobody else's name this
/// activation.
fn registering(activation: &str) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let mut pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = command.split(|byte| *byte == 0);
        arguments.any(|argument| argument == b"-register")
            && arguments.any(|argument| argument == activation.as_bytes())
    })
}

/// An activation of ours that was of no use is followed by another one; one that came from
/// elsewhere is the admin's to replace.
fn failed(wanted: &HandOver, before: Option<&str>, words: &str) -> Fault {
    let unknown = "read the agent's words below, and /var/log/amazon/ssm";
    let (kind, todo) = match (plain(words), &wanted.code) {
        (Some(plain), Code::File(_)) => (Kind::Rejected, plain),
        (Some(_), Code::Known(_)) => (Kind::Transient, "nothing: another activation is made"),
        (None, _) => (Kind::Transient, unknown),
    };
    let kept =
        before.map_or_else(String::new, |id| format!("; the registration {id} is as it was"));
    let what = format!("amazon-ssm-agent did not register{kept}");
    Fault::new(kind, what, format!("activation {}", wanted.activation), todo).cause(words)
}

/// The service's errors in plain words.
fn plain(words: &str) -> Option<&'static str> {
    let told = [
        (
            "ActivationExpired",
            "the activation has expired: make another one, or let enlist make it",
        ),
        (
            "RegistrationLimitExceeded",
            "the activation is used up: make another one, or raise its registration limit",
        ),
        (
            "InvalidActivation",
            "the id or the code is wrong, or the activation was deleted: check both",
        ),
        (
            "InstanceAlreadyRegistered",
            "this machine is registered already: `ssm-cli get-instance-information` shows it",
        ),
    ];
    told.iter().find(|(word, _)| words.contains(word)).map(|(_, plain)| *plain)
}

async fn register(
    root: &Root,
    program: &str,
    id: &str,
    code: &Secret,
    region: &str,
) -> Result<(), String> {
    let program = root.at(program);
    // The agent takes the code as an argument and in no other way.
    let arguments = ["-register", "-id", id, "-code", code.expose(), "-region", region, "-y"];
    let ended = process::run(&program.display().to_string(), &arguments, REGISTER_LIMIT).await;
    match ended {
        Ok(ended) if ended.code == Some(0) => Ok(()),
        Ok(ended) => {
            let said = format!("{}\n{}", ended.stdout, ended.stderr);
            let last: Vec<&str> =
                said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let last = last.get(last.len().saturating_sub(3)..).unwrap_or_default().join("; ");
            // Should it repeat its arguments, the code is not for our log.
            Err(last.replace(code.expose(), "(code)"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Stops or starts the agent's service, where there is a service manager to ask.
async fn service(root: &Root, verb: &str) {
    if !root.is_running_system() || !root.at("/run/systemd/system").is_dir() {
        return;
    }
    // The agent's start is ordered after ours, which may not be over yet: it is asked for, and
    // not waited for. A stop never waits for a start.
    let waiting = if verb == "start" { "--no-block" } else { "--quiet" };
    for unit in SERVICES {
        match process::run("systemctl", &[waiting, verb, unit], SERVICE_LIMIT).await {
            Ok(ended) if ended.code == Some(0) => tracing::info!(unit, verb, "the agent's service"),
            Ok(ended) => tracing::debug!(unit, verb, code = ended.code, "the agent's service"),
            Err(error) => tracing::warn!(unit, verb, %error, "the agent's service"),
        }
    }
}

fn code(root: &Root, source: &Code) -> Result<Secret, Fault> {
    let path = match source {
        Code::Known(code) => return Ok(code.clone()),
        Code::File(path) if path.starts_with('/') => root.at(path),
        Code::File(name) => credential(name)?,
    };
    let text = zeroize::Zeroizing::new(String::from_utf8_lossy(&files::read(&path)?).into_owned());
    let code = Secret::new(text.trim().to_owned());
    // CreateActivation's own constraint.
    match code.expose().chars().count() {
        20..=250 => Ok(code),
        length => {
            let what =
                format!("the activation code has {length} characters, and codes have 20 to 250");
            Err(Fault::new(
                Kind::Config,
                what,
                path.display().to_string(),
                "check the file's content",
            ))
        }
    }
}

/// Where systemd puts what `LoadCredential=` names (systemd.exec(5)).
fn credential(name: &str) -> Result<PathBuf, Fault> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        let todo = "set LoadCredential= in the unit, or give activation_code_file an absolute path";
        Fault::new(Kind::Config, "there is no credential of this name", name, todo)
    })?;
    Ok(PathBuf::from(directory).join(name))
}

/// The id in the agent's vault; none where there is none, or what is there is unfinished.
fn registered(root: &Root) -> Option<String> {
    registered_in(&root.at(VAULT))
}

fn registered_in(path: &Path) -> Option<String> {
    let json = read_json(path)?;
    let id = json.get("instanceID")?.as_str()?;
    (id.starts_with("mi-") || id.starts_with("i-")).then(|| id.to_owned())
}

fn read_json(path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&files::read(path).ok()?).ok()
}

/// The agent's files (its whole vault, and the one beside it), and a directory that stands while
/// it is at work: copies of those files, a sign that they may be half written, and, last of all,
/// nothing in it but that the service is to be started.
struct Vault {
    originals: [PathBuf; 2],
    directory: PathBuf,
    copies: PathBuf,
    at_work: PathBuf,
}

impl Vault {
    fn new(root: &Root) -> Self {
        let directory = root.at(&format!("{}/vault", state_dir(ssm::WORD)));
        Self {
            originals: [root.at(VAULT_DIRECTORY), root.at(REGISTRATION)],
            copies: directory.join("copies"),
            at_work: directory.join("at-work"),
            directory,
        }
    }

    /// Copies first; then the sign, which says with what the agent registers.
    fn back_up(&self, store: &Store, activation: &str) -> Result<(), Fault> {
        store.make("vault")?;
        for (original, copy) in self.pairs() {
            files::copy_tree(original, &copy)?;
        }
        files::replace(&self.at_work, activation.as_bytes(), 0o600, None)
    }

    fn put_back(&self) -> Result<(), Fault> {
        self.pairs().try_for_each(|(original, copy)| {
            files::remove_tree(original)?;
            files::copy_tree(&copy, original)
        })
    }

    /// Whatever stands in the originals now is to stay. The copies hold keys, and go.
    async fn finish(&self, root: &Root) -> Result<(), Fault> {
        files::remove(&self.at_work)?;
        service(root, "start").await;
        files::remove_tree(&self.directory)
    }

    fn registered_before(&self) -> Option<String> {
        let inside = Path::new(VAULT).strip_prefix(VAULT_DIRECTORY).ok()?;
        registered_in(&self.copies.join("0").join(inside))
    }

    fn pairs(&self) -> impl Iterator<Item = (&PathBuf, PathBuf)> {
        self.originals
            .iter()
            .enumerate()
            .map(|(index, original)| (original, self.copies.join(index.to_string())))
    }
}
