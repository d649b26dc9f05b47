//! What an ordinary use meets: a log that nobody reads, many calls, large ones, unfinished ones, and
//! requests for other hosts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use enlist_emulator::control::ControlSettings;
use enlist_emulator::{Emulator, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::client::{self, Signing, call, call_target, send};
use super::serving::Serving;
use super::{Outcome, shared_ca};
use super::{openssl, plane};

/// Many requests on one connection, so many at a time; how many answers came.
fn pipelined(url: &str, request: &[u8], times: usize) -> std::io::Result<usize> {
    const BATCH: usize = 50;
    let mut stream = TcpStream::connect(client::host(url))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let batch = request.repeat(BATCH);
    let (mut answers, mut buffer, mut text) = (0, vec![0; 64 * 1024], Vec::new());
    for sent in 1..=times / BATCH {
        stream.write_all(&batch)?;
        while answers < sent * BATCH {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(answers);
            }
            text.extend_from_slice(&buffer[..length]);
            answers += text.windows(9).filter(|window| *window == b"HTTP/1.1 ").count();
            text = text.split_off(text.len().saturating_sub(8));
        }
    }
    Ok(answers)
}

fn small(url: &str, action: &str) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nx-amz-target: OpsWorksCM_V2016_11_01.{action}\r\n\
         content-length: 2\r\n\r\n{{}}",
        client::host(url)
    )
    .into_bytes()
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() -> Outcome {
    let mut serving = Serving::start(&["--throttle", "off"], Stdio::piped())?;
    let url = serving.url();
    // A pipe holds 64 KiB, some 1,500 lines; the queue a thousand more.
    assert_eq!(pipelined(&url, &small(&url, "DescribeServers"), 6000)?, 6000);
    let id = i32::try_from(serving.child.id())?;
    kill_process(Pid::from_raw(id).ok_or("no process")?, Signal::TERM)?;
    assert_eq!(serving.child.wait()?.code(), Some(0), "it ends although its log is not read");
    let mut log = String::new();
    serving.child.stderr.take().ok_or("no log")?.read_to_string(&mut log)?;
    let first = log.lines().next().unwrap_or_default();
    assert!(first.ends_with("DescribeServers 400 MissingAuthenticationTokenException"), "{first}");
    Ok(())
}

#[test]
fn quiet_logs_nothing() -> Outcome {
    let mut serving = Serving::start(&["--quiet"], Stdio::piped())?;
    assert_eq!(send(&serving.url(), "POST", "/", &[], "{}")?.status, 400);
    serving.child.kill()?;
    let mut log = String::new();
    serving.child.stderr.take().ok_or("no log")?.read_to_string(&mut log)?;
    assert_eq!(log, "");
    Ok(())
}

