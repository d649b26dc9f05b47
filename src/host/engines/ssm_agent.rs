//! The hand-over to amazon-ssm-agent, with the care that its `-register` does not take: its vault
//! is backed up before and put back where it fails. One that was cut short is settled by the next
//! start before it looks at anything, by what the agent left in its vault.

use std::path::PathBuf;
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
use crate::host::store::Store;
use crate::host::timer;
use crate::host::variables;
use crate::secret::Secret;
use crate::targets::{ssm, state_dir};

/// One call to the API, by a program that tries it for a while itself.
const REGISTER_LIMIT: Duration = Duration::from_mins(2);
const SERVICE_LIMIT: Duration = Duration::from_secs(30);
/// How often an agent that outlived us is looked for.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be seen of the agent on this node.
///
/// # Errors
/// `Config` where the settings name an agent that others may write.
pub fn site(root: &Root, told: Option<&str>) -> Result<SsmSite, Fault> {
    let handed_over = read_json(root, &activation_file(&state_dir(ssm::ID)));
    Ok(SsmSite {
        agent: program::find(root, &[PROGRAM], told)?,
        instance: registered(root),
        handed_over: handed_over
            .and_then(|json| json.get("ActivationId")?.as_str().map(str::to_owned)),
    })
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
    let Some(program) = &wanted.program else {
        let todo = "install amazon-ssm-agent, or set hand_over = \"file\" in [ssm]";
        return Err(Fault::new(Kind::Host, "amazon-ssm-agent is not installed", PROGRAM, todo));
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
    let vault = Vault::new();
    let before = registered(root);
    vault.back_up(root, store, &wanted.activation)?;
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
        vault.put_back(root)?;
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
    let vault = Vault::new();
    if !files::is_directory(root, &vault.directory) {
        return Ok(());
    }
    if let Some(activation) = files::read_if_there(root, &vault.at_work)? {
        let activation = String::from_utf8_lossy(&activation).into_owned();
        wait_for_running_agent(&activation).await?;
        let now = registered(root).filter(|now| now.starts_with("mi-"));
        if now.is_some() && now != vault.registered_before(root) {
            tracing::info!(activation, "the agent had registered when enlist was stopped");
        } else {
            tracing::info!(
                activation,
                "enlist was stopped in a hand-over; the agent's vault is put back"
            );
            vault.put_back(root)?;
        }
    }
    vault.finish(root).await
}

/// Waits for the end of an agent that registers with this activation.
async fn wait_for_running_agent(activation: &str) -> Result<(), Fault> {
    let began = clock::instant();
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
        timer::pause(PAUSE).await;
    }
    Ok(())
}

/// The agent of root's that has these arguments.
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
            // Should it repeat its arguments, the code is not for our log.
            Err(last.replace(code.expose(), "(code)"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Stops or starts the agent's service, where there is a service manager to ask.
async fn service(root: &Root, verb: &str) {
    if !root.is_running_system() || !files::is_directory(root, "/run/systemd/system") {
        return;
    }
    // The agent's start is ordered after ours, which may not be over yet: it is asked for, and
    // not waited for. A stop never waits for a start.
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
        // What systemd hands over is a path of the running system, whatever `--root` says.
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

/// Where systemd puts what `LoadCredential=` names (systemd.exec(5)).
fn credential(name: &str) -> Result<String, Fault> {
    let directory = variables::variable("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        let todo = "set LoadCredential= in the unit, or give activation_code_file an absolute path";
        Fault::new(Kind::Config, "there is no credential of this name", name, todo)
    })?;
    Ok(PathBuf::from(directory).join(name).to_string_lossy().into_owned())
}

/// The id in the agent's vault; none where there is none, or what is there is unfinished.
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

/// The agent's files (its whole vault, and the one beside it), and a directory that stands while
/// it is at work: copies of those files, a sign that they may be half written, and, last of all,
/// nothing in it but that the service is to be started.
struct Vault {
    directory: String,
    copies: String,
    at_work: String,
}

/// What of the agent's is copied.
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

    /// Copies first; then the sign, which says with what the agent registers.
    fn back_up(&self, root: &Root, store: &Store, activation: &str) -> Result<(), Fault> {
        store.make("vault")?;
        for (original, copy) in self.pairs() {
            files::copy_tree(root, original, &copy)?;
        }
        files::replace(root, &self.at_work, activation.as_bytes(), 0o600, None)
    }

    fn put_back(&self, root: &Root) -> Result<(), Fault> {
        self.pairs().try_for_each(|(original, copy)| {
            files::remove_tree(root, original)?;
            files::copy_tree(root, &copy, original)
        })
    }

    /// Whatever stands in the originals now is to stay. The copies hold keys, and go.
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
