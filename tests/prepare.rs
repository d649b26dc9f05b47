//! `enlist prepare`: the directories that must exist before the units' sandbox is set up.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::fs;

use common::{Node, STACK, mode};

/// Every directory below the root, with its mode.
fn directories(node: &Node) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut left = vec![node.root.path().to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name =
                    path.strip_prefix(node.root.path()).unwrap().to_str().unwrap().to_owned();
                found.push((name, mode(&path)));
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

fn prepared(node: &Node) -> Vec<(String, u32)> {
    let before = directories(node);
    let run = node.enlist(&["prepare"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let after = directories(node);
    assert_eq!(node.enlist(&["prepare"]).code, 0);
    assert_eq!(directories(node), after, "the second run changes something");
    assert!(node.emulator.calls().is_empty(), "an API was called");
    after.into_iter().filter(|made| !before.contains(made)).collect()
}

/// The directories without subdirectories.
fn ends(made: &[(String, u32)]) -> Vec<(&str, u32)> {
    let is_end = |name: &str| !made.iter().any(|(other, _)| other.starts_with(&format!("{name}/")));
    made.iter()
        .filter(|(name, _)| is_end(name))
        .map(|(name, mode)| (name.as_str(), *mode))
        .collect()
}

#[test]
fn each_targets_directories_are_made_and_no_others() {
    let puppet: &[(&str, u32)] =
        &[("etc/puppetlabs/puppet/ssl", 0o771), ("opt/puppetlabs/puppet/cache/state", 0o755)];
    let ssm = &[("var/lib/amazon/ssm", 0o700), ("var/log/amazon/ssm", 0o755)];
    let stacks = format!("[opsworks]\nstack_id = \"{STACK}\"\n");
    for (settings, made) in [
        ("[opsworks-cm]\nserver = \"p\"\nengine = \"puppet\"\n", puppet),
        ("[opsworks-cm]\nserver = \"p\"\nengine = \"chef\"\n", &[("etc/chef", 0o755)]),
        (
            "[opsworks-cm]\nserver = \"p\"\nengine = \"chef\"\n[chef]\nconfdir = \"/etc/cinc\"\n",
            &[("etc/cinc", 0o755)],
        ),
        // The server decides later which engine it is.
        ("[opsworks-cm]\nserver = \"p\"\n", &[&[("etc/chef", 0o755)], puppet].concat()),
        (&stacks, &[("etc/aws/opsworks", 0o700)]),
        ("[ssm]\niam_role = \"r\"\n", ssm),
        ("[ssm]\niam_role = \"r\"\nhand_over = \"file\"\n", &[]),
        (
            "[opsworks-cm]\nserver = \"p\"\nengine = \"puppet\"\n[puppet]\nssldir = \"/srv/p/ssl\"\nconfdir = \"/srv/p\"\nstatedir = \"/srv/s\"\n",
            &[("srv/p/ssl", 0o771), ("srv/s", 0o755)],
        ),
    ] {
        let node = Node::new();
        node.settings(settings);
        assert_eq!(ends(&prepared(&node)), made, "{settings}");
    }
}

#[test]
fn on_debian_puppets_directories_are_those_of_debians_package() {
    let node = Node::new();
    fs::create_dir_all(node.path("etc/puppet")).unwrap();
    node.settings("[opsworks-cm]\nserver = \"p\"\nengine = \"puppet\"\n");
    let made = prepared(&node);
    assert_eq!(ends(&made), [("var/cache/puppet/state", 0o755), ("var/lib/puppet/ssl", 0o771)]);
}

#[test]
fn existing_directories_are_not_changed() {
    let node = Node::new();
    fs::create_dir_all(node.path("etc/chef")).unwrap();
    fs::set_permissions(node.path("etc/chef"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    node.settings("[opsworks-cm]\nserver = \"p\"\nengine = \"chef\"\n");
    assert_eq!(prepared(&node), []);
    node.settings("[opsworks-cm]\nserver = 7\n");
    common::expect(&node.enlist(&["prepare"]), 78, &["opsworks-cm.server"]);
}