/// 64 MiB, whatever comes: large bodies, very many calls, values that take much room once they are
/// read, and many bodies at a time that never end.
#[test]
fn memory_has_a_bound() -> Outcome {
    let serving = Serving::start(&["--throttle", "off", "--quiet"], Stdio::null())?;
    let url = serving.url();
    for _ in 0..20 {
        assert_eq!(send(&url, "POST", "/", &[], &"x".repeat(1024 * 1024))?.status, 400);
    }
    assert_eq!(pipelined(&url, &small(&url, "DescribeServers"), 20_000)?, 20_000);
    assert_eq!(pipelined(&url, &small(&url, &"x".repeat(8000)), 4000)?, 4000);

    let signing = Signing {
        access_key: serving.variable("AWS_ACCESS_KEY_ID"),
        secret_key: serving.variable("AWS_SECRET_ACCESS_KEY"),
        service: "opsworks-cm".to_owned(),
        region: "us-east-1".to_owned(),
        now: enlist_emulator::machine_now(),
    };
    let (host, target) = (client::host(&url), "OpsWorksCM_V2016_11_01.DescribeServers");
    for value in ["[],", "{},", "1,", "\"\",", "null,"] {
        let list = value.repeat(1024 * 1024 / value.len() - 20);
        let body = format!("{{\"ServerName\":[{}]}}", list.trim_end_matches(','));
        let reply = send(&url, "POST", "/", &signing.headers(host, target, &body), &body)?;
        assert_eq!((reply.status, reply.error().as_str()), (400, "SerializationException"));
    }
    for _ in 0..40 {
        let body = format!("{{\"MaxResults\":1,\"Padding\":\"{}\"}}", "x".repeat(1_000_000));
        let reply = send(&url, "POST", "/", &signing.headers(host, target, &body), &body)?;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    // Calls with long bodies fill the record, which is then looked at as a whole.
    let body = format!("{{\"Padding\":\"{}\"}}", "x".repeat(15_000));
    let headers = signing.headers(host, target, &body);
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let long = format!("POST / HTTP/1.1\r\n{lines}content-length: {length}\r\n\r\n{body}");
    assert_eq!(pipelined(&url, long.as_bytes(), 1500)?, 1500);
    for path in ["/_emulator/calls", "/_emulator/v1/calls?limit=100000"] {
        assert!(send(&url, "GET", path, &[], "")?.body.len() > 10_000_000, "{path}");
    }
    let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1048576\r\n\r\n");
    let mut unfinished = Vec::new();
    for _ in 0..60 {
        let mut stream = TcpStream::connect(host)?;
        stream.set_write_timeout(Some(Duration::from_millis(100)))?;
        stream.write_all(head.as_bytes())?;
        // It stops reading when it has enough.
        let _ = stream.write_all(&vec![b'x'; 1_000_000]);
        unfinished.push(stream);
    }
    assert_eq!(send(&url, "GET", "/_emulator/state", &[], "")?.status, 200);
    let peak = serving.peak()?;
    assert!(peak < 64 * 1024, "{peak} KiB");
    Ok(())
}

/// A state of many megabytes is made as it is read: readers who stop cost next to nothing, and
/// hold nobody up.
#[test]
fn slow_readers_of_a_large_state_cost_nothing() -> Outcome {
    const NODES: usize = 20_000;
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let mut seed = String::from("[[server]]\nname = \"chef\"\nengine = \"Chef\"\n");
    for number in 0..NODES {
        let node = format!("[[server.node]]\nname = \"n{number}\"\npublic-key = '''{key}'''\n");
        seed.push_str(&node);
    }
    let scratch = openssl::Scratch::new()?;
    let file = scratch.write("seed.toml", &seed)?;
    let serving = Serving::start(&["--quiet", "--seed-file", &file], Stdio::null())?;
    let url = serving.url();
    let before = serving.peak()?;
    let mut stopped = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(client::host(&url))?;
        let host = client::host(&url);
        write!(stream, "GET /_emulator/v1/state HTTP/1.1\r\nhost: {host}\r\n\r\n")?;
        let mut first = [0; 12];
        stream.read_exact(&mut first)?;
        assert_eq!(&first, b"HTTP/1.1 200");
        stopped.push(stream);
    }
    assert_eq!(send(&url, "GET", "/_emulator/v1/health", &[], "")?.status, 200);
    // Snapshots of pointers and names, and a few pieces each.
    let more = serving.peak()?.saturating_sub(before);
    assert!(more < 64 * 1024, "{more} KiB more than {before}");
    drop(stopped);
    let state = send(&url, "GET", "/_emulator/v1/state", &[], "")?;
    assert!(state.body.len() > 10_000_000, "{}", state.body.len());
    let rows = state.json()["associations"].as_array().map(Vec::len);
    assert_eq!(rows, Some(NODES), "and one who reads gets it all");
    Ok(())
}

#[test]
fn the_newest_calls_are_kept() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let padding = "x".repeat(12_000);
    for number in 0..2000 {
        let body = json!({ "MaxResults": 1 + number, "Padding": padding });
        assert_eq!(call(&emulator, "DescribeServers", &body)?.status, 200);
    }
    let calls = emulator.calls();
    assert!((700..2000).contains(&calls.len()), "{}", calls.len());
    let newest = calls.last().ok_or("no call")?;
    assert_eq!((newest.number, &newest.request["MaxResults"]), (2000, &json!(2000)));
    assert_eq!(newest.service, Some("opsworks-cm"));
    assert_eq!(newest.answer["Servers"][0]["ServerName"], "puppet-test");
    let mut numbers = calls.iter().map(|call| call.number);
    let first = numbers.next().ok_or("no call")?;
    assert!(numbers.eq(first + 1..=2000), "none is missing in between");
    Ok(())
}

