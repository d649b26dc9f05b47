//! Looks at what was installed, and changes nothing.

use super::clock::unix_now;
use super::engine;
use super::files;
use super::puppet::Asked;
use super::root::Root;
use super::store::Store;
use crate::bootstrap::{self, Finding, Found, Installed, ObservedFile, Record};
use crate::engines::puppet;
use crate::fault::Fault;
use crate::pki::PrivateKey;

/// What is done with what the engine answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Kept for the next look; by whoever holds the lock alone.
    Answers,
    Nothing,
}

/// The record as it is on disk, and what stands in the place of each of its files.
///
/// # Errors
/// Where the record can't be read. A file that can't be is a sight.
pub async fn inspect(
    root: &Root,
    store: &Store,
    asked: &mut Asked,
) -> Result<(Option<Record>, Vec<ObservedFile>), Fault> {
    let record = store.load()?;
    let mut sights = Vec::new();
    for file in record.iter().flat_map(|record| &record.installed) {
        let mut found = look(root, file);
        let used = match (&record, &found) {
            (Some(record), Found::Text(text)) => bootstrap::used(record, file, text),
            _ => None,
        };
        if let Some(used) = used {
            let problems = Box::pin(engine::look(root, store, &used, asked)).await;
            found = if problems.is_empty() { found } else { Found::Diverted(problems) };
        }
        sights.push(ObservedFile { found, file: file.clone() });
    }
    Ok((record, sights))
}

/// The record, and what is wrong with a member's files.
///
/// # Errors
/// As for [`inspect`].
pub async fn findings(
    root: &Root,
    store: &Store,
    keep: Keep,
) -> Result<(Option<Record>, Vec<Finding>), Fault> {
    let mut asked = Asked::recall(store);
    let before = asked.clone();
    let (record, sights) = inspect(root, store, &mut asked).await?;
    if let (Keep::Answers, true) = (keep, asked != before) {
        asked.keep(store);
    }
    let member = record.as_ref().filter(|record| record.is_member());
    let found = member.map(|record| bootstrap::findings(record, &sights, unix_now()));
    Ok((record, found.unwrap_or_default()))
}

/// The file that keeps the engine from running for a join that is not done, where it is ours.
#[must_use]
pub fn held_by(root: &Root, record: &Record) -> Option<String> {
    let (path, content) = puppet::held_by(record.puppet.as_ref()?);
    (root.text(&path)? == content).then(|| root.shown(&path))
}

fn look(root: &Root, file: &Installed) -> Found {
    let files::Existing { content, mode, owner, holder } = match files::existing(root, &file.path) {
        Ok(Some(found)) => found,
        Ok(None) => return Found::Missing,
        Err(fault) => return Found::Damaged(fault.causes.first().unwrap_or(&fault.what).clone()),
    };
    let (content, user) = (zeroize::Zeroizing::new(content), owner.0);
    let is_foreign = || files::is_foreign(root, user, holder, files::ids_of(root, puppet::OWNER));
    match file.what.as_str() {
        "key" => match PrivateKey::from_pem(&content) {
            Ok(key) if mode & files::LOOSE != 0 => {
                let how = format!("lets others read or write it ({:04o})", mode & 0o777);
                Found::LooseKey(key.public().clone(), how)
            }
            Ok(key) if is_foreign() => {
                let how = format!("belongs to another user ({})", root.account(user));
                Found::LooseKey(key.public().clone(), how)
            }
            Ok(key) => Found::Key(key.public().clone()),
            Err(error) => Found::Damaged(error.to_string()),
        },
        "certificate" | "CA" | "settings" => match std::str::from_utf8(&content) {
            Ok(text) => Found::Text(text.to_owned()),
            Err(_) => Found::Damaged("it is no text".to_owned()),
        },
        // Whose content is the admin's or the engine's to change.
        _ => Found::Text(String::new()),
    }
}
