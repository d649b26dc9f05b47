//! `enlist doctor` on machines that are broken in one way each: it names the right check first, and it
//! changes nothing. The machines are numbered:
//!
//! settings, environment and name 1 to 4; state, record and lock 5 to 8; a full and a read-only disk 9 and 10;
//! metadata, DNS, proxy, connection, clock and CA 11 to 16; credentials, role, permission and server 17 to 21; the
//! engine's version, files, lock, settings and what is installed 22 to 28; the unit and its sandbox 29 and 30.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Node, STACK, expect, run, self_signed, target_node, text};
use enlist_emulator::Options;
use enlist_emulator::control::CaPolicy;
use serde_json::Value;

const PUPPET: &str = "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n";

/// What the doctor says: its exit code, the first check that failed, and the whole text.
struct Said {
    code: i32,
    first: String,
    text: String,
}

/// Runs the doctor with these variables; a value of "" removes one. It must leave the files as they are.
fn doctor(node: &Node, variables: &[(&str, &str)]) -> Said {
    let before = contents(node);
    let mut command = node.command(&["doctor", "--json"]);
    for (name, value) in variables {
        match *value {
            "" => command.env_remove(name),
            value => command.env(name, value),
        };
    }
    let ran = run(&mut command);
    assert_eq!(contents(node), before, "the doctor changes nothing");
    let json: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    assert_eq!((&json["schema"], json["well"].as_bool()), (&1.into(), Some(ran.code == 0)));
    let checks = json["checks"].as_array().unwrap();
    let failed = checks.iter().find(|check| check["result"] == "failed");
    if let Some(failed) = failed {
        assert!(!failed["problem"]["todo"].as_str().unwrap().is_empty(), "{failed}");
        assert!(failed["milliseconds"].is_u64());
    }
    let first = failed.map_or("", |check| check["name"].as_str().unwrap()).to_owned();
    Said { code: ran.code, first, text: ran.stdout }
}

fn contents(node: &Node) -> Vec<(String, Vec<u8>)> {
    let read = |file: String| (file.clone(), fs::read(node.path(&file)).unwrap_or_default());
    node.files().into_iter().map(read).collect()
}

#[track_caller]
fn names(node: &Node, variables: &[(&str, &str)], check: &str, code: i32, words: &[&str]) {
    let said = doctor(node, variables);
    assert_eq!((said.first.as_str(), said.code), (check, code), "{}", said.text);
    for word in words {
        assert!(said.text.contains(word), "{word}: {}", said.text);
    }
}

fn puppet() -> Node {
    // Many calls in a row: a throttled one would be named first.
    let node = Node::with(Options { throttle: None, ..Options::default() });
    node.settings(&format!("[node]\nbudget = \"1s\"\n{PUPPET}"));
    node
}

