//! The hand-over to amazon-ssm-agent. Its `-register` overwrites its vault even where it fails, so the
//! vault is backed up before, and restored after a failure. An interrupted hand-over is settled by the
//! next start before it gathers facts: the agent's vault shows whether it registered.

use std::time::Duration;

use crate::engines::ssm_agent::{
    Code, HandOver, PROGRAM, REGISTRATION, SERVICES, SsmSite, VAULT, VAULT_DIRECTORY,
    activation_file,
};
use crate::fault::{Fault, Kind};
use crate::host::clock;
use crate::host::files;
use crate::host::proc;
use crate::host::process::{self, Network};
use crate::host::program;
use crate::host::root::Root;
use crate::host::secrets;
use crate::host::store::Store;
use crate::host::timer;
use crate::secret::Secret;
use crate::targets::{ssm, state_dir};

/// The longest registration. The agent makes one call, and retries it for a while.
const REGISTER_LIMIT: Duration = Duration::from_mins(2);
const SERVICE_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two checks whether the agent that an earlier start ran is still running.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks for the agent on this node, and for its registration.
///
/// # Errors
/// `Config` where the settings name an agent that others may write.
pub fn site(root: &Root, configured: Option<&str>) -> Result<SsmSite, Fault> {
    let handed_over = read_json(root, &activation_file(&state_dir(ssm::ID)));
    Ok(SsmSite {
        agent: program::find(root, &[PROGRAM], configured)?,
        instance: registered(root),
        handed_over: handed_over
            .and_then(|json| json.get("ActivationId")?.as_str().map(str::to_owned)),
    })
}

/// Has the agent register itself. Returns its `mi-` id.
///
/// # Errors
/// `Rejected` or `Transient` where the agent did not register, with its last messages. Its vault is
/// restored then.
pub async fn perform(
    root: &Root,
    store: &Store,
    wanted: &HandOver,
    region: Option<String>,
) -> Result<String, Fault> {
    let Some(program) = &wanted.program else {
        let todo = "install amazon-ssm-agent, or set hand_over = \"file\" in [ssm]";
        return Err(Fault::new(Kind::Host, "amazon-ssm-agent is not installed", PROGRAM, todo));
    };
    let Some(region) = region else {
        let todo = "set region in [aws], or AWS_REGION";
        return Err(Fault::new(
            Kind::Config,
            "no region is known for the registration",
            &wanted.activation,
            todo,
        ));
    };
    let code = code(root, &wanted.code)?;
    settle(root).await?;
    let vault = Vault::new();
    let before = registered(root);
    vault.back_up(root, store, &wanted.activation)?;
    service(root, "stop").await;
    let outcome = register(root, program, &wanted.activation, &code, &region).await;
    let now = registered(root).filter(|now| now.starts_with("mi-"));
    let result = match (outcome, now) {
        (Ok(()), Some(id)) => Ok(id),
        (Ok(()), None) => Err("the agent reported success, but its vault has no mi- id".to_owned()),
        (Err(messages), _) => Err(messages),
    };
    if result.is_err() {
        vault.restore(root)?;
    }
    vault.finish(root).await?;
    result.map_err(|messages| failed(wanted, before.as_deref(), &messages))
}

/// Settles a hand-over in which an earlier start was interrupted. Usually there is none. If only enlist
/// was killed, the agent continues by itself, so it is waited for. If the vault shows a new
/// registration, it is kept. Otherwise the vault is restored.
///
/// # Errors
/// `Transient` while that agent is still running, `Host` where its vault can't be restored.
pub async fn settle(root: &Root) -> Result<(), Fault> {
    let vault = Vault::new();
    if !files::is_directory(root, &vault.directory) {
        return Ok(());
    }
    if let Some(activation) = files::read_if_there(root, &vault.at_work)? {
        let activation = String::from_utf8_lossy(&activation).into_owned();
        wait_for_running_agent(&activation).await?;
        let now = registered(root).filter(|now| now.starts_with("mi-"));
        if now.is_some() && now != vault.registered_before(root) {
            tracing::info!(
                activation,
                "the agent registered before enlist was interrupted; keeping its registration"
            );
        } else {
            tracing::info!(
                activation,
                "enlist was interrupted in a hand-over; restoring the agent's vault"
            );
            vault.restore(root)?;
        }
    }
    vault.finish(root).await
}

