//! A transient error of the metadata service, or a missing host name, does not change the node's
//! identity.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::{NAME, Node, Run, STACK, expect, list, openssl, run, target_node, text};
use enlist_emulator::Options;
use enlist_emulator::imds::Answering;

const ASSET_TAG: &str = "sys/class/dmi/id/board_asset_tag";
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const SHORT: &str =
    "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1s\"\n";

/// An EC2 instance with a host name.
fn instance() -> Node {
    let node = Node::with(Options {
        instance: enlist_emulator::imds::Instance {
            tags: Some([("pp_role".to_owned(), "web".to_owned())].into()),
            ..Default::default()
        },
        ..Options::default()
    });
    node.write("etc/hostname", "web9.example.net\n");
    node
}

/// The metadata requests of a join: token, document, then in parallel signature, public address and
/// tags, then each tag.
const REQUESTS: usize = 6;

/// Runs a case for each of these requests in parallel: joins mostly wait.
fn in_parallel(requests: impl IntoIterator<Item = usize>, case: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for request in requests {
            let case = &case;
            scope.spawn(move || case(request));
        }
    });
}

#[test]
fn a_transient_error_at_any_metadata_request_is_retried() {
    for kind in ["503", "500", "throttle", "lost-before", "lost-reply", "truncated"] {
        in_parallel(1..=REQUESTS, |request| {
            let node = instance();
            let fault = format!("IMDS={kind}*2@{request}");
            node.emulator.inject(fault.parse().unwrap());
            let run = node.join();
            assert!(run.stdout.contains(&format!("as {NAME}")), "{fault}: {}", run.stdout);
            let asked = node.emulator.imds_calls().len();
            assert!(asked > REQUESTS, "{fault}: it did not retry");
        });
    }
}

/// One web page, before or after answers of the service.
#[test]
fn a_single_refusal_decides_nothing() {
    for kind in ["html", "html-403", "denied", "garbage", "redirect"] {
        for request in [1, 2] {
            let node = instance();
            node.emulator.inject(format!("IMDS={kind}*1@{request}").parse().unwrap());
            let run = node.join();
            assert!(run.stdout.contains(&format!("as {NAME}")), "{kind}: {}", run.stdout);
        }
    }
}

#[test]
fn a_service_that_never_answers_ends_the_join_and_does_not_mean_not_ec2() {
    for kind in ["503", "500", "throttle", "lost-before", "truncated", "slow:9"] {
        in_parallel([1, 2, 3], |request| {
            let node = instance();
            node.settings(SHORT);
            node.emulator.inject(format!("IMDS={kind}*forever@{request}").parse().unwrap());
            let run = node.enlist(&["join"]);
            let words = ["the instance metadata service did not answer", node.emulator.imds_url()];
            expect(&run, 75, &words);
            assert!(node.emulator.calls().is_empty(), "{kind}: an API was called");
        });
    }
}

/// A server with this answer for each connection. Without an answer it keeps the connection open.
fn server(answer: Option<&'static str>) -> String {
    server_by_method(answer, answer)
}

/// Likewise, with an answer for the token (PUT) and one for everything else.
fn server_by_method(token: Option<&'static str>, other: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            let answer = if token.is_none() && other.is_none() {
                None
            } else {
                let length = stream.read(&mut asked).unwrap_or(0);
                if asked[..length].starts_with(b"PUT") { token } else { other }
            };
            match answer {
                Some(text) => drop(stream.write_all(text.as_bytes())),
                None => open.push(stream),
            }
        }
    });
    url
}

fn join_at(node: &Node, url: &str) -> Run {
    run(node.command(&["join"]).env(ENDPOINT, url))
}

