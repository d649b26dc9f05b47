//! The challenge password: from each source, to this authority only, and left nowhere.

use std::fs;

use enlist_emulator::Options;
use enlist_emulator::control::{Autosign, CaPolicy};

use super::common::{NAME, Node, expect, openssl, text};
use super::{admin, enlist, node, settings};

const PASSWORD: &str = "a shared secret 4711";

fn with(node: &Node, source: &str) {
    let good = settings(node, "\"localhost\"", "5s");
    node.settings(&good.replace("port =", &format!("challenge_password = {source}\nport =")));
}

/// The password is in no file of the node, but in the one that the test wrote.
fn is_nowhere(node: &Node) {
    let request = node.ssl(&format!("certificate_requests/{NAME}.pem"));
    assert!(!request.exists(), "the request holds the password");
    for file in node.files().into_iter().filter(|file| file != "psk") {
        assert!(!node.read(&file).contains(PASSWORD), "{file}");
    }
}

#[test]
fn a_password_is_sent_and_left_nowhere() {
    let node = node(Autosign::Challenge(PASSWORD.to_owned()), &[]);
    node.write("psk", &format!("{PASSWORD}\n"));
    node.write("empty", "\n");
    let plain = format!("\"{PASSWORD}\"");
    for (source, word) in [
        (plain.as_str(), "puppet-server.challenge_password"),
        (&*format!("{{ value = {plain} }}"), "not the secret itself"),
        (&*format!("{{ file = {plain} }}"), "{ file = (secret) }"),
        (&*format!("{{ {plain} = \"file\" }}"), "{ (secret) = (secret) }"),
        ("{ files = \"/psk\" }", "{ file ="),
        ("{ ssm_parameter = \"a b\" }", "{ ssm_parameter ="),
        ("{ file = \"/none\" }", "/none"),
        ("{ file = \"/empty\" }", "1 to 255 characters"),
        ("{ credential = \"psk\" }", "LoadCredential="),
    ] {
        with(&node, source);
        let run = enlist(&node, &["join"]);
        expect(&run, 78, &[word]);
        assert!(!run.stderr.contains(PASSWORD), "{}", run.stderr);
    }
    assert_eq!(node.asked("PutCertificateRequest"), 0);
    with(&node, "{ file = \"/psk\" }");
    let joined = enlist(&node, &["join", "-vv"]);
    expect(&joined, 0, &[]);
    assert!(!joined.stderr.contains(PASSWORD));
    is_nowhere(&node);
}