/// What cannot be trusted is not kept: neither the body of a request that nobody signed, nor a body
/// without end.
#[test]
fn bodies_are_kept_of_authenticated_requests_up_to_16_kib() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let headers = [("x-amz-target".to_owned(), format!("{}.DescribeServers", client::TARGET))];
    send(emulator.api_url(), "POST", "/", &headers, "{\"MaxResults\":1}")?;
    call(&emulator, "DescribeServers", &json!({ "Padding": "x".repeat(17_000) }))?;
    call(&emulator, "DescribeServers", &json!({ "Padding": "x" }))?;
    let kept: Vec<_> = emulator.calls().iter().map(|call| call.request.clone()).collect();
    assert_eq!(kept, [json!(null), json!(null), json!({ "Padding": "x" })]);
    let bytes: Vec<_> = emulator.calls().iter().map(|call| call.request_bytes).collect();
    assert_eq!(bytes, [16, 17_014, 15]);
    Ok(())
}

#[test]
fn half_a_request_is_not_waited_for() -> Outcome {
    let read_timeout = Duration::from_millis(300);
    let emulator = Emulator::start(Options { read_timeout, ..shared_ca() })?;
    let host = client::host(emulator.api_url());
    let body = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\n{{\"a");
    let chunks =
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n1\r\n");
    for (half, status) in [(body.as_str(), "408"), (chunks.as_str(), "408"), ("POST / HT", "")] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(half.as_bytes())?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        assert!(reply.contains(status), "{half}: {reply}");
        assert!(began.elapsed() < Duration::from_secs(9), "{half} was closed by the emulator");
    }
    Ok(())
}

