//! The environment, AWS profiles and the metadata service as input: each value is parsed and shown by
//! `check`, or refused by its name. No value makes the process panic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
#[path = "environment/credentials.rs"]
mod credentials;
#[path = "environment/metadata.rs"]
mod metadata;
#[path = "environment/profiles.rs"]
mod profiles;

use common::{Node, Run, expect, run};
use enlist::host::aws::variables;
use enlist_emulator::Options;
use serde_json::Value;

const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY-EXAMPLEKEY";

/// A node with a long budget, to notice a fault that is retried although it should not be.
fn patient() -> Node {
    let node = Node::new();
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"30m\"\nname = \"n1\"\n");
    node
}

/// Joins with these variables.
fn join_with(node: &Node, variables: &[(&str, &str)]) -> Run {
    with(node, &["join"], variables)
}

fn with(node: &Node, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = node.command(arguments);
    command.envs(variables.iter().copied());
    ended(&mut command)
}

/// Runs a command. It fails if the command takes a minute: then it retries something.
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
    assert_ne!(run.code, 124, "it did not end: {}", run.stderr);
    run
}

/// A variable, a value, and a part of the message.
const MALFORMED: &[(&str, &str, &str)] = &[
    ("AWS_REGION", "eu-central-1a", "its region is eu-central-1"),
    ("AWS_REGION", "us-west-2-lax-1a", "its region is us-west-2"),
    ("AWS_REGION", "euc1-az2", "id of an availability zone"),
    ("AWS_REGION", "fips-us-east-1", "the region is us-east-1"),
    ("AWS_REGION", "us-east-1\r", "Windows line ends"),
    ("AWS_REGION", "eu-central-1\n", "lower-case letters"),
    ("AWS_REGION", "EU-CENTRAL-1", "lower-case letters"),
    ("AWS_REGION", "evil.example/#", "lower-case letters"),
    ("AWS_DEFAULT_REGION", "eu central", "lower-case letters"),
    ("AWS_ENDPOINT_URL", " ", "not allowed in a URL"),
    ("AWS_ENDPOINT_URL", "localhost:4566", "no scheme"),
    ("AWS_ENDPOINT_URL", "opsworks.example", "no scheme"),
    ("AWS_ENDPOINT_URL", "ftp://host", "ftp"),
    ("AWS_ENDPOINT_URL", "https://", "it has no host"),
    ("AWS_ENDPOINT_URL", "https://host:99999", "port"),
    ("AWS_ENDPOINT_URL", "https://host:x", "port"),
    ("AWS_ENDPOINT_URL", "https://[::1", "it has no host"),
    ("AWS_ENDPOINT_URL", "https://a b", "not allowed in a URL"),
    ("AWS_ENDPOINT_URL", "https://a\nb", "not allowed in a URL"),
    ("AWS_ENDPOINT_URL", "https://h\u{f6}st", "not allowed in a URL"),
    ("AWS_ENDPOINT_URL", "https://u:s3cret@host", "a login"),
    ("AWS_ENDPOINT_URL", "https://host/?q", "a query"),
    ("AWS_ENDPOINT_URL_OPSWORKSCM", "://", "no scheme"),
    ("AWS_ENDPOINT_URL_OPSWORKS", "http:/x", "no scheme"),
    ("AWS_ENDPOINT_URL_SSM", "x", "no scheme"),
    ("AWS_ENDPOINT_URL_STS", "https:// ", "not allowed in a URL"),
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
    ("HTTPS_PROXY", "http://", "it has no host"),
    ("https_proxy", "http://p:port", "port"),
    ("HTTP_PROXY", "p p", "not allowed in a URL"),
    ("ALL_PROXY", "ftp://p", "ftp"),
    ("AWS_EXECUTION_ENV", "a\nb", "header"),
    ("AWS_PROFILE", "a\nb", "line ends"),
];

#[test]
fn of_two_proxies_that_differ_the_one_in_lower_case_counts_and_both_are_shown() {
    let node = patient();
    let variables = [
        ("http_proxy", "http://127.0.0.1:9"),
        ("HTTP_PROXY", "http://192.0.2.1:9"),
        ("no_proxy", "*.a.example"),
        ("NO_PROXY", "*.a.example"),
    ];
    let mut command = node.command(&["check"]);
    let run = run(command.envs(variables));
    expect(&run, 0, &[]);
    for shown in ["http_proxy = http://127.0.0.1:9", "HTTP_PROXY = http://192.0.2.1:9", "not used"]
    {
        assert!(run.stdout.contains(shown), "{shown}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("NO_PROXY"), "{}", run.stdout);
}

#[test]
fn a_malformed_variable_is_named_and_no_request_is_made() {
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
fn a_variable_that_is_not_utf_8_is_named() {
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
        let names = variables().map(|(name, _)| name).filter(|name| *name != "HOME");
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

    // All are empty: the settings have what is needed, and no metadata service is asked.
    let node = patient();
    let url = format!("aws.endpoint_url={}", node.emulator.api_url());
    let arguments = ["join", "--set", "aws.region=us-east-1", "--set", &url];
    let run = with(
        &node,
        &arguments,
        &empty(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]),
    );
    assert_eq!(run.code, 0, "{}", run.stderr);

    // Empty keys: the credentials of the instance's role are used.
    let node = Node::with(Options { role: Some("web".to_owned()), ..Options::default() });
    let joined = join_with(&node, &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
}

#[test]
fn check_shows_the_values_in_effect_with_their_sources_and_no_secret() {
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
    assert_eq!(value("AWS_REGION"), None, "the setting wins");
    assert_eq!(value("AWS_ENDPOINT_URL_STS"), Some("https://sts.example".into()));
    assert!(!run.stdout.contains(SECRET));
}

/// Runs a command with these files of profiles, and without AWS variables.
fn with_profile(node: &Node, arguments: &[&str], config: &str, credentials: &str) -> Run {
    node.write("home/.aws/config", config);
    node.write("home/.aws/credentials", credentials);
    let mut command = node.command(arguments);
    command.env("HOME", node.path("home"));
    // On a busy machine, the metadata service may have to be asked twice.
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

#[test]
fn plain_http_to_another_machine_must_be_allowed() {
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

#[test]
fn certificates_are_not_read_without_tls() {
    let node = patient();
    let joined = join_with(&node, &[("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    // A first join, and one with nothing to do.
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
