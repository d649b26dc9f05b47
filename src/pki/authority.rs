//! Whether the certificates of a CA and its revocation lists can work, before anything is asked of it.
//! What is missing here would be noticed at the node's certificate otherwise, after the CA has signed it.

use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use rustls_pki_types::CertificateDer;

use super::CaBundle;
use super::certificate::parse;
use super::crl::{Revocation, is_current};
use crate::text::time;

/// The longest way from a CA to its root.
const LONGEST_PATH: usize = 10;

/// Why a CA can't work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("the CA {0} expired at {1}, by this node's clock")]
    Expired(String, String),
    #[error("the CA {0} is valid from {1} on, by this node's clock")]
    NotYetValid(String, String),
    #[error("the CA {0} is revoked by the list of the CA above it")]
    Revoked(String),
    #[error("the certificate of the CA {0} is missing, so the way up to the root is not whole")]
    NoIssuer(String),
    #[error("the revocation list of the CA {0} is missing")]
    NoList(String),
    #[error("the revocation list of the CA {0} is not signed with the key of this CA")]
    WrongSigner(String),
    #[error("the revocation list of the CA {0} expired at {1}, by this node's clock")]
    ListExpired(String, String),
    #[error("the revocation list of the CA {0} is valid from {1} on, by this node's clock")]
    ListNotYetValid(String, String),
}

impl AuthorityError {
    /// Whether it would do at another time.
    #[must_use]
    pub fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired(..) | Self::NotYetValid(..)) || self.is_of_lists_time()
    }

    /// Whether a list is not valid now.
    #[must_use]
    pub fn is_of_lists_time(&self) -> bool {
        matches!(self, Self::ListExpired(..) | Self::ListNotYetValid(..))
    }

    /// Whether the certificates are good, and a list is not.
    #[must_use]
    pub fn is_of_list(&self) -> bool {
        matches!(self, Self::NoList(_) | Self::WrongSigner(_)) || self.is_of_lists_time()
    }
}

