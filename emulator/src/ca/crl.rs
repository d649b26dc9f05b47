//! Certificate revocation lists (RFC 5280, 5).

use rcgen::{
    CertificateRevocationListParams, Error, Issuer, KeyIdMethod, KeyPair, PublicKeyData,
    RevocationReason, RevokedCertParams,
};
use time::{Duration, OffsetDateTime};

use super::key;
use crate::now::Now;

/// Puppet dates lists a day back, as it does certificates.
const BACKDATED: Duration = Duration::days(1);

/// A certificate that is revoked: its serial number, and when.
pub type Revoked = (Vec<u8>, Now);

/// A list in PEM.
///
/// # Errors
/// When the library refuses to sign it.
pub fn list(
    issuer: &Issuer<'_, KeyPair>,
    revoked: &[Revoked],
    number: u64,
    now: Now,
    lifetime: Duration,
) -> Result<String, Error> {
    let now = now.datetime();
    let entry = |(serial, at): &Revoked| RevokedCertParams {
        serial_number: serial.clone().into(),
        revocation_time: at.datetime(),
        // Puppet's own word for a certificate that is revoked.
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let identifier = key::identifier(issuer.key().der_bytes());
    let list = CertificateRevocationListParams {
        this_update: now.saturating_sub(BACKDATED),
        next_update: latest(now.saturating_add(lifetime)),
        crl_number: number.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::PreSpecified(identifier),
    };
    list.signed_by(issuer)?.pem()
}

/// X.509 writes no year after 9999.
fn latest(moment: OffsetDateTime) -> OffsetDateTime {
    moment.min(Now::from_unix_seconds(u64::MAX).datetime())
}
