//! RSA public keys, as nodes hand them in.

use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The SubjectPublicKeyInfo in DER of an RSA key in PEM (`BEGIN PUBLIC KEY`).
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn rsa_from_pem(text: &str) -> Result<Vec<u8>, &'static str> {
    let block = pem::parse(text).map_err(|_| "it is not PEM")?;
    if block.tag() != "PUBLIC KEY" {
        return Err("it is not a PEM block 'PUBLIC KEY'");
    }
    let der = block.into_contents();
    if is_rsa(&der) { Ok(der) } else { Err("it does not hold an RSA public key") }
}

/// Whether `der` is exactly one SubjectPublicKeyInfo with an RSA key.
pub fn is_rsa(der: &[u8]) -> bool {
    let Ok(([], key)) = SubjectPublicKeyInfo::from_der(der) else {
        return false;
    };
    matches!(key.parsed(), Ok(PublicKey::RSA(_)))
}

/// A key in PEM, as `openssl rsa -pubout` writes it.
pub fn to_pem(der: &[u8]) -> String {
    let newline = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("PUBLIC KEY", der), newline)
}
