//! Object identifiers of Puppet's registered extensions, and DER for their values.
//!
//! Source: Puppet's documentation, "SSL configuration: CSR attributes and certificate
//! extensions", the registered IDs below 1.3.6.1.4.1.34380.1.

use rsa::pkcs8::ObjectIdentifier;

use super::der;

/// `rsaEncryption` (RFC 8017 A.1).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// `commonName` (RFC 5280 A.1).
pub const COMMON_NAME: &str = "2.5.4.3";

/// `subjectAltName` (RFC 5280 §4.2.1.6).
pub const ALTERNATIVE_NAMES: &str = "2.5.29.17";

/// PKCS#9 extensionRequest (RFC 2985 §5.4.2).
pub const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";

/// `sha256WithRSAEncryption` (RFC 4055 §5).
pub const SHA256_WITH_RSA: &str = "1.2.840.113549.1.1.11";

/// PKCS#9 challengePassword (RFC 2985 §5.4.1).
pub const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";

/// Puppet's `pp_preshared_key`.
pub const PRESHARED_KEY: &str = "1.3.6.1.4.1.34380.1.1.4";

/// The attribute of a request by which a node says that it renews its certificate (Puppet's
/// `pp_auth_auto_renew`).
pub const AUTO_RENEW: &str = "1.3.6.1.4.1.34380.1.3.2";

/// Puppet's arcs: registered extensions, and authorization.
pub const REGISTERED_ARC: &str = "1.3.6.1.4.1.34380.1.1";
pub const AUTHORIZATION_ARC: &str = "1.3.6.1.4.1.34380.1.3";

const NAMES: [(&str, &str); 30] = [
    ("pp_uuid", "1.3.6.1.4.1.34380.1.1.1"),
    ("pp_instance_id", "1.3.6.1.4.1.34380.1.1.2"),
    ("pp_image_name", "1.3.6.1.4.1.34380.1.1.3"),
    ("pp_preshared_key", "1.3.6.1.4.1.34380.1.1.4"),
    ("pp_cost_center", "1.3.6.1.4.1.34380.1.1.5"),
    ("pp_product", "1.3.6.1.4.1.34380.1.1.6"),
    ("pp_project", "1.3.6.1.4.1.34380.1.1.7"),
    ("pp_application", "1.3.6.1.4.1.34380.1.1.8"),
    ("pp_service", "1.3.6.1.4.1.34380.1.1.9"),
    ("pp_employee", "1.3.6.1.4.1.34380.1.1.10"),
    ("pp_created_by", "1.3.6.1.4.1.34380.1.1.11"),
    ("pp_environment", "1.3.6.1.4.1.34380.1.1.12"),
    ("pp_role", "1.3.6.1.4.1.34380.1.1.13"),
    ("pp_software_version", "1.3.6.1.4.1.34380.1.1.14"),
    ("pp_department", "1.3.6.1.4.1.34380.1.1.15"),
    ("pp_cluster", "1.3.6.1.4.1.34380.1.1.16"),
    ("pp_provisioner", "1.3.6.1.4.1.34380.1.1.17"),
    ("pp_region", "1.3.6.1.4.1.34380.1.1.18"),
    ("pp_datacenter", "1.3.6.1.4.1.34380.1.1.19"),
    ("pp_zone", "1.3.6.1.4.1.34380.1.1.20"),
    ("pp_network", "1.3.6.1.4.1.34380.1.1.21"),
    ("pp_securitypolicy", "1.3.6.1.4.1.34380.1.1.22"),
    ("pp_cloudplatform", "1.3.6.1.4.1.34380.1.1.23"),
    ("pp_apptier", "1.3.6.1.4.1.34380.1.1.24"),
    ("pp_hostname", "1.3.6.1.4.1.34380.1.1.25"),
    ("pp_owner", "1.3.6.1.4.1.34380.1.1.26"),
    ("pp_authorization", "1.3.6.1.4.1.34380.1.3.1"),
    ("pp_auth_auto_renew", "1.3.6.1.4.1.34380.1.3.2"),
    ("pp_auth_role", "1.3.6.1.4.1.34380.1.3.13"),
    ("pp_cli_auth", "1.3.6.1.4.1.34380.1.3.39"),
];

