//! Looks at what was installed, and changes nothing.

use super::files;
use super::root::Root;
use super::store::Store;
use crate::bootstrap::{Found, Installed, Record, Sight};
use crate::fault::Fault;
use crate::pki::PrivateKey;

/// The record as it is on disk, and what stands in the place of each file.
///
/// # Errors
/// Where the record can't be read. A file that can't be is a sight.
pub fn inspect(
    root: &Root,
    store: &Store,
    files: &[Installed],
) -> Result<(Option<Record>, Vec<Sight>), Fault> {
    let record = store.load()?;
    // A join by hand may have put something else in place meanwhile.
    let files = record.as_ref().map_or(files, |record| record.installed.as_slice());
    let sights =
        files.iter().map(|file| Sight { found: look(root, file), file: file.clone() }).collect();
    Ok((record, sights))
}

fn look(root: &Root, file: &Installed) -> Found {
    let content = match files::read_if_there(&root.at(&file.path)) {
        Ok(Some(content)) => zeroize::Zeroizing::new(content),
        Ok(None) => return Found::Missing,
        Err(fault) => return Found::Damaged(fault.what.clone()),
    };
    match file.what.as_str() {
        "key" => match PrivateKey::from_pem(&content) {
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
