//! Each failure has the right kind, and its cause is reported at once. Transient failures are retried
//! within the budget; others end the command.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::disallowed_types, reason = "tests do I/O")]

mod common;
#[path = "faults/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::server::{Server, whole};
use common::{NAME, Node, Run, expect, run};
use enlist_emulator::{CaSource, Emulator, Options};

fn settings(node: &Node, budget: &str) {
    node.settings(&format!("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"{budget}\"\n"));
}

fn node(budget: &str) -> Node {
    let node = Node::new();
    settings(&node, budget);
    node
}

fn join(node: &Node, variables: &[(&str, &str)]) -> Run {
    let mut command = node.command(&["join"]);
    run(command.envs(variables.iter().copied()))
}

/// Joins with a budget that even a busy machine does not need, and checks that nothing is retried.
fn at_once(variables: &[(&str, &str)], code: i32, words: &[&str]) -> Run {
    let (node, began) = (node("10m"), Instant::now());
    // On a busy machine, the metadata service may have to be asked twice.
    let run = join(&node, &[variables, &[("AWS_EC2_METADATA_DISABLED", "true")]].concat());
    expect(&run, code, words);
    assert!(began.elapsed() < Duration::from_mins(2), "it retried");
    assert!(!run.stderr.contains("retrying") && !run.stderr.contains("gave up"), "{}", run.stderr);
    run
}

