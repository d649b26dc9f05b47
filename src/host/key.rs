//! The node's private key on disk. It is made once; an existing key is used as it is.

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::checked_key;
use super::files;
use super::proof::Caller;
use super::root::Root;
use super::store::Store;
use crate::engines::{EarlyKey, KeyReport, KeySpec, node};
use crate::fault::{Fault, Kind};
use crate::pki::private_key::KeyError;
use crate::pki::{CsrSpec, PrivateKey, csr, oid, proof};
use crate::secret::Secret;

/// A key that AWS-LC is making on a thread of its own. It is not a blocking thread of the runtime,
/// so that the program can end without waiting for a key that is not needed.
pub struct KeyGeneration {
    bits: u32,
    result: oneshot::Receiver<Result<PrivateKey, KeyError>>,
}

/// What is added to the request, beside what its plan has.
#[derive(Debug, Default)]
pub struct Additions {
    pub password: Option<Secret>,
    /// Who proves to be the one that asks.
    pub caller: Option<Caller>,
}

/// A key file's bytes.
pub(super) type Content = Zeroizing<Vec<u8>>;

/// Begins to make a key before it is asked for, unless the node has one already. Making it takes
/// time, in which the network calls go on.
#[must_use]
pub fn begin_if_none(
    root: &Root,
    key_directory: Option<&str>,
    early: &EarlyKey,
) -> Option<KeyGeneration> {
    if files::exists(root, &early.staged) {
        return None;
    }
    let has_keys = match (&early.at, key_directory) {
        (Some(path), _) => files::exists(root, path),
        (None, Some(directory)) => {
            files::names(root, directory).is_ok_and(|names| !names.is_empty())
        }
        (None, None) => true,
    };
    (!has_keys).then(|| begin(early.bits))
}

/// Returns the public half of the installed key, else of the staged key, else of a new one, and the
/// certificate request that was signed with it. The password becomes the request's challenge password.
///
/// # Errors
/// `Host` or `Data` where an existing key can't be read or is damaged; no other key is made then.
pub async fn ensure(
    root: &Root,
    store: &Store,
    spec: &KeySpec,
    additions: Additions,
    making: Option<KeyGeneration>,
) -> Result<KeyReport, Fault> {
    let Additions { password, caller } = additions;
    let mut csr = spec.csr.clone().map(|csr| with_password(csr, password)).transpose()?;
    for note in &spec.notes {
        tracing::warn!("{note}");
    }
    let installed = load(root, &spec.at.path)?;
    if installed.is_some() {
        files::tighten(root, &spec.at.path, files::ids_of(root, spec.at.owner))?;
    }
    let former = spec.replaces.as_deref();
    let installed =
        installed.filter(|(key, _)| former != Some(key.public().fingerprint().as_str()));
    let is_installed = installed.is_some();
    let (key, content) = match (installed, load(root, &spec.staged)?) {
        (installed, staged) if spec.brought.is_some() => {
            take_brought(root, store, spec, installed, staged)?
        }
        (Some(_), Some(staged)) if former.is_some() => staged,
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) if spec.if_missing.is_some() => return Err(missing(root, spec)),
        (None, None) => make(root, spec, making).await?,
    };
    checked_key::keep(store, &content, key.public());
    if let (Some(csr), Some(caller)) = (&mut csr, caller) {
        let signed = caller.proof(key.public().spki_der(), &csr.name)?;
        csr.attributes.retain(|(dotted, _)| dotted != proof::IAM);
        csr.attributes.push((proof::IAM.to_owned(), signed));
    }
    let csr = csr.as_ref().map(|wanted| csr::build(wanted, &key)).transpose();
    let csr = csr.map_err(|error| {
        let what = "the certificate request could not be made";
        Fault::new(Kind::Config, what, &spec.at.path, spec.csr_advice).because(&error)
    })?;
    Ok(KeyReport { public: key.public().clone(), csr, is_installed })
}

/// Checks, without changing anything, whether the installed or staged key can be used. Returns its path;
/// none where a join makes one.
///
/// # Errors
/// As for [`ensure`].
pub fn check(root: &Root, spec: &KeySpec) -> Result<Option<String>, Fault> {
    let installed = load(root, &spec.at.path)?.map(|_| &spec.at.path);
    let staged = load(root, &spec.staged)?.map(|_| &spec.staged);
    Ok(installed.or(staged).map(|path| root.shown(path)))
}

/// The request with this challenge password in place of any other.
fn with_password(mut csr: CsrSpec, password: Option<Secret>) -> Result<CsrSpec, Fault> {
    let Some(password) = password else { return Ok(csr) };
    let text = password.expose();
    node::check_password(text, &format!("node {}", csr.name))?;
    csr.attributes.retain(|(dotted, _)| dotted != oid::CHALLENGE_PASSWORD);
    csr.attributes.push((oid::CHALLENGE_PASSWORD.to_owned(), password));
    Ok(csr)
}

