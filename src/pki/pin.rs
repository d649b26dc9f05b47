//! A SHA-256 that pins a CA before its bundle is fetched: of the bundle's text, as Puppet's
//! `ca_fingerprint`, or of one of its certificates in DER, as OpenSSL prints it.

use rsa::pkcs8::SubjectPublicKeyInfoRef;
use rsa::pkcs8::der::{Decode, Encode};
use x509_parser::prelude::X509Certificate;

use super::certificate::{CaBundle, CertificateError, parse};
use super::public_key::sha256;

/// A pinned SHA-256: 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin(String);

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&colons(&self.0))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    #[error("pinned is SHA-256 {pinned}; of the certificates it is {}, of their PEM text {text}", certificates.join(", "))]
    Mismatch { pinned: String, text: String, certificates: Vec<String> },
    #[error(transparent)]
    Bundle(CertificateError),
    #[error("the pinned certificate is in it, and certificate {0} has nothing to do with it")]
    Stranger(usize),
}

impl Pin {
    /// Parses hexadecimal digits in either case, with or without colons.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
        let fits = digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit());
        fits.then(|| Self(digits.to_ascii_lowercase()))
    }

    /// The CA in a text. The pin must match the whole text, or one certificate of it. In the second case
    /// every other certificate must be above or below that one in a chain of signatures.
    ///
    /// # Errors
    /// `Mismatch` with the digests that were found; or what is wrong with the bundle.
    pub fn check(&self, text: &str) -> Result<CaBundle, PinError> {
        let bundle = CaBundle::from_pem(text).map_err(PinError::Bundle)?;
        let of_text = sha256(text.as_bytes());
        if of_text == self.0 {
            return Ok(bundle);
        }
        let digests: Vec<String> = bundle.ders().map(sha256).collect();
        let Some(pinned) = digests.iter().position(|digest| *digest == self.0) else {
            return Err(PinError::Mismatch {
                pinned: self.to_string(),
                text: colons(&of_text),
                certificates: digests.iter().map(|digest| colons(digest)).collect(),
            });
        };
        let parsed: Vec<X509Certificate<'_>> = bundle.ders().filter_map(parse).collect();
        match stranger(&parsed, &[pinned]) {
            Some(number) => Err(PinError::Stranger(number + 1)),
            None => Ok(bundle),
        }
    }
}

impl CaBundle {
    /// Whether each certificate of the other bundle is in this one, or is above or below one of its
    /// certificates in a chain of signatures. A CA that was renewed with the same key is.
    #[must_use]
    pub fn vouches_for(&self, other: &Self) -> bool {
        let all: Vec<X509Certificate<'_>> =
            self.ders().chain(other.ders()).filter_map(parse).collect();
        let own: Vec<usize> = (0..self.len()).collect();
        all.len() == self.len() + other.len() && stranger(&all, &own).is_none()
    }

    /// SHA-256 of the first certificate (DER), as `openssl x509 -fingerprint -sha256` prints it of the same
    /// file: upper-case digits with colons.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        colons(&self.ders().next().map(sha256).unwrap_or_default())
    }
}

/// The digits of a SHA-256 as OpenSSL prints them.
fn colons(digits: &str) -> String {
    let pairs =
        digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase());
    pairs.collect::<Vec<_>>().join(":")
}

/// The first certificate that is neither above nor below one of the pinned ones.
fn stranger(certificates: &[X509Certificate<'_>], pinned: &[usize]) -> Option<usize> {
    let mut below = pinned.to_vec();
    let mut above = pinned.to_vec();
    loop {
        let known = below.len() + above.len();
        for (index, one) in certificates.iter().enumerate() {
            let signed = |by: &usize| certificates.get(*by).is_some_and(|by| is_signed_by(one, by));
            let signs = |of: &usize| certificates.get(*of).is_some_and(|of| is_signed_by(of, one));
            if !below.contains(&index) && below.iter().any(signed) {
                below.push(index);
            }
            if !above.contains(&index) && above.iter().any(signs) {
                above.push(index);
            }
        }
        if below.len() + above.len() == known {
            break;
        }
    }
    (0..certificates.len()).find(|index| !below.contains(index) && !above.contains(index))
}

fn is_signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    certificate.issuer() == issuer.subject() && verifies(certificate, issuer).unwrap_or(false)
}

