//! Answers that a real API never gives. Each leads to its exit code, a helpful message, and evidence
//! where that is promised; nothing is installed, no secret is shown, and memory use stays small.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/metadata.rs"]
mod metadata;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::server::{Server, whole};
use common::{Node, Run, self_signed, text};

const SECRET_KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY";

/// The limit for the peak memory, in KiB. A debug build takes 26 MiB by itself.
const MOST_MEMORY: u64 = 64 * 1024;

fn node() -> Node {
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1s\"\nname = \"n1\"\n");
    node.write("etc/puppetlabs/puppet/ssl/certs/ca.pem", "former\n");
    node
}

/// Joins with this endpoint, without metadata, and with credentials of the test.
fn join_at(node: &Node, url: &str) -> (Run, u64) {
    let mut command = node.command(&["join", "-vv"]);
    command.env("AWS_ENDPOINT_URL", url).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    measured(&mut command)
}

/// Runs a command, and returns its peak memory, too (`VmHWM`, in KiB).
fn measured(command: &mut Command) -> (Run, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = [
        std::thread::spawn(move || text_of(&mut out)),
        std::thread::spawn(move || text_of(&mut err)),
    ];
    let (status, mut most) = (format!("/proc/{}/status", child.id()), 0);
    let code = loop {
        let peak = fs::read_to_string(&status).unwrap_or_default();
        let peak =
            peak.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        most = most.max(peak.and_then(|peak| peak.parse().ok()).unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended.code().unwrap_or(-1);
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    assert!(!stderr.contains("panicked"), "{stderr}");
    (Run { code, stdout, stderr }, most)
}

fn text_of(pipe: &mut impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

/// Checks what must hold whatever the answer was.
fn refused(node: &Node, (run, memory): &(Run, u64), code: i32, words: &[&str]) {
    common::expect(run, code, words);
    for part in ["enlist: ", "\n  on: ", "\n  to do: "] {
        assert!(run.stderr.contains(part), "{part:?} is not in: {}", run.stderr);
    }
    assert!(*memory > 0 && *memory < MOST_MEMORY, "{memory} KiB");
    let ssl = node.files().into_iter().filter(|file| file.starts_with("etc/puppetlabs"));
    assert_eq!(ssl.collect::<Vec<_>>(), ["etc/puppetlabs/puppet/ssl/certs/ca.pem"]);
    assert_eq!(node.read("etc/puppetlabs/puppet/ssl/certs/ca.pem"), "former\n");
    assert!(!run.stderr.contains(SECRET_KEY) && !run.stdout.contains(SECRET_KEY));
    for file in node.files() {
        let content = fs::read(node.path(&file)).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains(SECRET_KEY), "{file}");
    }
}

fn evidence(node: &Node) -> Option<String> {
    let file = node.files().into_iter().find(|file| file.contains("/evidence/"))?;
    assert_eq!(common::mode(&node.path(&file)), 0o600);
    Some(node.read(&file))
}

#[test]
fn an_answer_that_is_not_the_apis_is_protocol_and_kept_as_evidence() {
    let deep = format!("{{\"Unknown\":{}", "[".repeat(400_000));
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "more than it said",
            "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"Servers\":[]}".into(),
            "200",
        ),
        ("a text", whole("200 OK", "\"hello\""), "hello"),
        ("null", whole("200 OK", "null"), "null"),
        ("wrong types", whole("200 OK", "{\"Servers\":{\"ServerName\":1}}"), "ServerName"),
        ("a number", whole("200 OK", "{\"Servers\":[7]}"), "7"),
        ("deep", whole("200 OK", &deep), "200"),
        (
            "302",
            whole("302 Found\r\nlocation: http://127.0.0.1:1/", ""),
            "location: http://127.0.0.1:1/",
        ),
        ("307", whole("307 Moved\r\nlocation: http://127.0.0.1:1/", ""), "307"),
        ("odd", whole("299 Odd", "<html>"), "299"),
    ];
    for (what, bytes, kept) in cases {
        let (node, server) = (node(), Server::saying(bytes));
        let run = join_at(&node, &server.url());
        println!("{what}: exit {}", run.0.code);
        refused(&node, &run, 76, &["aws.endpoint_url"]);
        assert_eq!(server.asked(), 1, "{what}: asked once, and no redirect is followed");
        let evidence = evidence(&node).unwrap_or_else(|| panic!("{what}: no evidence"));
        assert!(evidence.contains(kept), "{what}: {evidence}");
    }
}

#[test]
fn an_empty_answer_is_protocol() {
    for body in ["", "{}", "{\"Servers\":[]}", "{\"Servers\":[{\"ServerName\":\"other\"}]}"] {
        let status = if body.is_empty() { "204 No Content" } else { "200 OK" };
        let (node, server) = (node(), Server::saying(whole(status, body)));
        let run = join_at(&node, &server.url());
        refused(&node, &run, 76, &["did not list the server", "aws.endpoint_url"]);
    }
}

