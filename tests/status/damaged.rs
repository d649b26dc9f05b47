//! Files, settings and records that are damaged: what `status` names, and what it says to do.

use std::fs;

use super::common::{Node, STACK, bare, expect, run, target_node, text};
use super::report;

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

#[test]
fn a_damaged_record_is_a_problem_of_its_own_target() {
    let node = target_node(
        &format!("[opsworks]\nstack_id = \"{STACK}\"\n[opsworks-cm]\nserver = \"puppet-test\"\n"),
        &[],
    );
    node.join();
    let whole = node.read("var/lib/enlist/opsworks-cm/record.json");
    node.write("var/lib/enlist/opsworks-cm/record.json", "{");
    let said = node.enlist(&["status"]);
    assert_eq!(said.code, 70, "{}", said.stdout);
    for word in ["opsworks-cm: unknown, its record can't be read", "opsworks: joined, healthy"] {
        assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
    }
    let json = node.enlist(&["status", "--json", "--probe"]);
    let damaged = report(&json);
    assert_eq!((json.code, &damaged["membership"]), (70, &"none".into()));
    assert_eq!(damaged["problems"][0]["kind"], "invariant");
    assert_eq!(damaged["problems"].as_array().unwrap().len(), 1, "{damaged}");
    let all: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(all["targets"][1]["probe"]["standing"], "present", "{all}");
    expect(&node.enlist(&["status", "--wait", "--timeout", "1h"]), 70, &[]);
    node.write("var/lib/enlist/opsworks-cm/record.json", &whole);
    assert_eq!(node.enlist(&["status"]).code, 0);
}

/// A command that is pasted works on the same node.
#[test]
fn commands_carry_the_settings_and_the_root() {
    let node = Node::new();
    let file = node.path("elsewhere/my settings.toml");
    let settings = node.read("etc/enlist/enlist.toml");
    node.write("elsewhere/my settings.toml", &settings);
    fs::remove_file(node.path("etc/enlist/enlist.toml")).unwrap();
    let enlist = |arguments: &[&str]| {
        let mut command = bare(arguments);
        command.arg("--root").arg(node.root.path()).arg("--config").arg(&file);
        run(command.envs(node.emulator.env()))
    };
    let options = format!(" --config '{}' --root {}", text(&file), text(node.root.path()));
    expect(&enlist(&["renew"]), 64, &[&format!("`enlist join --target opsworks-cm{options}`")]);
    assert_eq!(enlist(&["join"]).code, 0);
    fs::remove_file(node.certificate()).unwrap();
    let repair = format!("`enlist repair --target opsworks-cm{options}`");
    for command in ["status", "doctor"] {
        let said = enlist(&[command]);
        assert!(said.stdout.contains(&repair), "{}", said.stdout);
    }
    let said = enlist(&["status", "--json"]);
    assert!(said.stdout.contains(&repair), "{}", said.stdout);
}

#[test]
fn what_comes_next_is_what_there_is_to_do() {
    let node = target_node("[opsworks-cm]\nserver = \"none\"\n", &[]);
    let join = node.enlist(&["join"]);
    let said = node.enlist(&["status"]);
    assert_eq!(said.code, join.code, "{}", said.stdout);
    let row = |label: &str| {
        let mut lines = said.stdout.lines().filter_map(|line| line.trim().strip_prefix(label));
        lines.next().unwrap_or_else(|| panic!("{label}: {}", said.stdout)).trim().to_owned()
    };
    assert_eq!(row("next"), row("to do"));
    let node = Node::new();
    node.join();
    // A key that is lost can't be repaired.
    fs::write(node.key(), "damaged").unwrap();
    let join = node.enlist(&["join"]);
    assert!(!join.stderr.contains("enlist repair"), "{}", join.stderr);
    assert!(join.stderr.contains("restore the key"), "{}", join.stderr);
}

#[test]
fn a_renewal_says_that_it_renewed() {
    let node = Node::new();
    node.join();
    let renewed = node.enlist(&["renew"]);
    assert!(renewed.stdout.starts_with("renewed: server puppet-test"), "{}", renewed.stdout);
}
