//! Arbitrary requests, proofs and settings of `enlist autosign`: nothing is ever signed, because STS is
//! not asked and nobody has AWS's keys.

use std::sync::LazyLock;

use enlist::autosign::{Found, Judge, Policy, StsAnswer, meaning};
use enlist::pki::{CsrSpec, PrivateKey, csr, proof};
use enlist::secret::Secret;

use super::world::{NAME, NOW};

const SETTINGS: &str = "[[allow]]\nproof = \"iam\"\naccount = \"123456789012\"\nrole = \"*\"\nregions = [\"*\", \"eu-south-9\"]\nname = \"*\"\nextensions = [\"pp_role\", { pp_zone = \"{account}*\" }]\n[[allow]]\nproof = \"instance-identity\"\naccount = \"123456789012\"\nregions = [\"*\"]\nmax_age = \"31d\"\nname = \"*\"\n[identity]\ncertificates = \"/c\"\n";

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::parse(SETTINGS).unwrap());
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());

pub fn run(data: &[u8]) {
    judge(data);
    judge(pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", data)).as_bytes());
    for status in [200, 403] {
        if let Ok(proven) = meaning(&StsAnswer { status, body: data.to_vec() }) {
            assert!(proven.account.is_some() && proven.role.is_some() && status == 200);
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Policy::parse(text) {
        assert_eq!(error.to_string().lines().count().max(1), 1, "{error}");
    }
    for dotted in [proof::IAM, proof::IDENTITY_DOCUMENT] {
        let (name, text) = (NAME.to_owned(), Secret::new(text.to_owned()));
        let attributes = vec![
            (dotted.to_owned(), text),
            (proof::IDENTITY_SIGNATURE.to_owned(), Secret::new("AAAA".to_owned())),
        ];
        let request = csr::build(&CsrSpec { name, attributes, ..CsrSpec::default() }, &KEY);
        judge(request.unwrap().expose().as_bytes());
    }
}

fn judge(request: &[u8]) {
    let judge = Judge::begin(&POLICY, NAME, request, NOW);
    let needs = judge.needs();
    if let Some(path) = needs.certificate {
        assert!(path.starts_with("/c/") && !path.contains(".."), "{path}");
        assert_eq!(path.matches('/').count(), 2, "{path}");
    }
    if let Some(sts) = judge.needs_sts(&Found::default()) {
        let suffixes = [".amazonaws.com", ".amazonaws.com.cn"];
        assert!(sts.host.starts_with("sts."), "{}", sts.host);
        assert!(suffixes.iter().any(|suffix| sts.host.ends_with(suffix)), "{}", sts.host);
        for (name, value) in &sts.headers {
            assert!(value.chars().all(|c| (' '..='~').contains(&c)), "{name}: {value:?}");
        }
    }
    let decision = judge.decide(&Found::default());
    assert!(decision.verdict.is_err(), "{}", decision.explanation());
    assert_eq!(decision.audit_line().lines().count(), 1);
    assert_eq!(decision.sentence().lines().count(), 1);
}
