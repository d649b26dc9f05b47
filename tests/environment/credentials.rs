//! Credentials from programs, containers and roles.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::common::server::{Server, whole};
use crate::common::{Node, Run, expect, text};
use crate::{SECRET, ended, join_with, patient, with_profile};

#[test]
fn credential_process_gives_credentials_and_does_not_see_ours() {
    let node = patient();
    let env = node.emulator.env();
    let value = |name: &str| env.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let token = env
        .iter()
        .find(|(name, _)| name == "AWS_SESSION_TOKEN")
        .map_or("null".to_owned(), |(_, token)| format!("\"{token}\""));
    let printed = format!(
        r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{}","SessionToken":{token},"Expiration":"2099-01-01T00:00:00Z"}}"#,
        value("AWS_ACCESS_KEY_ID"),
        value("AWS_SECRET_ACCESS_KEY"),
    );
    let root = text(node.root.path()).to_owned();
    node.write("print", &printed);
    let config = format!(
        "[default]\nregion = us-east-1\nendpoint_url = {}\ncredential_process = /bin/sh -c 'env > {root}/seen; echo run >> {root}/runs; cat {root}/print'\n",
        node.emulator.api_url()
    );
    node.write("home/.aws/config", &config);
    let mut command = node.command(&["join"]);
    command.env("HOME", node.path("home")).env("AWS_SESSION_TOKEN", "tok-of-ours");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_REGION"] {
        command.env_remove(name);
    }
    let run = ended(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let seen = node.read("seen");
    assert!(
        !seen.contains("tok-of-ours") && !seen.contains(&value("AWS_SECRET_ACCESS_KEY")),
        "{seen}"
    );
    assert_eq!(node.read("runs").lines().count(), 1, "valid credentials are not fetched again");
}

#[test]
fn a_credential_process_that_fails_ends_the_join_with_its_last_line() {
    let cases: &[(&str, &[&str])] = &[
        ("ROOT/helper --profile-arn x", &["exit code 3", "no trust anchor"]),
        ("/nonexistent/helper --x", &["exit code 127", "not found"]),
        ("kill -9 $$", &["ended by a signal"]),
        ("sh -c 'echo hello'", &["no usable credentials", "not JSON"]),
        ("sh -c 'true'", &["no usable credentials"]),
        ("echo {}", &["Version"]),
        ("echo '{\"Version\":2}'", &["Version"]),
        ("echo '{\"Version\":1,\"AccessKeyId\":\"A\"}'", &["SecretAccessKey"]),
        (
            "echo '{\"Version\":1,\"AccessKeyId\":\"A B\",\"SecretAccessKey\":\"S\"}'",
            &["AccessKeyId"],
        ),
        (
            "echo '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"2001-01-01T00:00:00Z\"}'",
            &["have expired"],
        ),
        (
            "echo '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}'",
            &["Expiration"],
        ),
        ("sh -c 'echo wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY >&2; exit 1'", &["(hidden)"]),
        ("sh -c 'echo bad pin $1 >&2; exit 1' x s3cretpin", &["bad pin (hidden)"]),
    ];
    let node = patient();
    let url = node.emulator.api_url();
    node.write("helper", "#!/bin/sh\necho first >&2; echo no trust anchor >&2; exit 3\n");
    let helper = node.path("helper");
    assert!(std::process::Command::new("chmod").arg("755").arg(helper).status().unwrap().success());
    for (process, words) in cases {
        let process = process.replace("ROOT", text(node.root.path()));
        let config = format!(
            "[default]\nregion = us-east-1\nendpoint_url = {url}\ncredential_process = {process}\n"
        );
        let run = with_profile(&node, &["join"], &config, "");
        expect(&run, 77, words);
        expect(&run, 77, &["could not be signed", "credential_process", "/home/.aws/config"]);
        for secret in [SECRET, "s3cretpin"] {
            assert!(!run.stderr.contains(secret), "{}", run.stderr);
        }
        assert!(!run.stderr.contains("retrying"), "{}", run.stderr);
    }
}

#[test]
fn a_credential_process_that_hangs_is_stopped_when_the_budget_ends() {
    let node = patient();
    let config = format!(
        "[default]\nregion = us-east-1\nendpoint_url = {}\ncredential_process = sleep 300\n",
        node.emulator.api_url()
    );
    let run = with_profile(&node, &["join", "--set", "node.budget=3s"], &config, "");
    expect(&run, 77, &["credential_process was stopped", "did not end within", "gave up"]);
    assert!(!run.stderr.contains("within 60 s"), "{}", run.stderr);
}

/// An API that refuses every request, so that the test can see how the requests are signed.
fn api() -> Server {
    Server::saying(whole(
        "400 Bad Request\r\ncontent-type: application/x-amz-json-1.1",
        "{\"__type\":\"ValidationException\",\"message\":\"seen\"}",
    ))
}

fn signed_with(server: &Server, token: &str) -> bool {
    server
        .heads()
        .iter()
        .any(|head| head.to_lowercase().contains(&format!("x-amz-security-token: {token}")))
}

