//! What a certificate request carries to prove who asks, as a node writes it and an authority reads it.
//! docs/trust.md has the whole format.
//!
//! The proofs are attributes of the request, below an OID of enlist's own. An attribute is dropped when
//! the request is signed; an extension would end up in the certificate, which everybody can read.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::public_key::hex;

/// A signed `sts:GetCallerIdentity`: [`IamProof`] as JSON. The arc is a UUID of enlist's own
/// (ITU-T X.667).
pub const IAM: &str = "2.25.322827852741838107059203560885903605876.1";
/// The instance identity document, byte for byte.
pub const IDENTITY_DOCUMENT: &str = "2.25.322827852741838107059203560885903605876.2";
/// Its RSA signature, as the metadata service gives it (`instance-identity/signature`).
pub const IDENTITY_SIGNATURE: &str = "2.25.322827852741838107059203560885903605876.3";

/// The request to STS (AWS STS API Reference, "GetCallerIdentity"): the path, the body, and the headers
/// that are the same for everybody.
pub const PATH: &str = "/";
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
pub const ACCEPT: &str = "application/json";

/// The header with [`binding`].
pub const BINDING_HEADER: &str = "x-enlist-binding";

/// How far the date of the signed request may be from the clock of STS, in seconds.
pub const GOOD_FOR: i64 = 15 * 60;

/// What of the signed request differs from node to node. All the rest is known to the authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IamProof {
    pub region: String,
    pub authorization: String,
    /// `20260714T120000Z`.
    #[serde(rename = "x-amz-date")]
    pub date: String,
    /// With temporary credentials. It is of no use without the secret key, but is shown nowhere.
    #[serde(rename = "x-amz-security-token", default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl std::fmt::Debug for IamProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IamProof({}, {})", self.region, self.date)
    }
}

/// The value of [`BINDING_HEADER`]: SHA-256 over a label, the request's public key (SPKI, DER) and the
/// certname; 64 lower-case hexadecimal digits. A DER value says its own length, so no two pairs of key
/// and name give the same bytes.
#[must_use]
pub fn binding(spki: &[u8], certname: &str) -> String {
    let digest = Sha256::new()
        .chain_update(b"enlist: GetCallerIdentity for a certificate request, version 1\0")
        .chain_update(spki)
        .chain_update(certname.as_bytes())
        .finalize();
    hex(&digest)
}

/// The host of STS in a region; none for a text that is not the name of a region, or whose partition
/// has other names.
#[must_use]
pub fn sts_host(region: &str) -> Option<String> {
    let words: Vec<&str> = region.split('-').collect();
    let [partition, middle @ .., number] = words.as_slice() else { return None };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = matches!(number.len(), 1 | 2) && number.bytes().all(|b| b.is_ascii_digit());
    let is_region = matches!(middle.len(), 1 | 2)
        && region.len() <= 32
        && partition.len() == 2
        && is_word(partition)
        && middle.iter().all(is_word)
        && is_number;
    // Partitions whose endpoints have other domains; none of them is reached from a public network.
    let is_isolated = middle.first().is_some_and(|word| word.starts_with("iso"));
    if !is_region || is_isolated {
        return None;
    }
    let domain = if *partition == "cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(format!("sts.{region}.{domain}"))
}

#[cfg(test)]
mod tests {
    use super::{binding, sts_host};

    #[test]
    fn a_region_has_a_host_and_nothing_else_has() {
        for (region, host) in [
            ("eu-central-1", "sts.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            ("ap-southeast-17", "sts.ap-southeast-17.amazonaws.com"),
        ] {
            assert_eq!(sts_host(region).as_deref(), Some(host));
        }
        for other in [
            "",
            "eu",
            "eu-1",
            "eu-central",
            "eu-central-",
            "EU-central-1",
            "eu-central-1.",
            "eu--1",
            "evil.example/eu-central-1",
            "eu-central-1.evil.example",
            "eu-central-1#",
            "eu-central-123",
            "s3-website-us-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "eu-cen tral-1",
            "é-central-1",
            "eusc-de-east-1",
            "eu-a-b-c-1",
            "1-2-3",
        ] {
            assert_eq!(sts_host(other), None, "{other}");
        }
    }

    #[test]
    fn the_binding_is_over_key_and_name() {
        let one = binding(b"\x30\x01a", "web1");
        assert_eq!(one.len(), 64);
        assert_ne!(one, binding(b"\x30\x01a", "web2"));
        assert_ne!(one, binding(b"\x30\x01b", "web1"));
    }
}
