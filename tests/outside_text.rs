//! Text from outside with characters that move the cursor, colour, hide or reverse what is shown: from
//! a server, metadata, files and programs. Everything that enlist writes is searched for them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests do I/O")]

mod common;
#[path = "outside_text/journal.rs"]
mod journal;

use std::collections::BTreeMap;
use std::fs;

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::server::{Server, whole};
use common::{Node, Run, run, target_node_with};
use enlist_emulator::Options;
use serde_json::json;

/// One character of each kind between two words to search for: C0, escape sequences, DEL, C1,
/// bidirectional marks, overrides and isolates, zero width, line separators, tags, fillers.
const NASTY: &str = "begin\u{7}\u{8}\u{1b}[2J\u{1b}]0;x\u{7}\u{7f}\u{9b}31m\u{85}\u{200e}\u{200f}\u{61c}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200b}\u{200c}\u{200d}\u{feff}\u{2060}\u{ad}\u{2028}\u{2029}\u{e0001}\u{e0041}\u{3164}\r\nforged=1 end";

/// Whether no output and no record may have this character.
fn is_nasty(c: char) -> bool {
    let known = NASTY.contains(c) && !c.is_ascii_graphic() && c != ' ';
    c != '\n' && (c.is_control() || known)
}

fn clean(what: &str, text: &str) {
    if let Some(c) = text.chars().find(|c| is_nasty(*c)) {
        panic!("{what} holds U+{:04X}: {text:?}", u32::from(c));
    }
    assert!(
        !text.lines().any(|line| line.starts_with("forged")),
        "{what}: a forged line: {text:?}"
    );
}

/// Checks the output, the record, and what `status` and `check` show.
fn all_clean(node: &Node, what: &str, run: &Run) {
    clean(&format!("{what}: stderr"), &run.stderr);
    clean(&format!("{what}: stdout"), &run.stdout);
    for file in node.files().iter().filter(|file| file.ends_with("record.json")) {
        clean(&format!("{what}: {file}"), &node.read(file));
    }
    for arguments in [&["status"][..], &["status", "--json"], &["check"], &["check", "--json"]] {
        let shown = node.enlist(arguments);
        clean(&format!("{what}: {arguments:?}"), &(shown.stdout + &shown.stderr));
    }
}

const SETTINGS: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1s\"\nname = \"n1\"\n";

fn node() -> Node {
    let node = Node::new();
    node.settings(SETTINGS);
    node
}

/// Joins with this endpoint and this form of the log.
fn join_at(node: &Node, url: &str, format: &str) -> Run {
    let mut command = node.command(&["join", "-vv", "--log-format", format]);
    command.env("AWS_ENDPOINT_URL", url).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
    run(&mut command)
}

#[test]
fn texts_of_a_service_are_cleaned() {
    let server_of = |member: &str| {
        let mut server = json!({ "ServerName": "puppet-test", "Status": "HEALTHY", "Engine": "Puppet", "Endpoint": "p.example" });
        server[member] = NASTY.into();
        json!({ "Servers": [server] }).to_string()
    };
    let gone = json!({ "Servers": [{ "ServerName": "puppet-test", "Status": "FAILED", "StatusReason": NASTY }] });
    let cases = [
        (
            "message",
            "400 Bad Request",
            json!({ "__type": "ValidationException", "message": NASTY }).to_string(),
            69,
        ),
        (
            "error code",
            "400 Bad Request",
            json!({ "__type": format!("x#{NASTY}"), "message": "m" }).to_string(),
            69,
        ),
        (
            "denied",
            "403 Forbidden",
            json!({ "__type": "AccessDeniedException", "message": NASTY }).to_string(),
            77,
        ),
        (
            "throttled",
            "400 Bad Request",
            json!({ "__type": "ThrottlingException", "message": NASTY }).to_string(),
            75,
        ),
        (
            "not found",
            "400 Bad Request",
            json!({ "__type": "ResourceNotFoundException", "message": NASTY }).to_string(),
            69,
        ),
        ("status", "200 OK", server_of("Status"), 75),
        ("status reason", "200 OK", gone.to_string(), 69),
        ("engine", "200 OK", server_of("Engine"), 76),
        ("endpoint", "200 OK", server_of("Endpoint"), 76),
        ("no JSON", "200 OK", NASTY.to_owned(), 76),
    ];
    for (what, status, body, code) in cases {
        let server = Server::saying(whole(status, &body));
        let url = server.url();
        for format in ["text", "json"] {
            let node = node();
            let run = join_at(&node, &url, format);
            assert_eq!(run.code, code, "{what}: {}", run.stderr);
            // It is shown, and it is clean.
            let is_said = run.stderr.contains("begin") && run.stderr.contains("end");
            assert!(is_said || what == "no JSON" || what == "error code", "{what}: {}", run.stderr);
            all_clean(&node, what, &run);
        }
    }
}

