//! `enlist status`: membership and health, and what changed since the join.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;
#[path = "status/damaged.rs"]
mod damaged;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::{Node, Run, STACK, expect, list, off_ec2, run, self_signed, target_node};
use enlist_emulator::Options;
use serde_json::{Value, json};

const PUPPET: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n";
const SMALL: &str = "[puppet]\nkey_bits = 2048\n";

fn settings(text: &str) -> String {
    format!("[node]\nbudget = \"2m\"\n{text}")
}

/// The output of `status --json`, for the first target.
fn report(run: &Run) -> Value {
    let parsed: Value = serde_json::from_str(&run.stdout).unwrap();
    conforms(&parsed);
    parsed["targets"][0].clone()
}

/// Checks the JSON with the published schema, as far as this schema says something.
fn conforms(value: &Value) {
    let schema = fs::read_to_string("docs/status.schema.json").unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    check(&schema, &schema, value, "$");
}

fn check(top: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        return check(top, &top["$defs"][name.trim_start_matches("#/$defs/")], value, at);
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    match &schema["type"] {
        Value::String(kind) => assert!(is(kind), "{at} is not {kind}: {value}"),
        Value::Array(kinds) => {
            assert!(kinds.iter().any(|kind| is(kind.as_str().unwrap())), "{at}: {value}");
        }
        _ => {}
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value}");
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, inner) in object {
            let known =
                properties.get(name).unwrap_or_else(|| panic!("{at}.{name} is not documented"));
            check(top, known, inner, &format!("{at}.{name}"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
        }
    }
    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
        if !schema["items"].is_null() {
            check(top, &schema["items"], inner, &format!("{at}[{index}]"));
        }
    }
}

#[test]
fn a_member_whose_files_are_damaged_is_a_member_and_not_healthy() {
    let node = Node::new();
    node.join();
    let before = node.enlist(&["status"]);
    assert!(before.code == 0 && before.stdout.starts_with("opsworks-cm: joined, healthy\n"));
    let certificate = fs::read(node.certificate()).unwrap();
    for (content, code, word) in [
        (None, 74, "the certificate is missing"),
        (Some("-----BEGIN CERTIFICATE-----\nnone\n"), 65, "the certificate can't be used"),
    ] {
        match content {
            None => fs::remove_file(node.certificate()).unwrap(),
            Some(text) => fs::write(node.certificate(), text).unwrap(),
        }
        let said = node.enlist(&["status"]);
        assert_eq!(said.code, code, "{}", said.stdout);
        assert!(said.stdout.starts_with("opsworks-cm: joined, not healthy\n"), "{}", said.stdout);
        for word in
            [word, node.certificate().to_str().unwrap(), "enlist repair --target opsworks-cm"]
        {
            assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
        }
        let json = report(&node.enlist(&["status", "--json"]));
        assert_eq!((&json["membership"], &json["healthy"]), (&json!("member"), &json!(false)));
        let repaired = node.enlist(&["repair"]);
        assert!(repaired.stdout.starts_with("repaired: server puppet-test"), "{}", repaired.stderr);
        assert_eq!(fs::read(node.certificate()).unwrap(), certificate);
        assert_eq!(node.enlist(&["status"]).code, 0);
    }
    assert_eq!(node.asked("AssociateNode"), 1, "a repair asks the authority nothing");
}

