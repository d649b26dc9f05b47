//! Answers that no API gives: a server of the test's own, byte by byte, and the binary that ships.
//! Each has its exit code, a message that helps, evidence where that is promised, nothing
//! installed, no secret shown, and not much memory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Node, Run, openssl, run, text};

const SECRET_KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY";

/// What the binary may take at its most, in KiB. A debug build by itself takes 26 MiB.
const MOST_MEMORY: u64 = 64 * 1024;

/// Answers each connection's first request with what `say` writes, then closes it.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start(
        say: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let (say, count) = (Arc::new(say), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (say, count, mut stream) = (say.clone(), count.clone(), stream.unwrap());
                std::thread::spawn(move || {
                    // What is no HTTP is answered all the same, as servers do.
                    let line = read_request(&stream).unwrap_or_default();
                    count.fetch_add(1, Ordering::SeqCst);
                    // The client may hang up before it has heard it all.
                    let _ = say(&line, &mut stream);
                });
            }
        });
        Self { port, asked }
    }

    fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| stream.write_all(&bytes))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Method and path, once the request has arrived whole.
fn read_request(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(first.rsplit_once(" HTTP/").map(|(asked, _)| asked.to_owned()).unwrap_or(first))
}

fn whole(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn node() -> Node {
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1s\"\nname = \"n1\"\n");
    node.write("etc/puppetlabs/puppet/ssl/certs/ca.pem", "former\n");
    node
}

/// Joins with this endpoint: no metadata, credentials of the test's own.
fn join_at(node: &Node, url: &str) -> (Run, u64) {
    let mut command = node.command(&["join", "-vv"]);
    command.env("AWS_ENDPOINT_URL", url).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    measured(&mut command)
}

/// Runs it, and says what it took at its most (`VmHWM`, in KiB).
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

/// All that has to hold whatever was answered.
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
fn what_is_not_an_answer_is_protocol_with_its_evidence() {
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
        assert_eq!(server.asked.load(Ordering::SeqCst), 1, "{what}: asked once, and not led on");
        let evidence = evidence(&node).unwrap_or_else(|| panic!("{what}: no evidence"));
        assert!(evidence.contains(kept), "{what}: {evidence}");
    }
}

#[test]
fn an_answer_that_says_nothing_is_protocol() {
    for body in ["", "{}", "{\"Servers\":[]}", "{\"Servers\":[{\"ServerName\":\"other\"}]}"] {
        let status = if body.is_empty() { "204 No Content" } else { "200 OK" };
        let (node, server) = (node(), Server::saying(whole(status, body)));
        let run = join_at(&node, &server.url());
        refused(&node, &run, 76, &["did not list the server", "aws.endpoint_url"]);
    }
}

