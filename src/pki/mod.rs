//! Keys, certificate requests and certificates. Pure: bytes in, bytes out.
//!
//! `rsa` parses and encodes the private key; AWS-LC makes it and signs with it.

pub mod authority;
pub mod certificate;
pub mod chain;
pub mod crl;
pub mod csr;
pub mod der;
pub mod name;
pub mod oid;
pub mod pin;
pub mod private_key;
pub mod proof;
pub mod public_key;

pub use certificate::{CaBundle, Certificate};
pub use csr::CsrSpec;
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
