//! A person looks at a member and repairs it while a renewal is under way: the renewal was stopped at any
//! point. Nothing is wrong with the node there, a repair asks nobody, and the renewal can be finished.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use enlist::bootstrap::{Maintenance, Outcome, Report, problems};
use enlist::host::engines::EngineAnswers;
use enlist::host::inspect;
use serde_json::Value;

use super::cases::{CHEF_SERVER_ROTATING, Case, PUPPET_SERVER};
use super::explore::{Story, finish_join};
use super::node::{End, Node};
use super::{chef_server, rotations};

fn renewal() -> Maintenance {
    Maintenance { renew: Some(Duration::from_mins(30)), ..Maintenance::default() }
}

fn due(case: &'static Case) -> Node {
    let mut node = Node::new(case);
    finish_join(&mut node, case);
    // Both a key of 90 days and two thirds of a certificate's lifetime are over.
    node.clock += 4 * 365 * 86_400_000;
    node
}

/// A node that was stopped at each point of a renewal that leaves another state of the disk.
fn stopped(case: &'static Case) -> impl Iterator<Item = (Node, Story)> {
    let mut whole = due(case);
    whole.maintain(case, renewal(), Some(usize::MAX));
    let mut seen = Vec::new();
    (0..whole.points).filter_map(move |crash| {
        let mut node = due(case);
        assert!(matches!(node.maintain(case, renewal(), Some(crash)), End::Crashed));
        let story = Story(format!("{}: stopped at {crash}", case.name));
        let files = node.tree().files;
        let is_new = !seen.contains(&files);
        seen.push(files);
        is_new.then_some((node, story))
    })
}

/// Removes what is installed beside the key, and lets others read the key.
fn damage(node: &Node, case: &Case) {
    let record = node.store(case).load().unwrap().unwrap();
    for file in &record.installed {
        let path = node.path(&file.path);
        match file.item {
            enlist::engines::Item::Key => {
                std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
            }
            _ => std::fs::remove_file(path).unwrap(),
        }
    }
}

/// What is wrong with the node, as `enlist status` finds it.
fn wrong(node: &Node, case: &Case) -> Vec<String> {
    let (root, store) = (node.root.clone(), node.store(case));
    let mut answers = EngineAnswers::recall(&store);
    let read = inspect::inspect(&root, &store, &mut answers);
    let (record, files) = node.runtime.block_on(read).unwrap();
    let record = record.unwrap();
    let next = Report::of(&record).next;
    assert!(!next.contains("enlist leave"), "{next}");
    let found = problems(&record, &record.findings(&files, node.unix()));
    found.iter().map(|problem| format!("{}; {}", problem.what, problem.todo)).collect()
}

#[test]
fn nothing_is_wrong_at_any_stop_and_a_repair_asks_nobody() {
    let repair = Maintenance { repair: true, is_of_member: true, ..Maintenance::default() };
    for case in [&CHEF_SERVER_ROTATING, &PUPPET_SERVER] {
        let mut stops = 0;
        for (mut node, story) in stopped(case) {
            stops += 1;
            assert_eq!(wrong(&node, case), [""; 0]);
            damage(&node, case);
            assert!(!wrong(&node, case).is_empty(), "the damage is seen");
            let asked = node.asked.len();
            let end = node.maintain(case, repair.clone(), None);
            assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "it is repaired");
            assert_eq!(node.asked.len(), asked, "{:?}", node.asked.last());
            assert_eq!(wrong(&node, case), [""; 0]);
            let end = node.maintain(case, renewal(), None);
            assert!(
                matches!(end, End::Finished(Outcome::Joined { .. })),
                "the renewal is finished"
            );
            assert_eq!(wrong(&node, case), [""; 0]);
            let record = node.store(case).load().unwrap().unwrap();
            assert!(record.former.is_none() && record.fault.is_none(), "{record:?}");
            if case.id == "chef-server" {
                rotations::can_sign(&node);
            }
            drop(story);
        }
        println!("{}: {stops} stops", case.name);
        assert!(stops > 8, "only {stops} stops");
    }
}

/// The same with the program that ships. Its settings name a server that does not exist.
#[test]
fn the_program_says_and_repairs_the_same() {
    let case = &CHEF_SERVER_ROTATING;
    for (mut node, story) in stopped(case) {
        node.write("etc/enlist/enlist.toml", &chef_server::text("", "rotate_key = \"90d\"\n"));
        for is_damaged in [false, true] {
            if is_damaged {
                damage(&node, case);
                enlist(&node, &["repair"], 0);
            }
            let said: Value =
                serde_json::from_str(&enlist(&node, &["status", "--json"], 0)).unwrap();
            let of_target = &said["targets"][0];
            assert_eq!(
                (&said["well"], &of_target["joined"]),
                (&true.into(), &true.into()),
                "{said}"
            );
            assert!(!of_target["next"].as_str().unwrap().contains("leave"), "{said}");
        }
        rotations::can_sign(&node);
        let end = node.maintain(case, renewal(), None);
        assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "the renewal is finished");
        drop(story);
    }
}

/// Runs the program that ships on this node.
fn enlist(node: &Node, arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_enlist"))
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .arg("--root")
        .arg(node.directory.path())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, faults) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (said, faults) = (said.unwrap(), faults.unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{faults}");
    said
}