#[test]
fn an_answer_without_an_end_is_not_read_to_its_end() {
    const MIB: usize = 1024 * 1024;
    for chunked in [false, true] {
        let node = node();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let server = Server::start(move |_, stream| {
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
        println!("50 MiB, chunked {chunked}: {} KiB at its most", run.1);
        refused(&node, &run, 76, &["is not the API", "larger than"]);
        assert!(sent.load(Ordering::SeqCst) < 50 * MIB, "it was read to its end");
        assert!(evidence(&node).unwrap().contains("could not be read to its end"));
    }
}

#[test]
fn what_may_pass_is_waited_out_within_the_budget() {
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
fn a_slow_drip_ends_by_a_timeout() {
    let drip = |head: &'static str| {
        Server::start(move |_, stream| {
            stream.write_all(head.as_bytes())?;
            loop {
                stream.write_all(b" ")?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(200));
            }
        })
    };
    // Side by side: each takes the limit of a call.
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
fn a_connection_that_is_not_secure_is_not_used_and_the_clock_is_named() {
    let plain = Server::saying(whole("200 OK", "{}"));
    let node_ = node();
    let run = join_at(&node_, &format!("https://127.0.0.1:{}", plain.port));
    refused(&node_, &run, 75, &["no secure connection", "gave up"]);

    let directory = tempfile::tempdir().unwrap();
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| directory.path().join(name));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        text(&key),
        "-out",
        text(&certificate),
    ]);
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
fn a_success_without_anything_in_it_is_refused() {
    let ca = fs::read_to_string("fuzz/bodies/fixtures/ca.pem").unwrap();
    let node = node();
    node.write("ca.pem", &ca);
    let server = Server::start(|_, stream| {
        // One body for both questions: to the first it is a token, to the second a success.
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
fn credentials_that_no_header_holds_are_named() {
    for (name, value) in [("AWS_ACCESS_KEY_ID", "AKID\nEXAMPLE"), ("AWS_SESSION_TOKEN", "a\u{1}b")]
    {
        let (node, server) = (node(), Server::saying(whole("200 OK", "{}")));
        let mut command = node.command(&["join"]);
        command.env("AWS_ENDPOINT_URL", server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env(name, value);
        refused(&node, &measured(&mut command), 78, &[name, "line ends"]);
        assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    }
}

/// A metadata service that answers so, by path; the token is given to whoever asks.
fn metadata(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |asked, stream| {
        let answer = match asked {
            "PUT /latest/api/token" => "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\ncontent-length: 1\r\nconnection: close\r\n\r\nt".to_owned(),
            other => answer(other),
        };
        stream.write_all(answer.as_bytes())
    })
}

fn with_metadata(node: &Node, server: &Server) -> (Run, u64) {
    let mut command = node.command(&["join", "-vv"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url());
    measured(&mut command)
}

#[test]
fn what_is_no_metadata_service_is_no_ec2() {
    let cases: Vec<(&str, Server)> = vec![
        ("not JSON", metadata(|_| whole("200 OK", "hello"))),
        ("no id", metadata(|_| whole("200 OK", "{\"region\":\"us-east-1\"}"))),
        (
            "an id that is a path",
            metadata(|_| whole("200 OK", "{\"instanceId\":\"../../etc/passwd\"}")),
        ),
        ("1 MiB", metadata(|_| whole("200 OK", &" ".repeat(1024 * 1024)))),
        ("deep", metadata(|_| whole("200 OK", &"[".repeat(60_000)))),
        ("404 for all", Server::saying(whole("404 Not Found", ""))),
        ("a token that is none", Server::saying(b"HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\ncontent-length: 3\r\n\r\nt\xefk".to_vec())),
        ("a page for all", Server::saying(whole("200 OK", "<html>"))),
    ];
    for (what, server) in cases {
        let node = Node::new();
        node.write("etc/hostname", "web9.example.net\n");
        let (run, memory) = with_metadata(&node, &server);
        println!("{what}: exit {}, {memory} KiB", run.code);
        assert_eq!(run.code, 0, "{what}: {}", run.stderr);
        assert!(run.stdout.contains("as web9.example.net"), "{what}: {}", run.stdout);
        assert!(run.stderr.contains("no EC2 instance"), "{what}: {}", run.stderr);
        assert!(memory < MOST_MEMORY, "{what}: {memory} KiB");
    }
}

#[test]
fn a_metadata_service_that_does_not_answer_is_waited_for() {
    let drip = Server::start(|asked, stream| {
        let token = "x-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
        let length = if asked.starts_with("PUT") { 1 } else { 60_000 };
        write!(stream, "HTTP/1.1 200 OK\r\n{token}content-length: {length}\r\n\r\n")?;
        for _ in 0..length {
            stream.write_all(b"t")?;
            stream.flush()?;
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    });
    let unauthorized = metadata(|_| whole("401 Unauthorized", ""));
    let busy = metadata(|_| whole("503 Busy", ""));
    for (what, server) in [("drip", drip), ("no token is right", unauthorized), ("busy", busy)] {
        let node = node();
        let run = with_metadata(&node, &server);
        println!("{what}: exit {}", run.0.code);
        refused(&node, &run, 75, &["metadata service did not answer", "gave up"]);
    }
}

#[test]
fn tags_are_bounded_and_what_the_service_says_never_becomes_a_host() {
    let server = metadata(|asked| {
        let document = r#"{"instanceId":"i-0123456789abcdef0","region":"evil.example/#"}"#;
        match asked.rsplit('/').next() {
            Some("document") => whole("200 OK", document),
            Some("instance") => {
                whole("200 OK", &(0..500).map(|n| format!("t{n}\n")).collect::<String>())
            }
            _ => whole("200 OK", "v"),
        }
    });
    let node = Node::new();
    let mut command = node.command(&["facts", "--json"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url());
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let facts: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(facts["ec2"]["tags"].as_object().unwrap().len(), 50);
    assert!(facts["ec2"]["region"].is_null(), "{}", facts["ec2"]["region"]);
    let asked = server.asked.load(Ordering::SeqCst);
    assert!(asked <= 60, "{asked} questions");
}

/// What stands where a file belongs, and has no end, or says nothing.
#[derive(Clone, Copy, Debug)]
enum Endless {
    Large,
    Pipe,
    /// Made by root alone.
    Device,
}

impl Endless {
    fn make(self, path: &std::path::Path) {
        let by = |program: &str, arguments: &[&str]| {
            let mut command = std::process::Command::new(program);
            assert!(command.arg(path).args(arguments).status().unwrap().success());
        };
        match self {
            Self::Large => fs::File::create(path).unwrap().set_len(1 << 30).unwrap(),
            Self::Pipe => by("mkfifo", &[]),
            Self::Device => by("mknod", &["c", "1", "5"]),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Large => "larger than",
            Self::Pipe => "a named pipe",
            Self::Device => "a device",
        }
    }
}

#[test]
fn files_without_an_end_are_not_read_to_their_end() {
    let endless = |path: &str, kind: Endless| {
        let node = Node::new();
        let _ = fs::remove_file(node.path(path));
        fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        kind.make(&node.path(path));
        let (run, memory) = measured(&mut node.command(&["join"]));
        println!("{path}: {kind:?}: exit {}, {memory} KiB", run.code);
        assert!(memory < MOST_MEMORY, "{path}: {memory} KiB");
        (run, node)
    };
    let mut kinds = vec![Endless::Large, Endless::Pipe];
    let is_root = std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    kinds.extend(is_root.then_some(Endless::Device));
    for kind in kinds {
        for (path, code) in [
            ("etc/enlist/enlist.toml", 78),
            ("etc/enlist/config.d/50-more.toml", 78),
            ("etc/puppetlabs/puppet/puppet.conf", 74),
            ("etc/puppetlabs/puppet/ssl/ssl.lock", 74),
            ("etc/puppetlabs/puppet/ssl/certs/ca.pem", 74),
            ("var/lib/enlist/opsworks-cm/record.json", 74),
        ] {
            let (run, _) = endless(path, kind);
            // What is too large may be smaller the next time; a pipe stays one.
            let code = if matches!(kind, Endless::Large) { code } else { 78 };
            common::expect(&run, code, &[kind.words(), "to do: "]);
        }
        let (run, _) = endless("etc/puppetlabs/puppet/csr_attributes.yaml", kind);
        common::expect(&run, 78, &["csr_attributes.yaml", "to do: "]);
        let (run, _) = endless("etc/hosts", kind);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}
