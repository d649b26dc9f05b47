//! Finds out whether the installed files are still there and unchanged. Pure: the host reads the
//! files, and this module judges them.

use std::fmt;

use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::chef::written::Written;
use super::chef::{self, block};
use super::puppet::agent_settings::Expected;
use super::puppet::reading;
use super::{Authority, EngineRecord, Grant, Installed, Item, RequiredSettings};
use crate::pki::authority::{self, AuthorityError};
use crate::pki::certificate::{self, Certificate, CertificateError, Expectation};
use crate::pki::crl::{self, CrlError, Revocation};
use crate::pki::{CaBundle, PublicKey};
use crate::text;

/// What a member was installed with, from its record.
#[derive(Clone, Copy, Debug)]
pub struct Membership<'a> {
    pub name: Option<&'a str>,
    /// SHA-256 of the public key, hexadecimal digits.
    pub key: Option<&'a str>,
    pub authority: Option<&'a Authority>,
    pub grant: Option<&'a Grant>,
    pub engine: &'a EngineRecord,
}

/// An installed file, and its state now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedFile {
    pub file: Installed,
    pub state: FileState,
}

/// The state of a file. Of a key file it holds only the public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    Missing,
    /// It can't be read or parsed, for this reason.
    Damaged(String),
    Key(PublicKey),
    /// A key that others can read or write, and how, as the rest of a sentence.
    LooseKey(PublicKey, String),
    Text(String),
    /// Settings that something overrides: where, and with what.
    Diverted(Vec<Diversion>),
    /// The id in the engine's identity file, empty where there is none.
    Identity(String),
}

/// Something that overrides the engine's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// Where, and with what: `/etc/puppet/puppet.conf, line 7: server = a`.
    pub place: String,
    /// Whether a repair corrects it. Else a person has to.
    pub is_corrected: bool,
}

/// An installed file with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub item: Item,
    /// Without the `--root` prefix.
    pub path: String,
    pub problem: Problem,
}

/// What is wrong with an installed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    Missing,
    /// It can't be read or parsed, for this reason.
    Damaged(String),
    /// It is not the key, certificate or CA that this node joined with.
    Foreign,
    /// Others can read or write the private key, and how.
    Loose(String),
    Expired,
    /// The certificate does not pass the checks, for this reason.
    Unusable(String),
    /// Something overrides the settings.
    Diverted(Vec<Diversion>),
    /// The revocation lists have the certificate of this node. With the command that makes the CA forget it.
    Revoked(String),
    /// A revocation list is not valid now: what that means, and what to do before the file is removed.
    NotCurrent {
        why: String,
        todo: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self {
            Self::Missing => "is missing".to_owned(),
            Self::Damaged(why) => format!("is damaged ({why})"),
            Self::Foreign => "is not the one that this node joined with".to_owned(),
            Self::Loose(how) => how.clone(),
            Self::Expired => "has expired".to_owned(),
            Self::Unusable(why) => format!("can't be used ({why})"),
            Self::Diverted(found) => {
                let places: Vec<&str> = found.iter().map(|one| one.place.as_str()).collect();
                format!("are overridden ({})", places.join("; "))
            }
            Self::Revoked(_) => "revokes this node's certificate".to_owned(),
            Self::NotCurrent { why, .. } => format!("is not current ({why})"),
        };
        f.write_str(&text::phrase(&said))
    }
}

impl Finding {
    /// Whether the private key is lost. Then the grant is useless. A key with a wrong mode or owner is
    /// not lost: its mode is corrected.
    #[must_use]
    pub fn is_key_lost(&self) -> bool {
        self.item == Item::Key && !matches!(self.problem, Problem::Loose(_))
    }

    /// Whether a repair may help. Only the authority can renew its revocation lists, and give a new certificate
    /// in place of a revoked one.
    #[must_use]
    pub fn is_for_repair(&self) -> bool {
        !matches!(self.problem, Problem::NotCurrent { .. } | Problem::Revoked(_))
    }

    /// Whether something overrides the engine's settings.
    #[must_use]
    pub fn is_diverted(&self) -> bool {
        matches!(self.problem, Problem::Diverted(_))
    }

    /// What has the problem: `key`, `certificate`, `key's mode`.
    #[must_use]
    pub fn what(&self) -> String {
        match self.problem {
            Problem::Loose(_) => format!("{}'s mode", self.item),
            // "The settings are overridden", and "the settings file is missing".
            Problem::Diverted(_) => self.item.to_string(),
            _ if self.item == Item::Settings => "settings file".to_owned(),
            _ if self.item == Item::AgentIdentity => "agent's identity file".to_owned(),
            _ => self.item.to_string(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {}: {}", self.what(), self.problem, self.path)
    }
}

/// As in `enlist status --json`: three texts.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 3)?;
        finding.serialize_field("what", &self.what())?;
        finding.serialize_field("path", &self.path)?;
        finding.serialize_field("problem", &self.problem.to_string())?;
        finding.end()
    }
}

