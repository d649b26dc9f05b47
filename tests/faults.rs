//! What fails has the right kind, and its cause is said at once: what passes is waited out within
//! the budget, what does not ends it. Driven through the binary that ships.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::disallowed_types, reason = "tests do I/O")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::server::{Server, whole};
use common::{NAME, Node, Run, expect, run, text};
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

/// With a budget that a machine under load does not come near.
fn at_once(variables: &[(&str, &str)], code: i32, words: &[&str]) -> Run {
    let (node, began) = (node("10m"), Instant::now());
    // A busy machine's metadata service may have to be asked twice.
    let run = join(&node, &[variables, &[("AWS_EC2_METADATA_DISABLED", "true")]].concat());
    expect(&run, code, words);
    assert!(began.elapsed() < Duration::from_mins(2), "it waited");
    assert!(!run.stderr.contains("retrying") && !run.stderr.contains("gave up"), "{}", run.stderr);
    run
}

#[test]
fn an_answer_that_is_cut_short_is_tried_again_and_never_called_strange() {
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
        let (node, server) = (node("2s"), Server::saying(bytes));
        let run = join(&node, &[("AWS_ENDPOINT_URL", &server.url())]);
        println!("{what}: {}", run.code);
        expect(&run, 75, &["gave up", "retrying", &server.url()]);
        assert!(server.asked() > 1, "{what}: asked once");
        assert!(!run.stderr.contains("is not the API"), "{}", run.stderr);
    }
}

#[test]
fn half_an_answer_to_a_creating_call_leaves_one_membership() {
    for fault in [
        "AssociateNode=truncated",
        "DescribeServers=truncated*2",
        "DescribeNodeAssociationStatus=truncated",
    ] {
        let options = Options { faults: vec![fault.parse().unwrap()], ..Options::default() };
        let node = Node::with(options);
        let run = node.join();
        assert!(run.stderr.contains("half an answer"), "{fault}: {}", run.stderr);
        let state = node.emulator.state();
        let associations = state["associations"].as_array().unwrap();
        assert_eq!(associations.len(), 1, "{fault}: {associations:?}");
    }
}

#[test]
fn the_first_waiting_line_says_the_cause_the_endpoint_and_until_when() {
    let run = join(&node("2s"), &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
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

    let name = join(&node("2s"), &[("AWS_ENDPOINT_URL", "https://no-such-host.invalid")]);
    expect(&name, 75, &["cannot connect to https://no-such-host.invalid (", "; retrying in 0."]);

    let proxied = [
        ("AWS_ENDPOINT_URL", "https://opsworks.invalid"),
        ("HTTPS_PROXY", "http://u:s3cret@127.0.0.1:9"),
    ];
    let run = join(&node("2s"), &proxied);
    expect(
        &run,
        75,
        &[
            "cannot connect to the proxy http://127.0.0.1:9 for https://opsworks.invalid (connection refused); retrying",
        ],
    );
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);

    let busy = Server::saying(whole("503 Busy", "busy"));
    let run = join(&node("2s"), &[("AWS_ENDPOINT_URL", &busy.url())]);
    expect(&run, 75, &[&format!("{} answered HTTP status 503", busy.url()), "; retrying in 0."]);
}

#[test]
fn the_service_manager_is_told_the_cause() {
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

/// A TLS server that answers what no API says, with a certificate of its own for this name and
/// these years.
struct Tls {
    port: u16,
    directory: tempfile::TempDir,
}

impl Tls {
    fn start(name: &str) -> Self {
        Self::valid(name, 2020, 2120)
    }

    fn valid(name: &str, from: i32, to: i32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
        let private = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let config = config.clone();
                std::thread::spawn(move || answer(config, stream.unwrap()));
            }
        });
        Self { port, directory }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn file(&self) -> String {
        text(&self.directory.path().join("cert.pem")).to_owned()
    }
}

fn answer(config: Arc<rustls::ServerConfig>, stream: TcpStream) -> std::io::Result<()> {
    let connection = rustls::ServerConnection::new(config).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, stream);
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let read = tls.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        asked.extend_from_slice(&part[..read]);
    }
    tls.write_all(whole("200 OK", "\"hello\"").as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}

#[test]
fn a_certificate_of_an_unknown_authority_ends_it_at_once() {
    let tls = Tls::start("127.0.0.1");
    let url = tls.url();
    let run = at_once(
        &[("AWS_ENDPOINT_URL", &url)],
        78,
        &["no secure connection", &url, "AWS_CA_BUNDLE"],
    );
    assert!(
        run.stderr.contains("unknown CA") || run.stderr.contains("not accepted"),
        "{}",
        run.stderr
    );
    // Another name than the certificate's.
    let other = Tls::start("other.example");
    let (url, file) = (other.url(), other.file());
    at_once(&[("AWS_ENDPOINT_URL", &url), ("AWS_CA_BUNDLE", &file)], 78, &["not accepted", &url]);
}

