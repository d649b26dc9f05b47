//! Signs bytes with the node's key, or with a key of the settings. The keys do not leave this module.

use super::root::Root;
use super::{key, secrets};
use crate::bootstrap::{Signing, SigningKeyPlace};
use crate::engines::KeySpec;
use crate::fault::{Fault, Kind};
use crate::pki::PrivateKey;
use crate::secret::{Secret, SecretSource};
use crate::targets::Signature;

/// Signs with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 8017, section 8.2). `secret` is the text of
/// a key that the settings name.
///
/// # Errors
/// `Host` where the node has no key, `Data` where its key can't be used or is not the recorded one.
/// `Config` where the key of a setting can't be used.
pub fn sign(
    root: &Root,
    Signing { key, bytes }: Signing,
    secret: Option<Secret>,
) -> Result<Signature, Fault> {
    let (key, on) = match key {
        SigningKeyPlace::Node(spec, recorded) => of_node(root, &spec, recorded.as_deref())?,
        SigningKeyPlace::Secret(source, setting) => {
            of_settings(&source, setting, &secret.unwrap_or_default())?
        }
    };
    match key.sign(&bytes) {
        Ok(signature) => Ok(Signature { bytes, signature }),
        Err(error) => {
            let todo = "check the key: `openssl rsa -check -noout -in FILE`";
            Err(Fault::new(Kind::Data, "the private key could not sign", on, todo).because(&error))
        }
    }
}

/// The installed key, else the staged one. `recorded` is the fingerprint that the key must have; none: any.
fn of_node(
    root: &Root,
    spec: &KeySpec,
    recorded: Option<&str>,
) -> Result<(PrivateKey, String), Fault> {
    let mut unusable = None;
    for path in [&spec.at.path, &spec.staged] {
        match key::load(root, path) {
            Ok(None) => {}
            Ok(Some((key, _))) => {
                let found = key.public().fingerprint();
                match recorded.filter(|recorded| *recorded != found) {
                    None => return Ok((key, root.shown(path))),
                    Some(recorded) => {
                        unusable =
                            Some(key::other(&spec.staged, &root.shown(path), &found, recorded));
                    }
                }
            }
            Err(fault) if fault.kind == Kind::Data => {
                unusable.get_or_insert(fault.key_lost());
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(unusable.unwrap_or_else(|| key::missing(root, spec)))
}

/// Whether both are the same private key, in whatever form.
#[must_use]
pub fn is_same_key(one: &Secret, other: &Secret) -> bool {
    let key = |text: &Secret| PrivateKey::from_pem(text.expose().as_bytes()).ok();
    key(one).zip(key(other)).is_some_and(|(one, other)| one.public() == other.public())
}

fn of_settings(
    source: &SecretSource,
    setting: &str,
    secret: &Secret,
) -> Result<(PrivateKey, String), Fault> {
    let on = format!("{}, {setting}", secrets::shown(source));
    let key = PrivateKey::from_pem(secret.expose().as_bytes()).map_err(|error| {
        let todo = error.advice();
        Fault::new(Kind::Config, "the private key can't be used", &on, todo).because(&error)
    })?;
    Ok((key, on))
}
