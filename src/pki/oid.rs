//! Object identifiers of Puppet's registered extensions, and DER for their values.
//!
//! Source: Puppet's documentation, "SSL configuration: CSR attributes and certificate
//! extensions", the registered IDs below 1.3.6.1.4.1.34380.1.

use rsa::pkcs8::ObjectIdentifier;
use rsa::pkcs8::der::asn1::{PrintableStringRef, SetOfVec, Utf8StringRef};
use rsa::pkcs8::der::{self, Encode};

/// `rsaEncryption` (RFC 8017 A.1).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// PKCS#9 challengePassword (RFC 2985 §5.4.1).
pub const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";

/// Puppet's `pp_preshared_key`.
pub const PRESHARED_KEY: &str = "1.3.6.1.4.1.34380.1.1.4";

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
    let arcs = arcs(name)?;
    Some(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
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

/// The numbers of a dotted OID; none if DER can't encode it.
#[must_use]
pub fn arcs(dotted: &str) -> Option<Vec<u64>> {
    let is_number = |arc: &str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit());
    if !dotted.split('.').all(is_number) {
        return None;
    }
    let oid = ObjectIdentifier::new(dotted).ok()?;
    Some(oid.arcs().map(u64::from).collect())
}

/// Encodes a DER UTF8String: the only string type that Puppet Server reads back unchanged.
///
/// # Errors
/// For a value larger than 256 MiB, the limit of `der`.
pub fn utf8_string(value: &str) -> der::Result<Vec<u8>> {
    Utf8StringRef::new(value)?.to_der()
}

/// Encodes the values of a PKCS#9 attribute such as challengePassword: a DER SET of one
/// PrintableString if the value allows it, or else of one UTF8String (RFC 2985 §5.4.1).
///
/// # Errors
/// For a value larger than 256 MiB, the limit of `der`.
pub fn attribute_values(value: &str) -> der::Result<Vec<u8>> {
    match PrintableStringRef::new(value) {
        Ok(printable) => SetOfVec::try_from([printable])?.to_der(),
        Err(_) => SetOfVec::try_from([Utf8StringRef::new(value)?])?.to_der(),
    }
}

#[cfg(test)]
mod tests {
    use super::{AUTHORIZATION_ARC, REGISTERED_ARC, arcs, is_secret, is_under, resolve};

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
}
