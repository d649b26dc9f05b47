//! A node's public key: its encodings and fingerprints.

use rsa::pkcs1::RsaPublicKey as Pkcs1PublicKey;
use rsa::pkcs8::der::asn1::{AnyRef, BitStringRef};
use rsa::pkcs8::der::{Decode, Encode};
use rsa::pkcs8::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use sha2::{Digest, Sha256};

use super::oid::RSA_ENCRYPTION;

/// An RSA public key as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    bits: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA public key in SubjectPublicKeyInfo form")]
pub struct NotAPublicKey;

impl PublicKey {
    /// Parses SPKI DER, as certificates and requests hold it.
    ///
    /// # Errors
    /// If it is not DER, not RSA, or the key in it is malformed.
    pub fn from_spki(der: &[u8]) -> Result<Self, NotAPublicKey> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| NotAPublicKey)?;
        if spki.algorithm.oid != RSA_ENCRYPTION {
            return Err(NotAPublicKey);
        }
        let raw = spki.subject_public_key.as_bytes().ok_or(NotAPublicKey)?;
        let key = Pkcs1PublicKey::from_der(raw).map_err(|_| NotAPublicKey)?;
        Self::from_pkcs1(&key)
    }

    pub(super) fn from_pkcs1(key: &Pkcs1PublicKey<'_>) -> Result<Self, NotAPublicKey> {
        let raw = key.to_der().map_err(|_| NotAPublicKey)?;
        let spki = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef {
                oid: RSA_ENCRYPTION,
                parameters: Some(AnyRef::NULL),
            },
            subject_public_key: BitStringRef::from_bytes(&raw).map_err(|_| NotAPublicKey)?,
        };
        Ok(Self {
            spki: spki.to_der().map_err(|_| NotAPublicKey)?,
            bits: bit_length(key.modulus.as_bytes()),
        })
    }

    /// SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// `-----BEGIN PUBLIC KEY-----`, lines of 64 characters (RFC 7468 §13).
    #[must_use]
    pub fn to_pem(&self) -> String {
        let block = pem::Pem::new("PUBLIC KEY", self.spki.clone());
        pem::encode_config(&block, pem_lines())
    }

    /// The size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// SHA-1 of the SPKI DER, 40 lower-case hexadecimal digits: the fingerprint of RegisterInstance.
    /// It only identifies the key.
    #[must_use]
    pub fn sha1_fingerprint(&self) -> String {
        hex(&sha1::Sha1::digest(&self.spki))
    }

    /// SHA-256 of the SPKI DER, 64 lower-case hexadecimal digits. Records hold this and nothing else
    /// of a key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        sha256(&self.spki)
    }
}

/// SHA-256, 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// PEM with LF line ends, as OpenSSL writes it.
pub(super) fn pem_lines() -> pem::EncodeConfig {
    pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bit_length(big_endian: &[u8]) -> usize {
    let significant = big_endian.iter().skip_while(|byte| **byte == 0);
    let mut bytes = significant.clone();
    match bytes.next() {
        Some(first) => bytes.count() * 8 + (8 - first.leading_zeros() as usize),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{bit_length, hex};

    #[test]
    fn leading_zeros_do_not_count_as_bits() {
        for (bytes, bits) in
            [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80, 0], 16), (&[0x7f, 0xff], 15)]
        {
            assert_eq!(bit_length(bytes), bits, "{bytes:?}");
        }
    }

    #[test]
    fn hexadecimal_digits_are_lower_case_and_complete() {
        assert_eq!(hex(&[0x00, 0x0a, 0xff]), "000aff");
    }
}