#[test]
fn a_large_answer_is_read_up_to_the_limit_only() {
    const MIB: usize = 1024 * 1024;
    for chunked in [false, true] {
        let node = node();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let server = Server::start(move |_, _, stream| {
            let length =
                if chunked { "transfer-encoding: chunked" } else { "content-length: 52428800" };
            write!(stream, "HTTP/1.1 200 OK\r\n{length}\r\n\r\n")?;
            let piece = vec![b' '; MIB];
            for _ in 0..50 {
                if chunked {
                    write!(stream, "{MIB:x}\r\n")?;
                }
                stream.write_all(&piece)?;
                if chunked {
                    write!(stream, "\r\n")?;
                }
                count.fetch_add(MIB, Ordering::SeqCst);
            }
            Ok(())
        });
        let run = join_at(&node, &server.url());
        println!("50 MiB, chunked {chunked}: peak memory {} KiB", run.1);
        refused(&node, &run, 76, &["is not from the API", "larger than"]);
        assert!(sent.load(Ordering::SeqCst) < 50 * MIB, "it was read to its end");
        assert!(evidence(&node).unwrap().contains("could not be read completely"));
    }
}

#[test]
fn transient_errors_are_retried_within_the_budget() {
    let flood = format!("HTTP/1.1 200 OK\r\n{}", "x-a: 0123456789\r\n".repeat(200_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("closed at once", Vec::new()),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("cut short", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"Servers\":[".to_vec()),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        ("a flood of headers", flood.into_bytes()),
        ("only 100", b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        ("503 with a page", whole("503 Busy", "<html>busy</html>").into_bytes()),
    ];
    for (what, bytes) in cases {
        let (node, server) = (node(), Server::saying(bytes));
        let run = join_at(&node, &server.url());
        println!("{what}: exit {}", run.0.code);
        refused(&node, &run, 75, &["DescribeServers", "gave up"]);
    }
}

#[test]
fn a_slow_answer_ends_by_a_timeout() {
    let drip = |head: &'static str| {
        Server::start(move |_, _, stream| {
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(b" ")?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(200));
            }
        })
    };
    // In parallel: each takes the time limit of a call.
    let heads = ["HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "HTTP/1.1 200 OK\r\nx-a: "];
    let runs = heads.map(|head| {
        std::thread::spawn(move || {
            let (node, server) = (node(), drip(head));
            let run = join_at(&node, &server.url());
            refused(&node, &run, 75, &["no answer in time", "gave up"]);
        })
    });
    for run in runs {
        run.join().unwrap();
    }
}

#[test]
fn a_connection_that_is_not_secure_is_not_used() {
    let plain = Server::saying(whole("200 OK", "{}"));
    let node_ = node();
    let run = join_at(&node_, &format!("https://127.0.0.1:{}", plain.port));
    refused(&node_, &run, 75, &["no secure connection", "gave up"]);

    let directory = tempfile::tempdir().unwrap();
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| directory.path().join(name));
    self_signed("127.0.0.1", &key, &certificate, &["-addext", "subjectAltName=IP:127.0.0.1"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-www"])
        .args(["-key", text(&key), "-cert", text(&certificate)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.try_wait().unwrap().is_none(), "openssl s_server ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    let node = node();
    let run = join_at(&node, &format!("https://127.0.0.1:{port}"));
    server.kill().unwrap();
    server.wait().unwrap();
    refused(&node, &run, 78, &["no secure connection", "AWS_CA_BUNDLE"]);
}

#[test]
fn a_success_without_a_certificate_is_refused() {
    let ca = fs::read_to_string("fuzz/bodies/fixtures/ca.pem").unwrap();
    let node = node();
    node.write("ca.pem", &ca);
    let server = Server::start(|_, _, stream| {
        // One body for both requests: a token for the first, a success for the second.
        let body = r#"{"NodeAssociationStatusToken":"t","NodeAssociationStatus":"SUCCESS"}"#;
        stream.write_all(whole("200 OK", body).as_bytes())
    });
    let mut command = node.command(&[
        "join",
        "--set",
        "opsworks-cm.endpoint=p.example",
        "--set",
        "opsworks-cm.ca_file=/ca.pem",
    ]);
    command.env("AWS_ENDPOINT_URL", server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
    let run = measured(&mut command);
    refused(&node, &run, 65, &["no attribute PUPPET_NODE_CERT"]);
    assert_eq!(evidence(&node).as_deref(), Some("attributes: "));
}

#[test]
fn credentials_that_a_header_cannot_hold_are_named() {
    for (name, value) in [("AWS_ACCESS_KEY_ID", "AKID\nEXAMPLE"), ("AWS_SESSION_TOKEN", "a\u{1}b")]
    {
        let (node, server) = (node(), Server::saying(whole("200 OK", "{}")));
        let mut command = node.command(&["join"]);
        command.env("AWS_ENDPOINT_URL", server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env(name, value);
        refused(&node, &measured(&mut command), 78, &[name, "line ends"]);
        assert_eq!(server.asked(), 0);
    }
}
