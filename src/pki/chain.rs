//! The way from a certificate up to a root, as the engine's OpenSSL will go it.
//!
//! The judge is `openssl verify -purpose sslclient` (tests/chains.rs): what it refuses is refused here.
//! `webpki` checks signatures and names on each way; it takes a root for trusted whatever is written
//! in it, and does not compare key identifiers, so those parts of RFC 5280 §6 are here. OpenSSL
//! looks for an issuer by name and key identifier and does not try another one where the first
//! turns out to be wrong, so of several ways all have to be good.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, anchor_from_trusted_cert};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::{X509Name, X509Version};

/// No chain is longer, and no bundle has more ways through it, than somebody's who means harm.
const LONGEST: usize = 10;
const MOST_WAYS: usize = 64;

/// Extensions that OpenSSL takes when they are critical (its source, `X509_supported_extension`):
/// key usage, names, basic and name constraints, policies, revocation lists' places, extended key
/// usage, Netscape's type, no check by OCSP.
const KNOWN_CRITICAL: [&str; 11] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
    "1.3.6.1.5.5.7.48.1.5",
];
const NETSCAPE_TYPE: &str = "2.16.840.1.113730.1.1";
const PROXY: &str = "1.3.6.1.5.5.7.1.14";
const EMAIL_ADDRESS: &str = "1.2.840.113549.1.9.1";

/// Why no way can be gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("the certificate of its issuer, {0}, is not in the CA bundle")]
    NoIssuer(String),
    #[error("{whose} {why}")]
    Unsuitable { whose: String, why: String },
    #[error("{whose} {why}, by this node's clock")]
    NotValidNow { whose: String, why: &'static str },
    #[error("{0}")]
    Refused(String),
    #[error("the CA bundle has too many ways up to a root")]
    TooMany,
}

/// webpki names its errors as its source does.
fn in_words(error: &webpki::Error) -> String {
    match error {
        webpki::Error::InvalidSignatureForPublicKey => {
            "another key than that of the CA's certificate signed it".to_owned()
        }
        webpki::Error::NameConstraintViolation => {
            "its name is outside of those that the CA is limited to".to_owned()
        }
        other => format!("the check of the chain says {other}"),
    }
}

/// Checks every way from the leaf to a root of the bundle.
///
/// # Errors
/// The first thing that is wrong on one of them.
pub fn verify(
    leaf_der: &[u8],
    leaf: &X509Certificate<'_>,
    bundle: &[Vec<u8>],
    now: i64,
) -> Result<(), ChainError> {
    let parsed: Vec<X509Certificate<'_>> =
        bundle.iter().filter_map(|der| super::certificate::parse(der)).collect();
    fit_for_anything(leaf)?;
    fit_for_client(leaf)?;
    let search = Search { leaf_der, leaf, bundle, parsed: &parsed, now };
    let mut ways = 0;
    search.go(&mut Vec::new(), &mut ways)
}

struct Search<'a> {
    leaf_der: &'a [u8],
    leaf: &'a X509Certificate<'a>,
    bundle: &'a [Vec<u8>],
    parsed: &'a [X509Certificate<'a>],
    now: i64,
}

