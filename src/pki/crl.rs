//! Certificate revocation lists (RFC 5280 §5): whether they can be used, and what they say of a
//! certificate. Puppet's agent wants a list of every CA on the way up to the root.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{CaBundle, Certificate, is_root};

const LABEL: &str = "X509 CRL";

/// How far in the future a list may begin, in seconds.
const TOLERANCE: i64 = 300;

/// Which revocation lists count: Puppet's `certificate_revocation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Revocation {
    /// That of each CA up to the root.
    #[default]
    Chain,
    /// That of the CA that signed the certificate.
    Leaf,
    /// None is needed. A certificate that one of them has is refused all the same.
    #[strum(serialize = "false")]
    Off,
}

/// Revocation lists, PEM, and which of them count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    pub pem: String,
    pub revocation: Revocation,
}

impl Revocation {
    /// The value of the setting (Puppet's source, `settings/certificate_revocation_setting.rb`). Puppet refuses
    /// any other text.
    #[must_use]
    pub fn of_setting(value: &str) -> Self {
        match value {
            "leaf" => Self::Leaf,
            "false" => Self::Off,
            _ => Self::Chain,
        }
    }

    /// Whether Puppet takes this value of the setting.
    #[must_use]
    pub fn is_setting(value: &str) -> bool {
        ["true", "chain", "leaf", "false"].contains(&value)
    }

    fn depth(self) -> RevocationCheckDepth {
        match self {
            Self::Chain => RevocationCheckDepth::Chain,
            Self::Leaf | Self::Off => RevocationCheckDepth::EndEntity,
        }
    }

    fn of_unknown(self) -> UnknownStatusPolicy {
        match self {
            Self::Chain | Self::Leaf => UnknownStatusPolicy::Deny,
            Self::Off => UnknownStatusPolicy::Allow,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    #[error("it is not PEM")]
    NotPem,
    #[error("it holds a {0:?} block, not a revocation list")]
    WrongLabel(String),
    #[error("it holds no revocation list")]
    Empty,
    #[error("revocation list {number} can't be read ({why})")]
    Unreadable { number: usize, why: String },
    #[error("the certificate is revoked")]
    Revoked,
    #[error("the revocation list of a CA on the way up to the root is missing")]
    Missing,
    #[error("another key than that of the CA's certificate signed a revocation list")]
    WrongSigner,
    #[error("the check of the revocation lists says {0}")]
    Refused(String),
}

/// Reads one or several lists in PEM form.
///
/// # Errors
/// If it has other PEM blocks, or no list.
pub fn read(text: &str) -> Result<Vec<CertRevocationList<'static>>, CrlError> {
    Ok(parsed(text)?.into_iter().map(|(_, list)| list).collect())
}

/// Each list with its PEM block.
fn parsed(text: &str) -> Result<Vec<(pem::Pem, CertRevocationList<'static>)>, CrlError> {
    let blocks = pem::parse_many(text).map_err(|_| CrlError::NotPem)?;
    if blocks.is_empty() {
        return Err(CrlError::Empty);
    }
    let one = |(index, block): (usize, pem::Pem)| {
        if block.tag() != LABEL {
            return Err(CrlError::WrongLabel(block.tag().to_owned()));
        }
        let list = OwnedCertRevocationList::from_der(block.contents());
        list.map(|list| (block, CertRevocationList::from(list)))
            .map_err(|error| CrlError::Unreadable { number: index + 1, why: error.to_string() })
    };
    blocks.into_iter().enumerate().map(one).collect()
}

/// Whether `found` has each list of `recorded`, as new as there or newer: of the same issuer and
/// issuer's key, by CRL number where both have one, else by thisUpdate. False if either can't be read.
#[must_use]
pub fn is_as_new(found: &str, recorded: &str) -> bool {
    let (Some(found), Some(recorded)) = (editions(found), editions(recorded)) else {
        return false;
    };
    let is_covered = |old: &Edition| {
        let mut same = found.iter().filter(|new| new.issuer == old.issuer && new.key == old.key);
        same.any(|new| match (&new.number, &old.number) {
            (Some(new), Some(old)) => new >= old,
            _ => new.this_update >= old.this_update,
        })
    };
    recorded.iter().all(is_covered)
}

/// Whether each list of a text is valid at this time, in Unix seconds. Also true where it has none.
#[must_use]
pub fn are_current(text: &str, now: i64) -> bool {
    let blocks = pem::parse_many(text).unwrap_or_default();
    blocks.iter().all(|block| {
        let list = CertificateRevocationList::from_der(block.contents());
        list.is_ok_and(|(_, list)| is_current(&list, now))
    })
}

/// Whether a list is valid now. It may begin a little later: Puppet's agent allows as much (its source,
/// `ssl/verifier.rb`).
pub(super) fn is_current(list: &CertificateRevocationList<'_>, now: i64) -> bool {
    let has_begun = list.last_update().timestamp() <= now.saturating_add(TOLERANCE);
    has_begun && list.next_update().is_none_or(|end| end.timestamp() > now)
}

/// Identifies a list: its issuer, the key, and the version.
struct Edition {
    issuer: Vec<u8>,
    /// The authority key identifier.
    key: Option<Vec<u8>>,
    /// The CRL number without leading zeros, with its length first, so that it can be compared.
    number: Option<(usize, Vec<u8>)>,
    this_update: i64,
}

/// None if it holds no list, or anything else.
fn editions(text: &str) -> Option<Vec<Edition>> {
    parsed(text).ok()?.iter().map(|(block, _)| edition(block.contents())).collect()
}

fn edition(der: &[u8]) -> Option<Edition> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let (mut key, mut number) = (None, None);
    for extension in list.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                key = found.key_identifier.as_ref().map(|key| key.0.to_vec());
            }
            ParsedExtension::CRLNumber(found) => {
                let bytes = found.to_bytes_be();
                number = Some((bytes.len(), bytes));
            }
            _ => {}
        }
    }
    let issuer = list.issuer().as_raw().to_vec();
    Some(Edition { issuer, key, number, this_update: list.last_update().timestamp() })
}