/// Waits for the end of an agent that is registering with this activation.
async fn wait_for_running_agent(activation: &str) -> Result<(), Fault> {
    let began = clock::instant();
    let mut said = false;
    while let Some(pid) = registering(activation) {
        if !said {
            tracing::info!(
                pid,
                "the agent that an earlier start ran is still registering; waiting for it"
            );
            said = true;
        }
        if began.elapsed() >= REGISTER_LIMIT {
            let what = format!("amazon-ssm-agent is still registering, as process {pid}");
            let todo =
                format!("wait, or stop it with `kill {pid}`; enlist then restores its vault");
            return Err(Fault::new(
                Kind::Transient,
                what,
                format!("activation {activation}"),
                todo,
            ));
        }
        timer::pause(PAUSE).await;
    }
    Ok(())
}

/// The pid of an agent of root's that is registering with this activation.
fn registering(activation: &str) -> Option<u32> {
    let system = Root::running_system();
    let processes = files::names(&system, "/proc").ok()?;
    let pids = processes.iter().filter_map(|name| name.parse::<u32>().ok());
    pids.filter(|pid| proc::is_trusted(*pid, &[])).find(|pid| {
        let arguments = proc::arguments(*pid);
        let mut arguments = arguments.iter();
        arguments.any(|argument| argument == "-register")
            && arguments.any(|argument| argument == activation)
            && proc::runs(*pid, "ssm-agent")
    })
}

/// The fault where the agent did not register. After an activation that enlist created, another one is
/// created. One from the settings has to be replaced by the admin.
fn failed(wanted: &HandOver, before: Option<&str>, messages: &str) -> Fault {
    let unknown = "read the agent's messages below, and its log in /var/log/amazon/ssm";
    let (kind, todo) = match (advice(messages), &wanted.code) {
        (Some(advice), Code::File(_)) => (Kind::Rejected, advice),
        (Some(_), Code::Known(_)) => {
            (Kind::Transient, "nothing to do: enlist creates another activation")
        }
        (None, _) => (Kind::Transient, unknown),
    };
    let kept =
        before.map_or_else(String::new, |id| format!("; its registration {id} was restored"));
    let what = format!("amazon-ssm-agent did not register{kept}");
    Fault::new(kind, what, format!("activation {}", wanted.activation), todo).cause(messages)
}

