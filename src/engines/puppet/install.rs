//! The bundles for Puppet's agent: hold, install, clear.

use super::agent_settings::OURS;
use super::{HELD, Puppet, PuppetSite, UNIT, held_by, key_place, place};
use crate::engines::{Action, Bundle, Installed, Item, PidLock, Place, RequiredSettings, Run};
use crate::pki::csr;

/// The contents of the installed files.
#[derive(Clone, Debug)]
pub struct Contents<'a> {
    pub name: &'a str,
    /// `host` or `host:port`.
    pub endpoint: &'a str,
    pub certificate: &'a str,
    pub ca: &'a str,
    /// Where none are known, the agent fetches them.
    pub crl: Option<&'a str>,
    /// Empty: it is not installed.
    pub csr: &'a str,
    /// The staging path of the key.
    pub staged_key: &'a str,
}

/// Keeps an agent that is already installed from running, and from making a key of its own, until all
/// files are installed.
#[must_use]
pub fn hold(site: &PuppetSite) -> Bundle {
    let unit = site.ignores_lock().then_some(UNIT);
    let (at, content) = (place(&held_by(site).0, 0o644), HELD.to_owned());
    let hold = Action::Hold { at, content, unit };
    Bundle::of(vec![Action::Directory(place(&site.statedir, 0o755)), hold])
}

/// Installs key, request, CA, certificate and settings. Then the agent may run.
#[must_use]
pub fn install(settings: &Puppet, site: &PuppetSite, contents: &Contents<'_>) -> Bundle {
    let ssl = |rest: &str| format!("{}/{rest}", site.ssldir);
    let name = contents.name;
    let mut actions = directories(site);
    actions.push(Action::Key {
        at: key_place(site, name),
        from: contents.staged_key.to_owned(),
        replaces: None,
    });
    let request = ssl(&format!("certificate_requests/{name}.pem"));
    // Others may read the request, and Puppet does not need it once it has a certificate.
    actions.push(if csr::holds_secret(contents.csr) {
        Action::RemoveSecret { path: request }
    } else {
        file(Item::Request, &request, contents.csr)
    });
    let ca = Action::File {
        item: Item::Ca,
        at: place(&ssl("certs/ca.pem"), 0o644),
        content: contents.ca.to_owned(),
        // A revocation list of another CA would make the agent refuse the new one.
        outdates: vec![ssl("crl.pem")],
    };
    actions.push(ca);
    // After the CA: installing another CA removes the lists of the old one.
    actions.extend(contents.crl.map(|crl| file(Item::Crl, &ssl("crl.pem"), crl)));
    let certificate = ssl(&format!("certs/{name}.pem"));
    actions.push(file(Item::Certificate, &certificate, contents.certificate));
    let expected = settings.expected(site, name, contents.endpoint);
    actions.push(Action::Settings {
        at: Place { path: expected.conf(), mode: 0o644, owner: None },
        values: expected.settings(),
        overriding: expected.overriding(),
    });
    actions.push(Action::ConfirmSettings(RequiredSettings::Puppet(Box::new(expected))));
    actions.push(release_lock(site));
    Bundle { lock: Some(lock(site)), actions, run: settings.run.then(|| first_run(settings)) }
}

/// Removes what [`install`] installed, and restores the admin's settings. The CA stays: it is public,
/// and other programs may trust it by now.
#[must_use]
pub fn clear(installed: &[Installed], site: &PuppetSite) -> Bundle {
    let ours = installed
        .iter()
        .filter(|file| matches!(file.item, Item::Key | Item::Request | Item::Certificate));
    // A request may contain a secret, and can be made again from the key.
    let action = |file: &Installed| match file.item {
        Item::Request => Action::RemoveSecret { path: file.path.clone() },
        _ => Action::RemoveWithBackup { path: file.path.clone() },
    };
    let mut actions: Vec<Action> = ours.map(action).collect();
    if !installed.is_empty() {
        let path = format!("{}/puppet.conf", site.confdir);
        actions.push(Action::RemoveSettings { path, names: OURS.to_vec() });
    }
    actions.push(release_lock(site));
    Bundle { lock: Some(lock(site)), actions, run: None }
}

fn directories(site: &PuppetSite) -> Vec<Action> {
    let below = [
        ("", 0o771),
        ("/certs", 0o755),
        ("/public_keys", 0o755),
        ("/certificate_requests", 0o755),
        ("/private_keys", 0o750),
        ("/private", 0o750),
    ];
    let ssl = below.map(|(name, mode)| place(&format!("{}{name}", site.ssldir), mode));
    std::iter::once(confdir(site)).chain(ssl).map(Action::Directory).collect()
}

/// Puppet's directories in which enlist writes.
#[must_use]
pub fn directories_of(site: &PuppetSite) -> [Place; 3] {
    [confdir(site), place(&site.ssldir, 0o771), place(&site.statedir, 0o755)]
}

fn confdir(site: &PuppetSite) -> Place {
    Place { path: site.confdir.clone(), mode: 0o755, owner: None }
}

/// The first run. `--test` implies `--detailed-exitcodes`, whose exit code 2 means that changes were
/// applied.
fn first_run(settings: &Puppet) -> Run {
    Run {
        program: "puppet",
        path: settings.program.clone(),
        arguments: ["agent", "--test", "--waitforcert", "0"].map(str::to_owned).to_vec(),
        succeeds_with: vec![0, 2],
        failures: &[],
    }
}

pub fn release_lock(site: &PuppetSite) -> Action {
    Action::Release { path: held_by(site).0, content: HELD.to_owned() }
}

fn file(item: Item, path: &str, content: &str) -> Action {
    Action::File { item, at: place(path, 0o644), content: content.to_owned(), outdates: Vec::new() }
}

fn lock(site: &PuppetSite) -> PidLock {
    // Puppet honours a lock of a process whose name ends in "puppet" (its source, `util/pidlock.rb`).
    let at = place(&format!("{}/ssl.lock", site.ssldir), 0o644);
    PidLock { at, program: "puppet", held_as: "enlist-puppet" }
}