/// The problems of a member's files, in the order in which the files were installed.
#[must_use]
pub fn findings(member: &Membership<'_>, files: &[ObservedFile], unix: i64) -> Vec<Finding> {
    let key = files.iter().find_map(|file| match &file.state {
        FileState::Key(key) | FileState::LooseKey(key, _) if member.is_own(key) => Some(key),
        _ => None,
    });
    let ca = files.iter().find_map(|file| match &file.state {
        FileState::Text(text) if file.file.item == Item::Ca => Some(text.as_str()),
        _ => None,
    });
    let conf = files.iter().find_map(|file| match &file.state {
        FileState::Text(text) if file.file.item == Item::Settings => Some(text.as_str()),
        _ => None,
    });
    let known = Known { key, ca, conf };
    let findings = files.iter().filter_map(|file| {
        let problem = problem(member, file, &known, unix)?;
        Some(Finding { item: file.file.item, path: file.file.path.clone(), problem })
    });
    findings.collect()
}

/// The settings that the engine must use, where this file contains them.
#[must_use]
pub fn required_settings(
    member: &Membership<'_>,
    file: &Installed,
    text: &str,
) -> Option<RequiredSettings> {
    if file.item != Item::Settings {
        return None;
    }
    match member.authority? {
        Authority::Puppet { endpoint, .. } => Some(RequiredSettings::Puppet(Box::new(Expected {
            site: member.engine.puppet.clone()?,
            endpoint: endpoint.clone(),
            name: member.name?.to_owned(),
            environment: None,
        }))),
        Authority::Chef { .. } | Authority::ChefServer { .. } => {
            let content = block::content(text).unwrap_or_default().to_owned();
            let client_rb = chef::client_rb_of(&file.path);
            Some(RequiredSettings::Chef { client_rb, file: file.path.clone(), content })
        }
        Authority::Stack { .. } | Authority::Service => None,
    }
}

impl Membership<'_> {
    fn is_own(&self, key: &PublicKey) -> bool {
        Some(key.fingerprint().as_str()) == self.key
    }

    fn ca(&self) -> Option<&str> {
        self.authority?.ca()
    }
}

/// What a file is judged by: the node's own key, and the texts of the CA and of the settings.
#[derive(Clone, Copy)]
struct Known<'a> {
    key: Option<&'a PublicKey>,
    ca: Option<&'a str>,
    conf: Option<&'a str>,
}

fn problem(
    member: &Membership<'_>,
    file: &ObservedFile,
    known: &Known<'_>,
    unix: i64,
) -> Option<Problem> {
    let text = match &file.state {
        // The agent fetches new ones.
        FileState::Missing if file.file.item == Item::Crl && has_old_lists(member, unix) => {
            return None;
        }
        FileState::Missing => return Some(Problem::Missing),
        FileState::Damaged(why) => return Some(Problem::Damaged(why.clone())),
        FileState::Key(found) => return (!member.is_own(found)).then_some(Problem::Foreign),
        FileState::LooseKey(found, how) if member.is_own(found) => {
            return Some(Problem::Loose(how.clone()));
        }
        FileState::LooseKey(..) => return Some(Problem::Foreign),
        FileState::Text(text) => text,
        FileState::Identity(id) => return identity_problem(member, id),
        FileState::Diverted(problems) => return Some(Problem::Diverted(problems.clone())),
    };
    match file.file.item {
        Item::Certificate => certificate_problem(member, text, known.key?, known.ca, unix),
        Item::Ca => ca_problem(member, text, unix),
        Item::Crl => lists_problem(member, text, known, unix),
        Item::Settings => settings_problem(member, &file.file.path, text),
        _ => None,
    }
}

/// Lines of enlist's block that somebody has changed. A repair writes the block anew.
fn settings_problem(member: &Membership<'_>, path: &str, text: &str) -> Option<Problem> {
    let authority = member.authority?;
    if !matches!(authority, Authority::Chef { .. } | Authority::ChefServer { .. }) {
        return None;
    }
    let changed = Written { path, name: member.name?, authority }.changed(text);
    let diversion = |place| Diversion { place, is_corrected: true };
    let found: Vec<Diversion> = changed.into_iter().map(diversion).collect();
    (!found.is_empty()).then_some(Problem::Diverted(found))
}

fn identity_problem(member: &Membership<'_>, found: &str) -> Option<Problem> {
    match member.grant {
        Some(Grant::Instance { .. }) if found.is_empty() => {
            Some(Problem::Damaged("it has no identity".to_owned()))
        }
        Some(Grant::Instance { id }) if found != id => Some(Problem::Foreign),
        _ => None,
    }
}

