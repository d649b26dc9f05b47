//! `[puppet-server]` end to end: the program against the emulator's Puppet CA over TLS, and checks
//! by OpenSSL.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "puppet_server/authority.rs"]
mod authority;
#[path = "puppet_server/bad_answers.rs"]
mod bad_answers;
mod common;
#[path = "puppet_server/leaving.rs"]
mod leaving;
#[path = "puppet_server/list_times.rs"]
mod list_times;
#[path = "puppet_server/network.rs"]
mod network;
#[path = "puppet_server/password.rs"]
mod password;
#[path = "puppet_server/refresh.rs"]
mod refresh;
#[path = "puppet_server/renewal.rs"]
mod renewal;
#[path = "puppet_server/revoked_server.rs"]
mod revoked_server;
#[path = "puppet_server/servers.rs"]
mod servers;
#[path = "puppet_server/waiting.rs"]
mod waiting;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use common::server::Server;
use common::{NAME, Node, OtherMachine, expect, openssl, run, text};
use enlist_emulator::control::{Autosign, CaPolicy};
use enlist_emulator::{CaSource, Emulator, Options};
use serde_json::Value;

const LOOK: [&str; 3] = ["GetCertificateRevocationList", "GetCertificate", "GetCertificateRequest"];

fn node(autosign: Autosign, faults: &[&str]) -> Node {
    node_at("127.0.0.1:0", autosign, faults)
}

/// A node whose Puppet Server listens there.
fn node_at(listen: &str, autosign: Autosign, faults: &[&str]) -> Node {
    let node = Node::with(Options {
        puppet_ca: CaPolicy { autosign, ..CaPolicy::default() },
        puppet_listen: Some(listen.parse().unwrap()),
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..Options::default()
    });
    node.write("ca.pem", &node.emulator.ca_bundle());
    node.settings(&settings(&node, "\"localhost\"", "30s"));
    node
}

fn port(node: &Node) -> &str {
    node.emulator.puppet_url().unwrap().rsplit(':').next().unwrap().trim_end_matches('/')
}

fn settings(node: &Node, servers: &str, budget: &str) -> String {
    format!(
        "[puppet-server]\nserver = {servers}\nport = {}\nca_file = \"/ca.pem\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"{budget}\"\n",
        port(node)
    )
}

/// The program on a machine without AWS settings.
fn enlist(node: &Node, arguments: &[&str]) -> common::Run {
    let mut command = node.command(arguments);
    for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    run(&mut command)
}

/// The digits as `openssl x509 -fingerprint` shows them.
fn colons(digits: &str) -> String {
    let pairs: Vec<&str> = (0..digits.len() / 2).map(|at| &digits[2 * at..2 * at + 2]).collect();
    pairs.join(":").to_uppercase()
}

/// `status --probe` and `doctor` find what a join or a renewal would meet now.
#[track_caller]
fn check(node: &Node, code: i32, words: &[&str]) {
    for arguments in [&["status", "--probe"][..], &["doctor"]] {
        let said = enlist(node, arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}{}", said.stdout, said.stderr);
        for word in words {
            assert!(said.stdout.contains(word), "{arguments:?}: {word}: {}", said.stdout);
        }
    }
}

fn asked(node: &Node) -> Vec<String> {
    node.emulator.calls().iter().map(|call| call.action.clone()).collect()
}

