//! How many calls a second the emulator answers, with clients on the same machine: reads, and changes
//! with and without `--state`; and TLS at a server's endpoint.
//!
//! `cargo bench -p enlist-emulator --bench speed`

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    reason = "it measures, and ends where something fails"
)]

#[path = "../tests/emulator/client.rs"]
mod client;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::Signing;
use enlist_emulator::{CaSource, Emulator, Options};
use serde_json::{Value, json};

const CLIENTS: usize = 8;
const TIME: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    // `cargo test` runs benches to see that they build.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let directory =
        std::env::temp_dir().join(format!("enlist-emulator-speed-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let memory = Emulator::start(options(None))?;
    let kept = Emulator::start(options(Some(directory.join("state"))))?;
    let describe = ("opsworks-cm", "OpsWorksCM_V2016_11_01.DescribeServers");
    let register = ("opsworks", "OpsWorks_20130218.RegisterInstance");
    let instance = json!({ "StackId": "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee" });
    for (name, emulator, target, body) in [
        ("DescribeServers", &memory, describe, &json!({})),
        ("RegisterInstance", &memory, register, &instance),
        ("RegisterInstance, --state", &kept, register, &instance),
    ] {
        report(name, run(emulator, target, body)?);
    }
    let began = Instant::now();
    let length = client::send(kept.api_url(), "GET", "/_emulator/v1/state", &[], "")?.body.len();
    println!("the whole state, {} KiB: {} ms", length / 1024, began.elapsed().as_millis());
    let size = std::fs::metadata(directory.join("state"))?.len();
    drop(kept);
    let began = Instant::now();
    let again = Emulator::start(options(Some(directory.join("state"))))?;
    println!("a start with a file of {} KiB: {} ms", size / 1024, began.elapsed().as_millis());
    drop(again);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

fn options(state: Option<std::path::PathBuf>) -> Options {
    Options { state, throttle: None, ca: CaSource::Shared, ..Options::default() }
}

/// Calls and the longest wait of one.
fn run(emulator: &Emulator, target: (&str, &str), body: &Value) -> Outcome<(usize, Duration)> {
    let signing = Signing { service: target.0.to_owned(), ..Signing::of(emulator) };
    let (url, body) = (emulator.api_url(), body.to_string());
    let host = client::host(url);
    let headers = signing.headers(host, target.1, &body);
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("POST / HTTP/1.1\r\n{lines}content-length: {}\r\n\r\n{body}", body.len());
    let ends = Instant::now() + TIME;
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| calls(host, request.as_bytes(), ends))).collect();
        let mut total = (0, Duration::ZERO);
        for client in clients {
            let (count, longest) =
                client.join().expect("a client ends").map_err(|it| it.to_string())?;
            total = (total.0 + count, total.1.max(longest));
        }
        Ok(total)
    })
}

/// One call after the other, on one connection.
fn calls(host: &str, request: &[u8], ends: Instant) -> std::io::Result<(usize, Duration)> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let (mut count, mut longest, mut buffer) = (0, Duration::ZERO, vec![0; 64 * 1024]);
    while Instant::now() < ends {
        let began = Instant::now();
        stream.write_all(request)?;
        let (mut text, mut whole) = (Vec::new(), None);
        while whole.is_none_or(|whole| text.len() < whole) {
            let length = stream.read(&mut buffer)?;
            assert!(length > 0, "the connection ended");
            text.extend_from_slice(&buffer[..length]);
            whole = whole.or_else(|| length_of(&text));
        }
        assert!(text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text));
        longest = longest.max(began.elapsed());
        count += 1;
    }
    Ok((count, longest))
}

/// The length of an answer, once its head is there.
fn length_of(text: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(text);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head.len() + 4 + length.trim().parse::<usize>().ok()?)
}

fn report(name: &str, (count, longest): (usize, Duration)) {
    let seconds = usize::try_from(TIME.as_secs()).unwrap_or(1);
    println!(
        "{name}: {} calls a second, {CLIENTS} clients, the slowest {:.1} ms",
        count / seconds,
        longest.as_secs_f64() * 1000.0
    );
}
