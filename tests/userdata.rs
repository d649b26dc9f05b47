//! The user data that a server of the emulator exports: a machine that runs it joins.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests run programs, and may panic"
)]

mod common;

use aws_credential_types::Credentials;
use aws_sdk_opsworkscm::config::{BehaviorVersion, Config, Region};
use aws_sdk_opsworkscm::types::EngineAttribute;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Node, list, run};
use enlist_emulator::Options;

/// Gets a server's user data through the AWS SDK.
fn exported(node: &Node, server: &str, inputs: &[(&str, &str)]) -> String {
    let variable = |name: &str| {
        let found = node.emulator.env().into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).unwrap()
    };
    let (key, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(node.emulator.api_url())
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .build();
    let client = aws_sdk_opsworkscm::Client::from_conf(config);
    let mut request = client
        .export_server_engine_attribute()
        .server_name(server)
        .export_attribute_name("Userdata");
    for (name, value) in inputs {
        request =
            request.input_attributes(EngineAttribute::builder().name(*name).value(*value).build());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(request.send()).unwrap();
    let value = answer.engine_attribute().unwrap().value().unwrap();
    String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap()
}

/// Runs the script with this node's root and with the program.
fn boot(node: &Node, script: &str) {
    let file = node.root.path().join("userdata.sh");
    std::fs::write(&file, script).unwrap();
    let mut command = std::process::Command::new("sh");
    command.arg(file).env_clear().env("PATH", "/usr/bin:/bin").envs(node.emulator.env());
    // The script sets the API's endpoint itself.
    command.env_remove("AWS_ENDPOINT_URL");
    command.env("ROOT", node.root.path()).env("ENLIST", env!("CARGO_BIN_EXE_enlist"));
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn a_puppet_servers_user_data_joins() {
    let node = Node::with(Options::default());
    boot(&node, &exported(&node, "puppet-test", &[("RunList", "ignored")]));
    assert!(node.certificate().is_file());
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
}

#[test]
fn a_chef_servers_user_data_joins() {
    let servers = vec!["name=chef-test,engine=Chef".parse().unwrap()];
    let node = Node::with(Options { servers, ..Options::default() });
    let inputs = [("RunList", "recipe[base],role[web]"), ("NodeEnvironment", "one-box")];
    boot(&node, &exported(&node, "chef-test", &inputs));
    let state = node.emulator.state();
    assert_eq!(list(&state, "associations")[0]["organization"], "default");
    assert!(node.read("etc/enlist/enlist.toml").contains("recipe[base]"));
}
