//! Certificate chains of many kinds: whether enlist accepts each must agree with `openssl verify
//! -purpose sslclient`, because the engine uses OpenSSL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests do I/O")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use enlist::pki::certificate::{CaBundle, Expectation, check};
use enlist::pki::{PrivateKey, PublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};

const NAME: &str = "web-1.example.org";

/// A fixed time, so that every run is the same.
fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// The node's key, made once. 2048 bits are enough for every security level in use.
fn node_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(2048).unwrap())
}

/// The parameters of a root, two CAs below it and the leaf, and changes to the bundle.
struct Chain {
    root: CertificateParams,
    upper: CertificateParams,
    lower: CertificateParams,
    leaf: CertificateParams,
    /// Whether the bundle has a second root of the same name with another key.
    other_root: bool,
    /// CAs that the root signs, at the beginning of the bundle.
    extra: Vec<CertificateParams>,
    /// The CAs that are left out of the bundle: 0 is the root.
    left_out: Vec<usize>,
}

fn ca(name: &str, id: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.key_identifier_method = KeyIdMethod::PreSpecified(vec![id; 20]);
    params.not_before = now() - Duration::days(10);
    params.not_after = now() + Duration::days(1000);
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn chain() -> Chain {
    let mut leaf = ca(NAME, 9);
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    leaf.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Chain {
        root: ca("Root", 1),
        upper: ca("Upper", 2),
        lower: ca("Lower", 3),
        leaf,
        other_root: false,
        extra: Vec::new(),
        left_out: Vec::new(),
    }
}

/// Makes the bundle and the leaf, in PEM.
fn made(chain: &Chain, algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = || KeyPair::generate_for(algorithm).unwrap();
    let (root_key, upper_key, lower_key) = (key(), key(), key());
    let root = chain.root.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::from_params(&chain.root, &root_key);
    let upper = chain.upper.signed_by(&upper_key, &root_issuer).unwrap();
    let upper_issuer = Issuer::from_params(&chain.upper, &upper_key);
    let lower = chain.lower.signed_by(&lower_key, &upper_issuer).unwrap();
    let lower_issuer = Issuer::from_params(&chain.lower, &lower_key);
    let public = SubjectPublicKeyInfo::from_der(node_key().public().spki_der()).unwrap();
    let leaf = chain.leaf.signed_by(&public, &lower_issuer).unwrap();
    let mut bundle = String::new();
    for params in &chain.extra {
        bundle += &params.signed_by(&key(), &root_issuer).unwrap().pem();
    }
    if chain.other_root {
        bundle += &chain.root.self_signed(&key()).unwrap().pem();
    }
    for (index, certificate) in [(2, &lower), (1, &upper), (0, &root)] {
        if !chain.left_out.contains(&index) {
            bundle += &certificate.pem();
        }
    }
    (bundle, leaf.pem())
}

fn ours(bundle: &str, leaf: &str) -> Result<(), String> {
    let ca = CaBundle::from_pem(bundle).map_err(|error| error.to_string())?;
    let key: &PublicKey = node_key().public();
    let expected = Expectation { key, name: NAME, ca: &ca, now: now().unix_timestamp() };
    check(leaf, &expected).map(|_| ()).map_err(|error| error.to_string())
}

/// Whether OpenSSL accepts the chain, and its output.
fn openssl(directory: &Path, bundle: &str, leaf: &str) -> (bool, String) {
    let (ca, certificate) = (directory.join("ca.pem"), directory.join("leaf.pem"));
    fs::write(&ca, bundle).unwrap();
    fs::write(&certificate, leaf).unwrap();
    let output = Command::new("openssl")
        .args(["verify", "-purpose", "sslclient", "-attime", &now().unix_timestamp().to_string()])
        .args(["-no-CApath", "-no-CAstore", "-CAfile"])
        .args([&ca, &certificate])
        .output()
        .expect("these tests need the command line tool of OpenSSL: install openssl");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

fn extension(oid: &[u64], der: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, der.to_vec());
    extension.set_criticality(critical);
    extension
}

fn dns(name: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(name.to_owned())
}

fn permitted(trees: Vec<GeneralSubtree>) -> NameConstraints {
    NameConstraints { permitted_subtrees: trees, excluded_subtrees: Vec::new() }
}

fn excluded(trees: Vec<GeneralSubtree>) -> NameConstraints {
    NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees: trees }
}

fn path_length(length: u8) -> IsCa {
    IsCa::Ca(BasicConstraints::Constrained(length))
}

/// NameConstraints with one permitted dNSName `example.org` whose minimum is 1.
const MINIMUM: [u8; 22] = *b"\x30\x14\xa0\x12\x30\x10\x82\x0bexample.org\x80\x01\x01";