fn verifies(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Option<bool> {
    let key = SubjectPublicKeyInfoRef::from_der(issuer.public_key().raw).ok()?;
    let algorithm = key.algorithm.to_der().ok()?;
    // Without the tag and the length, which is below 128.
    let algorithm = algorithm.get(2..)?;
    let key = key.subject_public_key.as_bytes()?;
    let message: &[u8] = certificate.tbs_certificate.as_ref();
    let signature = &certificate.signature_value.data;
    let mut fitting = webpki::ALL_VERIFICATION_ALGS
        .iter()
        .filter(|known| known.public_key_alg_id().as_ref() == algorithm);
    Some(fitting.any(|known| known.verify_signature(key, message, signature).is_ok()))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::{Pin, PinError};
    use crate::pki::public_key::sha256;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn root(name: &str) -> Issuer {
        CertifiedIssuer::self_signed(params(name), KeyPair::generate().unwrap()).unwrap()
    }

    fn below(name: &str, issuer: &Issuer) -> Issuer {
        CertifiedIssuer::signed_by(params(name), KeyPair::generate().unwrap(), issuer).unwrap()
    }

    #[test]
    fn digits_are_taken_with_and_without_colons_in_either_case() {
        let digits = "0123456789ABCDEF".repeat(4);
        let colons: Vec<&str> = (0..32).map(|at| digits.get(2 * at..2 * at + 2).unwrap()).collect();
        let pin = Pin::parse(&digits).unwrap();
        assert_eq!(Pin::parse(&colons.join(":")), Some(pin.clone()));
        assert_eq!(Pin::parse(&digits.to_lowercase()), Some(pin));
        for wrong in ["", "ab", &digits[1..], &digits.replace('A', "G")] {
            assert_eq!(Pin::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_text_or_any_certificate_of_one_chain_can_be_pinned() {
        let root = root("root");
        let middle = below("middle", &root);
        let text = format!("{}{}", middle.pem(), root.pem());
        for digest in [sha256(text.as_bytes()), sha256(root.der()), sha256(middle.der())] {
            assert_eq!(Pin::parse(&digest).unwrap().check(&text).unwrap().len(), 2);
        }
        let other = Pin::parse(&sha256(b"another")).unwrap();
        assert!(matches!(other.check(&text), Err(PinError::Mismatch { .. })));
    }

    #[test]
    fn a_bundle_vouches_for_what_is_of_its_chain() {
        let bundle = |issuers: &[&Issuer]| {
            let text: String = issuers.iter().map(|issuer| issuer.pem()).collect();
            crate::pki::CaBundle::from_pem(&text).unwrap()
        };
        let (ours, theirs) = (root("root"), root("root"));
        let middle = below("middle", &ours);
        let own = bundle(&[&ours]);
        assert!(own.vouches_for(&bundle(&[&middle, &ours])) && own.vouches_for(&own));
        assert!(!own.vouches_for(&bundle(&[&theirs])));
        assert!(!own.vouches_for(&bundle(&[&ours, &theirs])), "one of two is a stranger's");
        let again = CertifiedIssuer::self_signed(params("root"), ours.key()).unwrap();
        let renewed = crate::pki::CaBundle::from_pem(&again.pem()).unwrap();
        assert!(own.vouches_for(&renewed) && renewed.vouches_for(&own), "made anew with its key");
        assert_eq!(Pin::parse(&own.fingerprint()), Pin::parse(&sha256(ours.der())));
    }

    #[test]
    fn what_somebody_has_added_to_the_bundle_is_refused() {
        let (ours, theirs) = (root("root"), root("root"));
        let text = format!("{}{}", ours.pem(), theirs.pem());
        let pin = Pin::parse(&sha256(ours.der())).unwrap();
        assert_eq!(pin.check(&text), Err(PinError::Stranger(2)));
        // Nor is another CA below the root above a pinned intermediate.
        let (middle, sister) = (below("middle", &ours), below("sister", &ours));
        let text = format!("{}{}{}", middle.pem(), ours.pem(), sister.pem());
        let pin = Pin::parse(&sha256(middle.der())).unwrap();
        assert_eq!(pin.check(&text), Err(PinError::Stranger(3)));
    }
}