#[test]
fn an_incomplete_answer_is_retried_and_is_not_a_protocol_error() {
    let json = "{\"Servers\":[{\"ServerName\":\"puppet-test\",";
    let cases = [
        ("half of it", format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{json}")),
        ("nothing of it", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_owned()),
        (
            "a page of a proxy, half",
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n<html>".to_owned(),
        ),
        (
            "an error, half",
            format!("HTTP/1.1 400 Bad Request\r\ncontent-length: 1000\r\n\r\n{json}"),
        ),
        (
            "a chunk, half",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n100\r\n{json}"),
        ),
        (
            "no last chunk",
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{json}\r\n",
                json.len()
            ),
        ),
        ("without a length", format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{json}")),
    ];
    for (what, bytes) in cases {
        let (node, server) = (node("4s"), Server::saying(bytes));
        let run = join(&node, &[("AWS_ENDPOINT_URL", &server.url())]);
        println!("{what}: {}", run.code);
        expect(&run, 75, &["gave up", "retrying", &server.url()]);
        assert!(server.asked() > 1, "{what}: asked once");
        assert!(!run.stderr.contains("is not from the API"), "{}", run.stderr);
    }
}

#[test]
fn half_an_answer_to_a_creating_call_makes_no_second_member() {
    for fault in [
        "AssociateNode=truncated",
        "DescribeServers=truncated*2",
        "DescribeNodeAssociationStatus=truncated",
    ] {
        let options = Options { faults: vec![fault.parse().unwrap()], ..Options::default() };
        let node = Node::with(options);
        let run = node.join();
        assert!(run.stderr.contains("an incomplete answer"), "{fault}: {}", run.stderr);
        let state = node.emulator.state();
        let associations = state["associations"].as_array().unwrap();
        assert_eq!(associations.len(), 1, "{fault}: {associations:?}");
    }
}

#[test]
fn the_first_retry_is_logged_with_cause_endpoint_and_deadline() {
    let run = join(&node("4s"), &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
    expect(
        &run,
        75,
        &["cannot connect to http://127.0.0.1:9 (connection refused); retrying in 0."],
    );
    let first = run.stderr.lines().find(|line| line.contains("WARN")).unwrap();
    let layers = ["dispatch failure", "io error", "client error"];
    assert!(!layers.iter().any(|layer| run.stderr.contains(layer)), "{}", run.stderr);
    let (_, until) = first.split_once(", until ").unwrap_or_else(|| panic!("{first}"));
    assert!(until.trim().ends_with(" UTC") && until.contains(':'), "{first}");

    let name = join(&node("4s"), &[("AWS_ENDPOINT_URL", "https://no-such-host.invalid")]);
    expect(&name, 75, &["cannot connect to https://no-such-host.invalid (", "; retrying in 0."]);

    let proxied = [
        ("AWS_ENDPOINT_URL", "https://opsworks.invalid"),
        ("HTTPS_PROXY", "http://u:s3cret@127.0.0.1:9"),
    ];
    let run = join(&node("4s"), &proxied);
    expect(
        &run,
        75,
        &[
            "cannot connect to the proxy http://127.0.0.1:9 for https://opsworks.invalid (connection refused); retrying",
        ],
    );
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);

    let busy = Server::saying(whole("503 Busy", "busy"));
    let run = join(&node("4s"), &[("AWS_ENDPOINT_URL", &busy.url())]);
    expect(&run, 75, &[&format!("{} answered HTTP status 503", busy.url()), "; retrying in 0."]);
}

#[test]
fn the_service_manager_gets_the_cause() {
    let node = node("30m");
    let path = node.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut daemon = node
        .command(&["run"])
        .env("NOTIFY_SOCKET", &path)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = Vec::new();
    let is_told = (0..200).any(|_| {
        let mut buffer = [0; 4096];
        let read = socket.recv(&mut buffer).unwrap();
        told.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
        told.iter().any(|text| {
            text.contains("cannot connect to http://127.0.0.1:9 (connection refused); retrying in")
                && text.contains(", until ")
        })
    });
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(is_told, "{told:?}");
}

/// Joins through a proxy with this answer.
fn proxied(answer: &str, endpoint: &str, budget: &str) -> (Run, Server) {
    let proxy = Server::saying(answer.to_owned());
    let node = node(budget);
    let url = format!("http://user:s3cret@127.0.0.1:{}", proxy.port);
    let run = join(
        &node,
        &[
            ("AWS_ENDPOINT_URL", endpoint),
            ("ENLIST_AWS_ALLOW_HTTP", "true"),
            ("HTTPS_PROXY", &url),
            ("HTTP_PROXY", &url),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
    );
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
    (run, proxy)
}

#[test]
fn a_refusal_of_a_proxy_ends_the_join_and_a_busy_proxy_is_retried() {
    for endpoint in ["https://opsworks.example", "http://opsworks.example"] {
        for (status, todo) in [
            ("403 Forbidden", "NO_PROXY"),
            ("407 Proxy Authentication Required", "http://NAME:PASSWORD@"),
        ] {
            let began = Instant::now();
            let (run, proxy) = proxied(&whole(status, "<html>no</html>"), endpoint, "30m");
            let said = format!(
                "the proxy http://127.0.0.1:{} answered with HTTP status {}",
                proxy.port,
                &status[..3]
            );
            expect(&run, 77, &[&said, endpoint, todo]);
            assert!(!run.stderr.contains("retrying"), "{}", run.stderr);
            assert!(began.elapsed() < Duration::from_mins(2), "it waited");
            assert!(proxy.heads()[0].contains("roxy-"), "the login was sent: {:?}", proxy.heads());
        }
        let (run, proxy) = proxied(&whole("503 Busy", ""), endpoint, "4s");
        expect(&run, 75, &["503", "retrying", &format!("http://127.0.0.1:{}", proxy.port)]);
    }
}

#[test]
fn loopback_is_never_reached_through_a_proxy() {
    let node = Node::new();
    let run =
        join(&node, &[("HTTP_PROXY", "http://127.0.0.1:9"), ("ALL_PROXY", "http://127.0.0.1:9")]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

const WRONG: i64 = 3 * 86_400 + 4 * 3_600 + 1_800;

/// The time so many seconds from now, in the form of HTTP.
fn date(off: i64) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("{off} seconds"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_wrong_clock_is_retried_and_the_message_has_the_difference() {
    for (off, side) in [(WRONG, "behind"), (-WRONG, "ahead of")] {
        for code in [
            "InvalidSignatureException",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "RequestTimeTooSkewed",
            "ExpiredTokenException",
        ] {
            let body = format!("{{\"__type\":\"{code}\",\"message\":\"Signature expired\"}}");
            let server = Server::saying(whole(
                &format!(
                    "400 Bad Request\r\ndate: {}\r\ncontent-type: application/x-amz-json-1.1",
                    date(off)
                ),
                &body,
            ));
            let run = join(&node("3s"), &[("AWS_ENDPOINT_URL", &server.url())]);
            expect(
                &run,
                75,
                &[
                    &format!("this clock is 3 d 4 h {side} the endpoint's"),
                    "retrying",
                    "time synchronisation",
                    code,
                ],
            );
        }
    }
    // With a right clock, the key is wrong.
    let body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"no\"}";
    let server = Server::saying(whole(
        &format!(
            "400 Bad Request\r\ndate: {}\r\ncontent-type: application/x-amz-json-1.1",
            date(0)
        ),
        body,
    ));
    let run = join(&node("3s"), &[("AWS_ENDPOINT_URL", &server.url())]);
    expect(&run, 77, &["was denied"]);
}

#[test]
fn a_certificate_from_the_future_is_retried_while_this_clock_is_behind() {
    // A CA of its own: by this clock, the shared one of the tests is valid already.
    let options = Options { clock_offset: WRONG, ca: CaSource::Own, ..Options::default() };
    let node =
        Node { emulator: Emulator::start(options).unwrap(), root: tempfile::tempdir().unwrap() };
    settings(&node, "4s");
    let run = node.enlist(&["join"]);
    expect(
        &run,
        75,
        &[
            "nothing was installed: this clock is 3 d 4 h behind the endpoint's; retrying",
            "it is valid from 20",
        ],
    );
    let status = node.enlist(&["status"]);
    expect(&status, 75, &[]);
    assert!(
        !node.certificate().exists() && !node.files().iter().any(|file| file.contains("evidence")),
        "{:?}",
        node.files()
    );
    assert_eq!(node.emulator.state()["associations"].as_array().unwrap().len(), 1);

    // If the clocks agree, the same certificate is refused.
    let fault = "AssociateNode=cert:not-yet";
    let node = Node::with(Options { faults: vec![fault.parse().unwrap()], ..Options::default() });
    settings(&node, "30m");
    let run = node.enlist(&["join"]);
    assert_eq!(run.code, 65, "{}", run.stderr);
    assert!(run.stderr.contains(NAME));
}

#[test]
fn the_daemon_does_not_retry_a_permanent_failure() {
    let node = node("30m");
    let mut command = node.command(&["run"]);
    command.env("AWS_PROFILE", "nope").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = command.spawn().unwrap();
    let began = Instant::now();
    let code = loop {
        if let Some(status) = daemon.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > Duration::from_mins(1) {
            daemon.kill().unwrap();
            panic!("it goes on");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    daemon.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("no AWS profile \"nope\""), "{said}");
}

#[test]
fn a_server_that_closes_the_connection_is_retried() {
    let server = Server::start(|_, _, stream| stream.flush());
    let run = join(&node("3s"), &[("AWS_ENDPOINT_URL", &server.url())]);
    expect(&run, 75, &["closed the connection without an answer", &server.url(), "retrying"]);
}
