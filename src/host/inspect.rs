//! Inspects the installed files. Changes nothing.

use super::checked_key;
use super::clock::unix_now;
use super::engines::{self, EngineAnswers};
use super::files;
use super::root::Root;
use super::store::Store;
use crate::bootstrap::Record;
use crate::engines::inspection::{self, FileState, Finding, ObservedFile};
use crate::engines::{Installed, Item};
use crate::fault::Fault;

/// Whether the engine's answers are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Saved for the next inspection. Only the process that holds the lock may do this.
    Answers,
    Nothing,
}

/// Reads the record from disk, and the state of each file that it lists.
///
/// # Errors
/// Where the record can't be read. A file that can't be read is reported as damaged.
pub async fn inspect(
    root: &Root,
    store: &Store,
    answers: &mut EngineAnswers,
) -> Result<(Option<Record>, Vec<ObservedFile>), Fault> {
    let record = store.load()?;
    let mut observed = Vec::new();
    if let Some(record) = &record {
        let owner = record.engine.file_owner();
        for file in &record.installed {
            let mut state = look(root, store, file, owner);
            let required = match &state {
                FileState::Text(text) => {
                    inspection::required_settings(&record.membership(), file, text)
                }
                _ => None,
            };
            if let Some(required) = required {
                let found = Box::pin(engines::diversions(root, store, &required, answers)).await;
                state = if found.is_empty() { state } else { FileState::Diverted(found) };
            }
            observed.push(ObservedFile { file: file.clone(), state });
        }
    }
    Ok((record, observed))
}

/// Reads the record, and finds what is wrong with a member's files.
///
/// # Errors
/// As for [`inspect`].
pub async fn findings(
    root: &Root,
    store: &Store,
    keep: Keep,
) -> Result<(Option<Record>, Vec<Finding>), Fault> {
    let mut answers = EngineAnswers::recall(store);
    let before = answers.clone();
    let (record, files) = inspect(root, store, &mut answers).await?;
    if let (Keep::Answers, true) = (keep, answers != before) {
        answers.keep(store);
    }
    let member = record.as_ref().filter(|record| record.is_member());
    let found = member.map(|record| record.findings(&files, unix_now()));
    Ok((record, found.unwrap_or_default()))
}

/// The file with which an unfinished join keeps the engine from running.
#[must_use]
pub fn held_by(root: &Root, record: &Record) -> Option<String> {
    let (path, content) = record.engine.held_by()?;
    (root.text(&path)? == content).then(|| root.shown(&path))
}

fn look(root: &Root, store: &Store, file: &Installed, engines_account: Option<&str>) -> FileState {
    let files::Existing { content, mode, owner, directory_owner } =
        match files::existing(root, &file.path) {
            Ok(Some(found)) => found,
            Ok(None) => return FileState::Missing,
            Err(fault) => {
                return FileState::Damaged(fault.causes.first().unwrap_or(&fault.what).clone());
            }
        };
    let (content, user) = (zeroize::Zeroizing::new(content), owner.0);
    let is_foreign =
        || files::is_foreign(root, user, directory_owner, files::ids_of(root, engines_account));
    match file.item {
        Item::Key => match checked_key::public_key(store, &content) {
            Ok(key) if mode & files::LOOSE != 0 => {
                let how = format!("lets others read or write it ({:04o})", mode & 0o777);
                FileState::LooseKey(key, how)
            }
            Ok(key) if is_foreign() => {
                let how = format!("belongs to another user ({})", root.account(user));
                FileState::LooseKey(key, how)
            }
            Ok(key) => FileState::Key(key),
            Err(error) => FileState::Damaged(error.to_string()),
        },
        Item::Certificate | Item::Ca | Item::Crl | Item::Settings => {
            match std::str::from_utf8(&content) {
                Ok(text) => FileState::Text(text.to_owned()),
                Err(_) => FileState::Damaged("it is not UTF-8 text".to_owned()),
            }
        }
        Item::AgentIdentity => {
            let text = std::str::from_utf8(&content).unwrap_or_default();
            FileState::Identity(engines::identity(text))
        }
        // The admin or the engine may change the content of the other files.
        _ => FileState::Text(String::new()),
    }
}
