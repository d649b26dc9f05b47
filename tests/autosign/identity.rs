//! Instance identity documents, and challenge passwords.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use enlist::autosign::{Decision, Found, Judge, Policy};
use enlist::fault::Kind;
use enlist::secret::Secret;

use crate::common::openssl;
use crate::csr::{CHALLENGE, Key, Request, proof_oid, puppet_oid};
use crate::{ID, NOW, refused};

const RULE: &str = "[[allow]]\nproof = \"instance-identity\"\naccount = \"123456789012\"\nregions = [\"xx-test-*\", \"eu-central-1\"]\n[identity]\ncertificates = \"/certificates\"\n";

/// A region of the tests, with a key of 1024 bits as AWS's have.
struct Region {
    directory: tempfile::TempDir,
}

impl Region {
    fn new() -> Self {
        let region = Self { directory: tempfile::tempdir().unwrap() };
        let [key, certificate] = [region.path("key"), region.path("certificate")];
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:1024",
            "-nodes",
            "-subj",
            "/CN=EC2",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        region
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn certificate(&self) -> String {
        std::fs::read_to_string(self.path("certificate")).unwrap()
    }

    /// As the metadata service gives it: base64 in lines.
    fn sign(&self, document: &str) -> String {
        std::fs::write(self.path("document"), document).unwrap();
        let (key, out) = (self.path("key"), self.path("signature"));
        openssl(&["dgst", "-sha256", "-sign", &key, "-out", &out, &self.path("document")]);
        let text = STANDARD.encode(std::fs::read(out).unwrap());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
        lines.join("\n")
    }
}

/// As AWS writes it.
fn document(region: &str, instance: &str, began: &str) -> String {
    format!(
        "{{\n  \"accountId\" : \"123456789012\",\n  \"architecture\" : \"x86_64\",\n  \"availabilityZone\" : \"{region}a\",\n  \"imageId\" : \"ami-0123456789abcdef0\",\n  \"instanceId\" : \"{instance}\",\n  \"pendingTime\" : \"{began}\",\n  \"region\" : \"{region}\",\n  \"version\" : \"2017-09-30\"\n}}"
    )
}

fn request(document: &str, signature: &str) -> Request {
    Request::new(ID).attribute(proof_oid(2), document).attribute(proof_oid(3), signature)
}

fn judge(request: &Request, certificate: Option<&Region>) -> Decision {
    let policy = Policy::parse(RULE).unwrap();
    let pem = request.pem(Key::one());
    let judge = Judge::begin(&policy, &request.name, pem.as_bytes(), NOW);
    let needs = judge.needs();
    assert!(
        judge.needs_sts(&Found::default()).is_none(),
        "a document is verified without the network"
    );
    let certificate = needs.certificate.and(certificate).map(|region| Ok(region.certificate()));
    judge.decide(&Found { certificate, ..Found::default() })
}

const BEGAN: &str = "2026-07-14T11:50:00Z";

#[test]
fn a_signed_document_of_a_young_instance_is_enough() {
    let region = Region::new();
    let document = document("xx-test-1", ID, BEGAN);
    let good = request(&document, &region.sign(&document));
    let decision = judge(&good, Some(&region));
    assert_eq!(decision.verdict, Ok(1), "{}", decision.explanation());
    assert_eq!(decision.proven.region.as_deref(), Some("xx-test-1"));
    // What the document tells may be carried, and nothing else.
    for (number, value, is_signed) in [
        (18, "xx-test-1", true),
        (20, "xx-test-1a", true),
        (3, "ami-0123456789abcdef0", true),
        (23, "aws", true),
        (20, "xx-test-1b", false),
        (23, "gcp", false),
        (25, "web1", false),
    ] {
        let carried = good.clone().extension(puppet_oid(1, number), value);
        assert_eq!(judge(&carried, Some(&region)).verdict.is_ok(), is_signed, "{number} {value}");
    }
}

#[test]
fn a_document_that_was_edited_or_is_of_another_region_is_refused() {
    let (region, other) = (Region::new(), Region::new());
    let document = document("xx-test-1", ID, BEGAN);
    let signature = region.sign(&document);
    for (from, to) in [
        ("123456789012", "210987654321"),
        (ID, "i-0fedcba9876543210"),
        (BEGAN, "2026-07-14T11:59:00Z"),
        ("x86_64", "x86_65"),
        (" ", "  "),
        ("2017-09-30\"\n", "2017-09-30\"\n\n"),
    ] {
        let edited = request(&document.replacen(from, to, 1), &signature);
        let (kind, why) = refused(&judge(&edited, Some(&region)));
        assert!(kind == Kind::Rejected && why.contains("has not signed"), "{why}");
    }
    let (_, why) = refused(&judge(&request(&document, &signature), Some(&other)));
    assert!(why.contains("AWS's key of xx-test-1 has not signed"), "{why}");
    // The document of a region that is built in, signed with a key of our own.
    let claimed = document.replace("xx-test-1", "eu-central-1");
    let (_, why) = refused(&judge(&request(&claimed, &region.sign(&claimed)), None));
    assert!(why.contains("AWS's key of eu-central-1 has not signed"), "{why}");
    let (_, why) = refused(&judge(&request(&document, &signature), None));
    assert!(why.contains("no certificate is known for the region \"xx-test-1\""), "{why}");
    let unsigned = Request::new(ID).attribute(proof_oid(2), &document);
    let (_, why) = refused(&judge(&unsigned, Some(&region)));
    assert!(why.contains("without a signature"), "{why}");
}

#[test]
fn the_instance_must_be_young_ours_and_of_the_name() {
    let region = Region::new();
    for (document, why) in [
        (document("xx-test-1", ID, "2026-07-14T11:44:00Z"), "16 min 0 s ago"),
        (document("xx-test-1", ID, "2026-07-14T13:00:00Z"), "this machine's clock is behind"),
        (document("xx-test-1", "i-0fedcba9876543210", BEGAN), "the name is"),
        (
            document("xx-test-1", ID, BEGAN).replace("123456789012", "210987654321"),
            "the account is",
        ),
        (document("xx-other-1", ID, BEGAN), "the region is xx-other-1"),
        (document("xx-test-1", ID, "yesterday"), "has not the content of one"),
        ("{}".to_owned(), "not the JSON of one"),
        (
            document("xx-test-1", ID, BEGAN).replacen('{', "{\"region\":\"a\",", 1),
            "not the JSON of one",
        ),
    ] {
        let signed = request(&document, &region.sign(&document));
        let (_, said) = refused(&judge(&signed, Some(&region)));
        assert!(said.contains(why), "{said}");
    }
}

/// Names no file outside the directory.
#[test]
fn a_region_that_is_a_path_selects_no_file() {
    for region in ["../../etc/passwd", "xx-test-1/../x", "", "XX-TEST-1"] {
        let document = document(region, ID, BEGAN);
        let policy = Policy::parse(RULE).unwrap();
        let pem = request(&document, "x").pem(Key::one());
        assert_eq!(Judge::begin(&policy, ID, pem.as_bytes(), NOW).needs().certificate, None);
        // It is in no advice: nobody has signed it.
        let judge = Judge::begin(&policy, ID, pem.as_bytes(), NOW);
        let (_, why) = refused(&judge.decide(&Found::default()));
        assert!(why.contains("is not a region of AWS") && !why.contains("passwd"), "{why}");
    }
}

#[test]
fn the_built_in_keys_are_those_of_the_certificates() {
    use enlist::autosign::regions::{RegionKey, all, key_of};
    let mut files = 0;
    for entry in std::fs::read_dir("tests/data/aws-identity-rsa").unwrap() {
        let path = entry.unwrap().path();
        let region = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let pem = std::fs::read_to_string(&path).unwrap();
        let keys = RegionKey::of_certificates(&pem).unwrap();
        assert_eq!(key_of(&region).map(|key| vec![key]), Some(keys), "{region}");
        files += 1;
    }
    assert_eq!(all().count(), files);
}

fn by_password(rule: &str, request: &Request, known: &str) -> Decision {
    let policy = Policy::parse(rule).unwrap();
    let pem = request.pem(Key::one());
    let judge = Judge::begin(&policy, &request.name, pem.as_bytes(), NOW);
    let known =
        judge.needs().passwords.into_iter().map(|file| (file, Ok(Secret::new(known.to_owned()))));
    let passwords: BTreeMap<_, _> = known.collect();
    judge.decide(&Found { passwords, ..Found::default() })
}

#[test]
fn a_challenge_password_is_compared_whole() {
    let rule = "[[allow]]\nproof = \"challenge-password\"\npassword = { file = \"/psk\" }\nname = \"web*\"\n";
    let with = |password: &str| Request::new("web1").attribute(CHALLENGE.to_vec(), password);
    assert_eq!(by_password(rule, &with("correct horse"), "correct horse\n").verdict, Ok(1));
    for (shown, known, why) in [
        ("correct hors", "correct horse", "the challenge password is wrong"),
        ("correct horse ", "correct horse", "the challenge password is wrong"),
        ("", "correct horse", "the challenge password is wrong"),
        ("", "", "is empty"),
        ("x", "\n", "is empty"),
        ("  ", "  \n", "is empty, or blanks"),
    ] {
        let (_, said) = refused(&by_password(rule, &with(shown), known));
        assert!(said.contains(why), "{said}");
    }
    let other = Request { name: "db1".to_owned(), ..with("p") };
    assert!(refused(&by_password(rule, &other, "p")).1.contains("not \"web*\""));
    let carried = with("p").extension(puppet_oid(1, 13), "web");
    assert!(refused(&by_password(rule, &carried, "p")).1.contains("pp_role"));
}
