//! The signature of the instance identity document.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::prelude::{BASE64_STANDARD, Engine};

use crate::control::IdentityVerifier;

/// Who signs the identity document.
pub trait Signer: Send {
    /// The signature over `document`; none when there is nothing to sign with.
    fn sign(&self, document: &[u8]) -> Option<Vec<u8>>;
}

/// Signs with RSA and SHA-256, by a key made when it is first needed.
#[derive(Default)]
pub struct IdentityKey {
    key: OnceLock<Option<RsaKeyPair>>,
}

impl IdentityKey {
    /// The public key in PEM, to check signatures with.
    pub fn public_key_pem(&self) -> Option<String> {
        let public: PublicKeyX509Der<'_> = self.key()?.public_key().as_der().ok()?;
        Some(pem::encode(&pem::Pem::new("PUBLIC KEY", public.as_ref())))
    }

    fn key(&self) -> Option<&RsaKeyPair> {
        let made = || RsaKeyPair::generate(KeySize::Rsa2048).ok();
        self.key.get_or_init(made).as_ref()
    }
}

impl Signer for IdentityKey {
    fn sign(&self, document: &[u8]) -> Option<Vec<u8>> {
        let key = self.key()?;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), document, &mut signature).ok()?;
        Some(signature)
    }
}

/// For a control plane that is to check what the service signs.
impl Signer for Arc<IdentityKey> {
    fn sign(&self, document: &[u8]) -> Option<Vec<u8>> {
        self.as_ref().sign(document)
    }
}

impl IdentityVerifier for IdentityKey {
    fn verifies(&self, document: &[u8], signature: &[u8]) -> bool {
        let Some(key) = self.key() else {
            return false;
        };
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
        public.verify(document, signature).is_ok()
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IdentityKey").finish_non_exhaustive()
    }
}

/// EC2 gives the signature as base64 in lines of 64 characters, without a newline at the end.
pub fn in_lines(signature: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(signature);
    let letters: Vec<char> = text.chars().collect();
    let lines = letters.chunks(64).map(|line| line.iter().collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}