fn program(node: &Node, path: &str, script: &str) {
    node.write(path, &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(node.path(path), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn nothing_is_wrong_before_and_after_a_join() {
    let node = puppet();
    assert_eq!(doctor(&node, &[]).first, "", "{}", doctor(&node, &[]).text);
    node.join();
    let said = doctor(&node, &[]);
    assert_eq!((said.first.as_str(), said.code), ("", 0), "{}", said.text);
    for word in
        ["\"credentials\"", "DescribeServers", "not tried", "opsworks-cm:AssociateNode", "healthy"]
    {
        assert!(said.text.contains(word), "{word}: {}", said.text);
    }
    let shown = node.enlist(&["doctor"]);
    assert!(shown.stdout.ends_with("nothing is wrong\n"), "{}", shown.stdout);
    assert_eq!(node.asked("AssociateNode"), 1);
}

#[test]
fn broken_settings_and_names() {
    // 1 and 2: the settings.
    let node = puppet();
    node.settings("[opsworks-cm]\nsever = \"p\"\n");
    names(&node, &[], "settings", 78, &["did you mean"]);
    node.settings(PUPPET);
    let file = node.path("etc/enlist/enlist.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    names(&node, &[], "settings", 78, &["chmod"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    // 3: the environment.
    names(&node, &[("AWS_REGION", "no region")], "environment", 78, &["AWS_REGION"]);
    // 4: the name.
    node.settings(&format!("[node]\nname = \"Bad Name\"\n{PUPPET}"));
    names(&node, &[], "name", 78, &["Bad Name"]);
    node.settings(&format!("[node]\nname = \"{{instance_id}}\"\n{PUPPET}"));
    names(
        &node,
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")],
        "name",
        78,
        &["not an EC2 instance"],
    );
}

#[test]
fn a_broken_state_directory_record_or_lock() {
    // 5: the state directory.
    let node = puppet();
    node.write("var/lib/enlist", "a file");
    names(&node, &[], "state", 74, &["/var/lib/enlist"]);
    // 6: a damaged record.
    let node = puppet();
    node.join();
    let record = node.read("var/lib/enlist/opsworks-cm/record.json");
    node.write("var/lib/enlist/opsworks-cm/record.json", "{");
    names(&node, &[], "record", 70, &["the record is damaged"]);
    // 7: a copied disk.
    node.write(
        "var/lib/enlist/opsworks-cm/record.json",
        &record.replace(common::NAME, "i-0fedcba9876543210"),
    );
    node.write("sys/class/dmi/id/board_asset_tag", common::NAME);
    names(&node, &[], "record", 75, &["another machine"]);
    // 8: a program that holds the lock.
    let node = puppet();
    node.write("var/lib/enlist/lock", "");
    let lock = node.path("var/lib/enlist/lock");
    let holder = Command::new("flock").args([text(&lock), "sleep", "60"]).spawn();
    let mut holder = Holder(holder.unwrap());
    while Command::new("flock").args(["-n", text(&lock), "true"]).status().unwrap().success() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    names(&node, &[], "lock", 74, &["another program holds", "ps -fp"]);
    holder.0.kill().unwrap();
}

/// Ends the process with the test.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Mounts something there, or says that this machine can't.
fn mount(arguments: &[&str], at: &Path) -> Option<Mounted> {
    let mounted = Command::new("mount").args(arguments).arg(at).stderr(Stdio::null()).status();
    if mounted.is_ok_and(|status| status.success()) {
        return Some(Mounted(at.to_owned()));
    }
    assert!(std::env::var("CI").is_err(), "this test needs root and may mount");
    println!("SKIPPED: this test needs root and may mount");
    None
}

/// Unmounts at the end of the test.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_and_a_read_only_one() {
    let node = puppet();
    let state = node.path("var/lib/enlist");
    fs::create_dir_all(&state).unwrap();
    // 9: one MiB, which is less than has to be free.
    let Some(full) = mount(&["-t", "tmpfs", "-o", "size=1m,mode=0700", "none"], &state) else {
        return;
    };
    names(&node, &[], "disk", 74, &["/var/lib/enlist"]);
    drop(full);
    // 10: Puppet's directory, on a file system that is read-only.
    let puppet = node.path("etc/puppetlabs/puppet");
    fs::create_dir_all(&puppet).unwrap();
    let Some(_read_only) = mount(&["-t", "tmpfs", "-o", "ro", "none"], &puppet) else { return };
    names(&node, &[], "files", 74, &["etc/puppetlabs/puppet", "Read-only", "mount"]);
}

#[test]
fn a_broken_way_to_the_authority() {
    // 11: the metadata service.
    let node = puppet();
    let dead = "http://127.0.0.1:9";
    names(
        &node,
        &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", dead)],
        "metadata",
        75,
        &["did not answer"],
    );
    // 12: the name of the server.
    let nowhere = [("AWS_ENDPOINT_URL", "https://nowhere.invalid")];
    names(&node, &nowhere, "dns", 75, &["nowhere.invalid", "getent hosts"]);
    // 13: the proxy.
    let proxied = [("AWS_ENDPOINT_URL", "https://192.0.2.1"), ("HTTPS_PROXY", dead)];
    names(&node, &proxied, "proxy", 75, &["127.0.0.1:9", "HTTPS_PROXY"]);
    let said = run(node.command(&["join"]).envs(proxied));
    expect(&said, 75, &["the proxy can't be reached", "start the proxy http://127.0.0.1:9"]);
    // 14: nothing listens.
    names(&node, &[("AWS_ENDPOINT_URL", dead)], "connection", 75, &["does not answer"]);
    // 15: the clock.
    let node = Node::with(Options { clock_offset: 7200, ..Options::default() });
    names(&node, &[], "clock", 75, &["2 h 0 min behind", "timedatectl"]);
    // 16: another CA.
    let node = Node::with(Options {
        puppet_ca: CaPolicy::default(),
        puppet_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    });
    let port =
        node.emulator.puppet_url().unwrap().rsplit(':').next().unwrap().trim_end_matches('/');
    let (key, ca) = (node.path("ca.key"), node.path("ca.pem"));
    self_signed("other", &key, &ca, &[]);
    node.settings(&format!(
        "[puppet-server]\nserver = \"localhost\"\nport = {port}\nca_file = \"/ca.pem\"\n"
    ));
    names(&node, &[], "tls", 78, &["ca_file"]);
    fs::write(&ca, node.emulator.ca_bundle()).unwrap();
    assert_eq!(doctor(&node, &[]).first, "", "{}", doctor(&node, &[]).text);
}

#[test]
fn broken_credentials_and_permissions() {
    // 17: no credentials.
    let node = puppet();
    let without = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", ""),
    ];
    names(&node, &without, "credentials", 77, &["there are no usable credentials"]);
    // 18: an instance without a role.
    let no_role = [without[0], without[1]];
    names(&node, &no_role, "credentials", 77, &["there are no usable credentials", "role"]);
    // 19: a program that gives none.
    node.write("aws", "[default]\nregion = us-east-1\ncredential_process = /bin/false\n");
    let file = node.path("aws");
    let failing = [without[0], without[1], ("AWS_CONFIG_FILE", text(&file))];
    names(&node, &failing, "credentials", 77, &["credential_process"]);
    // 20: a permission.
    node.emulator.inject("DescribeServers=denied*forever".parse().unwrap());
    names(&node, &[], "permissions", 77, &["DescribeServers", "enlist policy"]);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    // 21: a server that is not there.
    node.settings("[opsworks-cm]\nserver = \"none\"\n");
    names(&node, &[], "authority", 69, &["none"]);
}

#[test]
fn a_broken_engine() {
    // 22: an old agent.
    let node = puppet();
    program(&node, "opt/puppetlabs/bin/puppet", "echo 4.10.1");
    names(&node, &[], "engine", 74, &["too old", "4.10.1"]);
    program(&node, "opt/puppetlabs/bin/puppet", "echo 8.10.0");
    assert_eq!(doctor(&node, &[]).first, "", "{}", doctor(&node, &[]).text);
    // 23: a file that can't be replaced.
    fs::create_dir_all(node.path("etc/puppetlabs/puppet/puppet.conf")).unwrap();
    names(&node, &[], "files", 74, &["puppet.conf"]);
    fs::remove_dir(node.path("etc/puppetlabs/puppet/puppet.conf")).unwrap();
    // 24: a run that holds Puppet's lock.
    let mut run = Holder(Command::new("sh").args(["-c", "sleep 60; : puppet"]).spawn().unwrap());
    node.write("etc/puppetlabs/puppet/ssl/ssl.lock", &run.0.id().to_string());
    names(&node, &[], "engine lock", 74, &["the lock is held by process"]);
    run.0.kill().unwrap();
    fs::remove_file(node.ssl("ssl.lock")).unwrap();
    // 25: another server in the agent's own settings.
    node.join();
    let conf = node.read("etc/puppetlabs/puppet/puppet.conf");
    node.write(
        "etc/puppetlabs/puppet/puppet.conf",
        &format!("{conf}[agent]\nserver = other.example\n"),
    );
    names(&node, &[], "membership", 74, &["other.example"]);
    node.write("etc/puppetlabs/puppet/puppet.conf", &conf);
    // 26: the certificate.
    fs::write(node.certificate(), "none").unwrap();
    names(&node, &[], "membership", 65, &["enlist repair"]);
    // 27: an agent that must be there and is not.
    let node = target_node("[ssm]\niam_role = \"r\"\non_ec2 = true\n", &[]);
    names(&node, &[], "engine", 74, &["amazon-ssm-agent is not installed"]);
    // 28: an authority that does not have this node any more.
    let node = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    node.join();
    let other = target_node(&format!("[opsworks]\nstack_id = \"{STACK}\"\n"), &[]);
    let variables = other.emulator.env();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    names(&node, &variables, "authority", 69, &["does not have instance"]);
}

#[test]
fn a_dead_unit_and_a_sandbox_that_is_too_narrow() {
    let node = puppet();
    let show = |active: &str, writable: &str| {
        format!(
            "[ \"$2\" = enlist.service ] || {{ echo LoadState=not-found; exit 0; }}\n\
             printf 'LoadState=loaded\\nActiveState={active}\\nSubState=x\\nResult=exit-code\\nUnitFileState=enabled\\nExecMainStatus=78\\nProtectSystem=strict\\nReadWritePaths={writable}\\n'"
        )
    };
    let all = "-/etc/puppetlabs/puppet -/opt/puppetlabs/puppet/cache";
    // 29: failed, and not running.
    program(&node, "usr/bin/systemctl", &show("failed", all));
    names(&node, &[], "unit", 74, &["the unit has failed", "journalctl -u enlist"]);
    program(&node, "usr/bin/systemctl", &show("inactive", all));
    names(&node, &[], "unit", 74, &["systemctl start enlist"]);
    // 30: the sandbox.
    program(&node, "usr/bin/systemctl", &show("active", "-/etc/chef"));
    names(&node, &[], "sandbox", 74, &["ReadWritePaths=", "systemctl edit enlist.service"]);
    program(&node, "usr/bin/systemctl", &show("active", all));
    assert_eq!(doctor(&node, &[]).first, "", "{}", doctor(&node, &[]).text);
}

#[test]
fn a_name_that_puppet_server_refuses_and_an_authority_that_says_nothing() {
    let node = puppet();
    node.settings(&format!("[node]\nname = \"-bad\"\n{PUPPET}"));
    names(&node, &[], "name", 78, &["does not begin or end with -"]);
    let node = puppet();
    node.join();
    let said = doctor(&node, &[]);
    assert!(said.code == 0 && said.text.contains("does not say whether"), "{}", said.text);
}

/// The checks of a join, without what only the authority knows.
#[test]
fn what_a_join_refuses_at_once_is_found_before_it() {
    let node = puppet();
    let key = format!("etc/puppetlabs/puppet/ssl/private_keys/{}.pem", common::NAME);
    let ec = common::openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"]);
    for pem in ["not a key\n", ec.as_str()] {
        node.write(&key, pem);
        names(&node, &[], "key", 65, &["private_keys"]);
        assert_eq!(node.enlist(&["join"]).code, 65);
    }
    fs::remove_file(node.path(&key)).unwrap();
    let attributes = "etc/puppetlabs/puppet/csr_attributes.yaml";
    node.write(attributes, "extension_requests:\n  pp_rolle: web\n");
    names(&node, &[], "request", 78, &["csr_attributes.yaml", "pp_rolle"]);
    assert_eq!(node.enlist(&["join"]).code, 78);
    fs::remove_file(node.path(attributes)).unwrap();
    let conf = node.path("etc/puppetlabs/puppet/puppet.conf");
    for bytes in [&b"[main\nserver = a\n"[..], b"\xff\xfe\x00\x80"] {
        fs::write(&conf, bytes).unwrap();
        names(&node, &[], "engine settings", 74, &["puppet.conf"]);
        assert_eq!(node.enlist(&["join"]).code, 74);
    }
    assert_eq!(node.asked("AssociateNode"), 0);
}
