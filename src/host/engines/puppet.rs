//! Puppet on this machine: its directories, and the settings that it uses.
//!
//! `puppet config print` takes most of a second, because it starts Ruby. So it runs once per join, and
//! later only when something changed that its answer depends on (decision 0010).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::puppet_layout::packaged;
use super::puppet_service::options;
use super::puppet_version;
use crate::engines::inspection::Diversion;
use crate::engines::puppet::agent_settings::{self, Expected, Printed, Problem, arguments};
use crate::engines::puppet::conf::BYTE_ORDER_MARK;
use crate::engines::puppet::service::ServiceOption;
use crate::engines::puppet::{PuppetSite, PuppetWanted};
use crate::engines::puppet::{reading, variables};
use crate::fault::Fault;
use crate::host::files;
use crate::host::process::{self, Network};
use crate::host::program;
use crate::host::root::Root;
use crate::host::store::Store;
use crate::pki::crl::Revocation;
use crate::pki::public_key::sha256;
use crate::secret::Secret;

/// The longest run of `puppet config print`. It takes a second, and several during a boot.
const LIMIT: Duration = Duration::from_secs(30);

/// The largest `csr_attributes.yaml` or file of OID names that is read.
const LARGEST_YAML: u64 = 64 * 1024;

/// How the path of the lock ends that disables the agent, unless it is configured.
const LOCK: &str = "/agent_disabled.lock";

/// A directory that can't exist, so that nothing can be found in it.
const NO_CODE: &str = "/dev/null/none";

/// The file beside the record with Puppet's last answer.
const NOTE: &str = "puppet.json";

/// Puppet's last answer, and what it depended on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAnswer {
    /// SHA-256 over everything that the answer depends on.
    of: String,
    problems: Vec<Diversion>,
}

/// Puppet's directories: from the settings, else from an installed Puppet, else by the layouts of its
/// packages.
///
/// # Errors
/// `Config` where the settings name a program that others may write.
pub async fn site(root: &Root, wanted: Option<PuppetWanted>) -> Result<Option<PuppetSite>, Fault> {
    let Some(wanted) = wanted else { return Ok(None) };
    let program = wanted.program.clone();
    program::find(root, &[], program.as_deref())?;
    let mut site = match wanted.known {
        Some(known) => *known,
        None => match (&wanted.confdir, &wanted.ssldir, &wanted.statedir) {
            (Some(_), Some(_), Some(_)) => packaged(root),
            _ => printed_site(root, program.as_deref()).await.unwrap_or_else(|| packaged(root)),
        },
    };
    let configured = [
        (wanted.confdir, &mut site.confdir),
        (wanted.ssldir, &mut site.ssldir),
        (wanted.statedir, &mut site.statedir),
    ];
    for (setting, place) in configured {
        if let Some(setting) = setting {
            *place = setting;
            site.said_by = "settings".to_owned();
        }
    }
    site.program = program;
    let conf = root.text(&format!("{}/puppet.conf", site.confdir)).unwrap_or_default();
    let named = |name: &str, default: &str| {
        let value = reading::value_of(&conf, name).map(|(_, value)| value);
        let value = value.map(|value| value.replace("$confdir", &site.confdir));
        value
            .filter(|value| value.starts_with('/'))
            .unwrap_or_else(|| format!("{}/{default}", site.confdir))
    };
    // Puppet has not been asked about its lock, or has said where it is.
    if site.lock.is_none() {
        let lock = reading::value_of(&conf, "agent_disabled_lockfile").map(|(_, value)| value);
        let lock = lock.map(|lock| lock.replace("$statedir", &site.statedir));
        site.lock = lock.filter(|lock| lock.starts_with('/') && !lock.ends_with(LOCK));
    }
    let revocation = reading::value_of(&conf, "certificate_revocation");
    site.revocation =
        revocation.map_or_else(Revocation::default, |(_, value)| Revocation::of_setting(&value));
    site.version = puppet_version::installed(root);
    let path = site.csr_attributes_path.clone();
    let path = path.unwrap_or_else(|| named("csr_attributes", "csr_attributes.yaml"));
    let mapping = named("trusted_oid_mapping_file", "custom_trusted_oid_mapping.yaml");
    site.csr_attributes = yaml(root, &path, &mut site.unread).map(Secret::new);
    site.csr_attributes_path = Some(path);
    site.oid_mapping = yaml(root, &mapping, &mut site.unread).map(|text| (mapping, text));
    Ok(Some(site))
}

