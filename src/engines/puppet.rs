//! Puppet: what its agent wants to find, and what its CA wants to be asked.
//!
//! Source: Puppet's documentation, "SSL directory (ssldir)" and "CSR attributes and certificate
//! extensions".

use std::collections::BTreeMap;

use super::csr_attributes::Entry;
use super::puppet_settings::{Expected, OURS};
use super::{Action, Bundle, Place, Run, Use, csr_attributes};
use crate::facts::{Facts, PuppetSite};
use crate::fault::{Fault, Kind};
use crate::pki::{CsrSpec, csr, oid};
use crate::secret::Secret;

/// The account that Puppet's files belong to where it exists.
pub const OWNER: Option<&str> = Some("puppet");

/// What `agent_disabled.lock` says while a join is under way; also how we know our own.
const HELD: &str = "{\"disabled_message\":\"enlist has not joined this node yet; it removes this file once it has\"}";

/// The `[puppet]` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Puppet {
    pub ssldir: Option<String>,
    pub confdir: Option<String>,
    pub statedir: Option<String>,
    /// 2048, 3072 or 4096.
    pub key_bits: u32,
    /// Short name or dotted OID, and value; checked when the settings are.
    pub extension_requests: BTreeMap<String, Secret>,
    /// Instance tags whose names begin so become extension requests; empty: none do.
    pub tag_prefix: String,
    /// The environment to ask for; none: the server's choice.
    pub environment: Option<String>,
    /// Whether the agent's first run is started once joined.
    pub run: bool,
    /// Puppet's program; none: where it is usually found.
    pub program: Option<String>,
}

/// What is asked of the CA, and what was left out of it and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsrPlan {
    pub spec: CsrSpec,
    pub notes: Vec<String>,
}

/// What the server said or the settings pin.
#[derive(Clone, Debug)]
pub struct InstallInput<'a> {
    pub name: &'a str,
    /// `host` or `host:port`.
    pub endpoint: &'a str,
    pub certificate: &'a str,
    pub ca: &'a str,
    pub csr: &'a str,
    /// Where the key was made.
    pub staged_key: &'a str,
}

/// Where the private key of `name` stands.
#[must_use]
pub fn key_place(site: &PuppetSite, name: &str) -> Place {
    place(&format!("{}/private_keys/{name}.pem", site.ssldir), 0o640)
}

/// The request for `name`. A later source wins over an earlier one: instance tags, what the node
/// knows of itself, `csr_attributes.yaml`, the settings.
///
/// # Errors
/// When `csr_attributes.yaml` can't be used.
pub fn csr(
    settings: &Puppet,
    facts: &Facts,
    site: &PuppetSite,
    name: &str,
) -> Result<CsrPlan, Fault> {
    let mut notes = Vec::new();
    let mut extensions = BTreeMap::new();
    add_tags(settings, facts, &mut extensions, &mut notes);
    add_own(facts, &mut extensions);
    let attributes = add_file(site, &mut extensions)?;
    for (name, value) in &settings.extension_requests {
        if let Some(dotted) = oid::resolve(name) {
            extensions.insert(dotted, value.clone());
        }
    }
    let spec = CsrSpec {
        name: name.to_owned(),
        extensions: extensions.into_iter().collect(),
        attributes,
        dns_names: Vec::new(),
    };
    Ok(CsrPlan { spec, notes })
}

/// Keeps an agent that is already installed from running, and from making a key of its own,
/// before everything is in place.
#[must_use]
pub fn hold(site: &PuppetSite) -> Bundle {
    let hold = Action::Hold { at: place(&disabled_lock(site), 0o644), content: HELD.to_owned() };
    Bundle {
        actions: vec![Action::Directory(place(&site.statedir, 0o755)), hold],
        ..Bundle::default()
    }
}

/// Lets it run again as it did before.
#[must_use]
pub fn release(site: &PuppetSite) -> Bundle {
    Bundle { actions: vec![release_lock(site)], ..Bundle::default() }
}

/// The file that holds the agent still, and what is in it where it is ours.
#[must_use]
pub fn held_by(site: &PuppetSite) -> (String, &'static str) {
    (disabled_lock(site), HELD)
}

