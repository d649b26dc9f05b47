//! Values of AWS profiles.

use crate::common::{Node, expect, run};
use crate::{ended, patient, with_profile};

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

/// Lines of the profile `default`, and a part of the message.
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
        "nothing is set there",
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
    for (text, words) in [
        (&b"[default]\n# M\xfcller\nregion = x\n"[..], "write the file in UTF-8"),
        (b"\xef\xbb\xbf[default]\r\nregion = EU\r\n", "region can't be \"EU\""),
    ] {
        node.write("home/.aws/config", "");
        std::fs::write(node.path("home/.aws/config"), text).unwrap();
        let mut command = node.command(&["join"]);
        command.env_remove("AWS_REGION").env("HOME", node.path("home"));
        expect(&ended(&mut command), 78, &[words, "/home/.aws/config"]);
    }
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
fn a_missing_profile_is_an_error_that_names_the_others() {
    let node = patient();
    let config = "[profile web]\nregion = us-east-1\n[default]\nregion = us-east-1\n";
    let run = with_profile(&node, &["join", "--set", "aws.profile=wbe"], config, "");
    expect(&run, 78, &["no AWS profile \"wbe\"", "aws.profile", "web"]);
    node.write("home/.aws/config", config);
    let mut command = node.command(&["join"]);
    command.env("HOME", node.path("home")).env("AWS_PROFILE", "wbe");
    expect(&ended(&mut command), 78, &["no AWS profile \"wbe\"", "AWS_PROFILE", "web"]);
    let mut command = node.command(&["join"]);
    command.env("HOME", node.path("home")).env("AWS_PROFILE", "my web");
    expect(&ended(&mut command), 78, &["no AWS profile \"my web\"", "without blanks"]);
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
fn the_null_device_is_an_empty_file_of_profiles() {
    let node = Node::new();
    let mut command = node.command(&["join"]);
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let joined = run(&mut command);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
}
