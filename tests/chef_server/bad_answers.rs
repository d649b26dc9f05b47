//! Answers that are not those of a Chef server, or that refuse: each a fault of the right kind, with the
//! server's words, and nothing left that the record does not know.

use crate::common;
use crate::ruby::{CHEF, Machine, RubyServer, expect, has_library};

const POST: &str = "POST /clients";
const VERSIONS: &str = "GET /server_api_version";

fn whole(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn error(status: &str, words: &str) -> String {
    whole(status, &format!("{{\"error\":[\"{words}\"]}}"))
}

/// Has this call answered so, once, and joins.
fn join(server: &mut RubyServer, call: &str, answer: &str, budget: &str) -> (Machine, common::Run) {
    let file = server.directory.path().join("answer");
    std::fs::write(&file, answer).unwrap();
    assert_eq!(server.command(&format!("answer {call} {}", file.display())), "ok");
    let settings = server.settings("").replace("20s", budget);
    let machine = server.machine(&settings);
    let run = machine.enlist(&["join"]);
    (machine, run)
}

/// What is not a Chef server's answer ends the start, and the next one finds out what became of the call.
#[test]
fn what_is_no_answer_of_a_chef_server_is_named_and_loses_nothing() {
    if !has_library() {
        return;
    }
    let mut server = RubyServer::start(CHEF);
    let html = whole("200 OK\r\ncontent-type: text/html", "<html>Welcome to the balancer</html>");
    let huge =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}", "x".repeat(9_000_000));
    let moved = whole("301 Moved\r\nlocation: https://elsewhere.example/x", "");
    let rows: [(&str, &str, i32, &[&str]); 9] = [
        (VERSIONS, &html, 76, &["not a Chef server", "Welcome to the balancer"]),
        (VERSIONS, &moved, 76, &["redirect", "elsewhere.example", "url in [chef-server]"]),
        (POST, &html, 76, &["not a Chef server", "Welcome to the balancer"]),
        (POST, &moved, 76, &["redirect", "elsewhere.example"]),
        (POST, &huge, 76, &["larger than"]),
        (POST, &whole("201 Created", "{}"), 76, &["not a Chef server"]),
        (POST, &whole("201 Created", "[1"), 76, &["not a Chef server"]),
        (POST, &whole("401 Unauthorized", "<h1>Log in</h1>"), 76, &["Log in"]),
        (POST, "SSH-2.0-OpenSSH_9.2\r\n", 76, &["not a Chef server"]),
    ];
    for (call, answer, code, words) in rows {
        let (machine, run) = join(&mut server, call, answer, "20s");
        expect(&run, code, words);
        assert!(!machine.path("etc/chef/client.rb").exists());
        // The same machine joins once the server answers itself.
        expect(&machine.enlist(&["join"]), 0, &[]);
        expect(&machine.enlist(&["leave"]), 0, &[]);
    }
}

#[test]
fn refusals_are_named_in_the_servers_words_with_what_to_do() {
    if !has_library() {
        return;
    }
    let mut server = RubyServer::start(CHEF);
    let missing = "missing required authentication header(s) 'X-Ops-UserId'";
    let old = whole(
        "406 Not Acceptable",
        "{\"error\":\"invalid-x-ops-server-api-version\",\"message\":\"no\",\"min_version\":7,\"max_version\":9}",
    );
    let large = whole("413 Request Entity Too Large", "<html>nginx</html>");
    let rows: [(&str, &str, i32, &[&str]); 8] = [
        (POST, &error("400 Bad Request", missing), 76, &["X-Ops-", missing, "pass on all headers"]),
        (
            POST,
            &error("400 Bad Request", "Unsupported authentication protocol version"),
            76,
            &["X-Ops-"],
        ),
        (
            POST,
            &error("400 Bad Request", "Invalid client name 'web1' using regex"),
            69,
            &["Invalid client name"],
        ),
        (
            POST,
            &error("403 Forbidden", "missing create permission"),
            77,
            &["may not create clients", "missing create"],
        ),
        (POST, &old, 76, &["7 to 9", "invalid-x-ops-server-api-version"]),
        (POST, &large, 69, &["larger than the server accepts", "client_max_body_size"]),
        (
            "POST /nodes",
            &error("403 Forbidden", "missing create permission"),
            77,
            &["create_node = false"],
        ),
        (
            "POST /nodes",
            &error("400 Bad Request", "Field 'run_list' is not a valid run list"),
            69,
            &["run_list"],
        ),
    ];
    for (call, answer, code, words) in rows {
        let (machine, run) = join(&mut server, call, answer, "20s");
        expect(&run, code, words);
        assert!(!machine.path("etc/chef/client.rb").exists());
        expect(&machine.enlist(&["leave"]), 0, &[]);
        assert!(server.show()["clients"].get("web1").is_none(), "{call}: the client is left");
    }
}

/// What may pass is waited for within the budget.
#[test]
fn a_clock_that_is_off_and_a_server_in_trouble_are_waited_for() {
    if !has_library() {
        return;
    }
    let mut server = RubyServer::start(CHEF);
    let off = "200 OK\r\ndate: Thu, 01 Jan 2032 00:00:00 GMT";
    let off = whole(off, "{\"min_api_version\":0,\"max_api_version\":2}");
    let license = whole("403 Forbidden", "{\"error\":\"x\",\"message\":\"invalid-license\"}");
    let clock = error(
        "401 Unauthorized",
        "Failed to authenticate as acme-validator. Synchronize the clock on your host.",
    );
    let busy = whole("503 Service Unavailable\r\nretry-after: 1", "<html>busy</html>");
    for (call, answer, words) in [
        (VERSIONS, off.as_str(), ["clock is off", "behind the endpoint's"]),
        (POST, &license, ["licence", "invalid-license"]),
        (POST, &clock, ["clock is off", "Synchronize the clock"]),
        (POST, &busy, ["503", "busy"]),
    ] {
        let (machine, run) = join(&mut server, call, answer, "20s");
        expect(&run, 0, &words[..1]);
        expect(&machine.enlist(&["leave"]), 0, &[]);
        let (machine, run) = join(&mut server, call, answer, "1s");
        if run.code != 0 {
            expect(&run, 75, &words);
        }
        expect(&machine.enlist(&["leave"]), 0, &[]);
    }
}

/// A look that shows somebody else's client proves nothing.
#[test]
fn a_look_that_shows_another_client_is_not_believed() {
    if !has_library() {
        return;
    }
    let mut server = RubyServer::start(CHEF);
    let other_key = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----";
    for body in [
        "{\"name\":\"web2\"}".to_owned(),
        "{}".to_owned(),
        format!("{{\"name\":\"web1\",\"public_key\":\"{other_key}\"}}"),
    ] {
        let file = server.directory.path().join("look");
        std::fs::write(&file, whole("200 OK", &body)).unwrap();
        server.command(&format!("answer GET /clients/web1 {}", file.display()));
        let lost = whole("500 Internal Server Error", "{\"error\":[\"x\"]}");
        let (machine, run) = join(&mut server, POST, &lost, "20s");
        expect(&run, 65, &["another client than this node's"]);
        assert!(!machine.path("etc/chef/client.pem").exists());
        expect(&machine.enlist(&["join"]), 0, &[]);
        expect(&machine.enlist(&["leave"]), 0, &[]);
    }
}
