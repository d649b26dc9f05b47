//! Which private key was checked in full, so that an unchanged file is not checked again.
//!
//! AWS-LC's check that the numbers of an RSA key belong together takes more CPU time than the rest
//! of an inspection. A note beside the record holds the SHA-256 of the file that passed it, and the
//! key's public half; neither is secret. Only root can write there.

use serde::{Deserialize, Serialize};

use super::files;
use super::root::Root;
use super::store::Store;
use crate::pki::private_key::KeyError;
use crate::pki::public_key::sha256;
use crate::pki::{PrivateKey, PublicKey};

/// The file beside the record.
const NOTE: &str = "checked-key.json";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CheckedKey {
    /// Of the key file's bytes: lower-case hexadecimal digits.
    sha256: String,
    /// SubjectPublicKeyInfo as PEM.
    public_key: String,
}

/// Notes that a key file with this content was checked in full.
///
/// Without the note, each inspection checks the key in full, so a note that can't be written is no
/// fault.
pub fn keep(store: &Store, content: &[u8], public: &PublicKey) {
    let checked = CheckedKey { sha256: sha256(content), public_key: public.to_pem() };
    if recall(store).as_ref() == Some(&checked) {
        return;
    }
    let text = serde_json::to_string(&checked).unwrap_or_default();
    if let Err(fault) = store.keep_note(NOTE, &text) {
        tracing::warn!("that the key was checked can't be noted: {fault}");
    }
}

/// Returns the public half of the key in a file with this content. Checks the key in full, unless
/// the note says that this very content passed before.
///
/// # Errors
/// Says why it is not a usable RSA key.
pub fn public_key(store: &Store, content: &[u8]) -> Result<PublicKey, KeyError> {
    match noted(store, content) {
        Some(public) => Ok(public),
        None => PrivateKey::from_pem(content).map(|key| key.public().clone()),
    }
}

/// Whether the file has the key with this fingerprint.
#[must_use]
pub fn is_there(root: &Root, target: &str, path: &str, sha256: &str) -> bool {
    let content = files::read_if_there(root, path).ok().flatten().map(zeroize::Zeroizing::new);
    let store = Store::new(root.clone(), target);
    let key = content.and_then(|content| public_key(&store, &content).ok());
    key.is_some_and(|key| key.fingerprint() == sha256)
}

fn noted(store: &Store, content: &[u8]) -> Option<PublicKey> {
    let checked = recall(store).filter(|checked| checked.sha256 == sha256(content))?;
    let block = pem::parse(checked.public_key).ok()?;
    PublicKey::from_spki(block.contents()).ok()
}

fn recall(store: &Store) -> Option<CheckedKey> {
    serde_json::from_slice(&store.note(NOTE)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{NOTE, keep, public_key};
    use crate::host::{Root, Store, files};
    use crate::pki::PrivateKey;

    struct Node {
        root: Root,
        _directory: tempfile::TempDir,
        store: Store,
        key: PrivateKey,
    }

    impl Node {
        /// A node whose key was checked and noted.
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let root = Root::new(directory.path());
            let store = Store::new(root.clone(), "opsworks-cm");
            let key = PrivateKey::generate(2048).expect("a key");
            keep(&store, key.to_pem().as_bytes(), key.public());
            Self { root, _directory: directory, store, key }
        }

        fn note(&self) -> String {
            String::from_utf8(self.store.note(NOTE).expect("a note")).expect("text")
        }

        fn rewrite_note(&self, change: impl FnOnce(&str) -> String) {
            self.store.keep_note(NOTE, &change(&self.note())).expect("written");
        }
    }

    /// The key with one character of its base64 changed, so that it is still PEM.
    fn damaged(pem: &str) -> String {
        let middle = pem.len() / 2;
        let (head, tail) = pem.split_at(middle);
        let first = if tail.starts_with('A') { "B" } else { "A" };
        let rest: String = tail.chars().skip(1).collect();
        format!("{head}{first}{rest}")
    }

    #[test]
    fn an_unchanged_key_is_taken_from_the_note() {
        let node = Node::new();
        let pem = node.key.to_pem();
        assert_eq!(public_key(&node.store, pem.as_bytes()), Ok(node.key.public().clone()));
        // It is the note that answers: with another public half in it, that one is returned.
        let other = PrivateKey::generate(2048).expect("a key");
        keep(&node.store, pem.as_bytes(), other.public());
        assert_eq!(public_key(&node.store, pem.as_bytes()), Ok(other.public().clone()));
    }

    #[test]
    fn a_changed_file_is_checked_in_full() {
        let node = Node::new();
        let damaged = damaged(&node.key.to_pem());
        assert!(public_key(&node.store, damaged.as_bytes()).is_err());
        let other = PrivateKey::generate(2048).expect("a key");
        let found = public_key(&node.store, other.to_pem().as_bytes());
        assert_eq!(found, Ok(other.public().clone()));
        // An inspection changes nothing: the note is still of the first key.
        let pem = node.key.to_pem();
        assert_eq!(public_key(&node.store, pem.as_bytes()), Ok(node.key.public().clone()));
    }

    #[test]
    fn a_damaged_note_is_no_note() {
        let node = Node::new();
        let pem = node.key.to_pem();
        let expected = Ok(node.key.public().clone());
        node.rewrite_note(|text| text.replace("BEGIN", "BEGUN"));
        assert_eq!(public_key(&node.store, pem.as_bytes()), expected);
        node.rewrite_note(|_| "{".to_owned());
        assert_eq!(public_key(&node.store, pem.as_bytes()), expected);
        assert!(public_key(&node.store, damaged(&pem).as_bytes()).is_err());
        // It is written anew when the key is checked again.
        keep(&node.store, pem.as_bytes(), node.key.public());
        assert!(node.note().contains("BEGIN PUBLIC KEY"));
    }

    #[test]
    fn the_note_holds_no_secret_and_is_root_s_alone() {
        let node = Node::new();
        let pem = node.key.to_pem();
        let secret: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let written = node.note();
        let public = node.key.public().to_pem();
        let leaked =
            secret.iter().filter(|line| written.contains(**line) && !public.contains(**line));
        assert_eq!(leaked.count(), 0, "{written}");
        let path = format!("/var/lib/enlist/opsworks-cm/{NOTE}");
        let mode = files::existing(&node.root, &path).expect("read").expect("there").mode;
        assert_eq!(mode & 0o777, 0o600);
    }
}