#[test]
fn the_daemons_notifications_are_cleaned() {
    // The daemon waits for this status, and reports it repeatedly.
    let body = json!({ "Servers": [{ "ServerName": "puppet-test", "Status": NASTY }] }).to_string();
    let (node, server) = (node(), Server::saying(whole("200 OK", &body)));
    node.settings(&SETTINGS.replace("\"1s\"", "\"1m\""));
    let path = node.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let log = fs::File::create(node.path("log")).unwrap();
    let mut command = node.command(&["run"]);
    command.env("AWS_ENDPOINT_URL", server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
    let mut daemon =
        command.env("NOTIFY_SOCKET", &path).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let (began, mut buffer, mut told) = (Instant::now(), vec![0; 65536], String::new());
    while !(told.contains("begin") && node.read("log").contains("begin")) {
        assert!(began.elapsed() < Duration::from_mins(1), "{told}{}", node.read("log"));
        while let Ok(length) = socket.recv(&mut buffer) {
            told.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            told.push('\n');
        }
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    clean("the notifications", &told);
    clean("the log", &node.read("log"));
    clean("the record", &node.read("var/lib/enlist/opsworks-cm/record.json"));
}

#[test]
fn texts_of_the_machine_are_cleaned() {
    let mut options = Options::default();
    let tags = [("pp_role", NASTY), ("Name", "n")];
    options.instance.tags = Some(
        tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect::<BTreeMap<_, _>>(),
    );
    options.instance.image = format!("ami-{NASTY}");
    let node = Node::with(options);
    node.write("etc/hostname", &format!("h{}", NASTY.replace(['\r', '\n'], "")));
    node.write("etc/os-release", &format!("ID=\"{}\"\nVERSION_ID=x\n", NASTY.replace('\n', "")));
    for arguments in [&["facts"][..], &["facts", "--json"]] {
        let shown = node.enlist(arguments);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(shown.stdout.contains("begin"), "{}", shown.stdout);
        clean(&format!("{arguments:?}"), &(shown.stdout + &shown.stderr));
    }
    // The identity document is passed on byte for byte: in JSON it is escaped, not changed.
    let facts: serde_json::Value =
        serde_json::from_str(&node.enlist(&["facts", "--json"]).stdout).unwrap();
    assert!(facts["ec2"]["identity"]["document"].as_str().unwrap().contains("ami-begin"));
    let joined = node.enlist(&["join", "-vv"]);
    all_clean(&node, "join", &joined);
}

#[test]
fn texts_of_files_are_cleaned_when_quoted() {
    let nasty = NASTY.replace(['\r', '\n'], "");
    // A name in csr_attributes.yaml, in YAML's escapes.
    let escaped: String = nasty.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    let node = node();
    node.write(
        "etc/puppetlabs/puppet/csr_attributes.yaml",
        &format!("extension_requests:\n  \"{escaped}\": x\n"),
    );
    let run = node.enlist(&["join", "-vv"]);
    assert_eq!(run.code, 78, "{}", run.stderr);
    all_clean(&node, "csr_attributes.yaml", &run);
    // Settings: a value, a key, a table, the name of the file.
    let quoted: String = nasty.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    for text in [
        format!("[opsworks-cm]\nserver = \"{quoted}\"\n"),
        format!("[opsworks-cm]\n\"{quoted}\" = 1\n"),
        format!("[\"{quoted}\"]\n"),
        format!("[opsworks-cm]\nserver = \"s\"\nendpoint = \"{quoted}\"\n"),
    ] {
        let node = common::Node::new();
        node.settings(&text);
        let run = node.enlist(&["check"]);
        assert_eq!(run.code, 78, "{}", run.stderr);
        assert!(run.stderr.contains("egin"), "{}", run.stderr);
        clean("check", &(run.stderr + &run.stdout));
    }
    let node = common::Node::new();
    node.write(
        &format!("etc/enlist/config.d/{}.toml", nasty.replace('/', "")),
        "[node]\nname = \"n2\"\n",
    );
    for arguments in [&["check"][..], &["check", "--json"]] {
        let run = node.enlist(arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
        clean("check", &(run.stdout + &run.stderr));
    }
    // Other content in the place of the certificate and the key.
    let node = common::Node::new();
    node.join();
    fs::write(
        node.certificate(),
        format!("-----BEGIN {nasty}-----\nAAAA\n-----END {nasty}-----\n"),
    )
    .unwrap();
    fs::write(node.key(), format!("-----BEGIN {nasty}-----\nAAAA\n-----END {nasty}-----\n"))
        .unwrap();
    for arguments in [&["status"][..], &["status", "--json"], &["join"]] {
        let run = node.enlist(arguments);
        clean(&format!("{arguments:?}"), &(run.stdout + &run.stderr));
    }
}

#[test]
fn the_output_of_a_program_is_cleaned() {
    let settings = "[ssm]\niam_role = \"service-role/SSM\"\n";
    let node = target_node_with(settings, &[], Options::default());
    node.write("said", &format!("{NASTY}\nInvalidActivation {NASTY}\n"));
    node.write(
        "usr/bin/amazon-ssm-agent",
        &format!("#!/bin/sh\ncat {} >&2\nexit 1\n", node.path("said").display()),
    );
    let program = node.path("usr/bin/amazon-ssm-agent");
    fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let arguments = ["--set", "aws.region=us-east-1", "--set", "node.budget=2s"];
    for format in ["text", "json"] {
        let run = common::off_ec2(
            &node,
            &[&["join", "-vv", "--log-format", format], &arguments[..]].concat(),
        );
        assert_eq!(run.code, 75, "{}", run.stderr);
        assert!(run.stderr.contains("begin"), "{}", run.stderr);
        all_clean(&node, "the agent", &run);
    }
}

/// A certificate's subject, in the error that names it.
#[test]
fn a_certificates_subject_is_cleaned() {
    use enlist::fault::{Fault, Kind};
    use enlist::pki::certificate::CertificateError;
    let error = CertificateError::OtherName(NASTY.to_owned());
    let fault = Fault::new(Kind::Data, NASTY, NASTY, NASTY).because(&error).cause(NASTY);
    for text in fault.causes.iter().chain([&fault.what, &fault.on, &fault.todo]) {
        clean("a fault", text);
        assert!(text.contains("begin"), "{text}");
    }
}