/// Whether one of the CAs that may sign a node's certificate is valid up to a root, with the lists that
/// count. `now` is in Unix seconds.
///
/// # Errors
/// Why the first of them is not.
pub fn check(
    bundle: &CaBundle,
    lists: &str,
    revocation: Revocation,
    now: i64,
) -> Result<(), AuthorityError> {
    let blocks = pem::parse_many(lists).unwrap_or_default();
    let lists = blocks.iter().filter_map(|block| {
        CertificateRevocationList::from_der(block.contents()).ok().map(|(_, list)| list)
    });
    let certificates = bundle.ders().filter_map(|der| Some((der, parse(der)?)));
    let (certificates, lists) = (certificates.collect(), lists.collect());
    let known = Known { certificates, lists, revocation, now };
    let mut first = None;
    for (index, _) in known.signers() {
        match known.check(index, &mut Vec::new()) {
            Ok(()) => return Ok(()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(()), Err)
}

/// What is said of a list that is not valid now and that the agent does not look at.
#[must_use]
pub fn not_looked_at(error: &AuthorityError, revocation: Revocation) -> String {
    format!("{error}; the agent runs, because its certificate_revocation is {revocation}")
}

struct Known<'a> {
    certificates: Vec<(&'a [u8], X509Certificate<'a>)>,
    lists: Vec<CertificateRevocationList<'a>>,
    revocation: Revocation,
    now: i64,
}

impl<'a> Known<'a> {
    /// The CAs that are above no other one. If each is, all of them.
    fn signers(&self) -> Vec<(usize, &X509Certificate<'a>)> {
        let is_above = |ca: &X509Certificate<'_>| {
            let mut others = self.certificates.iter().filter(|(_, other)| !is_self_issued(other));
            others.any(|(_, other)| other.issuer().as_raw() == ca.subject().as_raw())
        };
        let all = || self.certificates.iter().map(|(_, ca)| ca).enumerate();
        let lowest: Vec<_> = all().filter(|(_, ca)| !is_above(ca)).collect();
        if lowest.is_empty() { all().collect() } else { lowest }
    }

    /// Checks a CA, and the way from it to a root. `below` are the CAs under it.
    fn check(&self, index: usize, below: &mut Vec<usize>) -> Result<(), AuthorityError> {
        let Some((der, ca)) = self.certificates.get(index) else { return Ok(()) };
        let (name, validity) = (ca.subject().to_string(), ca.validity());
        let (begin, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        if self.now < begin {
            return Err(AuthorityError::NotYetValid(name, time(begin)));
        }
        if self.now >= end {
            return Err(AuthorityError::Expired(name, time(end)));
        }
        let counts = match self.revocation {
            Revocation::Chain => true,
            Revocation::Leaf => below.is_empty(),
            Revocation::Off => false,
        };
        if counts {
            self.check_lists(der, ca, below)?;
        }
        if is_self_issued(ca) || below.len() >= LONGEST_PATH {
            return Ok(());
        }
        below.push(index);
        let result = self.check_above(ca, below);
        below.pop();
        result
    }

    /// Checks the lists of a CA. One that is good is enough.
    fn check_lists(
        &self,
        der: &[u8],
        ca: &X509Certificate<'_>,
        below: &[usize],
    ) -> Result<(), AuthorityError> {
        let name = || ca.subject().to_string();
        let own =
            |list: &&CertificateRevocationList<'_>| list.issuer().as_raw() == ca.subject().as_raw();
        let mut lists = self.lists.iter().filter(own).peekable();
        if lists.peek().is_none() {
            return Err(AuthorityError::NoList(name()));
        }
        let lists: Vec<_> = lists.filter(|list| has_signed(der, list)).collect();
        if lists.is_empty() {
            return Err(AuthorityError::WrongSigner(name()));
        }
        if let Some((_, lower)) = below.last().and_then(|lower| self.certificates.get(*lower)) {
            let mut revoked = lists.iter().flat_map(|list| list.iter_revoked_certificates());
            if revoked.any(|entry| entry.raw_serial() == lower.raw_serial()) {
                return Err(AuthorityError::Revoked(lower.subject().to_string()));
            }
        }
        if lists.iter().any(|list| is_current(list, self.now)) {
            return Ok(());
        }
        let end =
            |list: &&CertificateRevocationList<'_>| list.next_update().map(|it| it.timestamp());
        let newest = lists.into_iter().max_by_key(end);
        let expired = newest.and_then(|list| end(&list)).filter(|end| *end <= self.now);
        Err(match (expired, newest) {
            (Some(end), _) => AuthorityError::ListExpired(name(), time(end)),
            (None, Some(list)) => {
                AuthorityError::ListNotYetValid(name(), time(list.last_update().timestamp()))
            }
            (None, None) => AuthorityError::NoList(name()),
        })
    }

    /// Checks the CAs that may have issued this one, until one of them will do.
    fn check_above(
        &self,
        ca: &X509Certificate<'_>,
        below: &mut Vec<usize>,
    ) -> Result<(), AuthorityError> {
        let mut first = None;
        for (index, (_, above)) in self.certificates.iter().enumerate() {
            if above.subject().as_raw() != ca.issuer().as_raw() || below.contains(&index) {
                continue;
            }
            match self.check(index, below) {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| AuthorityError::NoIssuer(ca.issuer().to_string())))
    }
}

fn is_self_issued(ca: &X509Certificate<'_>) -> bool {
    ca.subject().as_raw() == ca.issuer().as_raw()
}

/// Whether the key of this certificate has signed the list. A certificate that webpki can't read
/// is not judged here.
fn has_signed(der: &[u8], list: &CertificateRevocationList<'_>) -> bool {
    let der = CertificateDer::from(der);
    let Ok(signer) = EndEntityCert::try_from(&der) else { return true };
    let content = list.tbs_cert_list.as_ref();
    webpki::ALL_VERIFICATION_ALGS.iter().any(|algorithm| {
        signer.verify_signature(*algorithm, content, &list.signature_value.data).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
    };

    use super::{AuthorityError, Revocation, check};
    use crate::pki::CaBundle;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    const NOW: i64 = 1_700_000_000;
    const SERIAL: u64 = 7;

    fn params(name: &str, until: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(SerialNumber::from(SERIAL));
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        params
    }

    fn root(name: &str, until: i32) -> Issuer {
        CertifiedIssuer::self_signed(params(name, until), KeyPair::generate().unwrap()).unwrap()
    }

    fn below(root: &Issuer) -> Issuer {
        let key = KeyPair::generate().unwrap();
        CertifiedIssuer::signed_by(params("below", 2040), key, root).unwrap()
    }

    fn list(issuer: &Issuer, revoked: &[u64]) -> String {
        dated(issuer, revoked, (2020, 2040))
    }

    fn dated(issuer: &Issuer, revoked: &[u64], (from, until): (i32, i32)) -> String {
        let one = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(from, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(issuer).unwrap().pem().unwrap()
    }

    fn checked(certificates: &[&Issuer], lists: &[String]) -> Result<(), AuthorityError> {
        checked_for(Revocation::Chain, certificates, lists)
    }

    fn checked_for(
        revocation: Revocation,
        certificates: &[&Issuer],
        lists: &[String],
    ) -> Result<(), AuthorityError> {
        let bundle: String = certificates.iter().map(|ca| ca.pem()).collect();
        check(&CaBundle::from_pem(&bundle).unwrap(), &lists.concat(), revocation, NOW)
    }

    #[test]
    fn a_list_that_is_not_valid_now_counts_as_puppets_agent_counts_it() {
        let root = root("root", 2040);
        let low = below(&root);
        let both = [&low, &root];
        let (good, old, new) = ((2020, 2040), (2020, 2021), (2035, 2040));
        let lists = |of_low, of_root| [dated(&low, &[], of_low), dated(&root, &[], of_root)];
        let expired = |name: &str| {
            let (name, at) = (format!("CN={name}"), "2021-01-01T00:00:00Z".to_owned());
            Err(AuthorityError::ListExpired(name, at))
        };
        assert_eq!(checked(&both, &lists(old, good)), expired("below"));
        assert_eq!(checked(&both, &lists(good, old)), expired("root"));
        assert!(matches!(
            checked(&both, &lists(good, new)),
            Err(error @ AuthorityError::ListNotYetValid(..)) if error.is_about_time() && error.is_of_list()
        ));
        assert_eq!(checked_for(Revocation::Leaf, &both, &lists(good, old)), Ok(()));
        assert_eq!(checked_for(Revocation::Leaf, &both, &lists(old, good)), expired("below"));
        assert_eq!(checked_for(Revocation::Off, &both, &lists(old, old)), Ok(()));
        assert_eq!(checked_for(Revocation::Off, &both, &[]), Ok(()));
        // An old one beside the new one does no harm.
        let each = [lists(old, old), lists(good, good)].concat();
        assert_eq!(checked(&both, &each), Ok(()));
    }

    #[test]
    fn each_ca_on_the_way_to_the_root_needs_a_list_and_may_not_be_revoked() {
        let root = root("root", 2040);
        let low = below(&root);
        let both = [&low, &root];
        let named = |name: &str| format!("CN={name}");
        assert_eq!(checked(&both, &[list(&low, &[]), list(&root, &[])]), Ok(()));
        let missing = Err(AuthorityError::NoList(named("root")));
        assert_eq!(checked(&both, &[list(&low, &[])]), missing);
        let missing = Err(AuthorityError::NoList(named("below")));
        assert_eq!(checked(&both, &[list(&root, &[])]), missing);
        let revoked = Err(AuthorityError::Revoked(named("below")));
        assert_eq!(checked(&both, &[list(&low, &[]), list(&root, &[SERIAL])]), revoked);
    }

    #[test]
    fn a_list_of_another_key_and_a_ca_that_has_expired_are_named() {
        let (one, twin, old) = (root("one", 2040), root("one", 2040), root("one", 2021));
        let forged = Err(AuthorityError::WrongSigner("CN=one".to_owned()));
        assert_eq!(checked(&[&one], &[list(&twin, &[])]), forged);
        let expired = checked(&[&old], &[list(&old, &[])]);
        assert!(
            matches!(&expired, Err(error @ AuthorityError::Expired(..)) if error.is_about_time())
        );
        // A bundle may keep what has expired.
        let other = root("other", 2021);
        assert_eq!(checked(&[&other, &one], &[list(&one, &[])]), Ok(()));
        assert_eq!(checked(&[&old, &one], &[list(&one, &[])]), Ok(()));
    }
}
