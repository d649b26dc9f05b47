//! Pre-shared keys and challenge passwords, which prove that a node may join.

use std::fs;

use enlist_emulator::Options;

use crate::QUERIES;
use crate::common::server::{Server, whole};
use crate::common::{self, Node, run, target_node_with};
use crate::trace::{Traced, may_trace, traced};

pub const PRESHARED: &str = "PRESHARED-0123456789-abcdef";
const CHALLENGE: &str = "CHALLENGE-0123456789-abcdef";
const FROM_TAG: &str = "FROM-A-TAG-0123456789-abcdef";

/// The lines of the request that the authority got. It holds the secrets, encoded.
fn request_lines(node: &Node) -> Vec<Vec<u8>> {
    let calls = node.emulator.calls();
    let call = calls.iter().rfind(|call| call.action == "AssociateNode").unwrap();
    let csr = call.request["EngineAttributes"][0]["Value"].as_str().unwrap().to_owned();
    let der = pem::parse(&csr).unwrap().into_contents();
    let has = |secret: &str| der.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(has(CHALLENGE) && (has(PRESHARED) || has(FROM_TAG)), "the request has no secrets");
    csr.lines().filter(|line| line.len() == 64).map(|line| line.as_bytes().to_vec()).collect()
}

/// Checks that the secrets are in no output and in no file except the admin's own, and are sent only
/// as part of the request.
fn proofs_only_in_request(node: &Node, traced: &Traced, request: &[Vec<u8>]) {
    let secrets = [PRESHARED, CHALLENGE, FROM_TAG];
    for secret in secrets {
        assert!(!traced.said.contains(secret), "{}", traced.said);
    }
    for call in &traced.calls {
        // strace starts the program with these variables.
        if call.is("execve") && call.texts[0].ends_with(b"/enlist") {
            continue;
        }
        for secret in secrets {
            assert!(!call.holds(secret.as_bytes()), "{}: {}", call.program, call.to());
        }
        if request.iter().any(|line| call.holds(line)) {
            let is_sent = call.is_ours() && !call.to().starts_with('/') && !call.is("execve");
            assert!(is_sent, "the request goes to {}: {}", call.to(), call.line);
        }
    }
    for file in node.files() {
        if file.ends_with("enlist.toml") || file.ends_with("csr_attributes.yaml") {
            continue;
        }
        let content = fs::read(node.path(&file)).unwrap();
        let holds = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
        let is_kept = secrets.iter().any(|secret| holds(secret.as_bytes()));
        assert!(!is_kept && !request.iter().any(|line| holds(line)), "{file}");
    }
}

fn node_with_proofs(settings: &str, tag: Option<&str>) -> Node {
    let mut options = Options::default();
    let tags = tag.map(|tag| [("pp_preshared_key".to_owned(), tag.to_owned())].into());
    options.instance.tags = tags;
    let node = target_node_with(settings, &[], options);
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        &format!("custom_attributes:\n  1.2.840.113549.1.9.7: {CHALLENGE}\n"),
    );
    node
}

#[test]
fn proofs_are_sent_to_the_authority_only() {
    if !may_trace() {
        return;
    }
    let settings = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";
    let of_ours =
        format!("{settings}extension_requests = {{ pp_preshared_key = \"{PRESHARED}\" }}\n");
    let by_oid = format!(
        "{settings}extension_requests = {{ \"1.3.6.1.4.1.34380.1.1.4\" = \"{PRESHARED}\" }}\n"
    );
    for (settings, tag, umask, format) in [
        (of_ours.as_str(), None, "000", "json"),
        (by_oid.as_str(), None, "077", "text"),
        (settings, Some(FROM_TAG), "000", "text"),
    ] {
        let node = node_with_proofs(settings, tag);
        // A request that an earlier version, or Puppet, has left.
        let request =
            format!("etc/puppetlabs/puppet/ssl/certificate_requests/{}.pem", common::NAME);
        node.write(&request, &format!("{CHALLENGE}\n"));
        let joined = traced(&node, &["join", "-vv", "--log-format", format], umask, 0);
        assert!(!node.path(&request).exists());
        let lines = request_lines(&node);
        assert!(lines.len() > 5);
        proofs_only_in_request(&node, &joined, &lines);
        for arguments in QUERIES.into_iter().chain([&["leave", "-vv"][..]]) {
            proofs_only_in_request(&node, &traced(&node, arguments, umask, 0), &lines);
        }
    }
}

/// Checks that it ended with this code, and shows no secret.
fn shows_no_proof(what: &str, run: &common::Run, code: i32) {
    assert_eq!(run.code, code, "{what}: {}", run.stderr);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains(PRESHARED) && !said.contains(CHALLENGE), "{what}: {said}");
}