#[test]
fn a_container_gets_its_credentials_from_its_service() {
    let good = r#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"of-container","Expiration":"2099-01-01T00:00:00Z"}"#;
    let node = patient();
    node.write("token", "Bearer from-file\n");
    let file = text(&node.path("token")).to_owned();
    let service = Server::saying(whole("200 OK", good));
    let url = format!("{}/v2/x?id=1", service.url());
    let api = api();
    let api_url = api.url();
    let common = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_ENDPOINT_URL", &*api_url),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
    ];
    let with_file = [&common[..], &[("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &*file)]].concat();
    expect(&join_with(&node, &with_file), 69, &["seen"]);
    assert!(signed_with(&api, "of-container"), "{:?}", api.heads());
    let head = service.heads().remove(0);
    assert!(head.starts_with("GET /v2/x?id=1 ") && head.contains("Bearer from-file"), "{head}");
    // An empty variable counts as unset, also one that would come first.
    let with_token = [
        &common[..],
        &[
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ""),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", ""),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "tok"),
        ],
    ]
    .concat();
    expect(&join_with(&node, &with_token), 69, &["seen"]);
    assert!(service.heads().last().unwrap().contains("tok"));
    for (url, words) in [
        ("http://10.0.0.1/x", "is allowed for this machine"),
        ("http://credentials.example/", "is allowed for this machine"),
    ] {
        let run =
            join_with(&node, &[common[0], common[1], ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
        expect(&run, 78, &[words, "AWS_CONTAINER_CREDENTIALS_FULL_URI"]);
    }
    let run = join_with(
        &node,
        &[&common[..], &[("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent")]].concat(),
    );
    expect(&run, 78, &["/nonexistent"]);
    let odd = Server::saying(whole("200 OK", "<html>"));
    let url = odd.url();
    expect(
        &join_with(&node, &[common[0], common[1], ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)]),
        76,
        &["is not credentials"],
    );
}

#[test]
fn a_role_is_assumed_at_the_endpoint_for_sts() {
    let answer = |action: &str| {
        let given = "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>of-sts</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>";
        whole(
            "200 OK\r\ncontent-type: text/xml",
            &format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{given}</{action}Result></{action}Response>"
            ),
        )
    };
    let node = patient();
    node.write("token", "web-identity-token\n");
    let file = text(&node.path("token")).to_owned();
    let sts = Server::start(move |_, body, stream| {
        let is_web = body.contains("Action=AssumeRoleWithWebIdentity");
        assert_eq!(is_web, body.contains("WebIdentityToken=web-identity-token"), "{body}");
        let action = if is_web { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
        stream.write_all(answer(action).as_bytes())
    });
    let sts_url = sts.url();
    let api = api();
    let api_url = api.url();
    let run = join_with(
        &node,
        &[
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_ENDPOINT_URL", &api_url),
            ("AWS_ENDPOINT_URL_STS", &sts_url),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &file),
        ],
    );
    expect(&run, 69, &["seen"]);
    assert_eq!(sts.asked(), 1);
    assert!(signed_with(&api, "of-sts"), "{:?}", api.heads());

    let config = format!(
        "[default]\nregion = us-east-1\nendpoint_url = {api_url}\nservices = s\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = keys\n[profile keys]\naws_access_key_id = A\naws_secret_access_key = S\n[services s]\nsts =\n  endpoint_url = {sts_url}\n"
    );
    expect(&with_profile(&node, &["join"], &config, ""), 69, &["seen"]);
    assert_eq!(sts.asked(), 2);
    let run =
        join_with(&node, &[("AWS_ACCESS_KEY_ID", ""), ("AWS_WEB_IDENTITY_TOKEN_FILE", &file)]);
    expect(&run, 78, &["AWS_ROLE_ARN"]);
}

#[test]
fn keys_without_their_secret_are_incomplete() {
    let node = patient();
    let run = join_with(&node, &[("AWS_SECRET_ACCESS_KEY", "")]);
    expect(&run, 78, &["AWS_SECRET_ACCESS_KEY is not"]);
}

/// The answer of STS to AssumeRoleWithWebIdentity.
fn web_identity_sts() -> Server {
    Server::saying(whole(
        "200 OK\r\ncontent-type: text/xml",
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>of-sts</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
    ))
}

/// Joins with the token in this file: as a web identity, and for a container's service.
fn with_token_file(node: &Node, services: &Server, api: &str, file: &str) -> [Run; 2] {
    let common = [("AWS_ACCESS_KEY_ID", ""), ("AWS_ENDPOINT_URL", api)];
    let url = services.url();
    let web_identity = [
        ("AWS_ENDPOINT_URL_STS", &*url),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
    ];
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
    ];
    [
        join_with(node, &[&common[..], &web_identity].concat()),
        join_with(node, &[&common[..], &container].concat()),
    ]
}

#[test]
fn a_token_file_that_others_can_write_is_refused() {
    for (changed, mode, command) in
        [("tokens/token", 0o666, "chmod go-w"), ("tokens", 0o777, "chmod o-w")]
    {
        let (node, services, api) = (patient(), web_identity_sts(), api());
        node.write("tokens/token", "the-token\n");
        fs::set_permissions(node.path(changed), Permissions::from_mode(mode)).unwrap();
        let file = text(&node.path("tokens/token")).to_owned();
        let command = format!("{command} {}", node.path(changed).display());
        for run in with_token_file(&node, &services, &api.url(), &file) {
            expect(&run, 78, &["token can't be read from", "everybody can write", &command]);
            assert!(!run.stderr.contains("the-token"), "{}", run.stderr);
        }
        assert_eq!((services.asked(), api.asked()), (0, 0));
    }
}

/// A projected volume: links in a sticky directory that everybody can write to, all of root's.
#[test]
fn a_token_file_of_kubernetes_is_accepted() {
    let (node, services, api) = (patient(), web_identity_sts(), api());
    node.write("tokens/..2026_01_01/token", "the-token\n");
    symlink("..2026_01_01", node.path("tokens/..data")).unwrap();
    symlink("..data/token", node.path("tokens/token")).unwrap();
    fs::set_permissions(node.path("tokens"), Permissions::from_mode(0o1777)).unwrap();
    let file = text(&node.path("tokens/token")).to_owned();
    let [web_identity, _] = with_token_file(&node, &services, &api.url(), &file);
    expect(&web_identity, 69, &["seen"]);
    assert!(signed_with(&api, "of-sts"), "{:?}", api.heads());
}
