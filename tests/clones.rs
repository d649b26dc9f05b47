//! Copied disks: which machine is the same one, and which is a copy.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{NAME, Node, Run, list, openssl, run, text};
use enlist_emulator::imds::Instance;
use enlist_emulator::{Emulator, Options};
use serde_json::Value;

const OTHER: &str = "i-0fedcba9876543210";
const MACHINE: &str = "0123456789abcdef0123456789abcdef\n";
const ANOTHER: &str = "fedcba9876543210fedcba9876543210\n";
const BOARD: &str = "sys/class/dmi/id/product_uuid";

/// A machine that starts with a copy of the disk.
struct Copied {
    root: tempfile::TempDir,
}

impl Copied {
    fn of(node: &Node) -> Self {
        let root = tempfile::tempdir().unwrap();
        let from = format!("{}/.", text(node.root.path()));
        let copied = Command::new("cp").args(["-a", &from, text(root.path())]).status();
        assert!(copied.unwrap().success());
        Self { root }
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.root.path().join(path).parent().unwrap()).unwrap();
        fs::write(self.root.path().join(path), content).unwrap();
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.root.path().join(path)).unwrap()
    }

    /// The contents of the files that were set aside.
    fn aside(&self, target: &str) -> Vec<Vec<u8>> {
        let directory = self.root.path().join(format!("var/lib/enlist/{target}"));
        let directories = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let aside = directories.filter(|path| text(path).contains("/aside-"));
        let files = aside.flat_map(|path| fs::read_dir(path).unwrap());
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

/// Joins with the control plane of one emulator, on the machine that another one describes.
fn join(node: &Node, root: &Path, metadata: Option<&Emulator>) -> Run {
    let mut command = common::bare(&["join", "--root", text(root)]);
    command.envs(node.emulator.env());
    match metadata {
        Some(other) => {
            command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", other.imds_url());
        }
        None => {
            command.env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        }
    }
    let run = run(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run
}

fn other_instance() -> Emulator {
    let instance = Instance { id: OTHER.to_owned(), ..Instance::default() };
    Emulator::start(Options { instance, ..Options::default() }).unwrap()
}

fn association<'a>(state: &'a Value, name: &str) -> &'a Value {
    let mut found = list(state, "associations").iter().filter(|one| one["node"] == name);
    found.next().unwrap_or_else(|| panic!("{name} is not associated: {state}"))
}

#[test]
fn a_copy_of_a_member_becomes_a_separate_member() {
    let node = Node::new();
    node.join();
    let before = association(&node.emulator.state(), NAME).clone();
    let copied = Copied::of(&node);
    let run = join(&node, copied.root.path(), Some(&other_instance()));
    assert!(run.stderr.contains("another machine"), "{}", run.stderr);
    let state = node.emulator.state();
    assert_eq!(association(&state, NAME), &before, "the original's is unchanged");
    assert_ne!(association(&state, OTHER)["public_key"], before["public_key"]);
    let aside = copied.aside("opsworks-cm");
    for path in
        [node.key(), node.certificate(), node.path("var/lib/enlist/opsworks-cm/record.json")]
    {
        assert!(aside.contains(&fs::read(&path).unwrap()), "{} is lost", path.display());
        assert!(path.exists(), "the original keeps its files");
    }
    let ssl = copied.root.path().join("etc/puppetlabs/puppet/ssl");
    assert!(!ssl.join(format!("private_keys/{NAME}.pem")).exists());
    let certificate = ssl.join(format!("certs/{OTHER}.pem"));
    openssl(&["verify", "-CAfile", text(&ssl.join("certs/ca.pem")), text(&certificate)]);
    // Both stay members.
    assert!(node.join().stdout.contains("already joined"));
    let again = join(&node, copied.root.path(), Some(&other_instance()));
    assert!(again.stdout.contains("already joined"), "{}", again.stdout);
}