impl Search<'_> {
    /// On from the end of this way: indexes into the bundle, from the leaf's issuer up.
    fn go(&self, way: &mut Vec<usize>, ways: &mut usize) -> Result<(), ChainError> {
        let last = way.last().and_then(|index| self.parsed.get(*index)).unwrap_or(self.leaf);
        if !way.is_empty() && is_issued_by(last, last) {
            *ways += 1;
            return if *ways > MOST_WAYS { Err(ChainError::TooMany) } else { self.check(way) };
        }
        if way.len() >= LONGEST {
            return Err(ChainError::TooMany);
        }
        let of_name = |index: &usize| {
            self.parsed.get(*index).is_some_and(|issuer| is_issued_by(last, issuer))
        };
        let mut issuers: Vec<usize> =
            (0..self.parsed.len()).filter(|index| !way.contains(index)).filter(of_name).collect();
        // OpenSSL prefers those that are valid now.
        let is_valid = |index: &usize| {
            self.parsed.get(*index).is_some_and(|issuer| is_valid_at(issuer, self.now))
        };
        if issuers.iter().any(is_valid) {
            issuers.retain(is_valid);
        }
        if issuers.is_empty() {
            return Err(ChainError::NoIssuer(last.issuer().to_string()));
        }
        for issuer in issuers {
            way.push(issuer);
            self.go(way, ways)?;
            way.pop();
        }
        Ok(())
    }

    fn check(&self, way: &[usize]) -> Result<(), ChainError> {
        let chain: Vec<&X509Certificate<'_>> =
            way.iter().filter_map(|index| self.parsed.get(*index)).collect();
        // Those between the leaf and this one that count for a path length.
        let mut below = 0;
        for (place, ca) in chain.iter().enumerate() {
            fit_for_anything(ca)?;
            fit_for_ca(ca, self.now)?;
            let limit =
                ca.basic_constraints().ok().flatten().and_then(|it| it.value.path_len_constraint);
            if place > 0 && limit.is_some_and(|limit| below > limit) {
                return Err(unfit(
                    ca,
                    &format!("allows {} CAs below it, and there are more", limit.unwrap_or(0)),
                ));
            }
            below += u32::from(!is_same_name(ca.subject(), ca.issuer()));
            check_names(ca, self.leaf, true)?;
            chain.iter().take(place).try_for_each(|lower| check_names(ca, lower, false))?;
        }
        self.check_signatures(way)
    }

    /// Exactly this way, so that none is good by another one's being so.
    fn check_signatures(&self, way: &[usize]) -> Result<(), ChainError> {
        let refused = |error: webpki::Error| ChainError::Refused(in_words(&error));
        let ders: Vec<CertificateDer<'_>> = way
            .iter()
            .filter_map(|index| self.bundle.get(*index))
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let Some((root, between)) = ders.split_last() else { return Err(ChainError::TooMany) };
        let anchors = [anchor_from_trusted_cert(root).map_err(refused)?];
        let leaf = CertificateDer::from(self.leaf_der);
        let leaf = EndEntityCert::try_from(&leaf).map_err(refused)?;
        let now = u64::try_from(self.now).unwrap_or(0);
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            between,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            webpki::KeyUsage::client_auth(),
            None,
            None,
        )
        .map(|_| ())
        .map_err(refused)
    }
}

/// By name, by key identifiers where both have them, and by what the issuer may do (OpenSSL's
/// `X509_check_issued`).
fn is_issued_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    if !is_same_name(certificate.issuer(), issuer.subject()) {
        return false;
    }
    let signs =
        issuer.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    signs && identifiers_fit(certificate, issuer)
}

fn identifiers_fit(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let authority =
        certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(authority) => Some(authority),
            _ => None,
        });
    let own = issuer.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(own) => Some(own),
        _ => None,
    });
    let Some(authority) = authority else { return true };
    let key_fits = match (&authority.key_identifier, own) {
        (Some(wanted), Some(own)) => wanted == own,
        _ => true,
    };
    let serial_fits =
        authority.authority_cert_serial.is_none_or(|serial| serial == issuer.raw_serial());
    let named = authority.authority_cert_issuer.iter().flatten().find_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    key_fits && serial_fits && named.is_none_or(|name| is_same_name(name, issuer.issuer()))
}

fn is_valid_at(certificate: &X509Certificate<'_>, now: i64) -> bool {
    let validity = certificate.validity();
    // OpenSSL: at the very second of its end it has ended.
    validity.not_before.timestamp() <= now && now < validity.not_after.timestamp()
}

/// What OpenSSL asks of every certificate.
fn fit_for_anything(certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
    if certificate.version() != X509Version::V3 {
        return Err(unfit(certificate, "is not of version 3"));
    }
    if certificate.extensions_map().is_err() {
        return Err(unfit(certificate, "has an extension twice"));
    }
    for extension in certificate.extensions() {
        let oid = extension.oid.to_id_string();
        if extension.parsed_extension().error().is_some() {
            return Err(unfit(
                certificate,
                &format!("has an extension that can't be read ({oid})"),
            ));
        }
        let is_known = KNOWN_CRITICAL.contains(&oid.as_str()) || oid == NETSCAPE_TYPE;
        if (extension.critical && !is_known) || oid == PROXY {
            return Err(unfit(
                certificate,
                &format!("has a critical extension that is not known ({oid})"),
            ));
        }
    }
    let constraints = certificate.basic_constraints().ok().flatten();
    if constraints.is_some_and(|it| !it.value.ca && it.value.path_len_constraint.is_some()) {
        return Err(unfit(certificate, "has a path length and is no CA's"));
    }
    Ok(())
}

/// What it asks of a client's certificate.
fn fit_for_client(leaf: &X509Certificate<'_>) -> Result<(), ChainError> {
    let usage = leaf.key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.digital_signature() && !usage.value.key_agreement()) {
        return Err(unfit(leaf, "is not for signing (its key usage)"));
    }
    fit_by_purpose(leaf)?;
    let netscape = netscape_type(leaf);
    if netscape.is_some_and(|kind| !kind.ssl_client()) {
        return Err(unfit(leaf, "is not for TLS clients (its Netscape type)"));
    }
    Ok(())
}

