//! Hostile answers of a metadata service.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::server::{Server, whole};
use crate::common::{self, Node, Run};
use crate::{MOST_MEMORY, measured, node, refused};

fn with_metadata(node: &Node, server: &Server) -> (Run, u64) {
    let mut command = node.command(&["join", "-vv"]);
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url());
    measured(&mut command)
}

#[test]
fn a_server_that_is_not_a_metadata_service_means_not_ec2() {
    let cases: Vec<(&str, Server)> = vec![
        ("not JSON", Server::metadata(|_| whole("200 OK", "hello"))),
        ("no id", Server::metadata(|_| whole("200 OK", "{\"region\":\"us-east-1\"}"))),
        (
            "an id that is a path",
            Server::metadata(|_| whole("200 OK", "{\"instanceId\":\"../../etc/passwd\"}")),
        ),
        ("1 MiB", Server::metadata(|_| whole("200 OK", &" ".repeat(1024 * 1024)))),
        ("deep", Server::metadata(|_| whole("200 OK", &"[".repeat(60_000)))),
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
        assert!(run.stderr.contains("not an EC2 instance"), "{what}: {}", run.stderr);
        assert!(memory < MOST_MEMORY, "{what}: {memory} KiB");
    }
}

#[test]
fn a_metadata_service_that_does_not_answer_is_retried() {
    let drip = Server::start(|asked, _, stream| {
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
    let unauthorized = Server::metadata(|_| whole("401 Unauthorized", ""));
    let busy = Server::metadata(|_| whole("503 Busy", ""));
    for (what, server) in [("drip", drip), ("no token is right", unauthorized), ("busy", busy)] {
        let node = node();
        let run = with_metadata(&node, &server);
        println!("{what}: exit {}", run.0.code);
        refused(&node, &run, 75, &["metadata service did not answer", "gave up"]);
    }
}

#[test]
fn tags_are_limited_and_a_region_never_becomes_a_host() {
    let server = Server::metadata(|asked| {
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
    let run = common::run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let facts: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(facts["ec2"]["tags"].as_object().unwrap().len(), 50);
    assert!(facts["ec2"]["region"].is_null(), "{}", facts["ec2"]["region"]);
    let asked = server.asked();
    assert!(asked <= 60, "{asked} questions");
}

/// What goes wrong once at a path, and how each must end: as if it had not happened.
#[test]
fn one_bad_answer_about_tags_loses_no_tag() {
    let listing = "/latest/meta-data/tags/instance";
    let tag = "/latest/meta-data/tags/instance/pp_role";
    let page = || whole("200 OK", "<!DOCTYPE html>\n<html><body>Please log in</body></html>\n");
    let moved = || whole("301 Moved Permanently\r\nlocation: http://127.0.0.1:9/", "");
    let cases: Vec<(&str, &str, String)> = vec![
        ("a page for the list", listing, page()),
        ("a page for a tag", tag, page()),
        ("a redirect for the list", listing, moved()),
        ("a redirect for a tag", tag, moved()),
        ("bytes for the list", listing, whole("200 OK", "\u{7f}ELF{\"a")),
        ("bytes for a tag", tag, whole("200 OK", "\u{7f}ELF{\"a")),
        ("other names", listing, whole("200 OK", "{\"pp_role\": 1}")),
        ("a refusal of a listed tag", tag, whole("403 Forbidden", "")),
        ("not a method", listing, whole("405 Method Not Allowed", "")),
    ];
    for (what, bad_path, bad) in cases {
        let spoiled = AtomicBool::new(false);
        let server = Server::metadata(move |asked| {
            if asked == bad_path && !spoiled.swap(true, Ordering::SeqCst) {
                return bad.clone();
            }
            match asked.rsplit('/').next() {
                Some("document") => {
                    whole("200 OK", r#"{"instanceId":"i-0123456789abcdef0","region":"us-east-1"}"#)
                }
                Some("instance") => whole("200 OK", "pp_role"),
                Some("pp_role") => whole("200 OK", "web"),
                _ => whole("404 Not Found", ""),
            }
        });
        let node = Node::new();
        let mut command = node.command(&["facts", "--json"]);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url());
        let first = common::run(&mut command);
        assert_eq!(first.code, 75, "{what}: {} {}", first.stdout, first.stderr);
        assert!(first.stderr.contains("tags/instance"), "{what}: {}", first.stderr);
        let run = common::run(&mut command);
        assert_eq!(run.code, 0, "{what}: {}", run.stderr);
        let facts: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(facts["ec2"]["tags"]["pp_role"], "web", "{what}");
    }
}

#[test]
fn tags_that_are_off_are_no_tags() {
    for status in ["404 Not Found", "403 Forbidden"] {
        let server = Server::metadata(move |asked| match asked.rsplit('/').next() {
            Some("document") => whole("200 OK", r#"{"instanceId":"i-0123456789abcdef0"}"#),
            Some("instance") => whole(status, ""),
            _ => whole("404 Not Found", ""),
        });
        let node = Node::new();
        let mut command = node.command(&["facts", "--json"]);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url());
        let run = common::run(&mut command);
        assert_eq!(run.code, 0, "{status}: {}", run.stderr);
    }
}