/// Before the authority is asked: finds a `puppet.conf` that Puppet would ignore, and options of its
/// service that would override the settings. Any other setting can be corrected later.
///
/// # Errors
/// As for reading any file.
pub fn foresee(root: &Root, expected: &Expected) -> Result<Vec<String>, Fault> {
    let mut problems = readable(root, expected)?;
    problems.extend(overriding(expected, options(root)));
    Ok(problems)
}

/// Finds a `puppet.conf` that Puppet would ignore.
///
/// # Errors
/// As for reading any file.
pub fn readable(root: &Root, expected: &Expected) -> Result<Vec<String>, Fault> {
    let conf = expected.conf();
    let mut problems = Vec::new();
    let bytes = files::read_if_there(root, &conf)?.unwrap_or_default();
    match std::str::from_utf8(&bytes) {
        Ok(text) => problems.extend(unreadable(expected, text)),
        Err(error) => problems.push(format!("{conf}: Puppet can't read it ({error})")),
    }
    if let Some(complaint) = expected.site.complaint.as_ref().filter(|_| problems.is_empty()) {
        let text = root.text(&conf).unwrap_or_default();
        let is_ours = complaint.contains("Certificate names");
        let blamed = expected.blame_complaint(complaint, &text);
        let blamed = blamed.unwrap_or_else(|| format!("{conf}: {complaint}"));
        problems.extend(Some(blamed).filter(|_| !is_ours));
    }
    problems.extend(other_conf(root, expected));
    Ok(problems)
}

/// The options of the agent's service that override the settings, as far as one option tells.
fn overriding(expected: &Expected, options: Vec<ServiceOption>) -> Vec<String> {
    let overrides = |option: &ServiceOption| {
        let argument = option.argument.trim_start_matches('-');
        let (name, value) = argument.split_once('=').unwrap_or_default();
        let mut printed = Printed::default();
        printed.values.insert(name.to_owned(), value.to_owned());
        let differences = expected.differences(&printed);
        differences.iter().any(|found| found.setting == name && found.found == value)
    };
    options.into_iter().filter(overrides).map(|option| option.place).collect()
}

/// A line in `puppet.conf` that sets another confdir or config file. Puppet prints that value, but reads
/// its settings from the file with the line (its source, `settings.rb`, `which_configuration_file`).
fn other_conf(root: &Root, expected: &Expected) -> Option<String> {
    let named = expected.conf();
    [named.as_str(), "/etc/puppet/puppet.conf", "/etc/puppetlabs/puppet/puppet.conf"]
        .into_iter()
        .filter_map(|conf| Some((conf, root.text(conf)?)))
        .find_map(|(conf, text)| {
            let line_of = |name: &str, is_other: &dyn Fn(&str) -> bool| {
                let (line, value) = reading::value_of(&text, name)?;
                is_other(&value).then(|| format!("{conf}, line {line}: {name} = {value}"))
            };
            let is_own = conf == named;
            let confdir = expected.site.confdir.as_str();
            line_of("confdir", &|value| is_own != (value == confdir))
                .or_else(|| line_of("config", &|value| is_own && value != conf))
        })
        .map(|line| format!("{line}: Puppet does not read its settings from that path"))
}

/// After the installation: finds settings that Puppet would not use, and corrects them. `set` sets
/// values in `puppet.conf`, in force for the agent.
///
/// # Errors
/// As for `set`.
pub async fn confirm(
    root: &Root,
    store: &Store,
    expected: &Expected,
    set: impl Fn(&[(&str, &str)]) -> Result<(), Fault>,
) -> Result<Vec<String>, Fault> {
    let mut seen = Seen::now(root, expected);
    let (mut problems, corrections) = seen.judge(root, expected).await;
    if !corrections.is_empty() {
        let values: Vec<(&str, &str)> =
            corrections.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for problem in &problems {
            tracing::info!("corrected in puppet.conf: {}", problem.place);
        }
        set(&values)?;
        seen = Seen::now(root, expected);
        problems = seen.judge(root, expected).await.0;
    }
    if problems.is_empty() && seen.program.is_some() {
        SavedAnswer { of: seen.fingerprint, problems: Vec::new() }.keep(store);
    }
    Ok(problems.into_iter().map(|problem| problem.place).collect())
}

