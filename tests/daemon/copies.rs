//! Copies of a machine's disk.

use crate::common::{Node, list};
use crate::{Daemon, PUPPET};

const MACHINE: [(&str, &str); 1] = [("AWS_EC2_METADATA_DISABLED", "true")];
const BOARD: &str = "sys/class/dmi/id/product_uuid";

fn on_premises() -> Node {
    let node = Node::new();
    node.settings(&format!("{PUPPET}[run]\ninspect = \"1s\"\n"));
    node.write("etc/hostname", "web1.example.org\n");
    node.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d3132\n");
    let mut daemon = Daemon::start_with(&node, &MACHINE);
    daemon.ready();
    daemon.stop();
    node
}

fn names(node: &Node) -> Vec<String> {
    let state = node.emulator.state();
    let names = list(&state, "associations").iter();
    names.map(|one| one["node"].as_str().unwrap().to_owned()).collect()
}

/// A disk that was copied with its machine-id, and with the service enabled.
#[test]
fn a_copied_disk_is_not_a_member_and_joins_anew() {
    let node = on_premises();
    node.write("etc/hostname", "web2.example.org\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d9999\n");
    node.emulator.inject("AssociateNode=503*forever".parse().unwrap());
    let mut daemon = Daemon::start_with(&node, &MACHINE);
    daemon.until("it asks", |daemon| daemon.node.asked("AssociateNode") > 1);
    assert_eq!(daemon.times("READY=1"), 0, "{:?}", daemon.notified);
    node.emulator.with(enlist_emulator::ControlPlane::clear_faults);
    daemon.ready();
    daemon.stop();
    assert!(node.read("log").contains("another machine"), "{}", node.read("log"));
    assert_eq!(names(&node), ["web1.example.org", "web2.example.org"]);
}

/// A virtual machine that is copied while it runs resumes as another machine.
#[test]
fn a_machine_that_becomes_another_one_while_it_runs_joins_anew() {
    let node = on_premises();
    let mut daemon = Daemon::start_with(&node, &MACHINE);
    daemon.ready();
    node.write("etc/hostname", "web2.example.org\n");
    node.write(BOARD, "4c4c4544-0033-3310-8051-b4c04f4d9999\n");
    daemon.until("the copy joins", |daemon| names(daemon.node).len() == 2);
    daemon.until("it is a member", |daemon| daemon.says("joined"));
    daemon.stop();
    assert_eq!(names(&node), ["web1.example.org", "web2.example.org"]);
}
