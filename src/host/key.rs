//! The node's private key on disk. Made once; one that stands is used as it is.

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::checked_key;
use super::files;
use super::root::Root;
use super::store::Store;
use crate::engines::{ExpectedKey, KeyReport, KeySpec};
use crate::fault::{Fault, Kind};
use crate::pki::private_key::KeyError;
use crate::pki::{PrivateKey, csr};

/// A key that AWS-LC is making on a thread of its own. Not a runtime's blocking thread: the
/// program can end without waiting for a key that nobody wants any more.
pub struct KeyGeneration {
    bits: u32,
    result: oneshot::Receiver<Result<PrivateKey, KeyError>>,
}

/// A key file's bytes.
type Content = Zeroizing<Vec<u8>>;

/// Begins a key early, where no key of any name stands, while the network is asked for the rest.
#[must_use]
pub fn begin_if_none(
    root: &Root,
    key_directory: Option<&str>,
    likely: &ExpectedKey,
) -> Option<KeyGeneration> {
    if files::exists(root, &likely.staged) {
        return None;
    }
    let has_keys = match (&likely.at, key_directory) {
        (Some(path), _) => files::exists(root, path),
        (None, Some(directory)) => {
            files::names(root, directory).is_ok_and(|names| !names.is_empty())
        }
        (None, None) => true,
    };
    (!has_keys).then(|| begin(likely.bits))
}

/// The key that stands in its place, else the staged one, else a new one; and what is signed
/// with it.
///
/// # Errors
/// `Host` where a key that stands can't be read or is damaged: that is no reason to make another.
pub async fn ensure(
    root: &Root,
    store: &Store,
    spec: &KeySpec,
    making: Option<KeyGeneration>,
) -> Result<KeyReport, Fault> {
    for note in &spec.notes {
        tracing::warn!("{note}");
    }
    let standing = load(root, &spec.at.path)?;
    if standing.is_some() {
        files::tighten(root, &spec.at.path, files::ids_of(root, spec.at.owner))?;
    }
    let (key, content) = match (standing, load(root, &spec.staged)?) {
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) if spec.must_stand => return Err(missing(root, spec)),
        (None, None) => make(root, spec, making).await?,
    };
    checked_key::keep(store, &content, key.public());
    let csr = spec.csr.as_ref().map(|wanted| csr::build(wanted, &key)).transpose();
    let csr = csr.map_err(|error| {
        let what = "the certificate request can't be made";
        Fault::new(Kind::Config, what, &spec.at.path, spec.csr_advice).because(&error)
    })?;
    Ok(KeyReport { public: key.public().clone(), csr })
}

/// Signs bytes with the key that stands in its place, else the staged one (RSASSA-PKCS1-v1_5 with
/// SHA-256, RFC 8017, section 8.2).
///
/// # Errors
/// `Host` where neither is there, `Data` where the key can't be used.
pub fn sign(root: &Root, spec: &KeySpec, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let standing = load(root, &spec.at.path)?;
    let (key, _) = match standing {
        Some(key) => key,
        None => load(root, &spec.staged)?.ok_or_else(|| missing(root, spec))?,
    };
    key.sign(bytes).map_err(|error| {
        let on = root.shown(&spec.at.path);
        Fault::new(Kind::Data, "the private key can't sign", on, "check the key").because(&error)
    })
}

fn missing(root: &Root, spec: &KeySpec) -> Fault {
    let on = root.shown(&spec.at.path);
    let todo = "put it back from a backup, or `enlist leave` and `enlist join` with a new one";
    Fault::new(Kind::Host, "the key of this member is missing", on, todo)
}

#[expect(clippy::disallowed_methods, reason = "a key is made while the network is asked")]
fn begin(bits: u32) -> KeyGeneration {
    let (send, result) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody may be waiting any more; then the key is dropped, and wiped.
        drop(send.send(PrivateKey::generate(bits)));
    });
    KeyGeneration { bits, result }
}

fn load(root: &Root, path: &str) -> Result<Option<(PrivateKey, Content)>, Fault> {
    let Some(text) = files::read_if_there(root, path)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let key = PrivateKey::from_pem(&text).map_err(|error| {
        let todo =
            "put a usable key there, or move it away to have a new one made; it was not touched";
        Fault::new(Kind::Data, "the private key can't be used", root.shown(path), todo)
            .because(&error)
    })?;
    Ok(Some((key, text)))
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
            "no key could be made",
            format!("RSA {} bits", spec.bits),
            "try again",
        );
        fault.cause(cause)
    };
    let key = making
        .result
        .await
        .map_err(|_| failed("the thread that made it ended"))?
        .map_err(|error| failed(&error.to_string()))?;
    if let Some((directory, _)) = spec.staged.rsplit_once('/') {
        files::make_directory(root, directory, 0o700, None)?;
    }
    let content = Zeroizing::new(key.to_pem().as_bytes().to_vec());
    files::replace(root, &spec.staged, &content, 0o600, None)?;
    Ok((key, content))
}
