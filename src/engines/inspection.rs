//! Whether what was installed still stands and is still what it was. Pure: the host looks, and this
//! says what it means.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::chef::block;
use super::puppet::agent_settings::Expected;
use super::{Authority, EngineRecord, Grant, Installed, Item, RequiredSettings};
use crate::pki::certificate::{self, CertificateError, Expectation};
use crate::pki::{CaBundle, PublicKey};
use crate::text;

/// What a member was installed with.
#[derive(Clone, Copy, Debug)]
pub struct Membership<'a> {
    pub name: Option<&'a str>,
    /// SHA-256 of the public key, hexadecimal digits.
    pub key: Option<&'a str>,
    pub authority: Option<&'a Authority>,
    pub grant: Option<&'a Grant>,
    pub engine: &'a EngineRecord,
}

/// One installed file, and what was found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedFile {
    pub file: Installed,
    pub state: FileState,
}

/// What was found. It never holds a private key: of a key file it holds the public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    Missing,
    /// It can't be read as what it is; why.
    Damaged(String),
    Key(PublicKey),
    /// A key that others can read or write; how, as the rest of a sentence.
    LooseKey(PublicKey, String),
    Text(String),
    /// Settings that the engine does not use as they were installed; where, and what it uses.
    Diverted(Vec<String>),
}

/// Something that is not as it was installed.
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
    /// Why it can't be read.
    Damaged(String),
    /// It is another key, certificate or CA than the one that this node joined with.
    Foreign,
    /// Others can read or write the node's own key; how.
    Loose(String),
    Expired,
    /// A certificate that does not pass the checks; why.
    Unusable(String),
    /// Where the engine's settings lead it elsewhere.
    Diverted(Vec<String>),
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
            Self::Diverted(where_to) => format!("lead elsewhere ({})", where_to.join("; ")),
        };
        f.write_str(&text::phrase(&said))
    }
}

impl Finding {
    /// Whether the node's own key is lost: what was granted to it is of no use without it. A key
    /// that others may have read is still the node's, and its mode is put right.
    #[must_use]
    pub fn is_key_lost(&self) -> bool {
        self.item == Item::Key && !matches!(self.problem, Problem::Loose(_))
    }

    /// Whether the engine's own settings lead it elsewhere.
    #[must_use]
    pub fn is_diverted(&self) -> bool {
        matches!(self.problem, Problem::Diverted(_))
    }

    /// What is wrong, for people: `key`, `certificate`, `key's mode`.
    #[must_use]
    pub fn what(&self) -> String {
        match self.problem {
            Problem::Loose(_) => format!("{}'s mode", self.item),
            _ => self.item.to_string(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {}: {}", self.what(), self.problem, self.path)
    }
}

/// As `enlist status --json` has it: texts.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 3)?;
        finding.serialize_field("what", &self.what())?;
        finding.serialize_field("path", &self.path)?;
        finding.serialize_field("problem", &self.problem.to_string())?;
        finding.end()
    }
}

/// What is wrong with a member's files, in the order in which they were installed.
#[must_use]
pub fn findings(member: &Membership<'_>, files: &[ObservedFile], unix: i64) -> Vec<Finding> {
    let key = files.iter().find_map(|file| match &file.state {
        FileState::Key(key) | FileState::LooseKey(key, _) if member.is_own(key) => Some(key),
        _ => None,
    });
    let findings = files.iter().filter_map(|file| {
        let problem = problem(member, file, key, unix)?;
        Some(Finding { item: file.file.item, path: file.file.path.clone(), problem })
    });
    findings.collect()
}

/// The settings that the engine has to use, where this installed file holds them.
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
        Authority::Chef { .. } => {
            let content = block::content(text).unwrap_or_default().to_owned();
            Some(RequiredSettings::Chef { client_rb: file.path.clone(), content })
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

fn problem(
    member: &Membership<'_>,
    file: &ObservedFile,
    key: Option<&PublicKey>,
    unix: i64,
) -> Option<Problem> {
    let text = match &file.state {
        FileState::Missing => return Some(Problem::Missing),
        FileState::Damaged(why) => return Some(Problem::Damaged(why.clone())),
        FileState::Key(found) => return (!member.is_own(found)).then_some(Problem::Foreign),
        FileState::LooseKey(found, how) if member.is_own(found) => {
            return Some(Problem::Loose(how.clone()));
        }
        FileState::LooseKey(..) => return Some(Problem::Foreign),
        FileState::Text(text) => text,
        FileState::Diverted(problems) => return Some(Problem::Diverted(problems.clone())),
    };
    match file.file.item {
        Item::Certificate => certificate_problem(member, text, key?, unix),
        Item::Ca => ca_problem(member, text, unix),
        _ => None,
    }
}

/// The same checks that the certificate had to pass when it came; so one that the engine has renewed
/// by itself is as good as ours.
fn certificate_problem(
    member: &Membership<'_>,
    text: &str,
    key: &PublicKey,
    unix: i64,
) -> Option<Problem> {
    let ca = CaBundle::from_pem(member.ca()?).ok()?;
    let expected = Expectation { key, name: member.name?, ca: &ca, now: unix };
    match certificate::check(text, &expected) {
        Ok(_) => None,
        Err(CertificateError::Expired { .. }) => Some(Problem::Expired),
        Err(error) => Some(Problem::Unusable(error.to_string())),
    }
}

/// Puppet renews its bundle by itself, so another one is as good if it verifies our certificate. A
/// file of Chef's holds one certificate of the bundle.
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

fn verifies(member: &Membership<'_>, ca: &str, unix: i64) -> bool {
    let Some(Grant::Certificate { pem, .. }) = member.grant else { return false };
    let (Ok(key), Ok(ca)) = (certificate::key_of(pem), CaBundle::from_pem(ca)) else {
        return false;
    };
    let name = member.name.unwrap_or_default();
    certificate::check(pem, &Expectation { key: &key, name, ca: &ca, now: unix }).is_ok()
}
