//! The certificate authority of a Puppet server: it reads requests and signs them.

mod crl;
mod issue;
mod key;
mod request;
mod signing;

use std::time::Duration;

pub use crl::{ListTimes, Revoked};
pub use request::{Attributes, Csr, CsrError, CsrExtension, Refusal};
pub(crate) use request::{PUPPET_ARC, SUBJECT_ALT_NAME, dotted, shown_name};
pub use signing::{CaError, KeptCa, SigningCa};

use crate::now::Now;

/// Puppet's `ca_ttl`: five years.
pub const LIFETIME: Duration = Duration::from_hours(5 * 365 * 24);

/// What is wrong, on purpose, with a certificate that is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongCertificate {
    /// It certifies a key that the node does not have.
    OtherKey,
    /// It is made out to another name.
    OtherName,
    /// Issuer name and key identifier are right, but another key signed it.
    OtherCa,
    /// Its validity ended yesterday.
    Expired,
    /// Its validity begins tomorrow.
    NotYet,
    /// The right certificate, with the signer's after it.
    Two,
    /// The right certificate without its PEM armour.
    NotPem,
    /// No certificate at all, in an association that succeeded.
    None,
}

/// One certificate to make.
#[derive(Debug)]
pub struct Order<'a> {
    /// The request, read by [`Authority::read`].
    pub csr: &'a Csr,
    /// The name the node is being associated under.
    pub node_name: &'a str,
    /// The certificate's serial number.
    pub serial: u64,
    /// How long it is good for.
    pub lifetime: Duration,
    /// The fault to build in.
    pub wrong: Option<WrongCertificate>,
}

/// A key that was made for somebody else.
#[derive(Clone)]
pub struct MadeKey {
    /// The private key in PEM (PKCS#8).
    pub private_pem: String,
    /// Its public key: SubjectPublicKeyInfo in DER.
    pub public_der: Vec<u8>,
}

/// Who signs. The control plane is given one, so that a simulation of thousands of nodes can hand
/// it a cheap one.
pub trait Authority: Send {
    /// The whole CA bundle in PEM, as `PUPPET_API_CA_CERT` carries it: signer first, root last.
    fn bundle(&self) -> &str;

    /// The authority with its key, to be written down; none when it is not to be.
    fn keep(&self) -> Option<KeptCa> {
        None
    }

    /// Reads a certificate signing request in PEM.
    ///
    /// # Errors
    /// When the text is not PEM or does not hold a request.
    fn read(&self, csr_pem: &str) -> Result<Csr, CsrError> {
        Csr::from_pem(csr_pem)
    }

    /// Makes an RSA key of 2048 bits, for a starter kit.
    ///
    /// # Errors
    /// When the library has no randomness.
    fn make_key(&mut self) -> Result<MadeKey, Refusal> {
        let made =
            key::generate().map_err(|error| Refusal::Signing { reason: error.to_string() })?;
        let public_der = rcgen::PublicKeyData::subject_public_key_info(&made);
        Ok(MadeKey { private_pem: made.serialize_pem(), public_der })
    }

    /// Makes the certificate, in PEM. [`WrongCertificate::None`] never arrives here.
    ///
    /// # Errors
    /// The reason why the authority will not sign.
    fn sign(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal>;

    /// The same, when somebody else has judged the request.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    fn issue(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal> {
        self.sign(now, order)
    }

    /// A key and a certificate for the server that answers at `names`: the first is its subject.
    ///
    /// # Errors
    /// When it cannot be made.
    fn server(&mut self, now: Now, names: &[String]) -> Result<ServerIdentity, Refusal> {
        let _ = (now, names);
        Err(Refusal::Signing { reason: "there is no authority".to_owned() })
    }

    /// The revocation lists in PEM: the authority's own, then those of the ones above.
    ///
    /// # Errors
    /// When it cannot be made.
    fn revocation_list(&self, revoked: &[Revoked], times: ListTimes) -> Result<String, Refusal> {
        let _ = (revoked, times);
        Err(Refusal::Signing { reason: "there is no authority".to_owned() })
    }
}

/// What a server proves itself by.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// The certificate, and those between it and the root, in DER.
    pub chain: Vec<Vec<u8>>,
    /// Its key: PKCS#8 in DER.
    pub key: Vec<u8>,
}

/// An authority that signs nothing.
#[derive(Debug)]
pub struct Unable;

impl Authority for Unable {
    fn bundle(&self) -> &'static str {
        ""
    }

    fn sign(&mut self, _: Now, _: &Order<'_>) -> Result<String, Refusal> {
        Err(Refusal::Signing { reason: "there is no authority".to_owned() })
    }
}