/// A change, and whether OpenSSL accepts the chain with it.
type Case = (&'static str, bool, fn(&mut Chain));

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("no change", true, |_| {}),
    ("no key usage anywhere", true, |c| { for p in [&mut c.root, &mut c.upper, &mut c.lower, &mut c.leaf] { p.key_usages.clear(); } }),
    ("no purpose on the leaf", true, |c| c.leaf.extended_key_usages.clear()),
    ("no authority key identifier", true, |c| { for p in [&mut c.upper, &mut c.lower, &mut c.leaf] { p.use_authority_key_identifier_extension = false; } }),
    ("path lengths that are just enough", true, |c| { c.root.is_ca = path_length(2); c.upper.is_ca = path_length(1); c.lower.is_ca = path_length(0); }),
    ("CAs that are for TLS clients too", true, |c| { for p in [&mut c.root, &mut c.upper] { p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]; } }),
    ("a key for agreement only", true, |c| c.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
    ("a name that is permitted", true, |c| c.upper.name_constraints = Some(permitted(vec![dns("example.org")]))),
    ("a name that is not excluded", true, |c| c.root.name_constraints = Some(excluded(vec![dns("example.net")]))),
    ("a subjectAltName that is permitted", true, |c| { c.leaf.subject_alt_names = vec![SanType::DnsName(NAME.try_into().unwrap())]; c.upper.name_constraints = Some(permitted(vec![dns("example.org")])); }),
    ("an unknown extension that is not critical", true, |c| c.lower.custom_extensions = vec![extension(&[1, 2, 3, 4], &[5, 0], false)]),
    ("a CA more in the bundle", true, |c| c.extra = vec![ca("Sister", 7)]),
    ("an expired CA of the same name beside it", true, |c| { let mut old = ca("Upper", 2); old.not_after = now() - Duration::days(1); c.extra = vec![old]; }),

    ("the root has expired", false, |c| c.root.not_after = now() - Duration::days(1)),
    ("the root ends this second", false, |c| c.root.not_after = now()),
    ("the root is not valid yet", false, |c| c.root.not_before = now() + Duration::days(1)),
    ("a CA has expired", false, |c| c.upper.not_after = now() - Duration::seconds(1)),
    ("a CA is not valid yet", false, |c| c.lower.not_before = now() + Duration::seconds(1)),
    ("the leaf has expired", false, |c| c.leaf.not_after = now() - Duration::days(1)),
    ("the leaf ends this second", false, |c| c.leaf.not_after = now()),
    ("the leaf is not valid yet", false, |c| c.leaf.not_before = now() + Duration::days(1)),
    ("the root's key is not for certificates", false, |c| c.root.key_usages = vec![KeyUsagePurpose::CrlSign]),
    ("a CA's key is not for certificates", false, |c| c.upper.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
    ("the issuer's key is not for certificates", false, |c| c.lower.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign]),
    ("the root is for TLS servers", false, |c| c.root.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("a CA is for TLS servers", false, |c| c.lower.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("a CA is for code", false, |c| c.upper.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]),
    ("the leaf is for TLS servers", false, |c| c.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("the leaf is for anything", false, |c| c.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
    ("the leaf's key is for encipherment only", false, |c| c.leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
    ("the leaf's key is for revocation lists", false, |c| c.leaf.key_usages = vec![KeyUsagePurpose::CrlSign]),
    ("the root allows no CA below it", false, |c| c.root.is_ca = path_length(0)),
    ("the root allows one CA below it", false, |c| c.root.is_ca = path_length(1)),
    ("a CA allows no CA below it", false, |c| c.upper.is_ca = path_length(0)),
    ("a CA certificate that is not one", false, |c| c.upper.is_ca = IsCa::ExplicitNoCa),
    ("a CA that does not say so", false, |c| c.lower.is_ca = IsCa::NoCa),
    ("the root has a critical extension that nobody knows", false, |c| c.root.custom_extensions = vec![extension(&[1, 2, 3, 4], &[5, 0], true)]),
    ("a CA has a critical extension that nobody knows", false, |c| c.upper.custom_extensions = vec![extension(&[1, 2, 3, 4], &[5, 0], true)]),
    ("the leaf has a critical extension that nobody knows", false, |c| c.leaf.custom_extensions = vec![extension(&[1, 2, 3, 4], &[5, 0], true)]),
    ("Puppet's extension, and critical", false, |c| c.leaf.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 34380, 1, 1, 13], &[0x0c, 1, b'x'], true)]),
    ("a proxy's certificate", false, |c| c.leaf.custom_extensions = vec![extension(&[1, 3, 6, 1, 5, 5, 7, 1, 14], &[0x30, 0x0c, 0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x15, 1], true)]),
    ("another key identifier of the issuer", false, |c| { c.leaf.use_authority_key_identifier_extension = false; c.leaf.custom_extensions = vec![extension(&[2, 5, 29, 35], &[&[0x30, 0x16, 0x80, 0x14][..], &[8; 20]].concat(), false)]; }),
    ("another key identifier of a CA's issuer", false, |c| { c.upper.use_authority_key_identifier_extension = false; c.upper.custom_extensions = vec![extension(&[2, 5, 29, 35], &[&[0x30, 0x16, 0x80, 0x14][..], &[8; 20]].concat(), false)]; }),
    ("another serial number of the issuer", false, |c| { c.leaf.use_authority_key_identifier_extension = false; c.leaf.custom_extensions = vec![extension(&[2, 5, 29, 35], &[0x30, 3, 0x82, 1, 7], false)]; }),
    ("a name that is not permitted", false, |c| c.upper.name_constraints = Some(permitted(vec![dns("example.net")]))),
    ("a name that the root does not permit", false, |c| c.root.name_constraints = Some(permitted(vec![dns("example.net")]))),
    ("a name that is excluded", false, |c| c.lower.name_constraints = Some(excluded(vec![dns("example.org")]))),
    ("a name that is excluded, in other letters", false, |c| c.lower.name_constraints = Some(excluded(vec![dns("Example.ORG")]))),
    ("a name below none that is permitted", false, |c| c.root.name_constraints = Some(permitted(vec![dns("b-1.example.org")]))),
    ("a subjectAltName that is not permitted", false, |c| { c.leaf.subject_alt_names = vec![SanType::DnsName("db.example.net".try_into().unwrap())]; c.upper.name_constraints = Some(permitted(vec![dns("example.org")])); }),
    ("an address that is not permitted", false, |c| { c.leaf.subject_alt_names = vec![SanType::IpAddress([192, 0, 2, 1].into())]; c.upper.name_constraints = Some(permitted(vec![GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8))])); }),
    ("a directory name that is not permitted", false, |c| c.upper.name_constraints = Some(permitted(vec![GeneralSubtree::DirectoryName(named("other"))]))),
    ("an e-mail address in the subject that is excluded", false, |c| {
        c.leaf.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), rcgen::DnValue::Ia5String("a@example.net".try_into().unwrap()));
        c.upper.name_constraints = Some(excluded(vec![GeneralSubtree::Rfc822Name("example.net".to_owned())]));
    }),
    ("a name constraint with a minimum", false, |c| { c.leaf.distinguished_name = named(NAME); c.upper.custom_extensions = vec![extension(&[2, 5, 29, 30], &MINIMUM, true)]; }),
    ("a key usage that can't be read", false, |c| { c.leaf.key_usages.clear(); c.leaf.custom_extensions = vec![extension(&[2, 5, 29, 15], &[4, 1, 1], true)]; }),
    ("basic constraints that can't be read", false, |c| { c.leaf.is_ca = IsCa::NoCa; c.leaf.custom_extensions = vec![extension(&[2, 5, 29, 19], &[0x30, 3, 1, 1], true)]; }),
    ("a Netscape type for servers", false, |c| c.leaf.custom_extensions = vec![extension(&[2, 16, 840, 1, 113_730, 1, 1], &[3, 2, 6, 0x40], false)]),
    ("no issuer in the bundle", false, |c| c.left_out = vec![2]),
    ("no CA between", false, |c| c.left_out = vec![1]),
    ("no root", false, |c| c.left_out = vec![0]),
];

