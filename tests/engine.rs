//! Whether the engine will use what is installed, as far as a test without an engine can check that.
//! `tests/real/engine.sh` checks it with the real engines.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "engine/chef_files.rs"]
mod chef_files;
mod common;
#[path = "engine/csr_attributes.rs"]
mod csr_attributes;

use std::fs;
use std::process::Command;

use common::{NAME, Node, target_node};

const CONF: &str = "etc/puppetlabs/puppet/puppet.conf";
const MAPPING: &str = "etc/puppetlabs/puppet/custom_trusted_oid_mapping.yaml";
const CSR: &str = "etc/puppetlabs/puppet/csr_attributes.yaml";
const LOCK: &str = "opt/puppetlabs/puppet/cache/state/agent_disabled.lock";

/// Runs a command, and checks its exit code and its output.
fn expect(node: &Node, arguments: &[&str], code: i32, words: &[&str]) {
    let run = node.enlist(arguments);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, code, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// The value that an agent uses: the first one in `[agent]`, or else in `[main]`.
fn value(conf: &str, name: &str) -> Option<String> {
    let mut found = [None, None];
    let mut section = "main";
    for line in conf.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim() == name
            && let Some(at) = ["main", "agent"].iter().position(|known| *known == section)
        {
            found[at].get_or_insert_with(|| value.trim().to_owned());
        }
    }
    found[1].take().or(found[0].take())
}

#[test]
fn settings_that_name_another_server_are_corrected_and_restored() {
    let server = "puppet-test.example";
    for (before, name, wanted) in [
        ("[agent]\nserver = other\n", "server", server),
        ("[agent]\ncertname = other\n", "certname", NAME),
        (
            "[main]\nserver_list = a.example:8140,b.example\n",
            "server_list",
            "puppet-test.example:8140",
        ),
        ("[agent]\nserver_list = a.example\n", "server_list", "puppet-test.example:8140"),
        ("[main]\nca_server = other\n", "ca_server", server),
        ("[agent]\nca_server = other\n", "ca_server", server),
        ("[main]\nserverport = 9140\n", "serverport", "8140"),
        ("[agent]\nmasterport = 9140\n", "masterport", "8140"),
        ("[agent]\nca_port = 9140\n", "ca_port", "8140"),
        ("[main]\nuse_srv_records = true\n", "use_srv_records", "false"),
        ("server = before-any-section\n", "server", server),
        ("\u{feff}[main]\nserver = other\n", "server", server),
        ("\u{feff}# by an editor\n[agent]\nserver = other\n", "server", server),
        ("[main]\r\nserver = other\r\n", "server", server),
        ("[main]\nserver = other # ours\n", "server", server),
    ] {
        let node = Node::new();
        node.write(CONF, before);
        node.join();
        let after = node.read(CONF);
        assert_eq!(value(&after, name).as_deref(), Some(wanted), "{before:?}: {after}");
        assert!(!after.starts_with('\u{feff}'), "{before:?}: {after}");
        expect(&node, &["status"], 0, &[]);
        expect(&node, &["join"], 0, &["already joined"]);
        assert_eq!(node.read(CONF), after, "the next join changes nothing");
        expect(&node, &["leave"], 0, &[]);
        let left = node.read(CONF);
        let former = before.trim_start_matches('\u{feff}');
        assert!(left.contains(former.trim_end()), "{before:?}: {left:?}");
        assert!(!left.contains("enlist"), "{before:?}: {left:?}");
    }
}

