//! A CA that costs little: the request is the node's name, and the key is one for all.

use std::sync::OnceLock;

use enlist::pki::{PrivateKey, PublicKey};
use enlist_emulator::ca::{Authority, Csr, CsrError, Order, Refusal};
use enlist_emulator::now::Now;

/// The public key that every node of a fleet has: making one for each would be all that is measured.
pub fn shared_key() -> &'static PublicKey {
    static KEY: OnceLock<PublicKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(2048).unwrap().public().clone())
}

/// Signs with an elliptic curve, which is quick, certificates that the real core checks.
pub struct QuickCa {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    bundle: String,
}

impl QuickCa {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Fleet CA");
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let bundle = issuer.pem();
        Self { issuer, bundle }
    }
}

impl Authority for QuickCa {
    fn bundle(&self) -> &str {
        &self.bundle
    }

    fn read(&self, text: &str) -> Result<Csr, CsrError> {
        let public_key = text.as_bytes().to_vec();
        Ok(Csr { common_name: None, public_key, extensions: Vec::new(), proven: true })
    }

    fn sign(&mut self, _: Now, order: &Order<'_>) -> Result<String, Refusal> {
        let failed = |error: rcgen::Error| Refusal::Signing { reason: error.to_string() };
        let mut params = rcgen::CertificateParams::new(Vec::new()).map_err(failed)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, order.node_name);
        let public = rcgen::SubjectPublicKeyInfo::from_der(shared_key().spki_der());
        let public = public.map_err(failed)?;
        Ok(params.signed_by(&public, &self.issuer).map_err(failed)?.pem())
    }
}