/// Finds what overrides a member's settings. Puppet is asked only if something changed since the last
/// answer.
pub async fn look(
    root: &Root,
    store: &Store,
    expected: &Expected,
    saved: &mut SavedAnswer,
) -> Vec<Diversion> {
    let seen = Seen::now(root, expected);
    if seen.program.is_none() {
        return seen.read(expected).0;
    }
    if saved.of != seen.fingerprint {
        *saved = SavedAnswer::recall(store);
    }
    if saved.of != seen.fingerprint {
        let (problems, _) = seen.judge(root, expected).await;
        *saved = SavedAnswer { of: seen.fingerprint, problems };
    }
    saved.problems.clone()
}

/// Everything that Puppet's answer depends on.
struct Seen {
    text: String,
    options: Vec<ServiceOption>,
    /// None: not installed, or not on the running system.
    program: Option<String>,
    fingerprint: String,
}

/// What overrides the settings, and the settings that would correct it.
type Judged = (Vec<Diversion>, Vec<(&'static str, String)>);

impl Seen {
    fn now(root: &Root, expected: &Expected) -> Self {
        let text = root.text(&expected.conf()).unwrap_or_default();
        let options = options(root);
        let program = find(root, expected.site.program.as_deref());
        let version = program.as_deref().and_then(program::version);
        let all = format!(
            "{:?}\n{}\n{}\n{:?}\n{program:?}\n{version:?}\n{text}",
            (&expected.site.confdir, &expected.site.ssldir),
            expected.endpoint,
            expected.name,
            options
        );
        let fingerprint = sha256(all.as_bytes());
        Self { text, options, program, fingerprint }
    }

    /// The problems that `puppet.conf` itself shows, and the settings that would correct them.
    fn read(&self, expected: &Expected) -> Judged {
        if let Some(place) = unreadable(expected, &self.text) {
            return (vec![Diversion { place, is_corrected: false }], Vec::new());
        }
        let marked = self.text.starts_with(BYTE_ORDER_MARK).then(|| {
            let why = "it begins with a byte-order mark, so Puppet ignores this file";
            Diversion { place: format!("{}, line 1: {why}", expected.conf()), is_corrected: true }
        });
        let read = expected.read(&self.text);
        let corrected =
            |problem: &Problem| Diversion { place: problem.0.clone(), is_corrected: true };
        let options = overriding(expected, self.options.clone());
        let uncorrected = |place| Diversion { place, is_corrected: false };
        let problems = marked.into_iter().chain(options.into_iter().map(uncorrected));
        let problems = problems.chain(read.iter().map(|(_, problem)| corrected(problem))).collect();
        (problems, read.into_iter().map(|(correction, _)| correction).collect())
    }

    /// The problems, and the settings that would correct them.
    async fn judge(&self, root: &Root, expected: &Expected) -> Judged {
        let uncorrected = |place| (vec![Diversion { place, is_corrected: false }], Vec::new());
        let Some(program) = &self.program else { return self.read(expected) };
        let printed = match ask(root, program, &self.options).await {
            Ok(printed) => printed,
            Err(error) => {
                return uncorrected(format!("{program} could not be run ({error})"));
            }
        };
        if let Some(complaint) = &printed.complaint {
            let line = unreadable(expected, &self.text);
            let blamed = line.or_else(|| expected.blame_complaint(complaint, &self.text));
            let place = blamed.unwrap_or_else(|| format!("{}: {complaint}", expected.conf()));
            return uncorrected(place);
        }
        let differences = expected.differences(&printed);
        let corrections = expected.corrections(&differences);
        let mut problems: Vec<Diversion> = Vec::new();
        for difference in &differences {
            let place = expected.blame(difference, &self.text, &self.options).0;
            // An option of Puppet's service is stronger than every line of puppet.conf.
            let is_option = self.options.iter().any(|option| option.place == place);
            let is_ours = corrections.iter().any(|(name, _)| *name == difference.setting);
            if !problems.iter().any(|known| known.place == place) {
                problems.push(Diversion { place, is_corrected: is_ours && !is_option });
            }
        }
        (problems, corrections)
    }
}

impl SavedAnswer {
    /// Reads the saved answer. Empty where there is none.
    #[must_use]
    pub fn recall(store: &Store) -> Self {
        let bytes = store.note(NOTE);
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Saves it for the next inspection. Without it, Puppet is only asked once more.
    pub fn keep(&self, store: &Store) {
        let text = serde_json::to_string(self).unwrap_or_default();
        if let Err(fault) = store.keep_note(NOTE, &text) {
            tracing::warn!("Puppet's answer could not be saved: {fault}");
        }
    }
}

fn unreadable(expected: &Expected, text: &str) -> Option<String> {
    let conf = expected.conf();
    if let Some((line, why)) = reading::unreadable(text) {
        return Some(format!("{conf}, line {line}: {why}, and would use its defaults"));
    }
    let ours = expected.settings();
    let ours: Vec<&str> = ours.iter().map(|(name, _)| *name).collect();
    if let Some((line, why)) = variables::endless(text, &ours) {
        return Some(format!("{conf}, line {line}: {why}"));
    }
    let (line, value) = reading::value_of(text, "certificate_revocation")?;
    let is_refused = !value.contains('$') && !Revocation::is_setting(&value);
    is_refused.then(|| {
        format!(
            "{conf}, line {line}: certificate_revocation = {value}: Puppet takes true, chain, leaf or false"
        )
    })
}

/// Puppet's program, where it is on the running system and may be run.
fn find(root: &Root, configured: Option<&str>) -> Option<String> {
    let found = root.is_running_system().then(|| program::find(root, &["puppet"], configured));
    found?.ok().flatten()
}

async fn ask(root: &Root, program: &str, options: &[ServiceOption]) -> std::io::Result<Printed> {
    let arguments = arguments(options, NO_CODE);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = root.at(program).display().to_string();
    let ended = process::run(&program, &arguments, LIMIT, Network::Unused).await?;
    Ok(agent_settings::parse(&ended.stdout, &ended.stderr, ended.code))
}

async fn printed_site(root: &Root, configured: Option<&str>) -> Option<PuppetSite> {
    let program = find(root, configured)?;
    let printed = match ask(root, &program, &options(root)).await {
        Ok(printed) => printed,
        Err(error) => {
            tracing::warn!(program, %error, "puppet config print failed");
            return None;
        }
    };
    if let Some(complaint) = &printed.complaint {
        tracing::warn!(program, "Puppet ignores its settings: {complaint}");
    }
    let value =
        |name: &str| printed.values.get(name).filter(|value| value.starts_with('/')).cloned();
    // The lock file may be configured to be outside of the statedir.
    let lock = value("agent_disabled_lockfile");
    let beside_lock = lock.as_ref().and_then(|lock| lock.strip_suffix(LOCK).map(str::to_owned));
    if let (Some(complaint), true) = (&printed.complaint, printed.values.is_empty()) {
        return Some(PuppetSite { complaint: Some(complaint.clone()), ..packaged(root) });
    }
    Some(PuppetSite {
        confdir: value("confdir")?,
        ssldir: value("ssldir")?,
        statedir: beside_lock.or_else(|| value("statedir"))?,
        said_by: "puppet config print".to_owned(),
        lock: lock.filter(|lock| !lock.ends_with(LOCK)),
        csr_attributes_path: value("csr_attributes"),
        ..PuppetSite::default()
    })
}

/// Reads a YAML file. Where it exists and can't be read, the reason is noted in `unread`, and the core
/// refuses to continue without it.
fn yaml(root: &Root, path: &str, unread: &mut Option<(String, String)>) -> Option<String> {
    match files::read_text(root, path, LARGEST_YAML) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            unread.get_or_insert_with(|| (path.to_owned(), error.to_string()));
            None
        }
    }
}