/// Makes the same checks as when the certificate was granted. So a certificate that the engine renewed
/// by itself passes too, also with a CA that the engine has fetched since.
fn certificate_problem(
    member: &Membership<'_>,
    text: &str,
    key: &PublicKey,
    installed_ca: Option<&str>,
    unix: i64,
) -> Option<Problem> {
    let known = CaBundle::from_pem(member.ca()?).ok()?;
    let name = member.name?;
    let check = |ca: &CaBundle| {
        certificate::check(text, &Expectation { key, name, ca, now: unix }).map(|_| ())
    };
    let fetched = || {
        let ca = installed_ca.filter(|ca| ca_problem(member, ca, unix).is_none())?;
        CaBundle::from_pem(ca).ok().filter(|ca| *ca != known)
    };
    match check(&known).or_else(|error| fetched().map_or(Err(error), |ca| check(&ca))) {
        Ok(()) => None,
        Err(CertificateError::Expired { .. }) => Some(Problem::Expired),
        Err(error) => Some(Problem::Unusable(error.to_string())),
    }
}

/// Puppet renews its CA bundle by itself, so another bundle passes if it verifies the node's
/// certificate. Each of Chef's CA files contains one certificate of the bundle.
fn ca_problem(member: &Membership<'_>, text: &str, unix: i64) -> Option<Problem> {
    let known = CaBundle::certificates_of(member.ca()?).ok()?;
    let found = match CaBundle::certificates_of(text) {
        Ok(found) => found,
        Err(error) => return Some(Problem::Damaged(error.to_string())),
    };
    let is_ours = found.iter().all(|certificate| known.contains(certificate));
    let has_certificate = member.grant.and_then(Grant::certificate).is_some();
    let is_whole = !has_certificate || found.len() >= known.len();
    if (is_ours && is_whole) || verifies(member, text, unix) {
        return None;
    }
    Some(Problem::Foreign)
}

/// What keeps the agent from using its lists, and a list that is not valid now.
fn lists_problem(
    member: &Membership<'_>,
    lists: &str,
    known: &Known<'_>,
    unix: i64,
) -> Option<Problem> {
    let installed = known.ca.and_then(|ca| CaBundle::from_pem(ca).ok());
    let ca = installed.or_else(|| CaBundle::from_pem(member.ca()?).ok())?;
    if is_revoked(member, &ca, lists, unix) {
        let name = member.name.unwrap_or("NAME");
        return Some(Problem::Revoked(format!("puppetserver ca clean --certname {name}")));
    }
    let setting = known.conf.and_then(|conf| reading::value_of(conf, "certificate_revocation"));
    let revocation = setting.map(|(_, value)| Revocation::of_setting(&value)).unwrap_or_default();
    let check = |revocation| authority::check(&ca, lists, revocation, unix).err();
    let error = check(revocation);
    // An agent that does not look at lists does not read them.
    if revocation != Revocation::Off {
        if let Err(error) = crl::read(lists) {
            return Some(Problem::Damaged(error.to_string()));
        }
        if let Some(error) = error.as_ref().filter(|it| it.is_of_list() && !it.is_of_lists_time()) {
            return Some(Problem::Unusable(error.to_string()));
        }
    }
    let why = match error.filter(AuthorityError::is_of_lists_time) {
        Some(error) => format!("{error}; the agent does not run"),
        None if crl::are_current(lists, unix) => return None,
        None => {
            let unseen = check(Revocation::Chain).filter(AuthorityError::is_of_lists_time)?;
            authority::not_looked_at(&unseen, revocation)
        }
    };
    let todo = "if this clock is right, renew the list on the server (Puppet Server 8.4 and later renews its own), then here";
    Some(Problem::NotCurrent { why, todo })
}

/// Whether the lists have this node's certificate. That it has expired does not hide it.
fn is_revoked(member: &Membership<'_>, ca: &CaBundle, lists: &str, unix: i64) -> bool {
    let Some(Grant::Certificate { pem, serial, not_after }) = member.grant else { return false };
    let (pem, serial, not_after) = (pem.clone(), serial.clone(), *not_after);
    let unix = unix.min(not_after.saturating_sub(1));
    let certificate = Certificate { pem, serial, not_after };
    crl::check(&certificate, ca, lists, Revocation::Off, unix) == Err(CrlError::Revoked)
}

/// Whether the lists of the record are not valid any more.
fn has_old_lists(member: &Membership<'_>, unix: i64) -> bool {
    member.authority.and_then(Authority::crl).is_some_and(|lists| !crl::are_current(lists, unix))
}

fn verifies(member: &Membership<'_>, ca: &str, unix: i64) -> bool {
    let Some(grant @ Grant::Certificate { not_after, .. }) = member.grant else { return false };
    // That the node's own certificate has expired says nothing against the CA.
    let unix = unix.min(not_after.saturating_sub(1));
    is_signed_by(grant, member.name.unwrap_or_default(), ca, unix)
}

/// Whether this CA verifies the certificate of a grant, if it has one.
#[must_use]
pub fn is_signed_by(grant: &Grant, name: &str, ca: &str, unix: i64) -> bool {
    let Grant::Certificate { pem, .. } = grant else { return true };
    let (Ok(key), Ok(ca)) = (certificate::key_of(pem), CaBundle::from_pem(ca)) else {
        return false;
    };
    certificate::check(pem, &Expectation { key: &key, name, ca: &ca, now: unix }).is_ok()
}