/// The original had begun to leave, or the settings name another server by now: the copy is not held up by that,
/// and no command leads to another that leads back.
#[test]
fn a_copy_of_a_node_that_leaves_or_has_another_server_joins() {
    for leaves in [true, false] {
        let servers = ["name=puppet-test", "name=other"].map(|name| name.parse().unwrap());
        let node = Node::with(Options { servers: servers.to_vec(), ..Options::default() });
        node.join();
        if leaves {
            node.emulator.inject("DisassociateNode=denied*forever".parse().unwrap());
            assert_eq!(node.enlist(&["leave", "--set", "node.budget=1s"]).code, 77);
        }
        let copied = Copied::of(&node);
        if !leaves {
            copied.write(
                "etc/enlist/enlist.toml",
                "[opsworks-cm]\nserver = \"other\"
[puppet]\nkey_bits = 2048\n",
            );
        }
        let other = other_instance();
        let mut leave = common::bare(&["leave", "--root", text(copied.root.path())]);
        leave.envs(node.emulator.env());
        leave.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", other.imds_url());
        let said = run(&mut leave);
        common::expect(&said, 78, &["another machine", "leave --local --target opsworks-cm"]);
        join(&node, copied.root.path(), Some(&other));
        association(&node.emulator.state(), OTHER);
    }
}

/// The disk was copied before the first request, with the key that the original will use.
#[test]
fn a_copy_of_a_node_that_was_about_to_join_makes_its_own_key() {
    let node = Node::new();
    node.emulator.inject("AssociateNode=500*forever".parse().unwrap());
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1s\"\n");
    assert_eq!(node.enlist(&["join"]).code, 75);
    let staged = node.read("var/lib/enlist/opsworks-cm/key.pem");
    // The state after the key was made, and before the request is recorded.
    let mut record = node.record();
    record["phase"] = "new".into();
    for member in ["name", "key", "authority", "fault"] {
        record[member] = Value::Null;
    }
    node.write("var/lib/enlist/opsworks-cm/record.json", &record.to_string());
    let copied = Copied::of(&node);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    join(&node, copied.root.path(), Some(&other_instance()));
    let key = copied.read(&format!("etc/puppetlabs/puppet/ssl/private_keys/{OTHER}.pem"));
    assert_ne!(key, staged.as_bytes());
    node.join();
    assert_eq!(fs::read(node.key()).unwrap(), staged.as_bytes(), "the original's key");
}

#[test]
fn another_host_name_is_the_same_machine() {
    let node = Node::new();
    node.write("etc/hostname", "web1\n");
    node.settings("[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nname = \"{hostname}\"\n");
    node.join();
    let key = fs::read(node.ssl("private_keys/web1.pem")).unwrap();
    node.write("etc/hostname", "web2\n");
    let run = node.join();
    assert!(
        run.stdout.contains("already joined") && run.stdout.contains("as web1"),
        "{}",
        run.stdout
    );
    assert_eq!(fs::read(node.ssl("private_keys/web1.pem")).unwrap(), key);
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
}

/// On premises, at a first boot, there is no machine-id yet: no file, an empty one, or a placeholder.
#[test]
fn a_machine_id_that_appears_later_is_recorded_and_then_identifies_copies() {
    for first in [None, Some(""), Some("uninitialized\n")] {
        let node = Node::new();
        node.write("etc/hostname", "web1.example.org\n");
        if let Some(first) = first {
            node.write("etc/machine-id", first);
        }
        join(&node, node.root.path(), None);
        node.write("etc/machine-id", MACHINE);
        let run = join(&node, node.root.path(), None);
        assert!(run.stdout.contains("already joined"), "{first:?}: {}", run.stdout);
        assert_eq!(node.record()["machine"]["machine_id"], MACHINE.trim());
        let copied = Copied::of(&node);
        copied.write("etc/machine-id", ANOTHER);
        copied.write("etc/hostname", "web2.example.org\n");
        let run = join(&node, copied.root.path(), None);
        assert!(run.stderr.contains("another machine"), "{first:?}: {}", run.stderr);
        assert_eq!(list(&node.emulator.state(), "associations").len(), 2);
    }
}

