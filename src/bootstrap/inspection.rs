//! Whether what was installed still stands, and is still what it was. Pure: the host looks, and
//! this is what it means.

use serde::Serialize;

use super::{Installed, Record};
use crate::pki::certificate::{self, CertificateError, Expectation};
use crate::pki::{CaBundle, PublicKey};
use crate::target::Authority;
use crate::text;

/// One installed file, and what was found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
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
    /// The same, and with these permission bits others can read or write it.
    LooseKey(PublicKey, u32),
    Text(String),
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
pub fn findings(record: &Record, sights: &[Sight], unix: i64) -> Vec<Finding> {
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
        Some(Finding { what, path, problem: text::line(&problem) })
    });
    problems.collect()
}

fn problem(record: &Record, sight: &Sight, key: Option<&PublicKey>, unix: i64) -> Option<String> {
    let text = match &sight.found {
        Found::Missing => return Some("is missing".to_owned()),
        Found::Damaged(why) => return Some(format!("is damaged ({why})")),
        Found::Key(found) => {
            let is_ours = Some(found.fingerprint()) == record.key;
            return (!is_ours).then(|| "is another one than this node joined with".to_owned());
        }
        Found::LooseKey(_, mode) if is_loose(record, sight) => {
            return Some(format!("lets others read or write it ({mode:04o})"));
        }
        Found::LooseKey(..) => return Some("is another one than this node joined with".to_owned()),
        Found::Text(text) => text,
    };
    match sight.file.what.as_str() {
        "certificate" => certificate_problem(record, text, key?, unix),
        "CA" => ca_problem(record, text),
        _ => None,
    }
}

/// Whether it is the node's own key, and only its mode is wrong.
fn is_loose(record: &Record, sight: &Sight) -> bool {
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

fn ca_problem(record: &Record, text: &str) -> Option<String> {
    match CaBundle::from_pem(text) {
        Err(error) => Some(format!("is damaged ({error})")),
        Ok(found) => {
            let is_ours = ca(record).is_none_or(|ca| CaBundle::from_pem(ca).as_ref() == Ok(&found));
            (!is_ours).then(|| "is another one than this node joined with".to_owned())
        }
    }
}

fn ca(record: &Record) -> Option<&str> {
    let former = record.former.as_ref().and_then(|former| former.authority.as_ref());
    match former.or(record.authority.as_ref())? {
        Authority::Puppet { ca, .. } => Some(ca),
        Authority::Chef { ca, .. } => ca.as_deref(),
        Authority::Stack { .. } | Authority::Service => None,
    }
}