#[test]
fn a_line_that_puppet_cannot_read_is_named_before_any_request() {
    for (before, line) in [
        ("[main\nserver = a\n[main]\n", 1),
        ("[main]\n; a comment of another format\n", 2),
        ("[main]\nserver = a\n[ agent ]\n", 3),
        ("[main]\n[production]\n", 2),
        ("[main]\nserver: a\n", 2),
        ("[main]\nmy-setting = 1\n", 2),
        ("[main] # ours\n", 1),
        ("<<<<<<< HEAD\n[main]\n", 1),
        ("[main]\nserver\n", 2),
        ("[main]\nvardir = /x {mode = rw}\n", 2),
        ("[main]\nssldir = $certdir\n", 2),
        ("[main]\n[agent]\ncertificate_revocation = sometimes\n", 3),
        ("[main]\nvardir = /x\n[agent]\ncertdir = ${hostcert}/x\n", 4),
    ] {
        let node = Node::new();
        node.write(CONF, before);
        let place = format!("{CONF}, line {line}: ");
        expect(&node, &["join"], 74, &[&place, "to do", "the authority was not asked"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{before:?}");
        assert_eq!(node.read(CONF), before);
        assert!(!node.path(LOCK).exists());
    }
    let node = Node::new();
    fs::create_dir_all(node.path(CONF).parent().unwrap()).unwrap();
    fs::write(node.path(CONF), b"[main]\n# M\xfcller\n").unwrap();
    expect(&node, &["join"], 74, &["puppet.conf", "can't read"]);
    assert_eq!(node.asked("AssociateNode"), 0);
}

#[test]
fn options_of_the_agents_unit_are_found_before_any_request() {
    let drop_in = "etc/systemd/system/puppet.service.d/ours.conf";
    for (path, text, words) in [
        (
            "etc/systemd/system/puppet.service",
            "[Service]\nExecStart=/opt/puppetlabs/puppet/bin/puppet agent --config /x/p.conf\n",
            "line 2: ExecStart has --config /x/p.conf",
        ),
        (
            drop_in,
            "[Service]\nExecStart=\nExecStart=/opt/puppetlabs/puppet/bin/puppet agent --ssldir=/x\n",
            "line 3: ExecStart has --ssldir /x",
        ),
        (
            drop_in,
            "[Service]\nEnvironment=\"PUPPET_EXTRA_OPTS=--server other\"\n",
            "line 2: PUPPET_EXTRA_OPTS has --server other",
        ),
        (
            "etc/own",
            "PUPPET_EXTRA_OPTS='--certname other'\n",
            "line 1: PUPPET_EXTRA_OPTS has --certname other",
        ),
    ] {
        let node = Node::new();
        node.write(
            "usr/lib/systemd/system/puppet.service",
            "[Service]\nEnvironmentFile=-/etc/own\nExecStart=/opt/puppetlabs/puppet/bin/puppet agent $PUPPET_EXTRA_OPTS --no-daemonize\n",
        );
        // An older drop-in of the same name counts less.
        node.write("usr/lib/systemd/system/puppet.service.d/ours.conf", "[Service]\nNice=1\n");
        node.write(path, text);
        expect(&node, &["join"], 74, &[path, words, "the authority was not asked"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{words}");
        fs::remove_file(node.path(path)).unwrap();
        node.join();
        node.write(path, text);
        expect(&node, &["join"], 74, &[path, words]);
    }
}

/// Puppet prints the other path, but continues to read this file.
#[test]
fn a_puppet_conf_that_names_another_path_for_itself_is_an_error() {
    for line in ["confdir = /etc/other", "config = /etc/other.conf", "confdir = $vardir/conf"] {
        let node = Node::new();
        let before = format!("[main]\n# ours\n{line}\n");
        node.write(CONF, &before);
        let place = format!("{CONF}, line 3: {line}");
        expect(&node, &["join"], 74, &[&place, "to do", "the authority was not asked"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{line:?}");
        assert_eq!(node.read(CONF), before);
    }
    let node = Node::new();
    node.write(CONF, "[main]\nconfdir = /etc/puppetlabs/puppet\n[user]\nconfdir = /home/x\n");
    expect(&node, &["join"], 0, &["joined"]);
}

#[test]
fn a_later_change_of_the_server_is_found_by_status_and_join() {
    for (more, line) in [
        ("[agent]\nserver = other.example\n", "server = other.example"),
        ("[agent]\nserver_list = other.example:8140\n", "server_list = other.example:8140"),
        ("[agent]\nca_server = other.example\n", "ca_server = other.example"),
        ("[agent]\ncertname = other\n", "certname = other"),
        ("broken\n", "line 9: Puppet can't read \"broken\""),
    ] {
        let node = Node::new();
        node.write(CONF, "[main]\nvardir = /opt/x\n# one\n# two\n");
        node.join();
        let joined = node.read(CONF);
        fs::write(node.path(CONF), format!("\u{feff}{joined}")).unwrap();
        expect(&node, &["status"], 74, &["problem", CONF, ", line 1", "byte-order mark"]);
        fs::write(node.path(CONF), format!("{joined}{more}")).unwrap();
        expect(&node, &["status"], 74, &["problem", CONF, ", line ", line]);
        expect(&node, &["join"], 74, &[CONF, ", line ", line]);
        fs::write(node.path(CONF), joined).unwrap();
        expect(&node, &["join"], 0, &["already joined"]);
    }
}

fn chef() -> Node {
    target_node("[opsworks-cm]\nserver = \"chef-test\"\n[chef]\n", &[])
}

#[test]
fn a_path_that_cannot_be_written_is_found_before_any_request() {
    let certificate = format!("etc/puppetlabs/puppet/ssl/certs/{NAME}.pem");
    for path in [
        CONF,
        LOCK,
        "etc/puppetlabs/puppet/ssl/certs/ca.pem",
        &certificate,
        &format!("etc/puppetlabs/puppet/ssl/certificate_requests/{NAME}.pem"),
    ] {
        let node = Node::new();
        fs::create_dir_all(node.path(path).join("something")).unwrap();
        expect(&node, &["join"], 74, &[path, "a directory is in the place of this file"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{path}");
        fs::remove_dir_all(node.path(path)).unwrap();
        node.join();
    }
    for path in [
        "etc/puppetlabs",
        "etc/puppetlabs/puppet/ssl/private_keys",
        "opt/puppetlabs/puppet/cache/state",
    ] {
        let node = Node::new();
        node.write(path, "a file\n");
        expect(&node, &["join"], 74, &[path, "not a directory"]);
        assert_eq!(node.asked("AssociateNode"), 0, "{path}");
    }
    for path in ["etc/chef/client.rb", "etc/chef/first-boot.json"] {
        let node = chef();
        fs::create_dir_all(node.path(path)).unwrap();
        expect(&node, &["join"], 74, &[path]);
        assert_eq!(node.asked("AssociateNode"), 0, "{path}");
    }
    let stack = "[opsworks]\nstack_id = \"2f18b4cb-4de5-4429-a149-ff7da9f0d8ee\"\n";
    let node = target_node(stack, &[]);
    fs::create_dir_all(node.path("etc/aws/opsworks/instance-agent.yml")).unwrap();
    expect(&node, &["join"], 74, &["instance-agent.yml"]);
    assert_eq!(node.asked("RegisterInstance"), 0);
}

#[test]
fn a_join_that_fails_takes_back_its_hold() {
    for (fault, code) in [
        ("AssociateNode=failed*forever", 69),
        ("AssociateNode=denied*forever", 77),
        ("DescribeNodeAssociationStatus=garbage*forever", 76),
        ("*=cert:other-ca*forever", 65),
    ] {
        let faults: Vec<_> = [fault].iter().map(|fault| fault.parse().unwrap()).collect();
        let node = Node::with(enlist_emulator::Options { faults, ..Default::default() });
        node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"3s\"\n");
        let run = node.enlist(&["join"]);
        assert_eq!(run.code, code, "{fault}: {}", run.stderr);
        assert!(!node.path(LOCK).exists(), "{fault}: the agent is still held");
        expect(&node, &["status"], code, &["not joined"]);
        // A lock that somebody else made stays.
        node.write(LOCK, "{\"disabled_message\":\"by hand\"}");
        assert_eq!(node.enlist(&["join"]).code, code);
        assert_eq!(node.read(LOCK), "{\"disabled_message\":\"by hand\"}");
    }
}

#[test]
fn after_an_interrupted_installation_the_hold_stays_and_is_reported() {
    let elsewhere = "var/lib/held.lock";
    for lock in [LOCK, elsewhere] {
        let node = Node::new();
        let mut holder =
            Command::new("sh").args(["-c", "sleep 60; : puppet agent"]).spawn().unwrap();
        node.write("etc/puppetlabs/puppet/ssl/ssl.lock", &holder.id().to_string());
        if lock == elsewhere {
            node.write(CONF, "[agent]\nagent_disabled_lockfile = /var/lib/held.lock\n");
        }
        let run = node.enlist(&["join"]);
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(run.code, 74, "{}", run.stderr);
        assert!(run.stderr.contains("the engine is kept from running"), "{}", run.stderr);
        assert!(node.path(lock).exists());
        expect(&node, &["status"], 74, &["held by", lock, "the agent does not run"]);
        node.join();
        assert!(!node.path(lock).exists());
        assert!(!node.enlist(&["status"]).stdout.contains("held by"));
    }
}

#[test]
fn programs_are_found_in_standard_directories_or_by_the_settings() {
    let settings = "[aws]\nregion = \"eu-central-1\"\n[ssm]\niam_role = \"role\"\n";
    for (path, more) in [
        ("usr/bin/amazon-ssm-agent", ""),
        ("usr/sbin/amazon-ssm-agent", ""),
        ("usr/local/bin/amazon-ssm-agent", ""),
        ("usr/share/oem/bin/amazon-ssm-agent", ""),
        ("opt/bin/amazon-ssm-agent", ""),
        ("snap/amazon-ssm-agent/current/amazon-ssm-agent", ""),
        ("srv/agent", "agent = \"/srv/agent\"\n"),
    ] {
        let node = target_node(&format!("{settings}{more}"), &[]);
        common::install_agent(&node);
        let program = node.path("usr/bin/amazon-ssm-agent");
        fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        fs::rename(program, node.path(path)).unwrap();
        let run = common::off_ec2(&node, &["join"]);
        assert_eq!(run.code, 0, "{path}: {}", run.stderr);
    }
    let node = target_node(&format!("{settings}agent = \"/srv/agent\"\n"), &[]);
    common::install_agent(&node);
    let run = common::off_ec2(&node, &["join"]);
    assert_eq!(run.code, 74, "{}", run.stderr);
    assert!(run.stderr.contains("/srv/agent"), "{}", run.stderr);
    assert_eq!(node.asked("CreateActivation"), 0);
}

#[test]
fn a_package_installation_in_user_data_waits_for_the_lock() {
    let mut seen = 0;
    for entry in fs::read_dir("packaging/user-data").unwrap() {
        let path = entry.unwrap().path();
        for line in
            fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains("apt-get"))
        {
            seen += 1;
            let waits = line.contains("apt-get -o DPkg::Lock::Timeout=300 install -y");
            assert!(waits, "{}: {line}", path.display());
        }
    }
    assert!(seen >= 8, "{seen}");
}