/// The disk was copied when there was no machine-id. The firmware's UUID distinguishes the machines.
#[test]
fn a_copy_is_noticed_where_the_original_had_no_machine_id() {
    let node = Node::new();
    node.write("etc/hostname", "web1.example.org\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d3132\n");
    join(&node, node.root.path(), None);
    assert!(join(&node, node.root.path(), None).stdout.contains("already joined"));
    let copied = Copied::of(&node);
    copied.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d9999\n");
    copied.write("etc/machine-id", ANOTHER);
    copied.write("etc/hostname", "web2.example.org\n");
    let run = join(&node, copied.root.path(), None);
    assert!(run.stderr.contains("another machine"), "{}", run.stderr);
    // The same UUID with a new machine-id is the same machine.
    node.write("etc/machine-id", MACHINE);
    assert!(join(&node, node.root.path(), None).stdout.contains("already joined"));
    assert_eq!(list(&node.emulator.state(), "associations").len(), 2);
}

const UUID: &str = "4c4c4544-0033-3310-8051-b4c04f4d3132\n";
const OTHER_UUID: &str = "4c4c4544-0033-3310-8051-b4c04f4d9999\n";

fn on_premises() -> Node {
    let node = Node::new();
    node.write("etc/hostname", "web1.example.org\n");
    node.write("etc/machine-id", MACHINE);
    node.write(BOARD, UUID);
    join(&node, node.root.path(), None);
    node
}

fn status(node: &Node, root: &Path, arguments: &[&str]) -> Run {
    let mut command = common::bare(&[&["status", "--root", text(root)], arguments].concat());
    run(command.envs(node.emulator.env()).env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
}

/// A case from practice: a virtual machine was copied with its machine-id.
#[test]
fn a_copy_with_the_same_machine_id_is_recognized_by_its_firmware() {
    let node = on_premises();
    let copied = Copied::of(&node);
    copied.write(BOARD, OTHER_UUID);
    copied.write("etc/hostname", "web2.example.org\n");
    for arguments in [&[][..], &["--wait", "--timeout", "1s"]] {
        let said = status(&node, copied.root.path(), arguments);
        assert_eq!(said.code, 75, "{}", said.stdout);
        assert!(said.stdout.starts_with("opsworks-cm: not joined\n"), "{}", said.stdout);
        for word in ["another machine", UUID.trim(), OTHER_UUID.trim(), "run `enlist join --target"]
        {
            assert!(said.stdout.contains(word), "{word}: {}", said.stdout);
        }
    }
    let said = status(&node, copied.root.path(), &["--json"]);
    let reports: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (said.code, &reports["targets"][0]["joined"]),
        (75, &Value::Bool(false)),
        "{}",
        said.stdout
    );
    let run = join(&node, copied.root.path(), None);
    assert!(run.stderr.contains("another machine"), "{}", run.stderr);
    assert!(run.stdout.contains("as web2.example.org"), "{}", run.stdout);
    assert_eq!(status(&node, copied.root.path(), &[]).code, 0);
    assert_eq!(list(&node.emulator.state(), "associations").len(), 2);
    // The original is unchanged.
    assert_eq!(status(&node, node.root.path(), &[]).code, 0);
    assert!(join(&node, node.root.path(), None).stdout.contains("already joined"));
}