/// What to do about the service's known errors.
fn advice(messages: &str) -> Option<&'static str> {
    let known = [
        (
            "ActivationExpired",
            "the activation has expired: create another one, or remove activation_id from [ssm] and set iam_role, so that enlist creates it",
        ),
        (
            "RegistrationLimitExceeded",
            "the activation is used up: create another one with a higher registration limit",
        ),
        (
            "InvalidActivation",
            "the activation's id or code is wrong, or it was deleted: check both",
        ),
        (
            "InstanceAlreadyRegistered",
            "this machine is registered already: run `ssm-cli get-instance-information` to see its id",
        ),
    ];
    known.iter().find(|(error, _)| messages.contains(error)).map(|(_, advice)| *advice)
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
    let ended =
        process::run(&program.display().to_string(), &arguments, REGISTER_LIMIT, Network::Used)
            .await;
    match ended {
        Ok(ended) if ended.code == Some(0) => Ok(()),
        Ok(ended) => {
            let said = format!("{}\n{}", ended.stdout, ended.stderr);
            let last: Vec<&str> =
                said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let last = last.get(last.len().saturating_sub(3)..).unwrap_or_default().join("; ");
            // The agent may print its arguments, and the code must not get into the log.
            Err(last.replace(code.expose(), "(code)"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Stops or starts the agent's service, where systemd is running.
async fn service(root: &Root, verb: &str) {
    if !root.is_running_system() || !files::is_directory(root, "/run/systemd/system") {
        return;
    }
    // The agent's unit may be ordered after enlist's, which is still starting. Waiting for its start would
    // block forever, so it is only queued. A stop does not wait for enlist.
    let waiting = if verb == "start" { "--no-block" } else { "--quiet" };
    for unit in SERVICES {
        match process::run("systemctl", &[waiting, verb, unit], SERVICE_LIMIT, Network::Unused)
            .await
        {
            Ok(ended) if ended.code == Some(0) => tracing::info!(unit, verb, "the agent's service"),
            Ok(ended) => tracing::debug!(unit, verb, code = ended.code, "the agent's service"),
            Err(error) => tracing::warn!(unit, verb, %error, "the agent's service"),
        }
    }
}

fn code(root: &Root, source: &Code) -> Result<Secret, Fault> {
    let system = Root::running_system();
    let (root, path) = match source {
        Code::Known(code) => return Ok(code.clone()),
        Code::File(path) if path.starts_with('/') => (root, path.clone()),
        // A credential of systemd is a path of the running system, whatever `--root` is.
        Code::File(name) => (&system, credential(name)?),
    };
    let text = files::read_secret(root, &path)
        .map_err(|error| files::fault(root, "the activation code can't be read", &path, &error))?;
    let code = Secret::new(text.trim().to_owned());
    // CreateActivation's own constraint.
    match code.expose().chars().count() {
        20..=250 => Ok(code),
        length => {
            let what =
                format!("the activation code has {length} characters, and codes have 20 to 250");
            Err(Fault::new(Kind::Config, what, root.shown(&path), "check the file's content"))
        }
    }
}

fn credential(name: &str) -> Result<String, Fault> {
    secrets::credential_path(name).ok_or_else(|| {
        let todo = "set LoadCredential= in the unit, or give activation_code_file an absolute path";
        Fault::new(Kind::Config, "there is no credential of this name", name, todo)
    })
}

/// The id in the agent's vault. None where there is none, or the registration was not completed.
fn registered(root: &Root) -> Option<String> {
    registered_in(root, VAULT)
}

fn registered_in(root: &Root, path: &str) -> Option<String> {
    let json = read_json(root, path)?;
    let id = json.get("instanceID")?.as_str()?;
    (id.starts_with("mi-") || id.starts_with("i-")).then(|| id.to_owned())
}

fn read_json(root: &Root, path: &str) -> Option<serde_json::Value> {
    serde_json::from_slice(&files::read(root, path).ok()?).ok()
}

/// The backup of the agent's files during a hand-over. The directory exists as long as the hand-over
/// does. `at_work` exists while the agent may be writing its files. Without `at_work`, only the
/// service has yet to be started.
struct Vault {
    directory: String,
    copies: String,
    at_work: String,
}

/// The agent's files that are backed up.
const ORIGINALS: [&str; 2] = [VAULT_DIRECTORY, REGISTRATION];

impl Vault {
    fn new() -> Self {
        let directory = format!("{}/vault", state_dir(ssm::ID));
        Self {
            copies: format!("{directory}/copies"),
            at_work: format!("{directory}/at-work"),
            directory,
        }
    }

    /// Makes the copies, then `at_work`, which contains the activation's id.
    fn back_up(&self, root: &Root, store: &Store, activation: &str) -> Result<(), Fault> {
        store.make("vault")?;
        for (original, copy) in self.pairs() {
            files::copy_tree(root, original, &copy)?;
        }
        files::replace(root, &self.at_work, activation.as_bytes(), 0o600, None)
    }

    /// Replaces the agent's files with the copies.
    fn restore(&self, root: &Root) -> Result<(), Fault> {
        self.pairs().try_for_each(|(original, copy)| {
            files::remove_tree(root, original)?;
            files::copy_tree(root, &copy, original)
        })
    }

    /// Keeps the agent's files as they are now, and removes the copies, which contain keys.
    async fn finish(&self, root: &Root) -> Result<(), Fault> {
        files::remove(root, &self.at_work)?;
        service(root, "start").await;
        files::remove_tree(root, &self.directory)
    }

    fn registered_before(&self, root: &Root) -> Option<String> {
        let inside = VAULT.strip_prefix(VAULT_DIRECTORY)?;
        registered_in(root, &format!("{}/0{inside}", self.copies))
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let copy = |index: usize| format!("{}/{index}", self.copies);
        ORIGINALS.into_iter().enumerate().map(move |(index, original)| (original, copy(index)))
    }
}