/// Key, request, certificate, CA, settings; then the agent may run.
#[must_use]
pub fn install(settings: &Puppet, site: &PuppetSite, member: &InstallInput<'_>) -> Bundle {
    let ssl = |rest: &str| format!("{}/{rest}", site.ssldir);
    let name = member.name;
    let mut actions = directories(site);
    actions.push(Action::Key { at: key_place(site, name), from: member.staged_key.to_owned() });
    let request = ssl(&format!("certificate_requests/{name}.pem"));
    // Puppet wants it no more once there is a certificate, and others may read it.
    actions.push(if csr::holds_secret(member.csr) {
        Action::RemoveSecret { path: request }
    } else {
        file("request", &request, member.csr)
    });
    let ca = Action::File {
        what: "CA",
        at: place(&ssl("certs/ca.pem"), 0o644),
        content: member.ca.to_owned(),
        // A revocation list of another CA would make the agent refuse the new one.
        outdates: vec![ssl("crl.pem")],
    };
    actions.push(ca);
    let certificate = ssl(&format!("certs/{name}.pem"));
    actions.push(file("certificate", &certificate, member.certificate));
    let expected = expected(settings, site, name, member.endpoint);
    actions.push(Action::Settings {
        at: Place { path: expected.conf(), mode: 0o644, owner: None },
        values: expected.settings(),
        overriding: expected.overriding(),
    });
    actions.push(Action::Confirm(Use::Puppet(Box::new(expected))));
    actions.push(release_lock(site));
    Bundle {
        lock: Some(place(&ssl("ssl.lock"), 0o644)),
        actions,
        run: settings.run.then(|| first_run(settings)),
    }
}

/// What the agent has to use afterwards.
#[must_use]
pub fn expected(settings: &Puppet, site: &PuppetSite, name: &str, endpoint: &str) -> Expected {
    Expected {
        site: site.clone(),
        endpoint: endpoint.to_owned(),
        name: name.to_owned(),
        environment: settings.environment.clone(),
    }
}

/// Takes back what [`install`] put there. The CA stays: others may trust it by now, and it is no
/// secret; an admin's settings come back.
#[must_use]
pub fn clear(installed: &[(String, String)], site: &PuppetSite) -> Bundle {
    let ours = installed
        .iter()
        .filter(|(what, _)| matches!(what.as_str(), "key" | "request" | "certificate"));
    // A request may hold a secret, and is made anew from the key.
    let action = |(what, path): &(String, String)| match what.as_str() {
        "request" => Action::RemoveSecret { path: path.clone() },
        _ => Action::RemoveWithBackup { path: path.clone() },
    };
    let mut actions: Vec<Action> = ours.map(action).collect();
    if !installed.is_empty() {
        let path = format!("{}/puppet.conf", site.confdir);
        actions.push(Action::RemoveSettings { path, names: OURS.to_vec() });
    }
    actions.push(release_lock(site));
    Bundle { lock: Some(place(&format!("{}/ssl.lock", site.ssldir), 0o644)), actions, run: None }
}

fn add_tags(
    settings: &Puppet,
    facts: &Facts,
    extensions: &mut BTreeMap<String, Secret>,
    notes: &mut Vec<String>,
) {
    let Some(ec2) = &facts.ec2 else { return };
    if settings.tag_prefix.is_empty() {
        return;
    }
    let shown = ec2.tags.iter().map(|(tag, value)| (tag, value.as_str()));
    let secret = ec2.secret_tags.iter().map(|(tag, value)| (tag, value.expose()));
    for (tag, value) in shown.chain(secret).filter(|(tag, _)| tag.starts_with(&settings.tag_prefix))
    {
        match oid::resolve(tag) {
            // Whoever may tag an instance must not be able to grant it rights on the server.
            Some(dotted) if oid::is_under(&dotted, oid::AUTHORIZATION_ARC) => {
                notes.push(format!("tag {tag} asks for an authorization extension, which tags may not; it is left out"));
            }
            Some(_) if value.is_empty() => {
                notes.push(format!("tag {tag} is empty; it is left out"));
            }
            Some(dotted) => {
                extensions.insert(dotted, Secret::new(value.to_owned()));
            }
            None => {
                notes.push(format!(
                    "tag {tag} is not an extension that Puppet knows; it is left out"
                ));
            }
        }
    }
}

fn add_own(facts: &Facts, extensions: &mut BTreeMap<String, Secret>) {
    let mut add = |name: &str, value: Option<&str>| {
        if let (Some(dotted), Some(value)) = (oid::resolve(name), value.filter(|v| !v.is_empty())) {
            extensions.insert(dotted, Secret::new(value.to_owned()));
        }
    };
    add("pp_hostname", Some(&facts.hostname));
    if let Some(ec2) = &facts.ec2 {
        add("pp_instance_id", Some(&ec2.instance_id));
        add("pp_image_name", ec2.image_id.as_deref());
        add("pp_region", ec2.region.as_deref());
        add("pp_zone", ec2.zone.as_deref());
        add("pp_cloudplatform", Some("aws"));
    }
}

/// Attributes and extensions that Puppet's agent makes itself, and takes from nobody (its source,
/// `ssl/certificate_request.rb`).
const PUPPETS_OWN: [&str; 6] = [
    "extReq",
    "1.2.840.113549.1.9.14",
    "msExtReq",
    "1.3.6.1.4.1.311.2.1.14",
    "subjectAltName",
    "2.5.29.17",
];