#[test]
fn an_expired_certificate_is_said_and_renewed_by_hand() {
    let lifetime = Duration::from_secs(12);
    let node = Node::with(Options { certificate_lifetime: lifetime, ..Options::default() });
    node.join();
    let wait = node.record()["grant"]["not_after"].as_i64().unwrap();
    let unix = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    while i64::try_from(unix()).unwrap() <= wait {
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = node.enlist(&["status"]);
    assert_eq!(said.code, 65, "{}", said.stdout);
    for word in
        ["not healthy", "the certificate has expired", "expired  ", "renewal due", "enlist renew"]
    {
        assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
    }
    let serial = node.record()["grant"]["serial"].clone();
    let renewed = node.enlist(&["renew"]);
    assert_eq!(renewed.code, 0, "{}", renewed.stderr);
    assert_ne!(node.record()["grant"]["serial"], serial);
    node.emulator.inject("AssociateNode=cert:other-ca".parse().unwrap());
    expect(&node.enlist(&["renew"]), 65, &["no new certificate"]);
}

/// A renewal by hand needs a member with a certificate, a repair the key.
#[test]
fn what_can_not_be_renewed_or_repaired_is_said() {
    let node = Node::new();
    expect(&node.enlist(&["renew"]), 64, &["has not joined", "enlist join --target opsworks-cm"]);
    expect(&node.enlist(&["repair"]), 64, &["has not joined"]);
    node.join();
    fs::remove_file(node.key()).unwrap();
    expect(
        &node.enlist(&["repair"]),
        65,
        &["the private key", "enlist leave --target opsworks-cm"],
    );
    assert!(!node.path("var/lib/enlist/opsworks-cm/key.pem").exists(), "no new key is made");
    let said = node.enlist(&["status"]);
    assert!(said.code == 65 && said.stdout.contains("restore the key"), "{}", said.stdout);
}

#[test]
fn changed_settings_are_shown_and_applied_where_that_is_possible() {
    let node = Node::new();
    let base = settings(&format!("{PUPPET}{SMALL}"));
    node.settings(&base);
    node.join();
    node.settings(&format!("{base}environment = \"staging\"\n"));
    let said = node.enlist(&["status"]);
    assert_eq!(said.code, 78, "{}", said.stdout);
    let line = "puppet.environment: in force not set, wanted \"staging\"; run `enlist join --target opsworks-cm --root";
    assert!(said.stdout.contains(line), "{}", said.stdout);
    let serial = node.record()["grant"]["serial"].clone();
    let since = node.record()["since"].clone();
    node.join();
    assert!(node.read("etc/puppetlabs/puppet/puppet.conf").contains("environment = staging"));
    assert_eq!((&node.record()["grant"]["serial"], &node.record()["since"]), (&serial, &since));
    assert_eq!(node.asked("AssociateNode"), 1);
    assert_eq!(node.enlist(&["status"]).code, 0);
    let (leave, again) = ("&& enlist join --target opsworks-cm --root", "needs a new membership");
    for (text, line) in [
        (
            "[node]\nname = \"other\"\n[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nenvironment = \"staging\"\n",
            "node.name: in force not set, wanted \"other\"",
        ),
        (
            "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nenvironment = \"staging\"\nssldir = \"/s\"\n",
            "puppet.ssldir: in force not set, wanted \"/s\"",
        ),
        (
            "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nenvironment = \"staging\"\nextension_requests = { pp_role = \"web\" }\n",
            "puppet.extension_requests: in force not set, wanted {\"pp_role\":\"web\"}",
        ),
    ] {
        node.settings(text);
        let said = node.enlist(&["status"]);
        assert!(said.code == 78 && said.stdout.contains(line), "{line}: {}", said.stdout);
        assert!(said.stdout.contains(leave), "{}", said.stdout);
        let join = node.join();
        assert!(join.stderr.contains(again), "{}", join.stderr);
    }
    // Written in another way, and the same in force.
    node.settings("[node]\nname = \"{instance_id}\"\n[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nenvironment = \"staging\"\nkey_bits = 4096\n");
    assert_eq!(node.enlist(&["status"]).code, 0);
}

#[test]
fn an_endpoint_is_applied_and_one_of_another_ca_is_not() {
    let node = Node::new();
    node.join();
    let ca = fs::read_to_string(node.ssl("certs/ca.pem")).unwrap();
    node.write("etc/pki/ca.pem", &ca);
    let pinned = "[opsworks-cm]\nserver = \"puppet-test\"\nendpoint = \"puppet2.example\"\nca_file = \"/etc/pki/ca.pem\"\n";
    node.settings(pinned);
    assert_eq!(node.enlist(&["status"]).code, 78);
    node.join();
    assert!(node.read("etc/puppetlabs/puppet/puppet.conf").contains("server = puppet2.example"));
    assert_eq!(node.enlist(&["status"]).code, 0);
    let (key, other) = (node.path("other.key"), node.path("etc/pki/other.pem"));
    self_signed("other", &key, &other, &[]);
    node.settings(&pinned.replace("/ca.pem", "/other.pem"));
    let run = node.enlist(&["join"]);
    expect(
        &run,
        78,
        &["the changed settings are not applied", "enlist leave --target opsworks-cm"],
    );
    assert_eq!(node.record()["phase"], "joined");
    assert!(node.ssl("certs/ca.pem").exists());
    assert_eq!(fs::read_to_string(node.ssl("certs/ca.pem")).unwrap(), ca);
}

#[test]
fn another_server_is_joined_after_the_former_one_is_left() {
    let node = target_node(&format!("{PUPPET}{SMALL}"), &[]);
    node.join();
    node.settings(&settings("[opsworks-cm]\nserver = \"chef-test\"\n[chef]\nkey_bits = 2048\n"));
    let said = node.enlist(&["status"]);
    let line = "opsworks-cm.server: in force \"puppet-test\", wanted \"chef-test\"";
    assert!(said.code == 78 && said.stdout.contains(line), "{}", said.stdout);
    expect(
        &node.enlist(&["join"]),
        78,
        &["enlist leave --target opsworks-cm --root", "&& enlist join"],
    );
    let left = node.enlist(&["leave", "--target", "opsworks-cm"]);
    assert!(left.stdout.starts_with("left: server puppet-test"), "{}{}", left.stdout, left.stderr);
    assert!(list(&node.emulator.state(), "associations").is_empty());
    node.join();
    assert!(node.path("etc/chef/client.pem").exists());
}

#[test]
fn a_target_without_settings_is_still_a_membership() {
    let node = target_node(&format!("{PUPPET}{SMALL}[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    node.join();
    node.settings(&settings(&format!("[opsworks]\nstack_id = \"{STACK}\"\n")));
    let said = node.enlist(&["status"]);
    assert_eq!(said.code, 0, "{}", said.stdout);
    assert!(said.stdout.contains("opsworks-cm: joined, healthy"), "{}", said.stdout);
    assert!(said.stdout.contains("known from the record"), "{}", said.stdout);
    let json: Value = serde_json::from_str(&node.enlist(&["status", "--json"]).stdout).unwrap();
    conforms(&json);
    assert_eq!(json["targets"][0]["configured"], false);
    let left = node.enlist(&["leave", "--target", "opsworks-cm"]);
    assert!(left.stdout.starts_with("left: server puppet-test"), "{}{}", left.stdout, left.stderr);
    // Without any settings at all.
    fs::remove_file(node.path("etc/enlist/enlist.toml")).unwrap();
    assert_eq!(node.enlist(&["status"]).code, 0);
    let left = node.enlist(&["leave"]);
    assert_eq!(left.code, 0, "{}", left.stderr);
    assert!(list(&node.emulator.state(), "instances").is_empty());
    expect(&node.enlist(&["status"]), 78, &["no target is configured"]);
}

#[test]
fn an_activation_that_nobody_used_is_said_once_its_code_has_expired() {
    let node = target_node("[ssm]\niam_role = \"r\"\nhand_over = \"file\"\n", &[]);
    let joined = off_ec2(&node, &["join"]);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    let said = off_ec2(&node, &["status"]);
    assert!(said.code == 0 && said.stdout.contains("use the activation in"), "{}", said.stdout);
    let path = "var/lib/enlist/ssm/record.json";
    let mut record: Value = serde_json::from_str(&node.read(path)).unwrap();
    record["since"] = (record["since"].as_i64().unwrap() - 7200).into();
    node.write(path, &record.to_string());
    let said = off_ec2(&node, &["status"]);
    assert_eq!(said.code, 65, "{}", said.stdout);
    assert!(said.stdout.contains("nobody has used the activation"), "{}", said.stdout);
    // A longer lifetime in the settings is for the next activation.
    let longer = "[ssm]\niam_role = \"r\"\nhand_over = \"file\"\nexpires_in = \"30d\"\n";
    node.settings(longer);
    assert_eq!(off_ec2(&node, &["status"]).code, 65);
    node.write(
        "var/lib/amazon/ssm/Vault/Store/RegistrationKey",
        "{\"instanceID\":\"mi-0123456789abcdef0\"}",
    );
    assert_eq!(off_ec2(&node, &["status"]).code, 0);
}

#[test]
fn a_wait_ends_with_the_timeout_or_when_somebody_has_joined() {
    let node = Node::new();
    let said = node.enlist(&["status", "--wait", "--timeout", "1s"]);
    assert_eq!(said.code, 75, "{}", said.stdout);
    let waiting = node
        .command(&["status", "--wait", "--timeout", "2m"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.join();
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    expect(&node.enlist(&["status", "--timeout", "1s"]), 64, &["--wait"]);
}

#[test]
fn a_wait_ends_when_the_join_fails_for_good() {
    let node = Node::new();
    node.emulator.inject("AssociateNode=cert:other-ca".parse().unwrap());
    let waiting = node
        .command(&["status", "--wait", "--timeout", "2m"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(node.enlist(&["join"]).code, 65);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(65));
}

#[test]
fn a_probe_asks_the_authority_now() {
    let node = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    node.join();
    let said = node.enlist(&["status", "--probe", "--json"]);
    assert_eq!(
        (said.code, &report(&said)["probe"]["standing"]),
        (0, &json!("present")),
        "{}",
        said.stdout
    );
    // The same stack, without this instance.
    let empty = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    let mut command = node.command(&["status", "--probe"]);
    let said = run(command.envs(empty.emulator.env()));
    assert_eq!(said.code, 69, "{}", said.stdout);
    for word in [
        "not healthy",
        "absent",
        "the stack does not have instance",
        "enlist leave --target opsworks",
    ] {
        assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
    }
    let said = run(command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"));
    assert!(said.code == 75 && said.stdout.contains("failed"), "{}", said.stdout);
    assert_eq!(node.asked("RegisterInstance"), 1);
}

#[test]
fn an_unknown_target_is_a_usage_error_and_a_full_disk_is_not_success() {
    let node = Node::new();
    for command in ["status", "join", "leave", "renew", "repair"] {
        expect(&node.enlist(&[command, "--target", "opswork-cm"]), 64, &["opsworks-cm"]);
    }
    expect(&node.enlist(&["status", "--target", "ssm"]), 78, &["ssm", "opsworks-cm"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["check"][..], &["facts"], &["policy"], &["status", "--json"]] {
        let mut command = node.command(arguments);
        let output = command.stdout(full.try_clone().unwrap()).output().unwrap();
        assert_eq!(output.status.code(), Some(74), "{arguments:?}");
    }
}
