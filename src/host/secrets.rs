//! Secrets of the settings, read from where the settings say they are.

use std::path::PathBuf;

use super::files;
use super::root::Root;
use super::transports::Transports;
use super::variables;
use crate::fault::{Fault, Kind};
use crate::secret::{Secret, SecretSource};

/// Reads a secret, without the line end after it.
///
/// # Errors
/// `Config` where it is not there or can't be read. For one that a service keeps, as for any call.
pub async fn read(
    root: &Root,
    transports: &mut Transports,
    source: &SecretSource,
) -> Result<Secret, Fault> {
    let system = Root::running_system();
    let (root, path) = match source {
        SecretSource::File(path) => (root, path.clone()),
        // A path of the running system, whatever `--root` says.
        SecretSource::Credential(name) => {
            let path = credential_path(name).ok_or_else(|| {
                let todo = format!("set LoadCredential={name}:PATH in the unit");
                unread(source, "systemd has handed over no credential", &todo)
            })?;
            (&system, path)
        }
        SecretSource::Parameter(name) => {
            let found = transports.parameter(name).await?;
            return Ok(trimmed(found.expose()));
        }
    };
    files::read_secret(root, &path).map(|text| trimmed(&text)).map_err(|error| {
        let advice =
            files::advice(&error).map(|advice| format!("{advice}; or correct the setting"));
        let usual = "make it a UTF-8 file that root can read, or correct the setting".to_owned();
        unread(source, &error.to_string(), &advice.unwrap_or(usual))
    })
}

fn trimmed(text: &str) -> Secret {
    Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn unread(source: &SecretSource, why: &str, todo: &str) -> Fault {
    Fault::new(Kind::Config, "a secret of the settings can't be read", shown(source), todo)
        .cause(why)
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
        SecretSource::Parameter(name) => format!("parameter {name}"),
    }
}
