//! An authority that really signs: its own, made at the start, or one given as files.

use std::sync::{Mutex, PoisonError};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, DnValue, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use serde::{Deserialize, Serialize};
use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{
    Authority, ListTimes, Order, Refusal, Revoked, ServerIdentity, WrongCertificate, crl, issue,
    key,
};
use crate::now::Now;

/// What Puppet gives its own CA certificates: fifteen years.
const CA_LIFETIME: Duration = Duration::days(15 * 365);

/// A CA that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A key or certificate could not be made.
    #[error("the certificate authority could not be made")]
    Make(#[from] rcgen::Error),
    /// The bundle holds something else than certificates.
    #[error("the CA certificates are not a bundle of PEM certificates: {reason}")]
    Bundle {
        /// What is wrong with it.
        reason: String,
    },
    /// The key is none the library can sign with.
    #[error("the CA key is not an unencrypted private key in PEM (PKCS#1 or PKCS#8)")]
    Key(#[source] rcgen::Error),
    /// The key fits none of the certificates.
    #[error("the CA key belongs to none of the {certificates} certificates of the bundle")]
    Mismatch {
        /// How many certificates were tried.
        certificates: usize,
    },
}

/// Signs with a real key, and makes wrong certificates when told to.
pub struct SigningCa {
    issuer: Issuer<'static, KeyPair>,
    signer_der: Vec<u8>,
    bundle: String,
    /// The CRLs of the authorities above, in PEM; empty when they are not known.
    upper_crls: String,
    allow_authorization: bool,
    /// Whether the key is of a file, which stays its only place.
    is_of_files: bool,
}

/// A CA as it is written down.
#[derive(Serialize, Deserialize)]
pub struct KeptCa {
    certificates: String,
    key: String,
    upper_crls: String,
}

impl SigningCa {
    /// A new root and, signed by it, the signing CA: the chain that Puppet Server makes for
    /// itself since version 6. The bundle has the order of its `ca_crt.pem`, signer first.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn generate(now: Now, server_name: &str) -> Result<Self, CaError> {
        let root_key = key::generate()?;
        let root_params = ca_params(now, &format!("Puppet Root CA: {server_name}"), 1, &root_key);
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root_params, root_key);
        let times = ListTimes { ends: CA_LIFETIME, ..ListTimes::of_puppet(now) };
        let root_crl = crl::list(&root_issuer, &[], 1, times)?;

        let key = key::generate()?;
        let params = ca_params(now, &format!("Puppet CA: {server_name}"), 2, &key);
        let signer = params.signed_by(&key, &root_issuer)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            signer_der: signer.der().to_vec(),
            bundle: [&signer, &root].map(Certificate::pem).concat(),
            upper_crls: root_crl,
            allow_authorization: false,
            is_of_files: false,
        })
    }

    /// The one CA that emulators of this process can share; made when it is first asked for.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn shared(now: Now, server_name: &str) -> Result<Self, CaError> {
        static SHARED: Mutex<Option<KeptCa>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = shared.as_ref() {
            return Self::from_kept(kept);
        }
        let made = Self::generate(now, server_name)?;
        *shared = Some(made.kept());
        Ok(made)
    }

    /// The CA of an existing server: `certificates` is its `ca_crt.pem` (the whole chain), `key`
    /// its `ca_key.pem` (RSA or EC; PKCS#1, SEC1 or PKCS#8). The certificate that belongs to the
    /// key signs.
    ///
    /// # Errors
    /// When either is not PEM, or they do not belong together.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, CaError> {
        let bundle = parse_bundle(certificates)?;
        let key = KeyPair::from_pem(key).map_err(CaError::Key)?;
        let public = key.subject_public_key_info();
        let signer = bundle.iter().find(|der| public_key(der).as_ref() == Some(&public));
        let signer = signer.ok_or(CaError::Mismatch { certificates: bundle.len() })?.clone();
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&signer.as_slice().into(), key)?,
            signer_der: signer,
            bundle: certificates.to_owned(),
            upper_crls: String::new(),
            allow_authorization: false,
            is_of_files: true,
        })
    }

    fn kept(&self) -> KeptCa {
        KeptCa {
            certificates: self.bundle.clone(),
            key: self.issuer.key().serialize_pem(),
            upper_crls: self.upper_crls.clone(),
        }
    }

    /// The CA that was written down.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_kept(kept: &KeptCa) -> Result<Self, CaError> {
        let ca = Self::from_pem(&kept.certificates, &kept.key)?;
        Ok(Self { upper_crls: kept.upper_crls.clone(), is_of_files: false, ..ca })
    }

    /// The same with the CRLs of the authorities above, in PEM.
    #[must_use]
    pub fn with_upper_crls(self, upper_crls: String) -> Self {
        Self { upper_crls, ..self }
    }

    /// Signs requests that carry authorization extensions too (1.3.6.1.4.1.34380.1.3).
    #[must_use]
    pub fn allow_authorization_extensions(mut self, allow: bool) -> Self {
        self.allow_authorization = allow;
        self
    }

    /// An issuer of the same name and key identifier with another key: only checking the
    /// signature tells it from the real one.
    fn impostor(&self) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
        Issuer::from_ca_cert_der(&self.signer_der.as_slice().into(), key::generate()?)
    }

    fn make(&self, now: Now, order: &Order<'_>) -> Result<String, rcgen::Error> {
        if order.wrong == Some(WrongCertificate::OtherCa) {
            return issue::certificate(&self.impostor()?, order, now);
        }
        let made = issue::certificate(&self.issuer, order, now)?;
        Ok(match order.wrong {
            Some(WrongCertificate::Two) => made + &pem_of(&self.signer_der),
            Some(WrongCertificate::NotPem) => {
                made.lines().filter(|line| !line.starts_with("-----")).collect()
            }
            _ => made,
        })
    }
}

