//! Answers of the metadata service that must not end the process.

use std::io::Write;

use crate::common::server::{Server, token, whole};
use crate::common::{Node, Run};
use crate::{join_with, patient, with};

/// Checks that it ended with an exit code of its own, and not by an abort or a signal.
fn ended_by_itself(run: &Run) {
    assert!([0, 65, 69, 74, 75, 76, 77, 78].contains(&run.code), "{}: {}", run.code, run.stderr);
}

/// Answers in the place of a role's name.
const ROLES: &[&str] = &[
    "",
    " ",
    "\n",
    "a b",
    "a\nb",
    "a\tb",
    "\u{7f}",
    "a\u{0}b",
    "r\u{f6}le",
    "../../x",
    "a?b",
    "a#b",
    "a%",
    "a%zz",
    "[",
    "a\\b",
    "<html>",
    "{\"a\":1}",
    "a|b",
    "a^b",
    "//",
    "http://x",
    "\u{202e}",
    "a\r\nHost: x",
];

#[test]
fn no_role_name_and_no_credentials_make_it_panic() {
    let good = r#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2099-01-01T00:00:00Z"}"#;
    let mut cases: Vec<(String, String)> =
        ROLES.iter().map(|role| ((*role).to_owned(), good.to_owned())).collect();
    cases.push(("r".repeat(50_000), good.to_owned()));
    for body in [
        "",
        "{}",
        "null",
        "[]",
        "{\"Code\":\"Failed\",\"Message\":\"no\"}",
        &good.replace("\"T\"", "\"a\\nb\""),
        &good.replace("\"A\"", "\"\\u0000\""),
        &good.replace("2099-01-01", "9999-12-31"),
        &good.replace("2099-01-01", "0000-01-01"),
        &good.replace("2099-01-01T00:00:00Z", "-292277026596-12-04T15:30:08Z"),
        &good.replace("2099-01-01T00:00:00Z", ""),
        &good.replace("\"2099-01-01T00:00:00Z\"", "1e400"),
        &"[".repeat(60_000),
    ] {
        cases.push(("web".to_owned(), body.to_owned()));
    }
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1s\"\nname = \"n1\"\n");
    for (role, body) in cases {
        let (name, said) = (role.clone(), body.clone());
        let server = Server::metadata(move |path| match path {
            "/latest/dynamic/instance-identity/document" => {
                whole("200 OK", r#"{"instanceId":"i-0123456789abcdef0","region":"us-east-1"}"#)
            }
            "/latest/meta-data/iam/security-credentials/" => whole("200 OK", &name),
            path if path.starts_with("/latest/meta-data/iam/") => whole("200 OK", &said),
            _ => whole("404 Not Found", ""),
        });
        let url = server.url();
        let run = join_with(
            &node,
            &[("AWS_ACCESS_KEY_ID", ""), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)],
        );
        ended_by_itself(&run);
        assert!(run.code != 0 && run.code != 74, "{role:?} {body:?}: {}", run.code);
    }
}

#[test]
fn no_lifetime_of_a_token_makes_it_panic() {
    for life in [
        "99999999999999",
        "18446744073709551615",
        "99999999999999999999999",
        "-1",
        "0",
        "abc",
        "1e9",
        "21600.5",
        "",
    ] {
        let life_ = life.to_owned();
        let server = Server::start(move |head, _, stream| {
            let answer = match head {
                head if head.starts_with("PUT ") => token(&life_),
                head if head.contains("identity/document") => {
                    whole("200 OK", r#"{"instanceId":"i-0123456789abcdef0","region":"us-east-1"}"#)
                }
                _ => whole("404 Not Found", ""),
            };
            stream.write_all(answer.as_bytes())
        });
        let node = patient();
        let url = server.url();
        let run = with(&node, &["facts"], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]);
        assert_eq!(run.code, 0, "{life}: {}", run.stderr);
        assert!(run.stdout.contains("i-0123456789abcdef0"), "{life}: {}", run.stdout);
    }
}
