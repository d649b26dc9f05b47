//! Settings in a file of their own, beside a client.rb that others manage. Ruby reads what chef-client reads.

use std::fs;

use super::common::chef_node::{enlist, node};
use super::common::{NAME, Node, expect};
use super::ruby::ruby_reads;

const CLIENT_RB: &str = "etc/chef/client.rb";
const OWN: &str = "etc/chef/client.d/enlist.rb";
/// What a configuration management has written.
const MANAGED: &str = "log_level :info\nnode_name 'of the image'\nchef_server_url 'https://former.example/organizations/a'\n";

fn managed() -> Node {
    let node = node("client_d = true\nlicense = \"accept\"\n", &[]);
    node.write(CLIENT_RB, MANAGED);
    node
}

/// The settings after client.rb and all files of client.d, in the order of their names.
fn read(node: &Node) -> Option<serde_json::Value> {
    let mut files: Vec<_> = fs::read_dir(node.path("etc/chef/client.d"))
        .map(|found| found.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    files.insert(0, node.path(CLIENT_RB));
    ruby_reads(&files)
}

#[test]
fn a_client_rb_of_others_is_not_touched() {
    let node = managed();
    node.write("etc/chef/client.d/a.rb", "node_name 'a'\nlog_location STDOUT\n");
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert_eq!(node.read(CLIENT_RB), MANAGED);
    if let Some(read) = read(&node) {
        assert_eq!((&read["node_name"], &read["log_level"]), (&NAME.into(), &"info".into()));
        assert_eq!(read["chef_server_url"], super::common::chef_node::url(&node));
        assert_eq!(read["client_key"], "/etc/chef/client.pem");
        assert_eq!(read["chef_license"], "accept");
    }
    expect(&enlist(&node, &["status"]), 0, &[]);
    fs::remove_file(node.path(OWN)).unwrap();
    expect(&enlist(&node, &["status"]), 74, &[]);
    expect(&enlist(&node, &["repair"]), 0, &[]);
    // What comes after it is found.
    node.write("etc/chef/client.d/z.rb", "node_name 'z'\n");
    let said = enlist(&node, &["status"]);
    assert_eq!(said.code, 74, "{}", said.stdout);
    assert!(said.stdout.contains("client.d/z.rb, line 1: node_name \"z\""), "{}", said.stdout);
    fs::remove_file(node.path("etc/chef/client.d/z.rb")).unwrap();
    expect(&enlist(&node, &["leave"]), 0, &[]);
    assert!(!node.path(OWN).exists() && node.path("etc/chef/client.d/a.rb").exists());
    assert_eq!(node.read(CLIENT_RB), MANAGED);
}

/// chef-client would not read the file: nothing is asked or written.
#[test]
fn a_file_that_chef_client_would_not_use_is_a_fault_before_the_server_is_asked() {
    let node = managed();
    fs::remove_file(node.path(CLIENT_RB)).unwrap();
    expect(&enlist(&node, &["join"]), 74, &["client.rb: it does not exist", "client.d"]);
    for (text, words) in [
        ("client_d_dir '/etc/other.d'\n", "another client.d (/"),
        ("client_d_dir nil\n", "another client.d (none)"),
        ("local_mode true\n", "client.rb, line 1: local_mode true"),
        ("raise 'not here'\n", "client.rb, line 1: `raise`"),
    ] {
        node.write(CLIENT_RB, text);
        expect(&enlist(&node, &["join"]), 74, &[words]);
    }
    node.write(CLIENT_RB, MANAGED);
    node.write("etc/chef/client.d/z.rb", "client_key '/elsewhere.pem'\n");
    expect(&enlist(&node, &["join"]), 74, &["z.rb, line 1: client_key \"/elsewhere.pem\""]);
    assert_eq!(node.asked("CreateClient"), 0);
    assert!(!node.path(OWN).exists());
}