/// A web page in a browser on this machine must not drive the emulator under a name of its own.
#[test]
fn requests_for_other_hosts_are_refused() -> Outcome {
    let emulator = Emulator::start(Options { hosts: vec!["emulator.test".into()], ..shared_ca() })?;
    let port = emulator.api_url().rsplit(':').next().unwrap_or_default();
    let ask = |url: &str, host: &str| {
        send(url, "GET", "/_emulator/state", &[("host".to_owned(), host.to_owned())], "")
    };
    for host in ["evil.example", "localhost.evil.example", "", &format!("evil.example:{port}")] {
        for url in [emulator.api_url(), emulator.imds_url()] {
            let reply = ask(url, host)?;
            assert_eq!(
                (reply.status, reply.error().as_str()),
                (421, "MisdirectedRequestException")
            );
            assert!(reply.body.contains("--allow-host"), "{}", reply.body);
        }
    }
    for host in
        ["127.0.0.1", "localhost", "[::1]:80", "emulator.test", "ssm.eu-west-1.amazonaws.com"]
    {
        assert_eq!(ask(emulator.api_url(), host)?.status, 200, "{host}");
    }
    let proxied =
        format!("GET http://evil.example/_emulator/state HTTP/1.1\r\nhost: {}\r\n\r\n", "::");
    let mut stream = TcpStream::connect(client::host(emulator.api_url()))?;
    stream.write_all(proxied.as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    assert_eq!(&head, b"HTTP/1.1 421");
    Ok(())
}

/// A refusal is the same whether it is IAM's or a fault's.
#[test]
fn denied_is_the_same_by_both_options() -> Outcome {
    let denied = ["DescribeServers".to_owned()].into();
    let by_permission = Emulator::start(Options { denied, ..shared_ca() })?;
    let by_fault = Emulator::start(shared_ca())?;
    by_fault.inject("DescribeServers=denied".parse()?);
    let replies = [&by_permission, &by_fault].map(|emulator| {
        let key = client::variable(emulator, "AWS_ACCESS_KEY_ID");
        let reply = call(emulator, "DescribeServers", &json!({}));
        reply.map(|reply| (reply.status, reply.error(), reply.body.replace(&key, "KEY")))
    });
    let [first, second] = replies;
    let first = first?;
    assert_eq!(first, second?);
    assert_eq!(
        (first.0, first.1.as_str()),
        (400, "AccessDeniedException"),
        "as the reference has it"
    );
    Ok(())
}

#[test]
fn permission_is_refused_by_service_and_by_action() -> Outcome {
    for (option, cm, stacks) in [
        ("opsworks-cm:*", true, false),
        ("opsworks-cm:DescribeServers", true, false),
        ("DescribeStacks", false, true),
        ("*", true, true),
    ] {
        let emulator =
            Emulator::start(Options { denied: [option.to_owned()].into(), ..shared_ca() })?;
        let refused = |service: &str, target: &str| {
            let reply = call_target(&emulator, (service, target), &json!({}));
            reply.map(|reply| reply.error() == "AccessDeniedException")
        };
        let found = (
            refused("opsworks-cm", "OpsWorksCM_V2016_11_01.DescribeServers")?,
            refused("opsworks", "OpsWorks_20130218.DescribeStacks")?,
        );
        assert_eq!(found, (cm, stacks), "{option}");
    }
    Ok(())
}

/// A fault is for one service's action, and for calls that the service would have answered.
#[test]
fn faults_strike_their_service_after_authentication() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    emulator.inject("DescribeServers=500".parse()?);
    let target = format!("{}.DescribeServers", client::TARGET);
    let unsigned = [("x-amz-target".to_owned(), target.clone())];
    let reply = send(emulator.api_url(), "POST", "/", &unsigned, "{}")?;
    assert_eq!(reply.error(), "MissingAuthenticationTokenException");
    let wrong = Signing { secret_key: "wrong".into(), ..Signing::of(&emulator) };
    let reply = client::call_signed(&emulator, &wrong, "DescribeServers", "{}")?;
    assert_eq!(reply.error(), "InvalidSignatureException");
    for (service, prefix) in [("ssm", "AmazonSSM"), ("opsworks", "OpsWorks_20130218")] {
        let other = format!("{prefix}.DescribeServers");
        let reply = call_target(&emulator, (service, &other), &json!({}))?;
        assert_eq!(reply.error(), "UnknownOperationException", "{service}");
    }
    assert_eq!(call(&emulator, "DescribeServers", &json!({}))?.error(), "InternalFailure");
    assert_eq!(call(&emulator, "DescribeServers", &json!({}))?.status, 200);

    emulator.inject("*=invalid-state".parse()?);
    assert_eq!(call(&emulator, "DescribeServers", &json!({}))?.status, 200, "it has no such error");
    let leave = json!({ "ServerName": "puppet-test", "NodeName": "node" });
    assert_eq!(call(&emulator, "DisassociateNode", &leave)?.error(), "InvalidStateException");
    Ok(())
}

/// A call that the request limit refuses uses no fault up.
#[test]
fn faults_strike_within_the_request_limit() -> Outcome {
    let throttle = Some("1/1".parse()?);
    let mut plane = plane::paper(ControlSettings { throttle, ..ControlSettings::default() });
    plane.inject("DescribeServers=500".parse()?);
    let errors = [0, 0, 1000].map(|after| {
        let now = plane::START.plus(Duration::from_millis(after));
        plane::verdict(&plane::call(&mut plane, now, "DescribeNodeAssociationStatus", &json!({}))).0
    });
    assert_eq!(errors, ["ValidationException", "ThrottlingException", "ValidationException"]);
    let now = plane::START.plus(Duration::from_secs(1));
    let refused = plane::call(&mut plane, now, "DescribeServers", &json!({}));
    assert_eq!(plane::verdict(&refused).0, "ThrottlingException");
    let now = plane::START.plus(Duration::from_secs(2));
    let struck = plane::call(&mut plane, now, "DescribeServers", &json!({}));
    assert_eq!(plane::verdict(&struck).0, "InternalFailure");
    Ok(())
}
