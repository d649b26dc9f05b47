//! The certificate itself: what Puppet Server's CA puts into it.

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, Error,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    SubjectPublicKeyInfo,
};
use time::Duration;

use super::{Csr, Order, WrongCertificate, key};
use crate::now::Now;

/// Puppet dates certificates a day back, for nodes whose clock is behind.
const BACKDATED: Duration = Duration::days(1);

/// How long a server's own certificate is good for.
const SERVER_LIFETIME: Duration = Duration::days(5 * 365);

/// serverAuth and clientAuth, in DER. Written out because Puppet marks it critical.
const EXTENDED_KEY_USAGE: [u8; 22] =
    [0x30, 0x14, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 1, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 2];
const EXTENDED_KEY_USAGE_OID: [u64; 4] = [2, 5, 29, 37];
/// The comment that Puppet Server leaves in every certificate, as an IA5String.
const COMMENT: &[u8] = b"\x16\x22Puppet Server Internal Certificate";
const COMMENT_OID: [u64; 7] = [2, 16, 840, 1, 113_730, 1, 13];

/// Makes one node certificate, in PEM.
///
/// # Errors
/// When the public key is of a kind the library does not know.
pub fn certificate(
    issuer: &Issuer<'_, KeyPair>,
    order: &Order<'_>,
    now: Now,
) -> Result<String, Error> {
    if order.wrong == Some(WrongCertificate::OtherKey) {
        return made(issuer, order, now, &key::generate()?);
    }
    made(issuer, order, now, &SubjectPublicKeyInfo::from_der(&order.csr.public_key)?)
}

fn made(
    issuer: &Issuer<'_, KeyPair>,
    order: &Order<'_>,
    now: Now,
    key: &impl PublicKeyData,
) -> Result<String, Error> {
    let (not_before, not_after) = validity(now, order);
    let mut params = CertificateParams::default();
    params.serial_number = Some(order.serial.into());
    params.not_before = not_before;
    params.not_after = not_after;
    params.distinguished_name = subject(order);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key::identifier(key.der_bytes()));
    params.custom_extensions = extensions(order.csr);
    Ok(params.signed_by(key, issuer)?.pem())
}

/// A server's certificate, in DER, for names and addresses; the first is its subject.
///
/// # Errors
/// When a name is none that a certificate can have.
pub fn server(
    issuer: &Issuer<'_, KeyPair>,
    key: &KeyPair,
    names: &[String],
    now: Now,
) -> Result<Vec<u8>, Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    let mut subject = DistinguishedName::new();
    let first = names.first().cloned().unwrap_or_default();
    subject.push(DnType::CommonName, DnValue::Utf8String(first));
    params.distinguished_name = subject;
    // Of the moment: several servers, and several runs, have one each.
    params.serial_number = Some(now.unix_ms().into());
    params.not_before = now.datetime().saturating_sub(BACKDATED);
    params.not_after = now.datetime().saturating_add(SERVER_LIFETIME);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key::identifier(key.der_bytes()));
    Ok(params.signed_by(key, issuer)?.der().to_vec())
}

fn subject(order: &Order<'_>) -> DistinguishedName {
    let name = match order.wrong {
        Some(WrongCertificate::OtherName) => format!("other-{}", order.node_name),
        _ => order.node_name.to_owned(),
    };
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, DnValue::Utf8String(name));
    subject
}

fn validity(now: Now, order: &Order<'_>) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = now.datetime();
    let day = BACKDATED;
    let life = order.lifetime;
    match order.wrong {
        Some(WrongCertificate::Expired) => (now - day - life, now.saturating_sub(day)),
        Some(WrongCertificate::NotYet) => (now.saturating_add(day), now + day + life),
        _ => (now.saturating_sub(day), now + life),
    }
}

/// Puppet copies requested extensions as they are, never critical.
fn extensions(csr: &Csr) -> Vec<CustomExtension> {
    let mut usage =
        CustomExtension::from_oid_content(&EXTENDED_KEY_USAGE_OID, EXTENDED_KEY_USAGE.to_vec());
    usage.set_criticality(true);
    let comment = CustomExtension::from_oid_content(&COMMENT_OID, COMMENT.to_vec());
    let requested = csr.extensions.iter();
    let requested =
        requested.map(|ext| CustomExtension::from_oid_content(&ext.oid, ext.value.clone()));
    [comment, usage].into_iter().chain(requested).collect()
}
