//! Checks of the secrets that the settings name. Nothing of them is shown.

use super::{Checks, Found};
use crate::config::Settings;
use crate::engines::EngineId;
use crate::fault::{Fault, Kind};
use crate::host::{Host, Root, clock, files, secrets};
use crate::secret::SecretSource;
use crate::targets::Target;

/// Reads each secret, and checks that a join could use it, and that other users can't read it. One that a
/// service keeps is left to the check of the permissions.
pub async fn all(
    root: &Root,
    host: &mut Host,
    target: &dyn Target,
    settings: &Settings,
    checks: &mut Checks,
) {
    let is_handed_over = target.engine() == EngineId::SsmAgent;
    let code = settings.engines.ssm_agent.code_source.as_ref().filter(|_| is_handed_over);
    let code = code.map(|source| {
        let is_path = source.starts_with('/');
        let source = source.clone();
        if is_path { SecretSource::File(source) } else { SecretSource::Credential(source) }
    });
    for source in target.secrets().into_iter().chain(&code) {
        let began = clock::instant();
        let found = one(root, host, target, source).await;
        checks.note("secret", began, found);
    }
}

async fn one(
    root: &Root,
    host: &mut Host,
    target: &dyn Target,
    source: &SecretSource,
) -> Result<Found, Fault> {
    let shown = secrets::shown(source);
    if matches!(source, SecretSource::Parameter(_)) {
        return Ok(Found::Skipped(format!("{shown}: a join reads it")));
    }
    if let Some(secret) = host.secret(Some(source)).await? {
        target.check_secret(&secret, &shown)?;
    }
    if let SecretSource::File(path) = source
        && files::is_readable_by_all(root, path)
    {
        let on = root.shown(path);
        let todo = format!("run `chmod 0600 {on}`");
        let what = "all users of this machine can read a secret of the settings";
        return Err(Fault::new(Kind::Config, what, on, todo));
    }
    Ok(Found::Good(format!("{shown} can be used")))
}