/// What a person does with `puppetserver ca WORD --certname NAME`.
fn admin(node: &Node, word: &str) {
    let place = node.emulator.api_url().trim_start_matches("http://").trim_end_matches('/');
    let body = format!("{{\"name\": \"{NAME}\"}}");
    let head = format!(
        "POST /_emulator/v1/puppet-ca/puppet-test/{word} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_node_joins_with_five_requests_and_openssl_agrees() {
    let node = node(Autosign::On, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    let mut wanted = LOOK.to_vec();
    wanted.extend(["PutCertificateRequest", "GetCertificate"]);
    assert_eq!(asked(&node), wanted);
    let (ca, crl) = (node.ssl("certs/ca.pem"), node.ssl("crl.pem"));
    let certificate = node.certificate();
    openssl(&[
        "verify",
        "-crl_check_all",
        "-purpose",
        "sslclient",
        "-CAfile",
        text(&ca),
        "-CRLfile",
        text(&crl),
        text(&certificate),
    ]);
    let of_key = openssl(&["pkey", "-in", text(&node.key()), "-pubout"]);
    assert_eq!(of_key, openssl(&["x509", "-in", text(&certificate), "-noout", "-pubkey"]));
    let conf = node.read("etc/puppetlabs/puppet/puppet.conf");
    assert!(conf.contains("server = localhost\n"), "{conf}");
    assert!(conf.contains(&format!("serverport = {}\n", port(&node))), "{conf}");
    // A member asks nothing.
    let before = asked(&node).len();
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(asked(&node).len(), before);
    expect(&enlist(&node, &["status"]), 0, &[]);
}

#[test]
fn a_pin_of_the_text_or_of_a_certificate_is_enough_and_another_one_stops() {
    let node = node(Autosign::On, &[]);
    let bundle = text(&node.path("ca.pem")).to_owned();
    let of_text = openssl(&["dgst", "-sha256", "-r", &bundle]);
    let of_text = of_text.split_whitespace().next().unwrap().to_owned();
    let of_der = openssl(&["x509", "-in", &bundle, "-noout", "-fingerprint", "-sha256"]);
    let of_der = of_der.trim().rsplit('=').next().unwrap().to_owned();
    let good = settings(&node, "\"localhost\"", "30s");
    let pinned =
        |pin: &str| good.replace("ca_file = \"/ca.pem\"", &format!("ca_fingerprint = \"{pin}\""));
    for pin in [&of_text, &of_der] {
        node.settings(&pinned(pin));
        expect(&enlist(&node, &["join"]), 0, &[]);
        assert_eq!(fs::read_to_string(node.ssl("certs/ca.pem")).unwrap(), node.read("ca.pem"));
        expect(&enlist(&node, &["leave"]), 0, &[]);
        admin(&node, "clean");
    }
    let asked_before = asked(&node).len();
    node.settings(&pinned(&"ab".repeat(32)));
    let said = enlist(&node, &["join"]);
    expect(&said, 65, &["can't be trusted", &colons(&of_text), &of_der]);
    assert_eq!(asked(&node).len(), asked_before + 1, "nothing was sent after the CA");
    assert!(!node.path("var/lib/enlist/puppet-server/key.pem").exists());
}

#[test]
fn trust_on_first_use_has_to_be_asked_for_and_is_said_aloud() {
    let node = node(Autosign::On, &[]);
    let good = settings(&node, "\"localhost\"", "30s");
    node.settings(&good.replace("ca_file = \"/ca.pem\"\n", ""));
    expect(&enlist(&node, &["join"]), 78, &["trust_on_first_use"]);
    node.settings(&good.replace("ca_file = \"/ca.pem\"", "trust_on_first_use = true"));
    let joined = enlist(&node, &["join"]);
    expect(&joined, 0, &["trusted without a check", "ca_fingerprint"]);
    // Each time that the membership is shown; the exit code does not depend on it.
    for _ in 0..2 {
        let said = enlist(&node, &["status"]);
        expect(&said, 0, &[]);
        assert!(said.stdout.contains("trusted without a check (trust_on_first_use)"), "{said:?}");
    }
    let json: Value = serde_json::from_str(&enlist(&node, &["status", "--json"]).stdout).unwrap();
    let warning = json["targets"][0]["warnings"][0].as_str().unwrap();
    let pin = warning.split('"').nth(1).unwrap();
    assert_eq!(json["well"], true);
    // One form everywhere: that of OpenSSL's command, which is named.
    let ca = node.path("ca.pem");
    let shown = openssl(&["x509", "-in", text(&ca), "-noout", "-fingerprint", "-sha256"]);
    assert!(shown.contains(pin) && joined.stderr.contains(pin), "{pin}: {}", joined.stderr);
    // The pin that it names is taken.
    let pinned = format!("ca_fingerprint = \"{pin}\"");
    node.settings(&good.replace("ca_file = \"/ca.pem\"", &pinned));
    expect(&enlist(&node, &["join"]), 0, &[]);
    let said = enlist(&node, &["status"]);
    expect(&said, 0, &[]);
    assert!(!said.stdout.contains("warning"), "{said:?}");
}

/// The CA was trusted on first use, and is pinned later.
#[test]
fn a_pin_that_is_not_of_the_members_ca_is_a_problem() {
    let node = node(Autosign::On, &[]);
    let good = settings(&node, "\"localhost\"", "30s");
    node.settings(&good.replace("ca_file = \"/ca.pem\"", "trust_on_first_use = true"));
    expect(&enlist(&node, &["join"]), 0, &[]);
    let other = Emulator::start(Options { ca: CaSource::Own, ..Options::default() }).unwrap();
    node.write("other.pem", &other.ca_bundle());
    let command = "enlist leave --force --target puppet-server";
    for (line, setting) in [
        ("ca_file = \"/other.pem\"".to_owned(), "puppet-server.ca_file"),
        (format!("ca_fingerprint = \"{}\"", "ab".repeat(32)), "puppet-server.ca_fingerprint"),
    ] {
        node.settings(&good.replace("ca_file = \"/ca.pem\"", &line));
        let said = enlist(&node, &["status"]);
        assert_eq!(said.code, 78, "{}", said.stdout);
        for word in ["another CA than the one that this node joined", setting, command] {
            assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
        }
        expect(&enlist(&node, &["join"]), 0, &["is of another CA", setting, command]);
    }
    // The right one is none, as a file and as a pin of either form.
    let text_pin = openssl(&["dgst", "-sha256", "-r", text(&node.path("ca.pem"))]);
    let text_pin = text_pin.split_whitespace().next().unwrap();
    for line in ["ca_file = \"/ca.pem\"".to_owned(), format!("ca_fingerprint = \"{text_pin}\"")] {
        node.settings(&good.replace("ca_file = \"/ca.pem\"", &line));
        expect(&enlist(&node, &["status"]), 0, &[]);
    }
}

#[test]
fn a_request_that_nobody_signs_is_waited_for_and_taken_once_it_is_signed() {
    let node = node(Autosign::Off, &[]);
    node.settings(&settings(&node, "\"localhost\"", "5s"));
    let said = enlist(&node, &["join"]);
    let sign = format!("puppetserver ca sign --certname {NAME}");
    expect(&said, 75, &["has not signed", &sign, "puppetserver ca clean"]);
    assert!(!node.certificate().exists());
    admin(&node, "sign");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.asked("PutCertificateRequest"), 1);
    assert!(node.certificate().exists());
}

#[test]
fn a_lost_reply_is_settled_by_looking_and_nothing_is_sent_twice() {
    for fault in ["lost-reply", "lost-before", "500"] {
        let node = node(Autosign::On, &[&format!("puppet-ca:PutCertificateRequest={fault}*1")]);
        expect(&enlist(&node, &["join"]), 0, &[]);
        let puts = node.asked("PutCertificateRequest");
        // An error of the server may or may not have had an effect; the CA says which.
        assert_eq!(puts, if fault == "lost-reply" { 1 } else { 2 }, "{fault}: {:?}", asked(&node));
    }
}

#[test]
fn a_node_without_a_record_takes_what_is_its_own() {
    let node = node(Autosign::On, &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    fs::remove_dir_all(node.path("var/lib/enlist")).unwrap();
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.asked("PutCertificateRequest"), 1);
}

#[test]
fn a_name_that_another_machine_has_is_explained() {
    for autosign in [Autosign::On, Autosign::Off] {
        let node = node(autosign, &[]);
        let name = format!("[node]\nname = \"{NAME}\"\n");
        let text = settings(&node, "\"localhost\"", "5s").replace("[node]\n", &name);
        let other = OtherMachine::new(&node, &text);
        fs::write(other.path("ca.pem"), node.emulator.ca_bundle()).unwrap();
        other.off_ec2(&["join"]);
        assert_eq!(node.asked("PutCertificateRequest"), 1);
        let said = enlist(&node, &["join"]);
        let clean = format!("puppetserver ca clean --certname {NAME}");
        expect(&said, 69, &["for another key", "of this node's: ", &clean]);
        assert_eq!(node.asked("PutCertificateRequest"), 1, "nothing of ours was sent");
        admin(&node, "clean");
        let again = enlist(&node, &["join"]);
        assert!([0, 75].contains(&again.code), "{}", again.stderr);
        assert_eq!(node.asked("PutCertificateRequest"), 2);
    }
}

#[test]
fn servers_are_tried_in_their_order() {
    let node = node(Autosign::On, &[]);
    node.settings(&settings(&node, "[\"no-such-host.invalid\", \"localhost\"]", "30s"));
    expect(&enlist(&node, &["join"]), 0, &[]);
    let conf = node.read("etc/puppetlabs/puppet/puppet.conf");
    assert!(conf.contains("server = localhost\n"), "{conf}");
}

#[test]
fn a_server_of_another_ca_and_one_that_is_none_are_told_apart() {
    let node = node(Autosign::On, &[]);
    let other = Emulator::start(Options { ca: CaSource::Own, ..Options::default() }).unwrap();
    node.write("ca.pem", &other.ca_bundle());
    expect(&enlist(&node, &["join"]), 78, &["another authority", "ca_file"]);
    assert!(!node.path("var/lib/enlist/puppet-server/key.pem").exists());
    let plain = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let said = settings(&node, "\"localhost\"", "5s");
    let said = said.replace(port(&node), &plain.port.to_string());
    node.settings(&said);
    expect(&enlist(&node, &["join"]), 75, &["no secure connection"]);
}

#[test]
fn alternative_names_are_asked_for_only_if_they_are_set() {
    let shown = |node: &Node| {
        openssl(&["x509", "-in", text(&node.certificate()), "-noout", "-ext", "subjectAltName"])
    };
    let plain = node(Autosign::On, &[]);
    expect(&enlist(&plain, &["join"]), 0, &[]);
    assert!(!shown(&plain).contains("www.example.com"));
    for allowed in [false, true] {
        let node = Node::with(Options {
            puppet_ca: CaPolicy {
                autosign: Autosign::On,
                allow_subject_alt_names: allowed,
                ..CaPolicy::default()
            },
            puppet_listen: Some(([127, 0, 0, 1], 0).into()),
            ..Options::default()
        });
        node.write("ca.pem", &node.emulator.ca_bundle());
        let good = settings(&node, "\"localhost\"", "30s");
        let asking = "dns_alt_names = [\"www.example.com\"]\nport =";
        node.settings(&good.replace("port =", asking));
        let said = enlist(&node, &["join"]);
        if !allowed {
            expect(&said, 69, &["subject alternative names", "allow-subject-alt-names"]);
            continue;
        }
        expect(&said, 0, &[]);
        let shown = shown(&node);
        assert!(shown.contains("DNS:www.example.com") && shown.contains(NAME), "{shown}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let node = node(Autosign::On, &[]);
    let good = settings(&node, "\"localhost\"", "30s");
    for (from, to, word) in [
        ("\"localhost\"", "\"a host\"", "puppet-server.server"),
        ("\"localhost\"", "[]", "puppet-server.server"),
        ("\"localhost\"", "\"127.1\"", "puppet-server.server"),
        ("\"localhost\"", "\"_x-puppet-ca._tcp.example.com\"", "dig +short SRV"),
        ("/ca.pem", "/none.pem", "puppet-server.ca_file"),
        (port(&node), "0", "puppet-server.port"),
        ("port =", "dns_alt_names = [\"*.a\"]\nport =", "puppet-server.dns_alt_names"),
        ("port =", "give_up_unsigned = \"1s\"\nport =", "puppet-server.give_up_unsigned"),
    ] {
        node.settings(&good.replace(from, to));
        expect(&enlist(&node, &["join"]), 78, &[word]);
    }
}
