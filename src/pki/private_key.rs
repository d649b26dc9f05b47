//! The node's private key: made by AWS-LC, parsed and encoded by `rsa`.

use std::fmt;

use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize, SigningKey};
use rsa::pkcs1::RsaPrivateKey as Pkcs1PrivateKey;
use rsa::pkcs8::PrivateKeyInfo;
use rsa::pkcs8::der::asn1::AnyRef;
use rsa::pkcs8::der::{Decode, Encode};
use rsa::pkcs8::{AlgorithmIdentifierRef, der};
use zeroize::Zeroizing;

use super::oid::RSA_ENCRYPTION;
use super::public_key::{PublicKey, pem_lines};

/// The sizes that AWS-LC makes and every engine accepts, in bits.
pub const SIZES: [u32; 3] = [2048, 3072, 4096];

/// An RSA private key. Its debug form shows only its size.
pub struct PrivateKey {
    /// PKCS#1 DER (RFC 8017 A.1.2), overwritten when dropped.
    pkcs1: Zeroizing<Vec<u8>>,
    public: PublicKey,
    pair: KeyPair,
}

/// Why a key can't be used or made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it has no PEM block")]
    NotPem,
    #[error("it has {0} PEM blocks, and it is not clear which one is the key")]
    ManyBlocks(usize),
    #[error("it is encrypted, and enlist can't ask for a pass phrase")]
    Encrypted,
    #[error("it has a {0:?} block, and only RSA PRIVATE KEY and PRIVATE KEY are supported")]
    WrongLabel(String),
    #[error("it is a key, but not an RSA key")]
    NotRsa,
    #[error("its content is damaged ({0})")]
    Damaged(String),
    #[error("it has {0} bits, and at least 2048 are required")]
    TooShort(usize),
    #[error("AWS-LC makes RSA keys of 2048, 3072 or 4096 bits, not {0}")]
    Size(u32),
    #[error("AWS-LC could not make a key ({0})")]
    Generation(String),
    #[error("AWS-LC could not sign with it ({0})")]
    Signature(String),
}

impl KeyError {
    /// What to do about a key that was given.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Encrypted => {
                "store it without a pass phrase: `openssl rsa -in FILE -out NEW`, with mode 0600"
            }
            Self::WrongLabel(label) if label == "OPENSSH PRIVATE KEY" => {
                "convert a copy of it: `ssh-keygen -p -m PEM -N '' -f COPY`; an RSA key is needed, as PKCS#1 or PKCS#8"
            }
            Self::WrongLabel(label) if label == "PUBLIC KEY" || label == "CERTIFICATE" => {
                "this is public: the private key that belongs to it is needed, in PEM form, as PKCS#1 or PKCS#8"
            }
            _ => "an RSA key in PEM form is needed, as PKCS#1 or PKCS#8, of 2048 bits or more",
        }
    }
}

impl PrivateKey {
    /// Makes a key. It takes tenths of a second at 4096 bits: do not call it on an async thread.
    ///
    /// # Errors
    /// If the size is not one of [`SIZES`], or if AWS-LC fails.
    pub fn generate(bits: u32) -> Result<Self, KeyError> {
        let size = match bits {
            2048 => RsaKeySize::_2048,
            3072 => RsaKeySize::_3072,
            4096 => RsaKeySize::_4096,
            other => return Err(KeyError::Size(other)),
        };
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)
            .map_err(|error| KeyError::Generation(error.to_string()))?;
        let pkcs8 = Zeroizing::new(pair.serialize_der());
        let info = PrivateKeyInfo::from_der(&pkcs8).map_err(damaged)?;
        Self::from_parts(info.private_key, pair)
    }

    /// Parses PKCS#1 (`RSA PRIVATE KEY`) or PKCS#8 (`PRIVATE KEY`) PEM.
    ///
    /// # Errors
    /// Why it is not a usable RSA key. The messages never quote the key.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::parse_many(text).map_err(|_| KeyError::NotPem)?;
        let block = match blocks.as_slice() {
            [] => return Err(KeyError::NotPem),
            [one] => one,
            // `openssl ecparam -genkey` writes the parameters first.
            many if many.iter().any(|block| block.tag() == "EC PRIVATE KEY") => {
                return Err(KeyError::NotRsa);
            }
            many => return Err(KeyError::ManyBlocks(many.len())),
        };
        // The older form of encryption (RFC 1421 §4.6.1.1), as of `openssl rsa -traditional`.
        if block.headers().get("Proc-Type").is_some() {
            return Err(KeyError::Encrypted);
        }
        match block.tag() {
            "RSA PRIVATE KEY" => Self::from_pkcs1(block.contents()),
            "PRIVATE KEY" => {
                let info = PrivateKeyInfo::from_der(block.contents()).map_err(damaged)?;
                if info.algorithm.oid != RSA_ENCRYPTION {
                    return Err(KeyError::NotRsa);
                }
                Self::from_pkcs1(info.private_key)
            }
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            "EC PRIVATE KEY" | "DSA PRIVATE KEY" => Err(KeyError::NotRsa),
            other => Err(KeyError::WrongLabel(other.to_owned())),
        }
    }

    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `-----BEGIN RSA PRIVATE KEY-----`: the form that Puppet and Chef write themselves.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let block = pem::Pem::new("RSA PRIVATE KEY", self.pkcs1.to_vec());
        Zeroizing::new(pem::encode_config(&block, pem_lines()))
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 8017, section 8.2).
    ///
    /// # Errors
    /// Where AWS-LC fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.pair.sign(bytes).map_err(|error| KeyError::Signature(error.to_string()))
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfo {
            algorithm: AlgorithmIdentifierRef {
                oid: RSA_ENCRYPTION,
                parameters: Some(AnyRef::NULL),
            },
            private_key: der,
            public_key: None,
        };
        let pkcs8 = Zeroizing::new(info.to_der().map_err(damaged)?);
        let bits = public_of(der)?.bits();
        if bits < 2048 {
            return Err(KeyError::TooShort(bits));
        }
        // AWS-LC checks that the numbers are consistent.
        let pair =
            KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_slice().into(), &PKCS_RSA_SHA256)
                .map_err(|error| KeyError::Damaged(error.to_string()))?;
        Self::from_parts(der, pair)
    }

    fn from_parts(pkcs1: &[u8], pair: KeyPair) -> Result<Self, KeyError> {
        let public = public_of(pkcs1)?;
        debug_assert_eq!(public.spki_der(), pair.subject_public_key_info());
        Ok(Self { pkcs1: Zeroizing::new(pkcs1.to_vec()), public, pair })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} bits)", self.public.bits())
    }
}

fn public_of(pkcs1: &[u8]) -> Result<PublicKey, KeyError> {
    let key = Pkcs1PrivateKey::from_der(pkcs1).map_err(damaged)?;
    PublicKey::from_pkcs1(&key.public_key()).map_err(|error| KeyError::Damaged(error.to_string()))
}

// An ASN.1 error names a tag or a length, never content.
fn damaged(error: der::Error) -> KeyError {
    KeyError::Damaged(error.to_string())
}
