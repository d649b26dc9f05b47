//! Whether what was installed still stands, and is still what it was. Pure: the host looks, and
//! this is what it means.

use serde::Serialize;

use super::{Installed, Record};
use crate::engines::puppet_settings::Expected;
use crate::engines::{Use, block};
use crate::pki::certificate::{self, CertificateError, Expectation};
use crate::pki::{CaBundle, PublicKey};
use crate::targets::{Authority, Grant};
use crate::text;

/// One installed file, and what was found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedFile {
    pub file: Installed,
    pub found: Found,
}

/// A key's content never comes here: of a file that holds one, its public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Missing,
    /// It is there, and can't be read as what it is; why.
    Damaged(String),
    Key(PublicKey),
    /// The same, and others can read or write it; how, as the rest of a sentence.
    LooseKey(PublicKey, String),
    Text(String),
    /// Settings that the engine does not use as they were installed; where, and what it uses.
    Diverted(Vec<String>),
}

/// Something that is not as it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `key`, `certificate`, `CA`, `settings`.
    pub what: String,
    /// Without the `--root` prefix.
    pub path: String,
    /// As the rest of a sentence: `is missing`.
    pub problem: String,
    /// Whether the engine's own settings lead it elsewhere.
    #[serde(skip)]
    pub is_diverted: bool,
}

impl Finding {
    /// Whether the node's own key is concerned: what was granted to it is of no use without it.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.what == "key"
    }

    /// A key that others may have read is still the node's: its mode is put right.
    const LOOSE: &str = "key's mode";
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} {}: {}", self.what, self.problem, self.path)
    }
}

/// What is wrong with a member's files, in the order in which they were installed.
#[must_use]
pub fn findings(record: &Record, sights: &[ObservedFile], unix: i64) -> Vec<Finding> {
    let key = sights.iter().find_map(|sight| match &sight.found {
        Found::Key(key) | Found::LooseKey(key, _) if Some(key.fingerprint()) == record.key => {
            Some(key)
        }
        _ => None,
    });
    let problems = sights.iter().filter_map(|sight| {
        let problem = problem(record, sight, key, unix)?;
        let Installed { mut what, path } = sight.file.clone();
        if is_loose(record, sight) {
            what = Finding::LOOSE.to_owned();
        }
        let is_diverted = matches!(sight.found, Found::Diverted(_));
        Some(Finding { what, path, problem: text::phrase(&problem), is_diverted })
    });
    problems.collect()
}

fn problem(
    record: &Record,
    sight: &ObservedFile,
    key: Option<&PublicKey>,
    unix: i64,
) -> Option<String> {
    let text = match &sight.found {
        Found::Missing => return Some("is missing".to_owned()),
        Found::Damaged(why) => return Some(format!("is damaged ({why})")),
        Found::Key(found) => {
            let is_ours = Some(found.fingerprint()) == record.key;
            return (!is_ours).then(|| "is not the one that this node joined with".to_owned());
        }
        Found::LooseKey(_, how) if is_loose(record, sight) => return Some(how.clone()),
        Found::LooseKey(..) => return Some("is not the one that this node joined with".to_owned()),
        Found::Text(text) => text,
        Found::Diverted(problems) => {
            return Some(format!("lead elsewhere ({})", problems.join("; ")));
        }
    };
    match sight.file.what.as_str() {
        "certificate" => certificate_problem(record, text, key?, unix),
        "CA" => ca_problem(record, text, unix),
        _ => None,
    }
}

/// Whether it is the node's own key, and only its mode is wrong.
fn is_loose(record: &Record, sight: &ObservedFile) -> bool {
    matches!(&sight.found, Found::LooseKey(key, _) if Some(key.fingerprint()) == record.key)
}

/// The same checks that it had to pass when it came; so one that the engine has renewed by
/// itself is as good as ours.
fn certificate_problem(record: &Record, text: &str, key: &PublicKey, unix: i64) -> Option<String> {
    let ca = CaBundle::from_pem(ca(record)?).ok()?;
    let expected = Expectation { key, name: record.name.as_deref()?, ca: &ca, now: unix };
    match certificate::check(text, &expected) {
        Ok(_) => None,
        Err(CertificateError::Expired { .. }) => Some("has expired".to_owned()),
        Err(error) => Some(format!("can't be used ({error})")),
    }
}

/// Puppet renews its bundle by itself, so another one is as good if it verifies our certificate. A
/// file of Chef's holds one certificate of the bundle.
fn ca_problem(record: &Record, text: &str, unix: i64) -> Option<String> {
    let known = CaBundle::certificates_of(ca(record)?).ok()?;
    let found = match CaBundle::certificates_of(text) {
        Ok(found) => found,
        Err(error) => return Some(format!("is damaged ({error})")),
    };
    let is_ours = found.iter().all(|certificate| known.contains(certificate));
    let is_whole = record.certificate().is_none() || found.len() >= known.len();
    if (is_ours && is_whole) || verifies(record, text, unix) {
        return None;
    }
    Some("is not the one that this node joined with".to_owned())
}

fn verifies(record: &Record, ca: &str, unix: i64) -> bool {
    let Some(Grant::Certificate { pem, .. }) = record.standing() else { return false };
    let (Ok(key), Ok(ca)) = (certificate::key_of(pem), CaBundle::from_pem(ca)) else {
        return false;
    };
    let name = record.name.as_deref().unwrap_or_default();
    certificate::check(pem, &Expectation { key: &key, name, ca: &ca, now: unix }).is_ok()
}

/// What the engine has to use, of a member with this file of settings.
#[must_use]
pub fn used(record: &Record, file: &Installed, text: &str) -> Option<Use> {
    if file.what != "settings" {
        return None;
    }
    match standing_authority(record)? {
        Authority::Puppet { endpoint, .. } => Some(Use::Puppet(Box::new(Expected {
            site: record.puppet.clone()?,
            endpoint: endpoint.clone(),
            name: record.name.clone()?,
            environment: None,
        }))),
        Authority::Chef { .. } => {
            let content = block::content(text).unwrap_or_default().to_owned();
            Some(Use::Chef { client_rb: file.path.clone(), content })
        }
        Authority::Stack { .. } | Authority::Service => None,
    }
}

fn standing_authority(record: &Record) -> Option<&Authority> {
    let former = record.former.as_ref().and_then(|former| former.authority.as_ref());
    former.or(record.authority.as_ref())
}

fn ca(record: &Record) -> Option<&str> {
    match standing_authority(record)? {
        Authority::Puppet { ca, .. } => Some(ca),
        Authority::Chef { ca, .. } => ca.as_deref(),
        Authority::Stack { .. } | Authority::Service => None,
    }
}