#[test]
fn a_refusal_is_a_fault_where_the_firmware_names_ec2() {
    let refusals = [
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://portal.example/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>",
    ];
    for refusal in refusals {
        let node = instance();
        node.write(ASSET_TAG, "i-0aaaaaaaaaaaaaaaa\n");
        let url = server(Some(refusal));
        let run = join_at(&node, &url);
        expect(&run, 78, &[&url, "--http-endpoint enabled", "AWS_EC2_METADATA_DISABLED=true"]);
        assert!(run.stderr.contains("board_asset_tag"), "{}", run.stderr);
        // With this setting, the service is not asked.
        let mut command = node.command(&["join"]);
        command.env(ENDPOINT, "http://127.0.0.1:9").env("AWS_EC2_METADATA_DISABLED", "true");
        let run = common::run(&mut command);
        assert!(run.stdout.contains("as web9.example.net"), "{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn each_of_the_firmwares_values_is_enough() {
    for (path, text) in [
        ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
        (ASSET_TAG, "i-0aaaaaaaaaaaaaaaa\n"),
        ("sys/class/dmi/id/product_uuid", "EC2AE145-D1DC-13B2-94ED-01234567890A\n"),
        ("sys/class/dmi/id/product_uuid", "45e12aec-dcd1-b213-94ed-01234567890a\n"),
        ("sys/hypervisor/uuid", "ec2ae145-d1dc-13b2-94ed-01234567890a\n"),
    ] {
        let node = Node::with(Options { imds: Answering::Portal, ..Options::default() });
        node.write("etc/hostname", "web9.example.net\n");
        node.write(path, text);
        expect(&node.enlist(&["join"]), 78, &["the firmware says that this is an EC2 instance"]);
        assert!(node.emulator.calls().is_empty(), "{path}");
    }
}

#[test]
fn a_document_that_ends_in_the_middle_is_retried() {
    // Without a length, the end of the connection is the end of the answer.
    let half = "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\nconnection: close\r\n\r\n{\"instanceId\":\"i-0123";
    let token = "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 60\r\ncontent-length: 5\r\nconnection: close\r\n\r\ntoken";
    let node = instance();
    node.settings(SHORT);
    let url = server_by_method(Some(token), Some(half));
    expect(&join_at(&node, &url), 75, &["incomplete"]);
}

#[test]
fn the_hop_limit_is_named_if_the_token_never_arrives() {
    let node = instance();
    node.settings(SHORT);
    node.write(ASSET_TAG, "i-0aaaaaaaaaaaaaaaa\n");
    let url = server(None);
    expect(&join_at(&node, &url), 75, &[&url, "--http-put-response-hop-limit 2"]);
    // The connection is refused: the hop limit is not the cause.
    let run = join_at(&node, "http://127.0.0.1:9");
    expect(&run, 75, &["http://127.0.0.1:9"]);
    assert!(!run.stderr.contains("hop-limit"), "{}", run.stderr);
}

const NO_NAMES: [&str; 6] =
    ["", "localhost", "(none)", "fe80::1", "raspberrypi.lan", "ip-192-0-2-7.ec2.internal"];

fn off_ec2(node: &Node, arguments: &[&str]) -> Run {
    common::off_ec2(node, arguments)
}

#[test]
fn a_name_that_every_host_has_is_not_used() {
    for name in NO_NAMES {
        let by_template = [None, Some("{fqdn}"), Some("web-{hostname}")];
        let one = if name == "localhost" { 0..3 } else { 0..1 };
        for template in &by_template[one] {
            let node = Node::new();
            node.write("etc/hostname", &format!("{name}\n"));
            node.write(
                "etc/hosts",
                "127.0.0.1 localhost localhost.localdomain\n::1 ip6-localhost\n",
            );
            node.settings(SHORT);
            let set = template.map(|text| format!("node.name={text}"));
            let mut arguments = vec!["join"];
            if let Some(set) = &set {
                arguments.extend(["--set", set]);
            }
            let run = off_ec2(&node, &arguments);
            expect(
                &run,
                78,
                &["no host name yet", "hostnamectl set-hostname", "[node]", "gave up"],
            );
            assert!(node.emulator.calls().is_empty(), "{name}: an API was called");
            // A name in the settings is used.
            let run = off_ec2(&node, &["join", "--set", "node.name=web1"]);
            assert_eq!(run.code, 0, "{}", run.stderr);
        }
    }
}

/// The name that systemd gives a system without one (os-release(5)).
#[test]
fn the_distributions_default_name_is_not_used() {
    let running = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let node = Node::new();
    node.settings(SHORT);
    node.write("etc/os-release", &format!("ID=fedora\nDEFAULT_HOSTNAME=\"{}\"\n", running.trim()));
    expect(&off_ec2(&node, &["join"]), 78, &["no host name yet"]);
    node.write("etc/hostname", "fedora\n");
    expect(&off_ec2(&node, &["join"]), 78, &["the name of a system image"]);
    // The same name, if it is configured, is used.
    node.write("etc/hostname", &running);
    assert_eq!(off_ec2(&node, &["join"]).code, 0);
}

/// Joins off EC2, has the host renamed as soon as a line of the log has this word, and returns the summary.
fn renamed(node: &Node, word: &str, name: &str) -> String {
    let mut command = node.command(&["join"]);
    command.env_remove(ENDPOINT).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let waits = said.find(|line| line.as_ref().unwrap().contains(word));
    assert!(waits.is_some(), "it does not log {word:?}");
    // As cloud-init or DHCP set it.
    node.write("etc/hostname", &format!("{name}\n"));
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{rest:?}");
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn a_name_that_comes_later_is_waited_for() {
    for first in ["localhost", "ubuntu"] {
        let node = Node::new();
        node.write("etc/hostname", &format!("{first}\n"));
        let stdout = renamed(&node, "no host name yet", "web7.example.org");
        assert!(stdout.contains("as web7.example.org"), "{first}: {stdout}");
    }
}

/// Until the authority answers, the network may not be up, and the name is not the final one.
#[test]
fn a_name_that_changes_before_the_authority_answers_counts() {
    let node = Node::new();
    node.write("etc/hostname", "web7\n");
    node.emulator.inject("DescribeServers=503*3".parse().unwrap());
    let stdout = renamed(&node, "retrying", "web7.example.org");
    assert!(stdout.contains("as web7.example.org"), "{stdout}");
    let state = node.emulator.state();
    let names: Vec<&serde_json::Value> =
        list(&state, "associations").iter().map(|one| &one["node"]).collect();
    assert_eq!(names, ["web7.example.org"]);
}

#[test]
fn an_ec2_instance_needs_no_host_name_but_for_opsworks() {
    let node = Node::new();
    node.write("etc/hostname", "localhost\n");
    assert!(node.join().stdout.contains(NAME));
    let node = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    node.write("etc/hostname", "localhost.localdomain\n");
    let run = node.enlist(&["join", "--set", "node.budget=1s"]);
    expect(&run, 78, &["no host name yet", "hostname = \"...\" in [opsworks]"]);
    assert!(list(&node.emulator.state(), "instances").is_empty());
    let run = node.enlist(&["join", "--set", "opsworks.hostname=web1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

fn fqdn(hostname: &str, hosts: &str, resolv: &str) -> String {
    let node = Node::new();
    node.write("etc/hostname", hostname);
    node.write("etc/hosts", hosts);
    node.write("etc/resolv.conf", resolv);
    let run = off_ec2(&node, &["facts", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let facts: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    facts["fqdn"].as_str().unwrap().to_owned()
}

#[test]
fn a_placeholder_is_not_a_domain() {
    let line = "127.0.0.1 localhost.localdomain localhost web1.localdomain web1\n";
    assert_eq!(fqdn("web1\n", line, ""), "web1");
    assert_eq!(fqdn("web1\n", line, "search example.org\n"), "web1.example.org");
    assert_eq!(fqdn("web1\n", "127.0.0.1 web1.localhost web1\n", ""), "web1");
    assert_eq!(fqdn("web1\n", "", "search localdomain\n"), "web1");
    let both = "127.0.0.1 web1.localdomain web1\n10.0.0.7 web1.example.org web1\n";
    assert_eq!(fqdn("web1\n", both, ""), "web1.example.org");
    let debian = "127.0.0.1 localhost\n127.0.1.1 web1.example.org web1\n";
    assert_eq!(fqdn("web1\n", debian, ""), "web1.example.org");
    assert_eq!(fqdn("# set by hand\n\nweb1.\n", debian, ""), "web1.example.org");
}

#[test]
fn a_name_that_never_comes_is_in_the_status() {
    let node = Node::new();
    node.write("etc/hostname", "(none)\n");
    node.settings(SHORT);
    assert_eq!(off_ec2(&node, &["join"]).code, 78);
    let status = node.enlist(&["status"]);
    assert_eq!(status.code, 78, "{}", status.stdout);
    assert!(status.stdout.contains("hostnamectl set-hostname"), "{}", status.stdout);
}

/// The key that a join checked is not checked again while its file is unchanged.
#[test]
fn a_key_that_changes_after_the_join_is_found() {
    let node = Node::new();
    node.join();
    let cache = node.read("var/lib/enlist/opsworks-cm/checked-key.json");
    let key = fs::read_to_string(node.key()).unwrap();
    let sha256 = openssl(&["dgst", "-sha256", "-r", text(&node.key())]);
    assert!(cache.contains(sha256.split(' ').next().unwrap()), "{cache}: {sha256}");
    let healthy = node.enlist(&["status"]);
    assert!(!healthy.stdout.contains("the key"), "{}", healthy.stdout);

    // Still PEM and still DER: only the check of the numbers finds it.
    let middle = key.len() / 2;
    let swapped = if key.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let damaged = format!("{}{swapped}{}", &key[..middle], &key[middle + 1..]);
    let other = openssl(&["genrsa", "-traditional", "2048"]);
    for (content, problem) in [
        (damaged.as_str(), "the key is damaged"),
        (other.as_str(), "the key is not the one that this node joined with"),
    ] {
        fs::write(node.key(), content).unwrap();
        let status = node.enlist(&["status"]);
        assert!(status.stdout.contains(problem), "{problem}: {}", status.stdout);
        let join = node.enlist(&["join"]);
        assert!(join.stderr.contains(problem), "{problem}: {}", join.stderr);
    }

    // The former file again: its mode is still looked at.
    fs::write(node.key(), &key).unwrap();
    fs::set_permissions(node.key(), fs::Permissions::from_mode(0o644)).unwrap();
    let loose = node.enlist(&["status"]);
    assert!(loose.stdout.contains("lets others read or write it (0644)"), "{}", loose.stdout);
    fs::set_permissions(node.key(), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(node.read("var/lib/enlist/opsworks-cm/checked-key.json"), cache);
    let healthy = node.enlist(&["status"]);
    assert!(!healthy.stdout.contains("the key"), "{}", healthy.stdout);
}
