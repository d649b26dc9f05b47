//! Answers that are not those of a CA, and certificates that the agent could not use: each a fault of the
//! right kind, nothing installed, and the next join ends well.

use enlist_emulator::control::Autosign;

use super::common::{NAME, Node, expect};
use super::{admin, enlist, node, port, settings};

const LISTS: &str = "GetCertificateRevocationList";
const LOOK: &str = "GetCertificate";
const PUT: &str = "PutCertificateRequest";

fn nothing_is_installed(node: &Node) {
    assert!(!node.certificate().exists() && !node.ssl("certs/ca.pem").exists());
    assert!(!node.path("etc/puppetlabs/puppet/puppet.conf").exists());
}

/// A proxy's page, a compiler, half an answer. The request may have arrived where it was a submission.
#[test]
fn what_is_no_answer_of_a_ca_is_named_and_loses_nothing() {
    let no_ca =
        ["is not a Puppet CA", "without X-Puppet-Version: a proxy, a balancer, or a compiler"];
    for (action, kind, code, words) in [
        (LISTS, "html", 76, &no_ca[..]),
        (LOOK, "html", 76, &no_ca),
        (LOOK, "html-403", 76, &no_ca),
        (LISTS, "garbage", 76, &no_ca),
        (PUT, "html", 76, &no_ca),
        (LISTS, "truncated", 0, &["no whole answer came"]),
        (PUT, "truncated", 0, &[]),
    ] {
        let node = node(Autosign::On, &[&format!("puppet-ca:{action}={kind}*1")]);
        let said = enlist(&node, &["join"]);
        expect(&said, code, words);
        if code != 0 {
            nothing_is_installed(&node);
            expect(&enlist(&node, &["join"]), 0, &[]);
        }
        assert_eq!(node.asked(PUT), if kind == "html" && action == PUT { 2 } else { 1 }, "{kind}");
    }
}

/// The certificate that the CA has signed is wrong in one way.
#[test]
fn a_certificate_that_the_agent_could_not_use_is_not_installed() {
    for (wrong, code, word) in [
        ("other-key", 69, "for another key"),
        ("other-name", 65, "name"),
        ("other-ca", 65, "signed"),
        ("expired", 65, "expired"),
        ("two", 65, "2"),
        ("not-pem", 65, "PEM"),
    ] {
        let fault = format!("puppet-ca:PutCertificateRequest=cert:{wrong}*1");
        let node = node(Autosign::On, &[&fault]);
        // Another key's certificate is waited out: the CA may not have signed the request yet.
        let budget = if wrong == "other-key" { "8s" } else { "60s" };
        node.settings(&settings(&node, "\"localhost\"", budget));
        let said = enlist(&node, &["join"]);
        expect(&said, code, &[word]);
        nothing_is_installed(&node);
        admin(&node, "clean");
        expect(&enlist(&node, &["join"]), 0, &[]);
    }
}

/// Under autosign, a refusal of the extensions leaves the request at the CA (its source, the order of
/// `process-csr-submission!`).
#[test]
fn the_first_reason_of_a_refusal_is_kept_and_the_next_join_finds_the_request() {
    let node = node(Autosign::On, &[]);
    let asking = "dns_alt_names = [\"www.example.com\"]\nport =";
    let good = settings(&node, "\"localhost\"", "8s");
    node.settings(&good.replace("port =", asking));
    expect(&enlist(&node, &["join"]), 69, &["subject alternative names"]);
    let kept = node.files().into_iter().filter(|file| file.contains("evidence/"));
    let kept: Vec<String> = kept.map(|file| node.read(&file)).collect();
    assert!(kept.iter().any(|text| text.contains("which are disallowed")), "{kept:?}");
    node.settings(&good);
    let clean = format!("puppetserver ca clean --certname {NAME}");
    let why = ["has not signed", "which are disallowed", "allow-subject-alt-names", &clean];
    for _ in 0..2 {
        let said = enlist(&node, &["join"]);
        expect(&said, 75, &why);
        assert!(!said.stderr.contains("puppetserver ca sign"), "{}", said.stderr);
    }
    assert_eq!(node.asked(PUT), 1);
    admin(&node, "clean");
    expect(&enlist(&node, &["join"]), 0, &[]);
}

#[test]
fn a_ca_file_is_read_as_puppet_reads_it_or_refused() {
    let node = node(Autosign::On, &[]);
    let good = node.read("ca.pem");
    let huge = "# a comment\n".repeat(200_000);
    let cut = &good[..good.len() / 2];
    for (text, word) in [
        ("", "puppet-server.ca_file"),
        ("no PEM\n", "puppet-server.ca_file"),
        (cut, "puppet-server.ca_file"),
        (&huge, "puppet-server.ca_file"),
        (&good.replace("CERTIFICATE", "X509 CRL"), "puppet-server.ca_file"),
    ] {
        node.write("ca.pem", text);
        expect(&enlist(&node, &["join"]), 78, &[word]);
    }
    assert!(node.emulator.calls().is_empty());
    // As `openssl x509 -text` writes it.
    node.write("ca.pem", &format!("Certificate:\n    Data: ...\n{good}\nthe end\n"));
    expect(&enlist(&node, &["join"]), 0, &[]);
    let installed = std::fs::read_to_string(node.ssl("certs/ca.pem")).unwrap();
    assert!(!installed.contains("Data:"), "{installed}");
}

#[test]
fn a_port_of_something_else_is_named() {
    use super::common::server::Server;
    let node = node(Autosign::On, &[]);
    let good = settings(&node, "\"localhost\"", "5s");
    for (answer, code) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", 75),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<p/>", 75),
    ] {
        let other = Server::saying(answer);
        node.settings(&good.replace(port(&node), &other.port.to_string()));
        expect(&enlist(&node, &["join"]), code, &["does not speak TLS", "the right port"]);
    }
    nothing_is_installed(&node);
}
