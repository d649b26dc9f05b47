//! Chef and Cinc: which one is installed, and what is written for it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::common::chef_node::{enlist, node, settings};
use crate::common::{Node, expect};
use crate::ruby::ruby_reads;

fn install(node: &Node, program: &str) {
    node.write(program, "#!/bin/sh\n");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(node.path(program), mode).unwrap();
}

#[test]
fn cinc_gets_its_own_directory_if_it_is_the_one_that_is_installed() {
    let node = node("", &[]);
    install(&node, "opt/cinc/bin/cinc-client");
    let joined = enlist(&node, &["join"]);
    expect(&joined, 0, &[]);
    assert!(joined.stdout.contains("run `cinc-client -j "), "{}", joined.stdout);
    assert!(node.path("etc/cinc/client.pem").exists() && !node.path("etc/chef").exists());
    let rb = node.read("etc/cinc/client.rb");
    assert!(rb.contains("client_key '/etc/cinc/client.pem'"), "{rb}");
    assert!(!rb.contains("license"), "{rb}");
    // A member stays with its product.
    install(&node, "opt/chef/bin/chef-client");
    expect(&enlist(&node, &["join"]), 0, &[]);
    expect(&enlist(&node, &["status"]), 0, &[]);
    expect(&enlist(&node, &["leave"]), 0, &[]);
    assert!(!node.path("etc/cinc/client.pem").exists());
    // Both are installed.
    expect(&enlist(&node, &["join"]), 0, &[]);
    assert!(node.path("etc/chef/client.pem").exists());
}

#[test]
fn product_license_and_directory_can_be_set() {
    let node = node("product = \"cinc\"\nlicense = \"accept-no-persist\"\n", &[]);
    expect(&enlist(&node, &["join"]), 0, &[]);
    if let Some(read) = ruby_reads(&[node.path("etc/cinc/client.rb")]) {
        assert_eq!(read["chef_license"], "accept-no-persist");
        assert_eq!(read["trusted_certs_dir"], json!("/etc/cinc/trusted_certs"));
    }
    let good = settings(&node, "30s");
    for (line, word) in [("product = \"knife\"", "cinc"), ("license = \"yes\"", "accept-silent")] {
        let other = crate::chef_node::node("", &[]);
        other.settings(&good.replace("[chef]\n", &format!("[chef]\n{line}\n")));
        expect(&enlist(&other, &["join"]), 78, &[word]);
    }
    let elsewhere = crate::chef_node::node("confdir = \"/srv/chef\"\n", &[]);
    expect(&enlist(&elsewhere, &["join"]), 0, &[]);
    assert!(elsewhere.path("srv/chef/client.pem").exists());
}