/// What it asks of a CA above a client's certificate, the root included.
fn fit_for_ca(ca: &X509Certificate<'_>, now: i64) -> Result<(), ChainError> {
    let validity = ca.validity();
    let whose = || ca.subject().to_string();
    if now < validity.not_before.timestamp() {
        let why = "is not valid yet";
        return Err(ChainError::NotValidNow { whose: whose(), why });
    }
    if !is_valid_at(ca, now) {
        return Err(ChainError::NotValidNow { whose: whose(), why: "has expired" });
    }
    if !ca.basic_constraints().ok().flatten().is_some_and(|it| it.value.ca) {
        return Err(unfit(ca, "is no CA's"));
    }
    if ca.key_usage().ok().flatten().is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(unfit(ca, "is not for signing certificates (its key usage)"));
    }
    fit_by_purpose(ca)
}

fn fit_by_purpose(certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
    let purpose = certificate.extended_key_usage().ok().flatten();
    if purpose.is_some_and(|purpose| !purpose.value.client_auth) {
        return Err(unfit(certificate, "is not for TLS clients (its extended key usage)"));
    }
    Ok(())
}

fn netscape_type<'a>(
    certificate: &'a X509Certificate<'_>,
) -> Option<&'a x509_parser::extensions::NSCertType> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NSCertType(kind) => Some(kind),
        _ => None,
    })
}

/// What `webpki` does not see of a name constraint: a common name that looks like a host's, and an
/// e-mail address in the subject. How it judges the rest, it does so for these certificates too.
fn check_names(
    ca: &X509Certificate<'_>,
    lower: &X509Certificate<'_>,
    is_leaf: bool,
) -> Result<(), ChainError> {
    let Some(constraints) = ca.name_constraints().ok().flatten() else { return Ok(()) };
    let refuse = || Err(unfit(ca, "does not allow this name (its name constraints)"));
    let permitted: Vec<&GeneralName<'_>> =
        constraints.value.permitted_subtrees.iter().flatten().map(|tree| &tree.base).collect();
    let excluded: Vec<&GeneralName<'_>> =
        constraints.value.excluded_subtrees.iter().flatten().map(|tree| &tree.base).collect();
    let is_email = |name: &&GeneralName<'_>| matches!(name, GeneralName::RFC822Name(_));
    let has_email = lower
        .subject()
        .iter_attributes()
        .any(|attribute| attribute.attr_type().to_id_string() == EMAIL_ADDRESS);
    if has_email && (permitted.iter().any(is_email) || excluded.iter().any(is_email)) {
        return refuse();
    }
    if !is_leaf {
        return Ok(());
    }
    for name in host_names(lower) {
        let fits = |base: &&GeneralName<'_>| match base {
            GeneralName::DNSName(base) => is_below(&name, base),
            _ => false,
        };
        let is_host = |base: &&GeneralName<'_>| matches!(base, GeneralName::DNSName(_));
        let is_limited = permitted.iter().any(is_host);
        if excluded.iter().any(fits) || (is_limited && !permitted.iter().any(fits)) {
            return refuse();
        }
    }
    Ok(())
}

/// The names of hosts in it: in its subjectAltName; where there is none, the common names that look
/// like one.
fn host_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> = alternative
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name();
    // A name that can't be read is one that can't be judged: it fits nothing.
    let texts = common.map(|name| name.as_str().unwrap_or("unreadable.name").to_owned());
    texts.filter(|name| name.contains('.')).collect()
}

fn is_below(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    if base.is_empty() || name == base {
        return true;
    }
    let above = name.strip_suffix(&base);
    above.is_some_and(|above| base.starts_with('.') || above.ends_with('.'))
}

/// As OpenSSL compares them: letters' case and the number of blanks make no difference.
fn is_same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw() || plain(one) == plain(other)
}

fn plain(name: &X509Name<'_>) -> Vec<Vec<(String, String)>> {
    let attribute = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let text = attribute.as_str().map_or_else(
            |_| super::public_key::hex(attribute.as_slice()),
            |text| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
        );
        (attribute.attr_type().to_id_string(), text)
    };
    let rdn = |rdn: &x509_parser::x509::RelativeDistinguishedName<'_>| {
        let mut attributes: Vec<_> = rdn.iter().map(attribute).collect();
        attributes.sort();
        attributes
    };
    name.iter_rdn().map(rdn).collect()
}

fn unfit(certificate: &X509Certificate<'_>, why: &str) -> ChainError {
    ChainError::Unsuitable { whose: certificate.subject().to_string(), why: why.to_owned() }
}