/// Takes the extensions of `csr_attributes.yaml`, and returns its custom attributes.
fn add_file(
    site: &PuppetSite,
    extensions: &mut BTreeMap<String, Secret>,
) -> Result<Vec<(String, Secret)>, Fault> {
    if let Some((path, why)) = &site.unread {
        let what = "a file that the certificate request is made from can't be read";
        let todo = "correct it (UTF-8, readable for enlist), or remove it";
        return Err(Fault::new(Kind::Config, what, path, todo).cause(why));
    }
    let Some(text) = &site.csr_attributes else {
        return Ok(Vec::new());
    };
    let names = names_of_the_site(site)?;
    let default = format!("{}/csr_attributes.yaml", site.confdir);
    let path = site.csr_attributes_path.as_ref().unwrap_or(&default);
    let fault = |line: usize, what: String, todo: &str| {
        Fault::new(Kind::Config, what, format!("{path}, line {line}"), todo)
    };
    let parsed = csr_attributes::parse(text.expose()).map_err(|error| {
        let what = "csr_attributes.yaml can't be used".to_owned();
        fault(error.line, what, "correct this line, or remove the file").because(&error)
    })?;
    let resolve = |name: &str| {
        if PUPPETS_OWN.contains(&name) {
            return None;
        }
        let dotted = oid::resolve(name).or_else(|| oid::resolve(names.get(name)?))?;
        (!PUPPETS_OWN.contains(&dotted.as_str())).then_some(dotted)
    };
    for Entry { name, value, line } in parsed.extension_requests {
        let dotted = resolve(&name).ok_or_else(|| {
            fault(
                line,
                format!("{name:?} is not an extension that Puppet accepts"),
                "use a name such as pp_role, a dotted OID, or one of custom_trusted_oid_mapping.yaml",
            )
        })?;
        if oid::is_under(&dotted, oid::AUTHORIZATION_ARC) {
            return Err(fault(
                line,
                format!(
                    "{name} is an authorization extension, and those are taken from enlist's own settings only"
                ),
                "move it to extension_requests in [puppet]",
            ));
        }
        extensions.insert(dotted, value);
    }
    let attribute = |Entry { name, value, line }: Entry| {
        if name == "challengePassword" {
            return Ok((oid::CHALLENGE_PASSWORD.to_owned(), value));
        }
        let is_name = oid::arcs(&name).is_some() || names.contains_key(&name);
        let dotted = resolve(&name).filter(|_| is_name);
        let dotted = dotted.ok_or_else(|| {
            let what = format!("the custom attribute {name:?} is not an OID that Puppet accepts");
            fault(line, what, "use a dotted OID, or challengePassword")
        })?;
        Ok((dotted, value))
    };
    parsed.custom_attributes.into_iter().map(attribute).collect()
}

/// Names for OIDs that the site has made up.
fn names_of_the_site(site: &PuppetSite) -> Result<BTreeMap<String, String>, Fault> {
    let Some((path, text)) = &site.oid_mapping else {
        return Ok(BTreeMap::new());
    };
    csr_attributes::parse_mapping(text).map_err(|error| {
        let what = "Puppet's file of names for OIDs can't be used";
        let on = format!("{path}, line {}", error.line);
        Fault::new(Kind::Config, what, on, "correct this line, or remove the file").because(&error)
    })
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

/// The directories of Puppet's that hold all that we write.
#[must_use]
pub fn directories_of(site: &PuppetSite) -> [Place; 3] {
    [confdir(site), place(&site.ssldir, 0o771), place(&site.statedir, 0o755)]
}

fn confdir(site: &PuppetSite) -> Place {
    Place { path: site.confdir.clone(), mode: 0o755, owner: None }
}

/// Exit code 2 of `--detailed-exitcodes`, which `--test` implies: changes were applied.
fn first_run(settings: &Puppet) -> Run {
    Run {
        program: "puppet",
        path: settings.program.clone(),
        arguments: ["agent", "--test", "--waitforcert", "0"].map(str::to_owned).to_vec(),
        succeeds_with: vec![0, 2],
    }
}

fn disabled_lock(site: &PuppetSite) -> String {
    format!("{}/agent_disabled.lock", site.statedir)
}

fn release_lock(site: &PuppetSite) -> Action {
    Action::Release { path: disabled_lock(site), content: HELD.to_owned() }
}

fn place(path: &str, mode: u32) -> Place {
    Place { path: path.to_owned(), mode, owner: OWNER }
}

fn file(what: &'static str, path: &str, content: &str) -> Action {
    Action::File { what, at: place(path, 0o644), content: content.to_owned(), outdates: Vec::new() }
}
