//! The way to the server: proxies, IPv6 addresses, redirects, and servers that have too much to do.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use enlist_emulator::control::Autosign;

use super::common::server::{Server, whole};
use super::common::{self, Node, expect, openssl, run, text};
use super::{asked, enlist, node, node_at, port, settings};

/// The name of the server that a proxy is asked for. It is no name of this machine.
const ELSEWHERE: &str = "puppet-test.example";

/// A proxy that leads to one port of this machine, whatever it is asked for. Returns its port, and the
/// heads of its requests.
fn proxy_to(port: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut client, mut head) = (stream.unwrap(), Vec::new());
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            // The doctor has looked only whether it accepts connections.
            if head.is_empty() {
                continue;
            }
            seen.lock().unwrap().push(String::from_utf8(head).unwrap());
            client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (own, heads)
}

fn proxied(node: &Node, proxy: u16, exceptions: &str) -> common::Run {
    with_proxy(node, &["join"], proxy, exceptions)
}

fn with_proxy(node: &Node, arguments: &[&str], proxy: u16, exceptions: &str) -> common::Run {
    let mut command = node.command(arguments);
    command
        .env_remove("AWS_ENDPOINT_URL")
        .env("HTTPS_PROXY", format!("http://user:s3cret@127.0.0.1:{proxy}"))
        .env("NO_PROXY", exceptions);
    let said = run(&mut command);
    assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);
    said
}

#[test]
fn the_server_is_reached_through_the_proxy_of_the_environment() {
    let node = node(Autosign::On, &[]);
    node.settings(&settings(&node, &format!("\"{ELSEWHERE}\""), "30s"));
    let (proxy, heads) = proxy_to(port(&node).parse().unwrap());
    expect(&proxied(&node, proxy, ""), 0, &[]);
    let heads = heads.lock().unwrap();
    let first = &heads[0];
    assert!(
        first.starts_with(&format!("CONNECT {ELSEWHERE}:{} HTTP/1.1\r\n", port(&node))),
        "{first}"
    );
    assert!(first.contains("Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=\r\n"), "{first}");
}

/// The agent reads puppet.conf, not the environment of enlist.
#[test]
fn a_proxy_that_only_one_of_enlist_and_the_agent_has_is_said() {
    let conf = "etc/puppetlabs/puppet/puppet.conf";
    let line = |port: u16| {
        format!("[main]\nhttp_proxy_host = 127.0.0.1\n[agent]\nhttp_proxy_port = {port}\n")
    };
    let unreached = |by: &str| format!("Puppet's agent goes to its server {by}, and does not");
    for (what, says) in [
        ("none", Some((unreached("directly"), "puppet.conf: http_proxy_host is not set"))),
        (
            "dead",
            Some((
                unreached("through the proxy http://127.0.0.1:9"),
                "http_proxy_host = 127.0.0.1",
            )),
        ),
        ("same", None),
        ("other", None),
    ] {
        let node = node(Autosign::On, &[]);
        node.settings(&settings(&node, &format!("\"{ELSEWHERE}\""), "30s"));
        let server = port(&node).parse().unwrap();
        let ((ours, _), (other, heads)) = (proxy_to(server), proxy_to(server));
        match what {
            "dead" => node.write(conf, &line(9)),
            "same" => node.write(conf, &line(ours)),
            "other" => node.write(conf, &line(other)),
            _ => {}
        }
        let said = proxied(&node, ours, "");
        expect(&said, 0, &[]);
        match says {
            Some((fault, place)) => {
                expect(&said, 0, &[&fault, place, &format!("http://127.0.0.1:{ours}")]);
                let doctor = with_proxy(&node, &["doctor"], ours, "");
                assert!(doctor.code == 74 && doctor.stdout.contains(place), "{doctor:?}");
                assert!(doctor.stdout.contains("first failed check: puppet-server: engine proxy"));
            }
            None => assert!(!said.stderr.contains("Puppet's agent goes"), "{said:?}"),
        }
        assert_eq!(heads.lock().unwrap().is_empty(), what != "other", "the agent's way is tried");
    }
}

#[test]
fn a_proxy_of_the_agent_is_named_where_the_server_is_not_reached() {
    let node = node(Autosign::On, &[]);
    node.settings(&settings(&node, "\"ca.invalid\"", "4s"));
    node.write("etc/puppetlabs/puppet/puppet.conf", "[agent]\nhttp_proxy_host = proxy.invalid\n");
    expect(&enlist(&node, &["join"]), 75, &["HTTPS_PROXY=http://proxy.invalid:3128", "line 2"]);
}

