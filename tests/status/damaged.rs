//! Files, settings and records that are damaged: what `status` names, and what it says to do.

use super::common::{Node, STACK, expect, target_node};

/// A command is named where it helps.
#[test]
fn a_repair_is_named_only_for_what_it_corrects() {
    let node = Node::new();
    node.join();
    let conf = "etc/puppetlabs/puppet/puppet.conf";
    let well = node.read(conf);
    // As if Puppet were installed later, with settings of another image.
    for line in ["ssldir = /elsewhere", "[agent]\nhostprivkey = /elsewhere/key.pem", "ca_port = 9"]
    {
        node.write(conf, &format!("{well}{line}\n"));
        let said = node.enlist(&["status"]);
        assert_eq!(said.code, 74, "{line}: {}", said.stdout);
        let name = line.rsplit('\n').next().unwrap();
        assert!(said.stdout.contains(name), "{}", said.stdout);
        assert!(said.stdout.contains("enlist repair --target opsworks-cm"), "{}", said.stdout);
        expect(&node.enlist(&["repair"]), 0, &[]);
        assert_eq!(node.enlist(&["status"]).code, 0);
    }
    node.write(conf, &format!("{well}garbage\n"));
    let said = node.enlist(&["status"]);
    assert!(said.code == 74 && said.stdout.contains("garbage"), "{}", said.stdout);
    assert!(!said.stdout.contains("enlist repair"), "{}", said.stdout);
    let repair = node.enlist(&["repair"]);
    assert!(repair.code == 74 && !repair.stderr.contains("agent_disabled"), "{}", repair.stderr);
    let join = node.enlist(&["join"]);
    assert!(join.code == 74 && !join.stderr.contains("enlist repair"), "{}", join.stderr);
    node.write(conf, &well);
    let chef = target_node("[opsworks-cm]\nserver = \"chef-test\"\n", &[]);
    chef.join();
    let client = chef.read("etc/chef/client.rb");
    chef.write("etc/chef/client.rb", &format!("{client}chef_server_url \"https://other\"\n"));
    let said = chef.enlist(&["status"]);
    assert!(said.code == 74 && said.stdout.contains("https://other"), "{}", said.stdout);
    assert!(!said.stdout.contains("enlist repair"), "{}", said.stdout);
}

#[test]
fn an_emptied_identity_file_is_found() {
    let node = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    node.join();
    assert_eq!(node.enlist(&["status"]).code, 0);
    let path = "etc/aws/opsworks/instance-agent.yml";
    let (whole, other) =
        (node.read(path), "---\n:identity: \"0f0e0d0c-0b0a-4908-8706-050403020100\"\n");
    for (content, word) in [("", "it has no identity"), (other, "is not the one")] {
        node.write(path, content);
        let said = node.enlist(&["status"]);
        assert!(said.code == 65 && said.stdout.contains(word), "{}", said.stdout);
        expect(&node.enlist(&["repair"]), 0, &[]);
        assert_eq!(node.read(path), whole);
    }
    assert_eq!(node.enlist(&["status"]).code, 0);
}