/// Whether the lists that count for a certificate are there, and none of them has it or a CA above it. An
/// expired list is used too: [`super::authority::check`] finds it.
///
/// # Errors
/// `Revoked`, or what is wrong with the lists. `now` is in Unix seconds.
pub fn check(
    certificate: &Certificate,
    ca: &CaBundle,
    lists: &str,
    revocation: Revocation,
    now: i64,
) -> Result<(), CrlError> {
    let lists = read(lists)?;
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists)
        .map_err(|_| CrlError::Empty)?
        .with_depth(revocation.depth())
        .with_status_policy(revocation.of_unknown())
        .with_expiration_policy(ExpirationPolicy::Ignore)
        .build();
    let leaf = pem::parse(&certificate.pem).map_err(|_| CrlError::NotPem)?;
    let leaf = CertificateDer::from(leaf.contents());
    let (roots, between): (Vec<&[u8]>, Vec<&[u8]>) = ca.ders().partition(|der| is_root(der));
    let roots: Vec<CertificateDer<'_>> = roots.into_iter().map(CertificateDer::from).collect();
    let between: Vec<CertificateDer<'_>> = between.into_iter().map(CertificateDer::from).collect();
    let anchors: Vec<_> =
        roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let now = Duration::from_secs(u64::try_from(now).unwrap_or(0));
    let leaf = EndEntityCert::try_from(&leaf).map_err(|error| of_webpki(&error))?;
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &between,
        UnixTime::since_unix_epoch(now),
        webpki::KeyUsage::client_auth(),
        Some(revocation),
        None,
    )
    .map(|_| ())
    .map_err(|error| of_webpki(&error))
}

fn of_webpki(error: &webpki::Error) -> CrlError {
    match error {
        webpki::Error::CertRevoked => CrlError::Revoked,
        webpki::Error::UnknownRevocationStatus => CrlError::Missing,
        webpki::Error::InvalidCrlSignatureForPublicKey => CrlError::WrongSigner,
        other => CrlError::Refused(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
        date_time_ymd,
    };

    use super::{CrlError, Revocation, check, is_as_new, read};
    use crate::pki::{CaBundle, Certificate};

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn ca(name: &str) -> Issuer {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn leaf(issuer: &Issuer, serial: u64) -> Certificate {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(serial));
        let made = params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
        Certificate { pem: made.pem(), serial: String::new(), not_after: 0 }
    }

    fn list(issuer: &Issuer, revoked: &[u64]) -> String {
        numbered(issuer, revoked, 1)
    }

    fn numbered(issuer: &Issuer, revoked: &[u64], number: u64) -> String {
        let one = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2021, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(issuer)
        .unwrap()
        .pem()
        .unwrap()
    }

    #[test]
    fn a_revoked_certificate_a_missing_list_and_a_forged_one_are_refused() {
        const NOW: i64 = 1_700_000_000;
        let (issuer, other, forger) = (ca("one"), ca("other"), ca("one"));
        let bundle = CaBundle::from_pem(&issuer.pem()).unwrap();
        let node = leaf(&issuer, 5);
        let checked = |lists: &str| check(&node, &bundle, lists, Revocation::Chain, NOW);
        assert_eq!(checked(&list(&issuer, &[6])), Ok(()));
        assert_eq!(checked(&list(&issuer, &[5])), Err(CrlError::Revoked));
        assert_eq!(checked(&list(&other, &[])), Err(CrlError::Missing));
        assert_eq!(checked(&list(&forger, &[])), Err(CrlError::WrongSigner));
        let without = |lists: &str| check(&node, &bundle, lists, Revocation::Off, NOW);
        assert_eq!(without(&list(&other, &[])), Ok(()));
        assert_eq!(without(&list(&issuer, &[5])), Err(CrlError::Revoked));
    }

    #[test]
    fn lists_are_as_new_by_their_number_for_the_same_issuer_and_key() {
        let (issuer, above, forger) = (ca("one"), ca("root"), ca("one"));
        let recorded = numbered(&issuer, &[], 255) + &numbered(&above, &[], 3);
        let newer = numbered(&above, &[], 3) + &numbered(&issuer, &[5], 256);
        assert!(is_as_new(&recorded, &recorded) && is_as_new(&newer, &recorded));
        assert!(!is_as_new(&recorded, &newer), "older");
        assert!(!is_as_new(&numbered(&issuer, &[], 300), &recorded), "the root's is missing");
        let by_another = numbered(&above, &[], 3) + &numbered(&forger, &[], 300);
        assert!(!is_as_new(&by_another, &recorded), "another key of the same name");
        assert!(!is_as_new("half a list", &recorded) && !is_as_new(&newer, ""));
    }

    #[test]
    fn what_is_no_list_is_named() {
        let error = |text: &str| read(text).err();
        assert_eq!(error(""), Some(CrlError::Empty));
        assert_eq!(error(&ca("a").pem()), Some(CrlError::WrongLabel("CERTIFICATE".to_owned())));
        let broken = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        assert!(matches!(error(broken), Some(CrlError::Unreadable { number: 1, .. })));
        assert_eq!(read(&format!("{0}{0}", list(&ca("a"), &[]))).unwrap().len(), 2);
    }
}
