//! Public keys as Chef takes them: `PUBLIC KEY`, `RSA PUBLIC KEY`, or a certificate.

use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The RSA key in a text in PEM; none when it holds no such one.
pub fn read(text: &str) -> Option<RsaPublicKey> {
    let block = pem::parse(text).ok()?;
    match block.tag() {
        "PUBLIC KEY" => RsaPublicKey::from_public_key_der(block.contents()).ok(),
        "RSA PUBLIC KEY" => RsaPublicKey::from_pkcs1_der(block.contents()).ok(),
        "CERTIFICATE" => {
            let (_, certificate) = X509Certificate::from_der(block.contents()).ok()?;
            RsaPublicKey::from_public_key_der(certificate.public_key().raw).ok()
        }
        _ => None,
    }
}
