//! The documented constraints of request members, at the limit and one past it. A value past its limit
//! is refused before any request. Hostile values are sent as text, or refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{Node, expect, list, off_ec2, openssl, target_node, text};
use enlist_emulator::Options;

const PUPPET: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";

fn x(n: usize) -> String {
    "x".repeat(n)
}

/// Checks that no request was sent that creates a member.
fn nothing_created(node: &Node) {
    for action in ["AssociateNode", "RegisterInstance", "CreateActivation"] {
        assert_eq!(node.asked(action), 0);
    }
}

#[test]
fn server_name_has_1_to_40_characters() {
    let longest = format!("s{}", x(39));
    let options =
        Options { servers: vec![format!("name={longest}").parse().unwrap()], ..Options::default() };
    let node = Node::with(options);
    let join = |name: &str| node.enlist(&["join", "--set", &format!("opsworks-cm.server={name}")]);
    assert_eq!(join(&longest).code, 0);
    for bad in ["", "1s", "-s", "s_s", "s s", &format!("{longest}x")] {
        assert_eq!(join(bad).code, 78, "{bad:?}");
    }
}

#[test]
fn a_node_name_follows_the_rules_of_the_api_and_of_puppet() {
    let at_limit = x(64);
    for name in ["a", "web-1.example_org", &at_limit] {
        let node = target_node(PUPPET, &[]);
        let run = node.enlist(&["join", "--set", &format!("node.name={name}")]);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
    }
    let past = x(65);
    for name in ["A", "a:b", "a/b", "ca", "a-", &past] {
        let node = target_node(PUPPET, &[]);
        expect(&node.enlist(&["join", "--set", &format!("node.name={name}")]), 78, &["name"]);
        nothing_created(&node);
    }
    // Chef has no rule. The API's rule still applies.
    let chef = "[opsworks-cm]\nserver = \"chef-test\"\nengine = \"chef\"\n";
    let node = target_node(chef, &[]);
    assert_eq!(node.enlist(&["join", "--set", "node.name=A:b_c.d-e"]).code, 0);
    for name in ["a b", "a/b", "ä"] {
        let node = target_node(chef, &[]);
        assert_eq!(
            node.enlist(&["join", "--set", &format!("node.name={name}")]).code,
            78,
            "{name}"
        );
        nothing_created(&node);
    }
}

#[test]
fn an_engine_attribute_has_at_most_10_000_characters() {
    // Base64 has four characters for three bytes: test both sides of the limit.
    let join = |bytes: usize| {
        let node = target_node(
            &format!("{PUPPET}extension_requests = {{ pp_project = \"{}\" }}\n", x(bytes)),
            &[],
        );
        (node.enlist(&["join"]), node)
    };
    let (run, node) = join(6000);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let sent = node
        .emulator
        .calls()
        .into_iter()
        .find(|call| call.action == "AssociateNode")
        .unwrap()
        .request;
    let length = sent["EngineAttributes"][0]["Value"].as_str().unwrap().len();
    // A line of PEM has 65 characters for 48 bytes.
    let most = 6000 + (10_000 - length) * 48 / 65;
    let (run, _) = join(most - 48);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (run, node) = join(most + 48);
    expect(&run, 78, &["PUPPET_NODE_CSR", "10000", "fewer or shorter"]);
    nothing_created(&node);
}

#[test]
fn an_activations_tags_and_times_have_their_limits() {
    let many = |n: usize| (0..n).map(|i| format!("k{i} = \"v\"")).collect::<Vec<_>>().join(", ");
    let join = |more: &str| {
        let node =
            target_node(&format!("[ssm]\niam_role = \"r\"\nhand_over = \"file\"\n{more}\n"), &[]);
        (off_ec2(&node, &["join", "--set", "aws.region=us-east-1", "--set", "node.name=n"]), node)
    };
    for fits in [
        format!("tags = {{ {} }}", many(1000)),
        format!("tags = {{ k = \"{}\" }}", x(256)),
        "expires_in = \"30d\"".to_owned(),
        "expires_in = \"5m\"".to_owned(),
        "default_instance_name = \"ä 1_.:/=+-@\"".to_owned(),
    ] {
        let (run, _) = join(&fits);
        assert_eq!(run.code, 0, "{}: {}", &fits[..fits.len().min(60)], run.stderr);
    }
    for past in [
        format!("tags = {{ {} }}", many(1001)),
        format!("tags = {{ k = \"{}\" }}", x(257)),
        "tags = { \"\" = \"v\" }".to_owned(),
        "expires_in = \"30d 1s\"".to_owned(),
        "expires_in = \"4m 59s\"".to_owned(),
        "default_instance_name = \"a#b\"".to_owned(),
        "description = \"a\\nb\"".to_owned(),
    ] {
        let (run, node) = join(&past);
        assert_eq!(run.code, 78, "{}: {}", &past[..past.len().min(60)], run.stderr);
        assert!(run.stderr.len() < 1500, "a message is short");
        nothing_created(&node);
    }
}

#[test]
fn hostile_endpoints_are_refused() {
    for endpoint in [
        "e'; system('id') #",
        "e\nserver = evil",
        "#{x}",
        "e:99999",
        "ü.example",
        &x(300),
        "-e",
        "a..b",
        "[::1]",
    ] {
        let options = Options { endpoint: Some((*endpoint).to_owned()), ..Options::default() };
        for settings in [PUPPET, "[opsworks-cm]\nserver = \"chef-test\"\n"] {
            let node = common::target_node_with(settings, &[], options.clone());
            let run = node.enlist(&["join"]);
            expect(&run, 76, &["is not a host name"]);
            nothing_created(&node);
            assert!(
                !node.path("etc/chef/client.rb").exists()
                    && !node.path("etc/puppetlabs/puppet/puppet.conf").exists()
            );
        }
    }
}

#[test]
fn hostile_tags_are_text_in_the_request_only() {
    let hostile = "a\"'`$(id)#{x}\\n ü\u{202e}";
    let tags =
        [("pp_role", hostile.to_owned()), ("pp_project", x(200)), ("pp_owner", String::new())];
    let mut options = Options::default();
    options.instance.tags =
        Some(tags.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<BTreeMap<_, _>>());
    let node = common::target_node_with(PUPPET, &[], options);
    let run = node.enlist(&["join"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let der = node.path("c.der");
    openssl(&["x509", "-in", text(&node.certificate()), "-outform", "DER", "-out", text(&der)]);
    let der = fs::read(der).unwrap();
    assert!(der.windows(hostile.len()).any(|window| window == hostile.as_bytes()));
    assert!(!node.read("etc/puppetlabs/puppet/puppet.conf").contains("id)"));
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
}
