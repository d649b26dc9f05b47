//! What `enlist` puts into its requests, judged: against the emulator's Puppet CA, which leaves them
//! pending.

use std::process::Command;

use enlist::autosign::{Found, Judge, Policy, StsAnswer, meaning};
use enlist_emulator::Options;
use enlist_emulator::control::{Autosign, CaPolicy};

use crate::common::{self, NAME, Node, Run};
use crate::csr::{ACCESS_KEY, SECRET_KEY};
use crate::{RULE, asked, sts};

pub const EXTENSIONS: &str =
    "extensions = [\"pp_hostname\", \"pp_image_name\", \"pp_region\", \"pp_zone\"]\n";

pub fn node(proof: &str) -> Node {
    let node = Node::with(Options {
        puppet_ca: CaPolicy { autosign: Autosign::Off, ..CaPolicy::default() },
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        access_key: Some(ACCESS_KEY.to_owned()),
        secret_key: Some(SECRET_KEY.to_owned()),
        role: Some("web-7".to_owned()),
        tls_listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    let port = node.emulator.puppet_url().unwrap().rsplit(':').next().unwrap().to_owned();
    let port = port.trim_end_matches('/');
    node.settings(&format!(
        "[puppet-server]\nserver = \"localhost\"\nport = {port}\nca_file = \"/ca.pem\"\nproof = \"{proof}\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"2s\"\n"
    ));
    node
}

pub fn enlist(node: &Node, arguments: &[&str]) -> Run {
    let mut command = node.command(arguments);
    command.env_remove("AWS_ENDPOINT_URL");
    common::run(&mut command)
}

/// The request that waits at the CA.
pub fn pending(node: &Node) -> String {
    let url = format!(
        "{}/puppet-ca/v1/certificate_request/{NAME}",
        node.emulator.puppet_url().unwrap().trim_end_matches('/')
    );
    let output = Command::new("curl").args(["-sk", "--noproxy", "*", &url]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("BEGIN CERTIFICATE REQUEST"), "{text}");
    text
}

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn an_iam_proof_of_a_node_is_accepted_under_its_own_key_and_name_only() {
    let node = node("iam");
    // Nobody signs it, so the budget ends the join.
    let run = enlist(&node, &["join", "-vv"]);
    assert_eq!(run.code, 75, "{}", run.stderr);
    let csr = pending(&node);
    let settings = format!("{RULE}{EXTENSIONS}");
    let policy = Policy::parse(&settings).unwrap();
    let judge = Judge::begin(&policy, NAME, csr.as_bytes(), now());
    let request = judge.needs_sts(&Found::default()).expect("a proof that STS can be asked about");
    assert!(asked(&request).is_signed_by(ACCESS_KEY, SECRET_KEY));
    let token = request.headers.iter().find(|(name, _)| *name == "x-amz-security-token");
    let token = &token.expect("the role's credentials are temporary").1;
    assert!(!run.stderr.contains(token.as_str()), "{}", run.stderr);
    let body = sts::instance("123456789012", "web-7", NAME).into_bytes();
    let sts = meaning(&StsAnswer { status: 200, body }).map_err(|not| not.refusal);
    let decision = judge.decide(&Found { sts: Some(sts), ..Found::default() });
    assert_eq!(decision.verdict, Ok(1), "{}", decision.explanation());
    // No file of the node has the token.
    for file in node.files() {
        let content = std::fs::read(node.path(&file)).unwrap();
        assert!(!content.windows(token.len()).any(|it| it == token.as_bytes()), "{file}");
    }
    // As OpenSSL sees it: the attribute, and a signature of its own key.
    std::fs::write(node.path("csr.pem"), &csr).unwrap();
    let path = node.path("csr.pem");
    let shown =
        common::openssl(&["req", "-noout", "-text", "-verify", "-in", path.to_str().unwrap()]);
    assert!(shown.contains("2.25.322827852741838107059203560885903605876.1"), "{shown}");
}

#[test]
fn an_instance_identity_is_sent_byte_for_byte() {
    let node = node("instance-identity");
    let run = enlist(&node, &["join"]);
    assert_eq!(run.code, 75, "{}", run.stderr);
    let text = pending(&node);
    let mut checks = enlist::autosign::Checks::default();
    let csr = enlist::autosign::read(text.as_bytes(), NAME, &mut checks).unwrap();
    let facts: serde_json::Value =
        serde_json::from_str(&enlist(&node, &["facts", "--json"]).stdout).unwrap();
    let identity = &facts["ec2"]["identity"];
    let arc = "2.25.322827852741838107059203560885903605876";
    assert_eq!(csr.attribute(&format!("{arc}.2")), identity["document"].as_str());
    assert_eq!(csr.attribute(&format!("{arc}.3")), identity["signature"].as_str());
    assert_eq!(csr.attribute(&format!("{arc}.1")), None);
    let proof = facts["proof"].as_str().unwrap();
    assert_eq!(proof, format!("instance-identity: {NAME} of account 123456789012 in us-east-1"));
}

#[test]
fn facts_show_what_would_be_proven_without_a_secret() {
    let node = node("iam");
    let shown = enlist(&node, &["facts"]).stdout;
    let wanted = format!(
        "iam: the caller with access key {ACCESS_KEY} (a role), by sts.us-east-1.amazonaws.com"
    );
    assert!(shown.contains(&wanted) && !shown.contains(SECRET_KEY), "{shown}");
    node.settings(&node.read("etc/enlist/enlist.toml").replace("\"iam\"", "\"none\""));
    assert!(!enlist(&node, &["facts"]).stdout.contains("proof"));
}

#[test]
fn the_doctor_looks_at_the_proof() {
    let node = node("iam");
    let said = enlist(&node, &["doctor"]).stdout;
    let wanted = format!("ms  iam: the caller with access key {ACCESS_KEY} (a role)");
    assert!(said.contains(&wanted) && !said.contains(SECRET_KEY), "{said}");
    let without = |node: &Node| {
        let mut command = node.command(&["doctor"]);
        command.env_remove("AWS_ENDPOINT_URL").env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        command.env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
        common::run(&mut command)
    };
    let run = without(&node);
    assert!(
        run.code == 77 && run.stdout.contains("failed   puppet-server: proof"),
        "{}",
        run.stdout
    );
    node.settings(&node.read("etc/enlist/enlist.toml").replace("\"iam\"", "\"instance-identity\""));
    let run = without(&node);
    assert!(run.code == 78 && run.stdout.contains("this is not an EC2 instance"), "{}", run.stdout);
    node.settings(
        &node.read("etc/enlist/enlist.toml").replace("\"instance-identity\"", "\"none\""),
    );
    assert!(!without(&node).stdout.contains(": proof"));
}

#[test]
fn without_credentials_or_an_instance_the_join_says_so() {
    let node = node("iam");
    node.settings(&node.read("etc/enlist/enlist.toml").replace("\"2s\"", "\"1s\""));
    let mut command = node.command(&["join"]);
    command.env_remove("AWS_ENDPOINT_URL").env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    command.env("AWS_REGION", "eu-central-1").env("AWS_EC2_METADATA_DISABLED", "true");
    let run = common::run(&mut command);
    assert_eq!(run.code, 77, "{}", run.stderr);
    assert!(run.stderr.contains("the proof could not be made"), "{}", run.stderr);
    // Nothing was sent that would wait for ever without a proof.
    let sent = |node: &Node| node.asked("PutCertificateRequest");
    assert_eq!(sent(&node), 0);
    let settings = node.read("etc/enlist/enlist.toml");
    node.settings(&settings.replace("\"iam\"", "\"instance-identity\""));
    let run = common::run(&mut command);
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("this is not an EC2 instance"), "{}", run.stderr);
    node.settings(&settings.replace("\"iam\"", "\"aws\""));
    let run = enlist(&node, &["check"]);
    assert_eq!(run.code, 78, "{}", run.stderr);
    assert!(run.stderr.contains("\"instance-identity\""), "{}", run.stderr);
    assert_eq!(sent(&node), 0);
}

#[test]
fn a_request_is_printed_with_its_proof_and_without_the_authority() {
    let node = node("iam");
    let run = enlist(&node, &["csr", "-q"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stderr);
    assert!(node.emulator.calls().is_empty(), "{:?}", node.emulator.calls());
    let policy = Policy::parse(&format!("{RULE}{EXTENSIONS}")).unwrap();
    let judge = Judge::begin(&policy, NAME, run.stdout.as_bytes(), now());
    assert!(
        asked(&judge.needs_sts(&Found::default()).unwrap()).is_signed_by(ACCESS_KEY, SECRET_KEY)
    );
    // The key is kept for the join, whose request is of the same key, and has a proof of its own.
    let key = |csr: &str| {
        let mut checks = enlist::autosign::Checks::default();
        enlist::autosign::read(csr.as_bytes(), NAME, &mut checks).unwrap().key_sha256()
    };
    let again = enlist(&node, &["csr", "-q"]).stdout;
    assert_eq!(key(&again), key(&run.stdout));
    assert_eq!(enlist(&node, &["join"]).code, 75);
    assert_eq!(key(&pending(&node)), key(&run.stdout));
    // The authority has a request now.
    let late = enlist(&node, &["csr"]);
    assert_eq!((late.code, late.stdout.as_str()), (64, ""), "{}", late.stderr);
    assert!(late.stderr.contains("enlist status"), "{}", late.stderr);
    node.settings("[ssm]\niam_role = \"r\"\n");
    let other = enlist(&node, &["csr"]);
    assert_eq!(other.code, 64, "{}", other.stderr);
}