/// The key is neither installed nor staged.
pub(super) fn missing(root: &Root, spec: &KeySpec) -> Fault {
    let on = format!("{}, {}", root.shown(&spec.at.path), root.shown(&spec.staged));
    let id = node::target_of(&spec.staged);
    let new = || format!("`enlist leave --target {id} && enlist join --target {id}`");
    let again = spec.if_missing.clone().unwrap_or_else(new);
    let todo = format!("restore it from a backup; for a new key, {again}");
    Fault::new(Kind::Host, "the private key of this node is missing", on, todo).key_lost()
}

/// The key on disk is not the recorded one. Both are SHA-256 of the public key.
pub(super) fn other(staged: &str, path: &str, found: &str, recorded: &str) -> Fault {
    let what = "the private key on disk is not the one that the authority was asked with";
    let on = format!("{path}: SHA-256 {found} on disk, {recorded} in the record");
    let todo = format!(
        "restore the former key; to leave without it, `mv {path} {path}.other && enlist leave --target {}`",
        node::target_of(staged)
    );
    Fault::new(Kind::Data, what, on, todo)
}

#[expect(clippy::disallowed_methods, reason = "a key is made while network calls go on")]
fn begin(bits: u32) -> KeyGeneration {
    let (send, result) = oneshot::channel();
    std::thread::spawn(move || {
        // If the receiver is gone, the key is dropped and wiped.
        drop(send.send(PrivateKey::generate(bits)));
    });
    KeyGeneration { bits, result }
}

pub(super) fn load(root: &Root, path: &str) -> Result<Option<(PrivateKey, Content)>, Fault> {
    let Some(text) = files::read_if_there(root, path)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let key = PrivateKey::from_pem(&text).map_err(|error| {
        let shown = root.shown(path);
        let todo = format!(
            "put a usable key there, or move it away, `mv {shown} {shown}.other`, and enlist makes a new one; it was not touched"
        );
        Fault::new(Kind::Data, "the private key can't be used", shown, todo)
            .cause(format!("{error}; {}", error.advice()))
    })?;
    Ok(Some((key, text)))
}

/// Stages the key that a person has carried here, unless the node has it already. A copy is kept of another
/// one that was staged: no authority has accepted it.
///
/// # Errors
/// `Data` where it can't be used, or another key is installed.
fn take_brought(
    root: &Root,
    store: &Store,
    spec: &KeySpec,
    installed: Option<(PrivateKey, Content)>,
    staged: Option<(PrivateKey, Content)>,
) -> Result<(PrivateKey, Content), Fault> {
    let text = spec.brought.as_ref().map(Secret::expose).unwrap_or_default();
    let key = PrivateKey::from_pem(text.as_bytes()).map_err(|error| {
        let what = "the private key that was carried here can't be used";
        Fault::new(Kind::Data, what, root.shown(&spec.at.path), error.advice()).because(&error)
    })?;
    let is_same = |there: &(PrivateKey, Content)| there.0.public() == key.public();
    if let Some(installed) = installed {
        if is_same(&installed) {
            return Ok(installed);
        }
        let path = root.shown(&spec.at.path);
        let todo = format!("move it away, `mv {path} {path}.other`, then accept the answer again");
        let what = "another private key is installed than the one that was carried here";
        return Err(Fault::new(Kind::Data, what, path, todo));
    }
    if let Some(staged) = staged.filter(is_same) {
        return Ok(staged);
    }
    store.back_up(&spec.staged, super::clock::unix_now())?;
    stage(root, spec, key)
}

/// Keeps a key until it is installed.
fn stage(root: &Root, spec: &KeySpec, key: PrivateKey) -> Result<(PrivateKey, Content), Fault> {
    if let Some((directory, _)) = spec.staged.rsplit_once('/') {
        files::make_directory(root, directory, 0o700, None)?;
    }
    let content = Zeroizing::new(key.to_pem().as_bytes().to_vec());
    files::replace(root, &spec.staged, &content, 0o600, None)?;
    Ok((key, content))
}

async fn make(
    root: &Root,
    spec: &KeySpec,
    making: Option<KeyGeneration>,
) -> Result<(PrivateKey, Content), Fault> {
    let making =
        making.filter(|making| making.bits == spec.bits).unwrap_or_else(|| begin(spec.bits));
    let failed = |cause: &str| {
        let fault = Fault::new(
            Kind::Host,
            "the private key could not be made",
            format!("RSA {} bits", spec.bits),
            "run the command again; if it fails again, report it as a bug in enlist",
        );
        fault.cause(cause)
    };
    let key = making
        .result
        .await
        .map_err(|_| failed("the thread that made it ended"))?
        .map_err(|error| failed(&error.to_string()))?;
    stage(root, spec, key)
}