#[test]
fn a_server_in_no_proxy_is_reached_directly() {
    let node = node(Autosign::On, &[]);
    node.settings(&settings(&node, "\"ca.inside.invalid\"", "5s"));
    let (proxy, heads) = proxy_to(1);
    let said = proxied(&node, proxy, "inside.invalid");
    expect(&said, 75, &["could not be sent", "https://ca.inside.invalid:"]);
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn what_a_proxy_refuses_is_said_with_its_name() {
    let node = node(Autosign::On, &[]);
    node.settings(&settings(&node, "\"ca.invalid\"", "5s"));
    for (status, code, todo) in [
        ("403 Forbidden", 77, "NO_PROXY"),
        ("407 Proxy Authentication Required", 77, "http://NAME:PASSWORD@"),
        ("503 Busy", 75, "retrying"),
    ] {
        let proxy = Server::saying(whole(status, "<html>no</html>"));
        let named = format!("the proxy http://127.0.0.1:{} answered with HTTP status", proxy.port);
        expect(&proxied(&node, proxy.port, ""), code, &[&named, "https://ca.invalid:", todo]);
    }
    let silent = Server::saying("SSH-2.0-OpenSSH_9.2\r\n");
    let said = proxied(&node, silent.port, "");
    expect(&said, 75, &["cannot connect through the proxy http://127.0.0.1:", "not a proxy"]);
    let said = proxied(&node, 9, "");
    expect(&said, 75, &["cannot connect through the proxy http://127.0.0.1:9"]);
}

#[test]
fn an_ipv6_address_is_a_server_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("SKIPPED: this machine has no IPv6");
        return;
    }
    let node = node_at("[::1]:0", Autosign::On, &[]);
    for server in ["\"::1\"", "\"[::1]\""] {
        node.settings(&settings(&node, server, "30s"));
        expect(&enlist(&node, &["join"]), 0, &[]);
        let conf = node.read("etc/puppetlabs/puppet/puppet.conf");
        assert!(conf.contains("server = ::1\n"), "{conf}");
        assert!(conf.contains(&format!("serverport = {}\n", port(&node))), "{conf}");
        let status = enlist(&node, &["status"]);
        assert!(status.stdout.contains(&format!("[::1]:{}", port(&node))), "{}", status.stdout);
    }
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    for action in ["GetCertificateRevocationList", "PutCertificateRequest"] {
        let node = node(Autosign::On, &[&format!("puppet-ca:{action}=redirect*9")]);
        let said = enlist(&node, &["join"]);
        expect(&said, 76, &["redirect", "https://elsewhere.invalid/", "not followed"]);
        assert_eq!(node.asked(action), 1);
    }
}

#[test]
fn a_request_that_the_server_forbids_is_not_tried_again() {
    let node = node(Autosign::On, &["puppet-ca:GetCertificate=denied*99"]);
    expect(&enlist(&node, &["join"]), 77, &["GET certificate was denied", "auth.conf"]);
    assert_eq!(node.asked("GetCertificate"), 1);
}

#[test]
fn a_server_with_too_much_to_do_is_asked_again() {
    for fault in ["throttle", "503"] {
        let faults = [
            format!("puppet-ca:GetCertificateRevocationList={fault}*1"),
            format!("puppet-ca:PutCertificateRequest={fault}*1"),
        ];
        let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
        let node = node(Autosign::On, &faults);
        expect(&enlist(&node, &["join"]), 0, &["retrying in"]);
        assert_eq!(node.asked("PutCertificateRequest"), 2);
    }
}

#[test]
fn a_server_of_another_ca_or_another_name_is_described() {
    let node = node(Autosign::On, &[]);
    let made = tempfile::tempdir().unwrap();
    let (key, other) = (made.path().join("key"), made.path().join("ca.pem"));
    openssl(&["genpkey", "-algorithm", "RSA", "-out", text(&key)]);
    let request = ["req", "-x509", "-new", "-subj", "/CN=The other CA", "-key", text(&key)];
    openssl(&[&request[..], &["-out", text(&other)]].concat());
    let ours = fs::read_to_string(&other).unwrap();
    node.write("ca.pem", &ours);
    let said = enlist(&node, &["join"]);
    let digest = |pem: &str| enlist::pki::public_key::sha256(pem::parse(pem).unwrap().contents());
    // The server sends its own certificate and the signing CA's.
    let sent = node.emulator.ca_bundle();
    let root = "CN=Puppet Root CA: puppet-test";
    expect(&said, 78, &["unknown CA", root, &digest(&ours), &digest(&sent), "ca_file is the CA"]);

    assert!(asked(&node).is_empty());

    // An address of this machine that the certificate does not have.
    let node = node_at("127.0.0.2:0", Autosign::On, &[]);
    node.settings(&settings(&node, "\"127.0.0.2\"", "30s"));
    let said = enlist(&node, &["join"]);
    expect(
        &said,
        78,
        &["only valid for", "\"localhost\"", "name the server by one of these names"],
    );
    assert!(asked(&node).is_empty());
}