/// The normalized dotted form of a Puppet short name (`pp_role`) or of a dotted OID; none for
/// anything else.
#[must_use]
pub fn resolve(name: &str) -> Option<String> {
    if let Some((_, dotted)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some((*dotted).to_owned());
    }
    // Encoded anew, so that 1.03 becomes 1.3 and is recognized.
    Some(dotted(&arcs(name)?))
}

/// Puppet's short name of a dotted OID.
#[must_use]
pub fn name_of(dotted: &str) -> Option<&'static str> {
    NAMES.iter().find(|(_, known)| *known == dotted).map(|(name, _)| *name)
}

/// Whether the value of this short name or dotted OID is a secret: it proves to the authority that
/// the node may join, so anybody who reads it could join, too.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let dotted = resolve(name.trim());
    ["challengePassword", "pp_preshared_key"]
        .iter()
        .any(|known| name.trim().eq_ignore_ascii_case(known))
        || dotted.is_some_and(|dotted| dotted == CHALLENGE_PASSWORD || dotted == PRESHARED_KEY)
}

/// Puppet's short names, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// Whether a dotted OID is an arc, or is below it.
#[must_use]
pub fn is_under(dotted: &str, arc: &str) -> bool {
    dotted.strip_prefix(arc).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The longest OID that is accepted, in arcs.
const MOST_ARCS: usize = 128;

/// The numbers of a dotted OID; none if DER can't encode it. A number has up to 128 bits, which an OID
/// below 2.25 needs (ITU-T X.667: a UUID as a number).
#[must_use]
pub fn arcs(dotted: &str) -> Option<Vec<u128>> {
    let number = |arc: &str| {
        let is_number = !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
        if is_number { arc.parse().ok() } else { None }
    };
    let arcs: Vec<u128> = dotted.split('.').map(number).collect::<Option<_>>()?;
    let [top, next, ..] = arcs.as_slice() else { return None };
    let is_valid = arcs.len() <= MOST_ARCS
        && match top {
            0 | 1 => *next < 40,
            2 => *next <= u128::MAX - 80,
            _ => false,
        };
    is_valid.then_some(arcs)
}

fn dotted(arcs: &[u128]) -> String {
    arcs.iter().map(u128::to_string).collect::<Vec<_>>().join(".")
}

/// The content of a DER OBJECT IDENTIFIER; none for what [`arcs`] refuses.
#[must_use]
pub fn content(dotted: &str) -> Option<Vec<u8>> {
    let arcs = arcs(dotted)?;
    let (top, rest) = arcs.split_first()?;
    let (next, rest) = rest.split_first()?;
    let mut bytes = Vec::new();
    for arc in std::iter::once(top * 40 + next).chain(rest.iter().copied()) {
        let mut groups = vec![low_bits(arc)];
        let mut left = arc >> 7;
        while left > 0 {
            groups.push(low_bits(left) | 0x80);
            left >>= 7;
        }
        bytes.extend(groups.iter().rev());
    }
    Some(bytes)
}

fn low_bits(number: u128) -> u8 {
    number.to_le_bytes().first().copied().unwrap_or_default() & 0x7f
}

/// The dotted form of the content of a DER OBJECT IDENTIFIER; none if it is not one, or a number has
/// more than 128 bits.
#[must_use]
pub fn of_content(bytes: &[u8]) -> Option<String> {
    let mut arcs: Vec<u128> = Vec::new();
    let mut current: Option<u128> = None;
    for byte in bytes {
        // A number does not begin with an empty group.
        if current.is_none() && *byte == 0x80 {
            return None;
        }
        let number = current.unwrap_or(0);
        if number >> 121 != 0 {
            return None;
        }
        let number = (number << 7) | u128::from(byte & 0x7f);
        current = (byte & 0x80 != 0).then_some(number);
        if current.is_none() {
            arcs.push(number);
        }
    }
    let (first, rest) = arcs.split_first()?;
    if current.is_some() || arcs.len() >= MOST_ARCS {
        return None;
    }
    let (top, next) = match first {
        0..=39 => (0, *first),
        40..=79 => (1, first - 40),
        _ => (2, first - 80),
    };
    Some(dotted(&[&[top, next], rest].concat()))
}

/// Encodes a DER UTF8String: the only string type that Puppet Server reads back unchanged.
#[must_use]
pub fn utf8_string(value: &str) -> Vec<u8> {
    der::encode(der::UTF8_STRING, value.as_bytes())
}

/// Encodes the values of a PKCS#9 attribute such as challengePassword: a DER SET of one
/// PrintableString if the value allows it, or else of one UTF8String (RFC 2985 §5.4.1).
#[must_use]
pub fn attribute_values(value: &str) -> Vec<u8> {
    let is_printable =
        value.bytes().all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b));
    let tag = if is_printable { der::PRINTABLE_STRING } else { der::UTF8_STRING };
    der::encode(der::SET, &der::encode(tag, value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{
        AUTHORIZATION_ARC, REGISTERED_ARC, arcs, content, is_secret, is_under, of_content, resolve,
    };

    #[test]
    fn a_name_resolves_to_one_spelling_of_its_oid() {
        let role = Some("1.3.6.1.4.1.34380.1.1.13".to_owned());
        assert_eq!(resolve("pp_role"), role);
        assert_eq!(resolve("1.3.6.1.4.1.34380.01.1.13"), role);
        for other in ["pp_rule", "PP_ROLE", "1.", "1..3", "9.9", "+1.3", ""] {
            assert_eq!(resolve(other), None, "{other}");
        }
    }

    #[test]
    fn an_arc_is_a_whole_number() {
        assert!(is_under("1.3.6.1.4.1.34380.1.1.13", REGISTERED_ARC));
        assert!(is_under(REGISTERED_ARC, REGISTERED_ARC));
        assert!(!is_under("1.3.6.1.4.1.34380.1.13.1", REGISTERED_ARC));
        assert!(!is_under("1.3.6.1.4.1.34380.1.1.3", AUTHORIZATION_ARC));
        assert_eq!(arcs("1.2.840"), Some(vec![1, 2, 840]));
    }

    #[test]
    fn a_secret_is_recognized_in_every_spelling() {
        for name in [
            "challengePassword",
            "challengepassword",
            "1.2.840.113549.1.9.7",
            "1.2.840.113549.1.09.7",
            "pp_preshared_key",
            "PP_PRESHARED_KEY",
            " pp_preshared_key ",
            "1.3.6.1.4.1.34380.1.1.4",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["pp_role", "1.3.6.1.4.1.34380.1.1.40", "1.3.6.1.4.1.34380.1.1", "", "x"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn an_oid_is_encoded_as_der_and_read_back() {
        for (dotted, bytes) in [
            ("1.2.840.113549.1.9.7", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7][..]),
            ("0.39", &[39]),
            ("2.47", &[0x7f]),
            ("2.48", &[0x81, 0]),
            // X.667's own example of a UUID, as OpenSSL encodes it.
            (
                "2.25.329800735698586629295641978511506172918",
                &[
                    0x69, 0x83, 0xf0, 0x9d, 0xa7, 0xeb, 0xcf, 0xde, 0xe0, 0xc7, 0xa1, 0xa7, 0xb2,
                    0xc0, 0x94, 0x8c, 0xc8, 0xf9, 0xd7, 0x76,
                ],
            ),
        ] {
            assert_eq!(content(dotted).as_deref(), Some(bytes), "{dotted}");
            assert_eq!(of_content(bytes).as_deref(), Some(dotted));
        }
        for bad in ["3.1", "1.40", "2", "", "2.x"] {
            assert_eq!(content(bad), None, "{bad}");
        }
        let too_large = [&[0x69][..], &[0xff; 19], &[0x7f]].concat();
        for bad in [&[][..], &[0x80, 1], &[0x81], &too_large] {
            assert_eq!(of_content(bad), None, "{bad:x?}");
        }
    }
}
