//! Certificate revocation lists (RFC 5280, 5).

use rcgen::{
    CertificateRevocationListParams, Error, Issuer, KeyIdMethod, KeyPair, PublicKeyData,
    RevocationReason, RevokedCertParams,
};
use time::{Duration, OffsetDateTime};

use super::key;
use crate::now::Now;

/// When a list was made, and when it is valid.
#[derive(Clone, Copy, Debug)]
pub struct ListTimes {
    /// When it was made.
    pub made: Now,
    /// From when it is valid, seen from there.
    pub begins: Duration,
    /// Until when it is valid, seen from there.
    pub ends: Duration,
}

impl ListTimes {
    /// As Puppet has them: a list is dated a day back, as certificates are, and good for five years.
    #[must_use]
    pub const fn of_puppet(made: Now) -> Self {
        Self { made, begins: Duration::days(-1), ends: Duration::days(5 * 365) }
    }
}

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
    times: ListTimes,
) -> Result<String, Error> {
    let made = times.made.datetime();
    let entry = |(serial, at): &Revoked| RevokedCertParams {
        serial_number: serial.clone().into(),
        revocation_time: at.datetime(),
        // Puppet's own word for a certificate that is revoked.
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let identifier = key::identifier(issuer.key().der_bytes());
    let list = CertificateRevocationListParams {
        this_update: written(made.saturating_add(times.begins)),
        next_update: written(made.saturating_add(times.ends)),
        crl_number: number.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::PreSpecified(identifier),
    };
    list.signed_by(issuer)?.pem()
}

/// X.509 writes no year after 9999, and no list is older than Unix.
fn written(moment: OffsetDateTime) -> OffsetDateTime {
    moment.clamp(OffsetDateTime::UNIX_EPOCH, Now::from_unix_seconds(u64::MAX).datetime())
}