/// Chains that OpenSSL accepts and enlist refuses, and why.
#[rustfmt::skip]
const STRICTER: &[Case] = &[
    // Of two indistinguishable roots, OpenSSL uses the first one, which may be the wrong one.
    ("two roots of one name and key identifier", true, |c| c.other_root = true),
    // Newer versions of OpenSSL refuse it.
    ("a path length in a certificate that is not a CA's", true, |c| { c.leaf.is_ca = IsCa::NoCa; c.leaf.custom_extensions = vec![extension(&[2, 5, 29, 19], &[0x30, 3, 2, 1, 1], true)]; }),
    // webpki does not check directory names.
    ("a directory name that is permitted", true, |c| c.upper.name_constraints = Some(permitted(vec![GeneralSubtree::DirectoryName(named(NAME))]))),
];

#[test]
fn enlist_and_openssl_agree() {
    let directory = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (what, taken, change) in CASES {
        let mut chain = chain();
        change(&mut chain);
        let (bundle, leaf) = made(&chain, &PKCS_ECDSA_P256_SHA256);
        let (theirs, said) = openssl(directory.path(), &bundle, &leaf);
        let ours = ours(&bundle, &leaf);
        if theirs != *taken {
            wrong.push(format!("{what}: OpenSSL says {theirs}: {said}"));
        }
        if ours.is_ok() != theirs {
            wrong.push(format!("{what}: OpenSSL says {theirs}, and we say {ours:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ambiguous_chains_are_refused() {
    for (what, _, change) in STRICTER {
        let mut chain = chain();
        change(&mut chain);
        let (bundle, leaf) = made(&chain, &PKCS_ECDSA_P256_SHA256);
        assert!(ours(&bundle, &leaf).is_err(), "{what}");
    }
}

#[test]
fn cas_can_have_other_kinds_of_keys() {
    let directory = tempfile::tempdir().unwrap();
    for algorithm in [&PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let (bundle, leaf) = made(&chain(), algorithm);
        let (theirs, said) = openssl(directory.path(), &bundle, &leaf);
        assert!(theirs, "{said}");
        assert_eq!(ours(&bundle, &leaf), Ok(()));
    }
}
