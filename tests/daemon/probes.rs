//! The daemon asks whether the authority still has this node.

use serde_json::Value;

use crate::Daemon;
use crate::common::chef_node::{admin, enlist, node, settings};
use crate::common::{NAME, Node, expect};

fn gauge(node: &Node) -> Option<String> {
    let text = std::fs::read_to_string(node.path("m.prom")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("enlist_known_to_authority{"))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[test]
fn a_deleted_client_is_a_finding_until_the_server_has_it_again() {
    let node = node("", &[]);
    let text = format!(
        "{}[run]\nprobe = \"1s\"\n[metrics]\ntextfile = \"/m.prom\"\n",
        settings(&node, "30s")
    );
    node.settings(&text);
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.until("it was asked", |daemon| gauge(daemon.node).as_deref() == Some("1"));
    let client = openssl_public(&node);
    admin(&node, "DELETE", &format!("clients/{NAME}"), &Value::Null);
    daemon.until("the status says it", |daemon| daemon.says("the client was deleted"));
    daemon.until("so do the metrics", |daemon| gauge(daemon.node).as_deref() == Some("0"));
    let said = enlist(&node, &["status"]);
    expect(&said, 69, &[]);
    assert!(said.stdout.contains("does not have this node any more"), "{}", said.stdout);
    assert!(said.stdout.contains("enlist leave --target chef-server"), "{}", said.stdout);
    let warned = node.read("log").matches("does not have this node any more").count();
    assert_eq!(warned, 1, "once, however often it is asked");
    // An administrator makes it again, with the same key.
    admin(&node, "PUT", &format!("clients/{NAME}"), &client);
    daemon.until("it is as before", |daemon| !daemon.says("the client was deleted"));
    daemon.until("the metrics too", |daemon| gauge(daemon.node).as_deref() == Some("1"));
    expect(&enlist(&node, &["status"]), 0, &[]);
    daemon.stop();
}

/// A server that does not answer has said nothing.
#[test]
fn a_server_that_is_down_is_no_finding() {
    let node = node("", &["chef:GetClient=503*1000"]);
    node.settings(&format!("{}[run]\nprobe = \"1s\"\n", settings(&node, "30s")));
    let mut daemon = Daemon::start(&node);
    daemon.ready();
    daemon.until("it was asked twice", |daemon| daemon.node.asked("GetClient") > 1);
    assert!(!daemon.says("does not have it"));
    expect(&enlist(&node, &["status"]), 0, &[]);
    daemon.stop();
}

/// The body that makes the client of the installed key.
fn openssl_public(node: &Node) -> Value {
    let key = node.read("etc/chef/client.pem");
    let public = pem::Pem::new("PUBLIC KEY", crate::common::chef_node::public_der(&key));
    serde_json::json!({ "public_key": pem::encode(&public) })
}
