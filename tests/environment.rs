//! The environment, AWS profiles and the metadata service as input: each value is parsed, shown by
//! `check`, or refused by its name; none ends the process. Driven through the binary that ships.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::io::Write;

use common::server::{Server, token, whole};
use common::{Node, Run, expect, run, text};
use enlist::host::aws::VARIABLES;
use enlist_emulator::Options;
use serde_json::Value;

const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY";

/// A node whose budget is long: what ends at once does not wait for it.
fn patient() -> Node {
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"30m\"\nname = \"n1\"\n");
    node
}

/// Joins; `timeout` ends what waits.
fn join_with(node: &Node, variables: &[(&str, &str)]) -> Run {
    with(node, &["join"], variables)
}

fn with(node: &Node, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = node.command(arguments);
    command.envs(variables.iter().copied());
    ended(&mut command)
}

/// Kills it after a minute, which no test here allows for.
fn ended(command: &mut std::process::Command) -> Run {
    let mut bounded = std::process::Command::new("timeout");
    bounded.args(["--kill-after=1", "60"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    let run = run(&mut bounded);
    assert_ne!(run.code, 124, "it waits: {}", run.stderr);
    run
}

/// An exit code of ours: no abort, no signal.
fn ours(run: &Run) {
    assert!([0, 65, 69, 74, 75, 76, 77, 78].contains(&run.code), "{}: {}", run.code, run.stderr);
}

/// Variable, value, and what is said of it.
const MALFORMED: &[(&str, &str, &str)] = &[
    ("AWS_REGION", "eu-central-1a", "its region is eu-central-1"),
    ("AWS_REGION", "us-west-2-lax-1a", "its region is us-west-2"),
    ("AWS_REGION", "euc1-az2", "id of an availability zone"),
    ("AWS_REGION", "eu-central-1\n", "lower case letters"),
    ("AWS_REGION", "EU-CENTRAL-1", "lower case letters"),
    ("AWS_REGION", "evil.example/#", "lower case letters"),
    ("AWS_DEFAULT_REGION", "eu central", "lower case letters"),
    ("AWS_ENDPOINT_URL", " ", "no URL has"),
    ("AWS_ENDPOINT_URL", "localhost:4566", "no scheme"),
    ("AWS_ENDPOINT_URL", "opsworks.example", "no scheme"),
    ("AWS_ENDPOINT_URL", "ftp://host", "ftp"),
    ("AWS_ENDPOINT_URL", "https://", "names no host"),
    ("AWS_ENDPOINT_URL", "https://host:99999", "port"),
    ("AWS_ENDPOINT_URL", "https://host:x", "port"),
    ("AWS_ENDPOINT_URL", "https://[::1", "names no host"),
    ("AWS_ENDPOINT_URL", "https://a b", "no URL has"),
    ("AWS_ENDPOINT_URL", "https://a\nb", "no URL has"),
    ("AWS_ENDPOINT_URL", "https://h\u{f6}st", "no URL has"),
    ("AWS_ENDPOINT_URL", "https://u:s3cret@host", "a login"),
    ("AWS_ENDPOINT_URL", "https://host/?q", "a query"),
    ("AWS_ENDPOINT_URL_OPSWORKSCM", "://", "no scheme"),
    ("AWS_ENDPOINT_URL_OPSWORKS", "http:/x", "no scheme"),
    ("AWS_ENDPOINT_URL_SSM", "x", "no scheme"),
    ("AWS_ENDPOINT_URL_STS", "https:// ", "no URL has"),
    ("AWS_USE_FIPS_ENDPOINT", "yes", "true or false"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "1", "true or false"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "on", "true or false"),
    ("AWS_USE_FIPS_ENDPOINT", "true", "together with an endpoint"),
    ("AWS_ACCESS_KEY_ID", "AKID\nEXAMPLE", "line ends"),
    ("AWS_SECRET_ACCESS_KEY", "s3cret\r", "line ends"),
    ("AWS_SESSION_TOKEN", "a\u{1}s3cret", "header"),
    ("AWS_SESSION_TOKEN", "s3cret t\u{f6}ken", "header"),
    ("AWS_ROLE_ARN", "role/x", "ARN"),
    ("AWS_ROLE_SESSION_NAME", "a b", "2 to 64"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "v2/x", "begins with a single /"),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "169.254.170.2/x", "no scheme"),
    ("AWS_EC2_METADATA_DISABLED", "yes", "true or false"),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254", "no scheme"),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "6", "IPv4 or IPv6"),
    ("AWS_CA_BUNDLE", "/a\nb", "line ends"),
    ("HTTPS_PROXY", "socks5://u:s3cret@p:1080", "socks5"),
    ("HTTPS_PROXY", "http://", "names no host"),
    ("https_proxy", "http://p:port", "port"),
    ("HTTP_PROXY", "p p", "no URL has"),
    ("ALL_PROXY", "ftp://p", "ftp"),
    ("AWS_EXECUTION_ENV", "a\nb", "header"),
    ("AWS_PROFILE", "a\nb", "line ends"),
];

#[test]
fn a_malformed_variable_is_named_and_nothing_is_asked() {
    let long = format!("https://{}", "a".repeat(3000));
    let node = patient();
    let long = ("AWS_ENDPOINT_URL", long.as_str(), "longer");
    for (name, value, words) in MALFORMED.iter().chain([&long]) {
        for command in ["join", "check"] {
            let run = with(&node, &[command], &[(name, value)]);
            expect(&run, 78, &[name, words, "\n  to do: "]);
            assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
            assert!(run.stderr.lines().all(|line| line.len() < 700), "{}", run.stderr);
        }
    }
    assert!(node.emulator.calls().is_empty());
    assert!(!node.files().iter().any(|file| file.starts_with("var/lib")), "{:?}", node.files());
}

#[test]
fn what_is_not_utf_8_is_named_too() {
    use std::os::unix::ffi::OsStringExt;
    let node = patient();
    for name in ["AWS_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "HTTPS_PROXY"] {
        let mut command = node.command(&["join"]);
        command.env(name, std::ffi::OsString::from_vec(vec![b'a', 0xff]));
        expect(&ended(&mut command), 78, &[name, "not UTF-8"]);
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let node = patient();
    let empty = |but: &[&str]| {
        let names = VARIABLES.iter().map(|(name, _)| *name).filter(|name| *name != "HOME");
        names.filter(|name| !but.contains(name)).map(|name| (name, "")).collect::<Vec<_>>()
    };
    let needed = [
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ];
    let run = join_with(&node, &empty(&needed));
    assert_eq!(run.code, 0, "{}", run.stderr);

    // All of them: the settings say what is needed, and no metadata service is asked.
    let node = patient();
    let url = format!("aws.endpoint_url={}", node.emulator.api_url());
    let arguments = ["join", "--set", "aws.region=us-east-1", "--set", &url];
    let run = with(
        &node,
        &arguments,
        &empty(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]),
    );
    assert_eq!(run.code, 0, "{}", run.stderr);

    // Empty keys: those of the instance's role are used.
    let node = Node::with(Options { role: Some("web".to_owned()), ..Options::default() });
    let joined = join_with(&node, &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
}

#[test]
fn check_shows_what_is_in_force_with_its_source_and_no_secret() {
    let node = patient();
    let variables = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-2"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("HTTPS_PROXY", "http://user:s3cret@proxy.example:3128"),
        ("NO_PROXY", "169.254.169.254"),
        ("AWS_ENDPOINT_URL_STS", "https://sts.example"),
    ];
    let run = with(&node, &["check"], &variables);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for line in [
        "AWS_REGION = eu-west-1",
        "HTTPS_PROXY = http://(login)@proxy.example:3128",
        "NO_PROXY = 169.254.169.254",
        "AWS_ENDPOINT_URL_STS = https://sts.example",
        "environment, AWS_ACCESS_KEY_ID",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in {}", run.stdout);
    }
    for hidden in [SECRET, "s3cret", "eu-west-2"] {
        assert!(!run.stdout.contains(hidden), "{hidden} is in {}", run.stdout);
    }
    let run = with(&node, &["check", "--json", "--set", "aws.region=us-east-1"], &variables);
    let listing: Value = serde_json::from_str(&run.stdout).unwrap();
    let shown = listing["environment"].as_array().unwrap();
    let value = |name: &str| {
        shown.iter().find(|shown| shown["name"] == name).map(|shown| shown["value"].clone())
    };
    assert_eq!(value("AWS_REGION"), None, "the setting counts");
    assert_eq!(value("AWS_ENDPOINT_URL_STS"), Some("https://sts.example".into()));
    assert!(!run.stdout.contains(SECRET));
}

/// A home directory with these files, and nothing of AWS in the environment but the metadata.
fn with_profile(node: &Node, arguments: &[&str], config: &str, credentials: &str) -> Run {
    node.write("home/.aws/config", config);
    node.write("home/.aws/credentials", credentials);
    let mut command = node.command(arguments);
    command.env("HOME", node.path("home"));
    // A busy machine's metadata service may have to be asked twice.
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    for name in [
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(name);
    }
    ended(&mut command)
}

/// The emulator's keys, as a profile has them.
fn keys(node: &Node) -> String {
    let env = node.emulator.env();
    let value =
        |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut text = format!(
        "aws_access_key_id = {}\naws_secret_access_key = {}\n",
        value("AWS_ACCESS_KEY_ID").unwrap(),
        value("AWS_SECRET_ACCESS_KEY").unwrap()
    );
    if let Some(token) = value("AWS_SESSION_TOKEN") {
        text.extend(["aws_session_token = ", &token, "\n"]);
    }
    text
}

/// What stands in the profile `default`, and what is said of it.
const PROFILES: &[(&str, &str)] = &[
    ("region = eu-central-1a\n", "eu-central-1"),
    ("region = EU\n", "region"),
    ("endpoint_url = localhost:1\n", "no scheme"),
    ("endpoint_url = http://10.0.0.1\n", "session token"),
    ("ec2_metadata_service_endpoint = x\n", "no scheme"),
    ("ec2_metadata_service_endpoint_mode = 4\n", "IPv4 or IPv6"),
    ("use_fips_endpoint = maybe\n", "true or false"),
    ("use_dualstack_endpoint = maybe\n", "true or false"),
    ("ignore_configured_endpoint_urls = maybe\n", "true or false"),
    ("ca_bundle = /a\n  /b\n", "line ends"),
    ("role_arn = x\nsource_profile = default\n", "ARN"),
    ("role_arn = arn:aws:iam::123456789012:role/x\n", "without source_profile"),
    ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = nope\n", "no AWS profile"),
    ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = default\n", "no credentials"),
    ("role_arn = arn:aws:iam::123456789012:role/x\ncredential_source = Nope\n", "Nope"),
    (
        "role_arn = arn:aws:iam::123456789012:role/x\ncredential_source = Environment\n",
        "nothing is set",
    ),
    (
        "role_arn = arn:aws:iam::123456789012:role/x\nmfa_serial = m\nsource_profile = default\n",
        "needs a person",
    ),
    (
        "role_arn = arn:aws:iam::123456789012:role/x\nrole_session_name = a b\nsource_profile = default\n",
        "2 to 64",
    ),
    (
        "role_arn = arn:aws:iam::123456789012:role/x\nduration_seconds = 1h\nsource_profile = default\n",
        "900",
    ),
    ("aws_access_key_id = AKID\n", "aws_secret_access_key is not"),
    ("aws_access_key_id = A KID\naws_secret_access_key = s\n", "header"),
    ("sso_session = s\n", "needs a person"),
    ("sso_start_url = https://x\nsso_account_id = 1\n", "needs a person"),
    ("login_session = arn\n", "needs a person"),
];

#[test]
fn a_malformed_value_of_a_profile_is_named_with_file_and_profile() {
    let node = patient();
    for (lines, words) in PROFILES {
        let run = with_profile(&node, &["join"], &format!("[default]\n{lines}"), "");
        expect(&run, 78, &[words, "/home/.aws/config", "\n  to do: "]);
    }
    let run = with_profile(
        &node,
        &["join"],
        "",
        "[default]\naws_access_key_id = A\naws_secret_access_key = s3 cret\n",
    );
    expect(&run, 78, &["aws_secret_access_key", "/home/.aws/credentials", "profile \"default\""]);
    assert!(!run.stderr.contains("s3 cret"));
    let run = with_profile(&node, &["join"], "[default\nregion = x\n", "");
    expect(&run, 78, &["can't be parsed", "/home/.aws/config", "line 1"]);
    let chain = "[default]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::123456789012:role/y\nsource_profile = default\n";
    expect(&with_profile(&node, &["join"], chain, ""), 78, &["leads back to itself"]);
    let services = "[default]\nservices = s\n[services s]\nopsworkscm =\n  endpoint_url = nope\n";
    expect(
        &with_profile(&node, &["join"], services, ""),
        78,
        &["endpoint_url", "services \"s\"", "no scheme"],
    );
    assert!(node.emulator.calls().is_empty());
}

#[test]
fn a_profile_that_is_not_there_ends_it_at_once_and_the_others_are_named() {
    let node = patient();
    let config = "[profile web]\nregion = us-east-1\n[default]\nregion = us-east-1\n";
    let run = with_profile(&node, &["join", "--set", "aws.profile=wbe"], config, "");
    expect(&run, 78, &["no AWS profile \"wbe\"", "aws.profile", "web"]);
    node.write("home/.aws/config", config);
    let mut command = node.command(&["join"]);
    command.env("HOME", node.path("home")).env("AWS_PROFILE", "wbe");
    expect(&ended(&mut command), 78, &["no AWS profile \"wbe\"", "AWS_PROFILE", "web"]);
}

#[test]
fn a_profile_alone_is_enough_to_join() {
    let node = patient();
    let url = node.emulator.api_url().to_owned();
    let config = format!(
        "[profile web]\nregion = us-east-1\nservices = here\nendpoint_url = http://127.0.0.1:9\n[services here]\nopsworkscm =\n  endpoint_url = {url}\n"
    );
    let run = with_profile(
        &node,
        &["join", "--set", "aws.profile=web"],
        &config,
        &format!("[web]\n{}", keys(&node)),
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let shown = with_profile(
        &node,
        &["check", "--set", "aws.profile=web"],
        &config,
        &format!("[web]\n{}", keys(&node)),
    );
    assert!(shown.stdout.contains(&format!("endpoint_url = {url}")), "{}", shown.stdout);
}

#[test]
fn credential_process_gives_credentials_and_sees_none_of_ours() {
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
    assert_eq!(node.read("runs").lines().count(), 1, "credentials that last are asked for once");
}

#[test]
fn a_credential_process_that_fails_is_denied_at_once_with_its_last_words() {
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
fn plain_http_is_for_this_machine_unless_it_is_allowed() {
    let node = patient();
    for url in [
        "http://opsworks.example",
        "http://10.0.0.1:80",
        "http://localhost.example",
        "http://0.0.0.0",
        "HTTP://opsworks.example",
    ] {
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_OPSWORKSCM", "AWS_ENDPOINT_URL_STS"] {
            expect(
                &join_with(&node, &[(name, url)]),
                78,
                &[name, "session token", "allow_http = true"],
            );
        }
        let set = format!("aws.endpoint_url={url}");
        expect(
            &with(&node, &["join", "--set", &set], &[]),
            78,
            &["aws.endpoint_url", "allow_http = true"],
        );
        let allowed =
            with(&node, &["check", "--set", "aws.allow_http=true"], &[("AWS_ENDPOINT_URL", url)]);
        assert_eq!(allowed.code, 0, "{}", allowed.stderr);
    }
    for url in
        ["http://localhost:1", "http://127.1.2.3", "http://[::1]:1", "https://opsworks.example"]
    {
        let run = with(&node, &["check"], &[("AWS_ENDPOINT_URL", url)]);
        assert_eq!(run.code, 0, "{url}: {}", run.stderr);
    }
}

/// Roles as a metadata service may name them, and stranger things.
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
fn no_role_name_and_no_credentials_of_the_metadata_service_end_the_process() {
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
        ours(&run);
        assert!(run.code != 0 && run.code != 74, "{role:?} {body:?}: {}", run.code);
    }
}

#[test]
fn no_lifetime_of_a_token_ends_the_process() {
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

/// Answers as the API does, so that what signed the question can be looked at.
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
    // Empty is unset, also where the other one would come first.
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
fn a_role_is_assumed_at_the_endpoint_that_is_named() {
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

#[test]
fn no_root_is_read_where_no_tls_is_spoken() {
    let node = patient();
    let joined = join_with(&node, &[("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    // The first join, and the one that finds that there is nothing to do.
    let node = patient();
    for what in ["a join", "already joined"] {
        let inner = node.command(&["join"]);
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-e", "trace=open,openat,openat2", "-o"]).arg(node.path("trace"));
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let joined = run(&mut command);
        assert_eq!(joined.code, 0, "{what}: {}", joined.stderr);
        let opened = node.read("trace");
        assert!(opened.contains("enlist.toml"), "{opened}");
        for place in ["/etc/ssl/", "/etc/pki/"] {
            assert!(!opened.contains(place), "{what}: {place} is read");
        }
    }
}

#[test]
fn the_null_device_is_an_empty_file_of_profiles() {
    let node = Node::new();
    let mut command = node.command(&["join"]);
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let joined = run(&mut command);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
}
