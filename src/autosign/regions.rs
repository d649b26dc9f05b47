//! The regions of AWS, and the keys that sign their instance identity documents.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::region_keys::KEYS;
use super::{Pattern, Proven};
use crate::pki::certificate::public_key_bytes;
use crate::pki::proof::sts_host;

/// The public key of a region: an RSAPublicKey in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionKey(Vec<u8>);

/// The regions that are built in.
pub fn all() -> impl Iterator<Item = &'static str> {
    KEYS.iter().flat_map(|(regions, _)| regions.iter().copied())
}

/// The key of a region that is built in.
#[must_use]
pub fn key_of(region: &str) -> Option<RegionKey> {
    let (_, key) = KEYS.iter().find(|(regions, _)| regions.contains(&region))?;
    STANDARD.decode(key).ok().map(RegionKey)
}

impl RegionKey {
    /// The keys of the certificates in a file in PEM; none if one of them is not of RSA, or there is
    /// none. While AWS replaces a key, a file has two.
    #[must_use]
    pub fn of_certificates(pem: &str) -> Option<Vec<Self>> {
        let blocks = pem::parse_many(pem).ok()?;
        let keys: Option<Vec<Self>> =
            blocks.iter().map(|block| public_key_bytes(&pem::encode(block)).map(Self)).collect();
        keys.filter(|keys| !keys.is_empty())
    }

    /// Whether this key has signed these bytes (RSASSA-PKCS1-v1_5 with SHA-256). AWS's keys have 1024
    /// bits, which TLS accepts nowhere any more.
    #[must_use]
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let algorithm = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        UnparsedPublicKey::new(algorithm, &self.0).verify(bytes, signature).is_ok()
    }
}

/// Whether a text has the form of a region: place, direction, number. AWS may have added it since.
#[must_use]
pub fn is_well_formed(region: &str) -> bool {
    let direction = region.rsplit('-').nth(1).unwrap_or_default();
    let is_direction = [
        "north",
        "south",
        "east",
        "west",
        "central",
        "northeast",
        "northwest",
        "southeast",
        "southwest",
    ]
    .contains(&direction);
    is_direction && sts_host(region).is_some()
}

/// Whether a pattern of regions allows this one. A star does not cross partitions of AWS: in another
/// one, the same account number may be somebody else's.
#[must_use]
pub fn allows(pattern: &Pattern, region: &str) -> bool {
    partition_of(pattern.text()) == partition_of(region)
        && pattern.matches(region, &Proven::default()) == Ok(true)
}

/// Whether the regions of a rule allow this one. Without any, all of the partition `aws` are allowed.
#[must_use]
pub fn any_allows(patterns: &[Pattern], region: &str) -> bool {
    if patterns.is_empty() {
        return partition_of(region) == "aws";
    }
    patterns.iter().any(|pattern| allows(pattern, region))
}

/// Whether a pattern allows a region that is built in.
#[must_use]
pub fn any_is(pattern: &Pattern) -> bool {
    all().any(|region| allows(pattern, region))
}

/// The partitions beside `aws`, by how the names of their regions begin (the AWS SDK's partitions.json).
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
];

/// The partition of a region, or of a pattern of regions, as ARNs name it.
#[must_use]
pub fn partition_of(region: &str) -> &'static str {
    let other = PARTITIONS.iter().find(|(begin, _)| region.starts_with(begin));
    other.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::{all, is_well_formed, key_of, partition_of};
    use crate::pki::proof::sts_host;

    #[test]
    fn every_region_has_a_key_and_a_host_of_sts() {
        assert_eq!(all().count(), 36);
        for region in all() {
            assert!(key_of(region).is_some(), "{region}");
            assert!(sts_host(region).is_some() && is_well_formed(region), "{region}");
        }
        assert!(!is_well_formed("moon-north-1") && key_of("moon-north-1").is_none());
        assert!(is_well_formed("eu-south-9"));
        for bad in ["eu-centrl-1", "eu-central-1a", "eu-central", "EU-CENTRAL-1", "central-1", ""] {
            assert!(!is_well_formed(bad), "{bad}");
        }
        assert_eq!(partition_of("cn-north-1"), "aws-cn");
        assert_eq!(partition_of("eu-central-1"), "aws");
        assert_eq!(partition_of("eusc-de-east-1"), "aws-eusc");
        assert_eq!(partition_of("us-isob-east-1"), "aws-iso-b");
    }
}
