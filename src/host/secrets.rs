//! Secrets of the settings, read from where the settings say they are.

use std::path::PathBuf;

use super::files;
use super::root::Root;
use super::variables;
use crate::secret::{Secret, SecretSource};

/// Reads a secret, without the line end after it.
///
/// # Errors
/// Why it can't be read, without its text.
pub fn read(root: &Root, source: &SecretSource) -> Result<Secret, String> {
    let system = Root::running_system();
    let (root, path) = match source {
        SecretSource::File(path) => (root, path.clone()),
        // A path of the running system, whatever `--root` says.
        SecretSource::Credential(name) => {
            let path = credential_path(name)
                .ok_or("set LoadCredential= in the unit: systemd has handed over no credential")?;
            (&system, path)
        }
    };
    let text = files::read_secret(root, &path).map_err(|error| error.to_string())?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The path of a credential, on the running system (`LoadCredential=`, systemd.exec(5)). None: systemd
/// has handed over none.
#[must_use]
pub fn credential_path(name: &str) -> Option<String> {
    let directory = variables::variable("CREDENTIALS_DIRECTORY")?;
    Some(PathBuf::from(directory).join(name).to_string_lossy().into_owned())
}

/// Where it is, for people.
#[must_use]
pub fn shown(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => path.clone(),
        SecretSource::Credential(name) => format!("the credential {name}"),
    }
}