#[test]
fn known_changes_do_not_make_another_machine() {
    for uuid in [
        // A firmware update may change the byte order of the first fields.
        "44454c4c-3300-1033-8051-b4c04f4d3132\n",
        "4C4C4544-0033-3310-8051-B4C04F4D3132\n",
        "03000200-0400-0500-0006-000700080009\n",
        "Not Settable\n",
    ] {
        let node = on_premises();
        node.write(BOARD, uuid);
        assert_eq!(status(&node, node.root.path(), &[]).code, 0, "{uuid}");
        assert!(join(&node, node.root.path(), None).stdout.contains("already joined"), "{uuid}");
    }
    // On EC2 the instance id decides, also with another hypervisor and a new machine-id.
    let node = Node::new();
    node.write("etc/machine-id", MACHINE);
    node.write(BOARD, "ec2ae145-d1dc-13b2-94ed-01234567890a\n");
    node.join();
    node.write("etc/machine-id", ANOTHER);
    node.write(BOARD, "ec2bbbbb-d1dc-13b2-94ed-01234567890b\n");
    assert!(node.join().stdout.contains("already joined"));
    // The record has the new ids now.
    assert_eq!(status(&node, node.root.path(), &[]).code, 0);
}

/// Nitro's firmware has the instance id, so `status` needs no metadata service.
#[test]
fn a_copy_on_ec2_is_recognized_without_the_metadata_service() {
    let node = Node::new();
    node.write("etc/machine-id", MACHINE);
    node.join();
    let copied = Copied::of(&node);
    copied.write("sys/class/dmi/id/board_asset_tag", "i-0fedcba9876543210\n");
    let said = status(&node, copied.root.path(), &[]);
    assert_eq!(said.code, 75, "{}", said.stdout);
    assert!(said.stdout.contains("instance id"), "{}", said.stdout);
    assert!(node.emulator.imds_calls().iter().all(|call| call.status == 200 || call.status == 404));
}

#[test]
fn a_leave_on_a_copy_does_not_remove_the_original() {
    let node = on_premises();
    let copied = Copied::of(&node);
    copied.write(BOARD, OTHER_UUID);
    let mut command = common::bare(&["leave", "--root", text(copied.root.path())]);
    let run =
        run(command.envs(node.emulator.env()).env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
    common::expect(&run, 78, &["another machine", OTHER_UUID.trim()]);
    assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
}

/// Nor does it name the command that removes the original.
#[test]
fn a_local_leave_on_a_copy_clears_the_copy_alone() {
    let node = on_premises();
    for option in ["--local", "--force"] {
        let copied = Copied::of(&node);
        copied.write(BOARD, OTHER_UUID);
        let mut command = common::bare(&["leave", option, "--root", text(copied.root.path())]);
        command.envs(node.emulator.env()).env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let run = run(&mut command);
        common::expect(&run, 0, &["the other machine stays a member", OTHER_UUID.trim()]);
        assert!(!run.stdout.contains("remains"), "{}", run.stdout);
        assert!(!copied.root.path().join("var/lib/enlist/opsworks-cm/record.json").exists());
        assert_eq!(list(&node.emulator.state(), "associations").len(), 1);
    }
}

/// A repair or a renewal is of a membership that is there, so it makes no new one.
#[test]
fn a_repair_or_a_renewal_on_a_copy_is_refused() {
    let node = Node::new();
    node.join();
    let copied = Copied::of(&node);
    let instance = other_instance();
    let asked = node.emulator.calls().len();
    let key = format!("etc/puppetlabs/puppet/ssl/private_keys/{NAME}.pem");
    for command in ["repair", "renew"] {
        let mut enlist = common::bare(&[command, "--root", text(copied.root.path())]);
        enlist.envs(node.emulator.env());
        enlist.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.imds_url());
        let words = ["belongs to another machine", "enlist join --target opsworks-cm"];
        common::expect(&run(&mut enlist), 78, &words);
        assert_eq!(node.emulator.calls().len(), asked, "{command} asks nothing");
        assert_eq!(copied.read(&key), fs::read(node.key()).unwrap());
    }
    let joined = join(&node, copied.root.path(), Some(&instance));
    assert!(joined.stdout.contains(OTHER), "{}", joined.stdout);
    assert_eq!(list(&node.emulator.state(), "associations").len(), 2);
}