#[test]
fn errors_in_settings_do_not_show_a_proof() {
    let server = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\n";
    let mistakes = [
        format!("extension_requests = \"pp_preshared_key={PRESHARED}\"\n"),
        format!("extension_requests = [\"{PRESHARED}\"]\n"),
        format!("extension_requests = {{ pp_preshared_key = [\"{PRESHARED}\"] }}\n"),
        format!("extension_requests = {{ pp_preshared_key = \"{PRESHARED} }}\n"),
        format!("extension_requests = {{ pp_preshared_key = {PRESHARED} }}\n"),
        format!("extension_requests = {{ pp_preshared_key = \"{PRESHARED}\", pp_rule = \"x\" }}\n"),
        format!("extension_requests = {{ pp_presharedkey = \"{PRESHARED}\" }}\n"),
        format!("extension_request = {{ pp_preshared_key = \"{PRESHARED}\" }}\n"),
        format!(
            "extension_requests.pp_preshared_key = \"{PRESHARED}\"\nextension_requests.pp_preshared_key = \"{PRESHARED}\"\n"
        ),
    ];
    let node = Node::new();
    for text in &mistakes {
        node.settings(&format!("{server}{text}"));
        shows_no_proof(text, &node.enlist(&["check", "-vv"]), 78);
    }
    node.settings(server);
    for set in [
        format!("puppet.extension_requests={PRESHARED}"),
        format!("puppet.extension_request=pp_preshared_key={PRESHARED}"),
        format!("puppet.extension_requests=pp_preshared_key={PRESHARED},{PRESHARED}"),
        format!("puppet.extension_requests=pp_rule=x,pp_preshared_key={PRESHARED}"),
    ] {
        shows_no_proof(&set, &node.enlist(&["check", "-vv", "--set", &set]), 78);
    }
    for (name, value) in [
        ("ENLIST_PUPPET_EXTENSION_REQUESTS", PRESHARED.to_owned()),
        ("ENLIST_PUPPET_EXTENSION_REQUEST", format!("pp_preshared_key={PRESHARED}")),
    ] {
        shows_no_proof(name, &run(node.command(&["check", "-vv"]).env(name, value)), 78);
    }
    // Valid settings: the value is replaced by `(secret)`.
    let set = format!("puppet.extension_requests=PP_ROLE=x,pp_preshared_key={PRESHARED}");
    let valid = set.replace("PP_ROLE", "pp_role");
    for arguments in [&["check"][..], &["check", "--json"]] {
        let shown = node.enlist(&[arguments, &["--set", &valid]].concat());
        shows_no_proof("check", &shown, 0);
        assert!(
            shown.stdout.contains("(secret)") && shown.stdout.contains("pp_role"),
            "{}",
            shown.stdout
        );
    }
}

#[test]
fn errors_in_csr_attributes_do_not_show_a_proof() {
    let node = Node::new();
    for yaml in [
        format!("custom_attributes:\n  challengePassword: [{CHALLENGE}]\n"),
        format!("custom_attributes: {CHALLENGE}\n"),
        format!("custom_attributes: {{ challengePassword: {CHALLENGE}\n"),
        format!("custom_attributes:\n  challenge-password: {CHALLENGE}\n"),
        format!("extension_requests:\n  pp_presharedkey: {CHALLENGE}\n"),
        format!("{CHALLENGE}\n"),
    ] {
        node.write("etc/puppetlabs/puppet/csr_attributes.yaml", &yaml);
        shows_no_proof(&yaml, &node.enlist(&["join", "-vv"]), 78);
        assert!(!node.read("var/lib/enlist/opsworks-cm/record.json").contains(CHALLENGE));
    }
}

/// Services quote what they refuse.
#[test]
fn a_request_that_comes_back_in_an_error_is_not_shown() {
    use std::io::Write;
    let node = node_with_proofs("", None);
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.settings("[node]\nbudget = \"5s\"\n[opsworks-cm]\nserver = \"puppet-test\"\nengine = \"puppet\"\nendpoint = \"p.example\"\nca_file = \"/ca.pem\"\n[puppet]\nkey_bits = 2048\n");
    let (sent, csr) = std::sync::mpsc::channel();
    let server = Server::start(move |_, body, stream| {
        let request: serde_json::Value = serde_json::from_str(body).unwrap();
        let csr = request["EngineAttributes"][0]["Value"].as_str().unwrap().to_owned();
        let message = format!("1 validation error detected: Value '{csr}' at 'engineAttributes'");
        let body = serde_json::json!({ "__type": "ValidationException", "message": message });
        sent.send(csr).unwrap();
        stream.write_all(whole("400 Bad Request", &body.to_string()).as_bytes())
    });
    let mut command = node.command(&["join", "-vv"]);
    let refused = run(command.env("AWS_ENDPOINT_URL", server.url()));
    common::expect(&refused, 69, &["validation error detected", "(secret)"]);
    let record = node.read("var/lib/enlist/opsworks-cm/record.json");
    for line in csr.recv().unwrap().lines().filter(|line| line.len() == 64) {
        assert!(!refused.stderr.contains(line) && !record.contains(line), "{}", refused.stderr);
    }
}