#[test]
fn the_bundle_that_is_named_is_the_one_that_is_trusted() {
    let (tls, other) = (Tls::start("127.0.0.1"), Tls::start("127.0.0.1"));
    let (url, file, foreign) = (tls.url(), tls.file(), other.file());
    let at = [("AWS_ENDPOINT_URL", &*url)];
    // It speaks TLS with us then, and what it says is no API.
    let trusted = |variables: &[(&str, &str)]| {
        at_once(&[&at[..], variables].concat(), 76, &["is not the API"]);
    };
    trusted(&[("AWS_CA_BUNDLE", &file)]);
    trusted(&[("SSL_CERT_FILE", &file)]);
    trusted(&[("AWS_CA_BUNDLE", &file), ("SSL_CERT_FILE", &foreign)]);
    at_once(
        &[&at[..], &[("AWS_CA_BUNDLE", &*foreign), ("SSL_CERT_FILE", &file)]].concat(),
        78,
        &["no secure connection"],
    );

    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), format!("[default]\nca_bundle = {file}\n"))
        .unwrap();
    let home = text(home.path());
    trusted(&[("HOME", home)]);
    trusted(&[("HOME", home), ("SSL_CERT_FILE", &foreign)]);
    // As the AWS CLI has it: the variable before the profile.
    at_once(
        &[&at[..], &[("HOME", home), ("AWS_CA_BUNDLE", &*foreign)]].concat(),
        78,
        &["no secure connection"],
    );
}

#[test]
fn a_bundle_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        text(&path).to_owned()
    };
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let files = [
        "/nonexistent/ca.pem".to_owned(),
        write("empty", ""),
        write("text", "no certificate\n"),
        write("broken", broken),
        write("base64", "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"),
        write("half", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        write("key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
        text(directory.path()).to_owned(),
    ];
    for file in &files {
        for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
            let variables = [("AWS_ENDPOINT_URL", "https://127.0.0.1:9"), (name, file.as_str())];
            at_once(&variables, 78, &[name, file, "trusted CAs"]);
        }
    }
}

#[test]
fn a_certificate_that_is_not_valid_at_this_time_is_waited_for() {
    for (from, to, words) in [
        (2000, 2001, "the certificate expired at 2001-01-01"),
        (2100, 2120, "is valid from 2100-01-01"),
    ] {
        let tls = Tls::valid("127.0.0.1", from, to);
        let (url, file) = (tls.url(), tls.file());
        let run = join(&node("2s"), &[("AWS_ENDPOINT_URL", &url), ("AWS_CA_BUNDLE", &file)]);
        expect(&run, 75, &[words, "this clock says", "retrying", "clock is set"]);
    }
}

/// A proxy that answers so.
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
fn a_proxy_that_refuses_ends_it_at_once_and_one_that_is_busy_does_not() {
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
        let (run, proxy) = proxied(&whole("503 Busy", ""), endpoint, "2s");
        expect(&run, 75, &["503", "retrying", &format!("http://127.0.0.1:{}", proxy.port)]);
    }
}

#[test]
fn this_machine_itself_is_never_asked_through_a_proxy() {
    let node = Node::new();
    let run =
        join(&node, &[("HTTP_PROXY", "http://127.0.0.1:9"), ("ALL_PROXY", "http://127.0.0.1:9")]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

const WRONG: i64 = 3 * 86_400 + 4 * 3_600 + 1_800;

/// The time of an answer, so many seconds from now, as HTTP has it.
fn date(off: i64) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("{off} seconds"), "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_wrong_clock_is_waited_for_and_the_message_says_by_how_much() {
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
            let run = join(&node("1s"), &[("AWS_ENDPOINT_URL", &server.url())]);
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
    // Where the clock is right, the key is wrong.
    let body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"no\"}";
    let server = Server::saying(whole(
        &format!(
            "400 Bad Request\r\ndate: {}\r\ncontent-type: application/x-amz-json-1.1",
            date(0)
        ),
        body,
    ));
    let run = join(&node("1s"), &[("AWS_ENDPOINT_URL", &server.url())]);
    expect(&run, 77, &["was denied"]);
}

#[test]
fn a_certificate_of_a_later_time_is_not_refused_while_this_clock_is_behind() {
    // A CA of its own: the tests' shared one is valid from now on, by this clock.
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

    // The same certificate where the clocks agree is not acceptable.
    let fault = "AssociateNode=cert:not-yet";
    let node = Node::with(Options { faults: vec![fault.parse().unwrap()], ..Options::default() });
    settings(&node, "30m");
    let run = node.enlist(&["join"]);
    assert_eq!(run.code, 65, "{}", run.stderr);
    assert!(run.stderr.contains(NAME));
}

#[test]
fn what_will_not_pass_is_not_retried_by_the_daemon_either() {
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

/// Half a request is no reason to say anything of the API.
#[test]
fn a_server_that_hangs_up_is_waited_for() {
    let server = Server::start(|_, _, stream| stream.flush());
    let run = join(&node("1s"), &[("AWS_ENDPOINT_URL", &server.url())]);
    expect(&run, 75, &["ended the connection without an answer", &server.url(), "retrying"]);
}