impl Authority for SigningCa {
    fn bundle(&self) -> &str {
        &self.bundle
    }

    fn keep(&self) -> Option<KeptCa> {
        Some(self.kept()).filter(|_| !self.is_of_files)
    }

    fn sign(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal> {
        order.csr.check(order.node_name, self.allow_authorization)?;
        self.issue(now, order)
    }

    fn issue(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal> {
        self.make(now, order).map_err(unable)
    }

    fn server(&mut self, now: Now, names: &[String]) -> Result<ServerIdentity, Refusal> {
        let key = key::generate().map_err(unable)?;
        let made = issue::server(&self.issuer, &key, names, now).map_err(unable)?;
        // The root is what clients have; those between are theirs to be shown.
        let between = pem::parse_many(&self.bundle).unwrap_or_default().into_iter();
        let between = between.map(pem::Pem::into_contents).filter(|der| !is_root(der));
        let chain = [made].into_iter().chain(between).collect();
        Ok(ServerIdentity { chain, key: key.serialize_der() })
    }

    fn revocation_list(&self, revoked: &[Revoked], times: ListTimes) -> Result<String, Refusal> {
        let number = u64::try_from(revoked.len()).unwrap_or(u64::MAX).saturating_add(1);
        let own = crl::list(&self.issuer, revoked, number, times);
        Ok(own.map_err(unable)? + &self.upper_crls)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err calls")]
fn unable(error: rcgen::Error) -> Refusal {
    Refusal::Signing { reason: error.to_string() }
}

/// Whether a certificate is its own issuer's.
fn is_root(der: &[u8]) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, it)| it.subject().as_raw() == it.issuer().as_raw())
}

fn ca_params(now: Now, name: &str, serial: u64, key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
    params.distinguished_name = subject;
    params.serial_number = Some(serial.into());
    params.not_before = now.datetime().saturating_sub(Duration::days(1));
    params.not_after = now.datetime().saturating_add(CA_LIFETIME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key::identifier(key.der_bytes()));
    params
}

fn parse_bundle(text: &str) -> Result<Vec<Vec<u8>>, CaError> {
    let refused = |reason: &str| CaError::Bundle { reason: reason.to_owned() };
    let blocks = pem::parse_many(text).map_err(|error| refused(&error.to_string()))?;
    if blocks.is_empty() {
        return Err(refused("there is none in it"));
    }
    let der = blocks.into_iter().map(|block| match block.tag() {
        "CERTIFICATE" if public_key(block.contents()).is_some() => Ok(block.into_contents()),
        "CERTIFICATE" => Err(refused("a block does not hold an X.509 certificate")),
        other => Err(refused(&format!("there is a block '{other}' in it"))),
    });
    der.collect()
}

/// The public key of a certificate; none when it is no certificate. A name with an empty part is
/// no name either: the library would panic over it.
fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let whole = certificate.subject().iter().all(|part| part.iter().next().is_some());
    whole.then(|| certificate.public_key().raw.to_vec())
}

fn pem_of(der: &[u8]) -> String {
    let newline = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), newline)
}