/// A node with AWS, whose password is a parameter.
fn with_parameters(denied: &[&str]) -> Node {
    let node = Node::with(Options {
        puppet_ca: CaPolicy {
            autosign: Autosign::Challenge(PASSWORD.to_owned()),
            ..CaPolicy::default()
        },
        puppet_listen: Some(([127, 0, 0, 1], 0).into()),
        ssm_parameters: [("/puppet/psk".to_owned(), PASSWORD.to_owned())].into(),
        denied: denied.iter().map(|name| (*name).to_owned()).collect(),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    node
}

#[test]
fn a_password_in_the_parameter_store_is_read_when_it_is_needed() {
    let node = with_parameters(&[]);
    with(&node, "{ ssm_parameter = \"/puppet/psk\" }");
    let joined = node.enlist(&["join", "-vv"]);
    expect(&joined, 0, &["GetParameter"]);
    assert!(!joined.stderr.contains(PASSWORD), "{}", joined.stderr);
    is_nowhere(&node);
    assert_eq!(node.asked("GetParameter"), 1);
    let calls = serde_json::to_string(&*node.emulator.calls()).unwrap();
    assert!(!calls.contains(PASSWORD), "the emulator shows it");
    // A member does not need it.
    expect(&node.enlist(&["join"]), 0, &[]);
    expect(&node.enlist(&["leave"]), 0, &[]);
    assert_eq!(node.asked("GetParameter"), 1);
}

#[test]
fn a_parameter_that_cannot_be_read_ends_the_join_before_the_ca_is_asked() {
    let node = with_parameters(&[]);
    with(&node, "{ ssm_parameter = \"/none\" }");
    expect(&node.enlist(&["join"]), 78, &["does not exist", "aws ssm put-parameter", "/none"]);
    let node = with_parameters(&["GetParameter"]);
    with(&node, "{ ssm_parameter = \"/puppet/psk\" }");
    expect(&node.enlist(&["join"]), 77, &["GetParameter", "enlist policy"]);
    assert_eq!(node.asked("PutCertificateRequest"), 0);
    // Without credentials for AWS.
    expect(&enlist(&node, &["join"]), 77, &["GetParameter", "no usable credentials"]);
}

#[test]
fn the_policy_lists_what_reading_a_parameter_needs() {
    let node = with_parameters(&[]);
    let policy = |source: &str| {
        with(&node, source);
        serde_json::from_str::<serde_json::Value>(&node.enlist(&["policy"]).stdout).unwrap()
    };
    assert_eq!(policy("{ file = \"/psk\" }")["Statement"], serde_json::json!([]));
    for (name, arn) in [
        ("/puppet/psk", "arn:aws:ssm:*:*:parameter/puppet/psk"),
        ("psk:3", "arn:aws:ssm:*:*:parameter/psk"),
        ("arn:aws:ssm:a:1:parameter/x:2", "arn:aws:ssm:a:1:parameter/x"),
    ] {
        let policy = policy(&format!("{{ ssm_parameter = \"{name}\" }}"));
        let [read, decrypt] = policy["Statement"].as_array().unwrap().as_slice() else {
            panic!("{policy}")
        };
        assert_eq!(read["Action"][0], "ssm:GetParameter");
        assert_eq!(read["Resource"][0], arn);
        assert_eq!(decrypt["Action"][0], "kms:Decrypt");
        let condition = &decrypt["Condition"]["StringLike"];
        assert_eq!(condition["kms:EncryptionContext:PARAMETER_ARN"][0], arn);
    }
}

#[test]
fn a_password_that_is_gone_after_it_was_used_is_not_missed() {
    let node = node(Autosign::Off, &[]);
    node.write("psk", PASSWORD);
    with(&node, "{ file = \"/psk\" }");
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    fs::remove_file(node.path("psk")).unwrap();
    admin(&node, "sign");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.asked("PutCertificateRequest"), 1);
    is_nowhere(&node);
}

#[test]
fn a_request_that_is_sent_again_by_a_later_start_has_its_password() {
    let node = node(Autosign::Off, &[]);
    node.write("psk", PASSWORD);
    with(&node, "{ file = \"/psk\" }");
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    admin(&node, "clean");
    expect(&enlist(&node, &["join"]), 75, &["has not signed"]);
    assert_eq!(node.asked("PutCertificateRequest"), 2);
    let sent = node.emulator.state()["puppet_ca"].to_string();
    assert!(!sent.contains(PASSWORD), "the emulator shows it");
    assert_eq!(passwords_of(&node), [PASSWORD]);
}

/// The challenge passwords of the requests that wait.
fn passwords_of(node: &Node) -> Vec<String> {
    let request = ask_ca(node, &format!("/puppet-ca/v1/certificate_request/{NAME}"));
    node.write("pending.pem", &request);
    let shown = openssl(&["req", "-in", text(&node.path("pending.pem")), "-noout", "-text"]);
    let found = shown.lines().filter_map(|line| line.split_once("challengePassword"));
    found.map(|(_, rest)| rest.trim_start_matches([' ', ':']).to_owned()).collect()
}

/// A GET at the CA, by curl.
fn ask_ca(node: &Node, path: &str) -> String {
    let url = format!("{}{path}", node.emulator.puppet_url().unwrap().trim_end_matches('/'));
    let url = url.replace("127.0.0.1", "localhost");
    let output = std::process::Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--cacert", text(&node.path("ca.pem")), &url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Both targets use Puppet; the password belongs to one of the authorities.
#[test]
fn another_authority_of_the_same_engine_does_not_get_the_password() {
    let node = node(Autosign::Challenge(PASSWORD.to_owned()), &[]);
    node.write("psk", PASSWORD);
    let text_of = settings(&node, "\"localhost\"", "30s");
    let text_of = text_of.replace("port =", "challenge_password = { file = \"/psk\" }\nport =");
    node.settings(&format!("[opsworks-cm]\nserver = \"puppet-test\"\n{text_of}"));
    expect(&node.enlist(&["join", "--target", "opsworks-cm"]), 0, &[]);
    let state = node.emulator.state();
    node.write("sent.pem", state["associations"][0]["csr"].as_str().unwrap());
    let shown = openssl(&["req", "-in", text(&node.path("sent.pem")), "-noout", "-text"]);
    assert!(!shown.contains("challengePassword"), "{shown}");
}
