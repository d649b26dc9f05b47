//! Looks at what was installed, and changes nothing.

use super::clock::unix_now;
use super::files;
use super::root::Root;
use super::store::Store;
use crate::bootstrap::{self, Finding, Found, Installed, Record, Sight};
use crate::fault::Fault;
use crate::pki::PrivateKey;

/// The record as it is on disk, and what stands in the place of each of its files.
///
/// # Errors
/// Where the record can't be read. A file that can't be is a sight.
pub fn inspect(root: &Root, store: &Store) -> Result<(Option<Record>, Vec<Sight>), Fault> {
    let record = store.load()?;
    let files = record.iter().flat_map(|record| &record.installed);
    let sights = files.map(|file| Sight { found: look(root, file), file: file.clone() }).collect();
    Ok((record, sights))
}

/// The record, and what is wrong with a member's files.
///
/// # Errors
/// As for [`inspect`].
pub fn findings(root: &Root, store: &Store) -> Result<(Option<Record>, Vec<Finding>), Fault> {
    let (record, sights) = inspect(root, store)?;
    let member = record.as_ref().filter(|record| record.is_member());
    let found = member.map(|record| bootstrap::findings(record, &sights, unix_now()));
    Ok((record, found.unwrap_or_default()))
}

fn look(root: &Root, file: &Installed) -> Found {
    let (content, mode) = match files::existing(root, &file.path) {
        Ok(Some(found)) => (zeroize::Zeroizing::new(found.content), found.mode),
        Ok(None) => return Found::Missing,
        Err(fault) => return Found::Damaged(fault.causes.first().unwrap_or(&fault.what).clone()),
    };
    match file.what.as_str() {
        "key" => match PrivateKey::from_pem(&content) {
            Ok(key) if mode & files::LOOSE != 0 => {
                Found::LooseKey(key.public().clone(), mode & 0o777)
            }
            Ok(key) => Found::Key(key.public().clone()),
            Err(error) => Found::Damaged(error.to_string()),
        },
        "certificate" | "CA" => match std::str::from_utf8(&content) {
            Ok(text) => Found::Text(text.to_owned()),
            Err(_) => Found::Damaged("it is no text".to_owned()),
        },
        // Whose content is the admin's or the engine's to change.
        _ => Found::Text(String::new()),
    }
}
