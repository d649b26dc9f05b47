//! Traps that are there before the program starts, in every place that it reads or writes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::common::{NAME, Node, STACK, expect, target_node};
use crate::victim::{ACCOUNT, Victim, directory, give, is_all, is_root};

/// The places of directories that the program makes.
const DIRECTORIES: [&str; 7] = [
    "var/lib/puppet/ssl",
    "var/lib/puppet/ssl/certs",
    "var/lib/puppet/ssl/private_keys",
    "var/lib/puppet/ssl/certificate_requests",
    "var/lib/puppet/ssl/public_keys",
    "var/lib/puppet/ssl/private",
    "var/cache/puppet/state",
];

/// The places of files that the program reads or writes.
const FILES: [&str; 9] = [
    "var/lib/puppet/ssl/certs/ca.pem",
    "var/lib/puppet/ssl/certs/NAME.pem",
    "var/lib/puppet/ssl/private_keys/NAME.pem",
    "var/lib/puppet/ssl/certificate_requests/NAME.pem",
    "var/lib/puppet/ssl/crl.pem",
    "var/lib/puppet/ssl/ssl.lock",
    "var/lib/puppet/ssl/.ssl.lock.enlist-new",
    "var/lib/puppet/ssl/certs/.enlist-new",
    "var/cache/puppet/state/agent_disabled.lock",
];

pub type Trap = (&'static str, fn(&Victim, &Path));

/// The traps in the place of a directory.
pub const INSTEAD_OF_DIRECTORY: [Trap; 6] = [
    ("an absolute link to root's directory", |_, at| link("/srv/roots-own/completion.d", at)),
    ("a relative link to root's directory", |victim, at| {
        link(&below_the_root(victim, at, "srv/roots-own/cron.d"), at);
    }),
    ("a link by way of a link", |_, at| {
        link("/srv/roots-own/ssh", &at.with_file_name("hop"));
        link("hop", at);
    }),
    ("a link through a directory of its own", |victim, at| {
        directory(&victim.path("var/lib/puppet/own"));
        link("../../../../srv/roots-own/cron.d", &victim.path("var/lib/puppet/own/inner"));
        link("/var/lib/puppet/own/inner", at);
    }),
    ("a pipe", |_, at| pipe(at)),
    ("a link to a file of root's", |_, at| link("/srv/roots-own/shadow", at)),
];

/// The traps in the place of a file.
pub const INSTEAD_OF_FILE: [Trap; 7] = [
    ("a link to a file of root's", |_, at| link("/srv/roots-own/shadow", at)),
    ("a link to a file that root would run", |_, at| link("/srv/roots-own/cron.d/planted", at)),
    ("a relative link", |victim, at| {
        link(&below_the_root(victim, at, "srv/roots-own/ssh/authorized_keys"), at);
    }),
    ("another name of a file of root's", |victim, at| {
        fs::hard_link(victim.path("srv/roots-own/shadow"), at).unwrap();
    }),
    ("a pipe", |_, at| pipe(at)),
    ("a device", |_, at| by("mknod", &[at.to_str().unwrap(), "c", "1", "5"])),
    ("a directory", |_, at| directory(at)),
];

#[test]
fn a_trap_in_the_place_of_a_directory_does_not_redirect_root() {
    if is_root() {
        tried(&DIRECTORIES, &INSTEAD_OF_DIRECTORY);
    }
}

#[test]
fn a_trap_in_the_place_of_a_file_does_not_redirect_root() {
    if is_root() {
        tried(&FILES, &INSTEAD_OF_FILE);
    }
}

/// Tries each trap before a join, and between a join and a leave.
fn tried(places: &[&str], traps: &[Trap]) {
    tried_on(&Victim::new, places, traps);
}

fn tried_on(new: &dyn Fn() -> Victim, places: &[&str], traps: &[Trap]) {
    let mut index = 0;
    for place in places {
        for (what, set) in traps {
            index += 1;
            if !is_all() && index % 5 != 0 {
                continue;
            }
            let case = format!("{what} at {place}");
            let place = place.replace("NAME", NAME);
            let victim = new();
            trap(&victim, &place, *set);
            let (code, said) = victim.enlist(&["join"]);
            assert!([0, 69, 74, 78].contains(&code), "{case}: {code}: {said}");
            assert!(code == 0 || said.contains("to do: "), "{case}: {said}");
            victim.unharmed(&format!("a join with {case}"));
            victim.enlist(&["status"]);
            victim.enlist(&["leave"]);
            victim.unharmed(&format!("status and leave with {case}"));

            let victim = new();
            victim.node.join();
            trap(&victim, &place, *set);
            let (code, said) = victim.enlist(&["leave"]);
            assert!([0, 74, 78].contains(&code), "{case}: {code}: {said}");
            victim.unharmed(&format!("a leave with {case}"));
        }
    }
}

/// Sets a trap instead of what is there, and makes the directories that the account can make.
pub fn trap(victim: &Victim, place: &str, set: fn(&Victim, &Path)) {
    let path = victim.path(place);
    let parent = path.parent().unwrap();
    if !parent.exists() {
        directory(parent);
    }
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_dir() => fs::rename(&path, path.with_extension("former")).unwrap(),
        Ok(_) => fs::remove_file(&path).unwrap(),
        Err(_) => {}
    }
    set(victim, &path);
}

/// A relative path from a place to a target below the node's root.
fn below_the_root(victim: &Victim, at: &Path, target: &str) -> String {
    let inside = at.strip_prefix(victim.node.root.path()).unwrap();
    format!("{}{target}", "../".repeat(inside.components().count() - 1))
}

fn link(target: &str, at: &Path) {
    symlink(target, at).unwrap();
    give(at);
}

fn pipe(at: &Path) {
    by("mkfifo", &[at.to_str().unwrap()]);
    give(at);
}

fn by(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

#[test]
fn directories_of_two_accounts_are_not_mixed() {
    if !is_root() {
        return;
    }
    let victim = Victim::new();
    let certs = victim.path("var/lib/puppet/ssl/certs");
    directory(&certs);
    std::os::unix::fs::chown(&certs, Some(ACCOUNT + 1), Some(ACCOUNT + 1)).unwrap();
    let (code, said) = victim.enlist(&["join"]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("in a directory of puppet") && said.contains("chown puppet"), "{said}");
    // A directory of root's is used: Puppet's agent, run by root, leaves such directories.
    std::os::unix::fs::chown(&certs, Some(0), Some(0)).unwrap();
    let (code, said) = victim.enlist(&["join"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_link_that_root_made_is_followed_and_stays_a_link() {
    let node = Node::new();
    node.write("etc/shared/puppet.conf", "[main]\n# shared\n");
    node.write("etc/puppetlabs/puppet/.keep", "");
    let conf = node.path("etc/puppetlabs/puppet/puppet.conf");
    symlink("../../shared/puppet.conf", &conf).unwrap();
    fs::create_dir_all(node.path("srv/ssl")).unwrap();
    symlink("/srv/ssl", node.path("etc/puppetlabs/puppet/ssl")).unwrap();
    node.join();
    assert!(fs::symlink_metadata(&conf).unwrap().is_symlink());
    assert!(node.read("etc/shared/puppet.conf").contains("certname"));
    assert!(node.path(&format!("srv/ssl/certs/{NAME}.pem")).is_file());
    assert_eq!(node.enlist(&["leave"]).code, 0);
    assert!(fs::symlink_metadata(&conf).unwrap().is_symlink());
    assert_eq!(node.read("etc/shared/puppet.conf"), "[main]\n# shared\n");
}

#[test]
fn settings_that_others_can_write_are_refused_with_the_command_that_corrects_it() {
    let settings = "[opsworks-cm]\nserver = \"puppet-test\"\n";
    let modes = [
        ("etc/enlist/enlist.toml", 0o666),
        ("etc/enlist/enlist.toml", 0o602),
        ("etc/enlist", 0o777),
        ("etc/enlist/config.d", 0o757),
        ("etc/enlist/config.d/50-x.toml", 0o646),
        ("run/enlist/config.d", 0o777),
        ("usr/lib/enlist", 0o777),
        ("etc", 0o777),
        ("etc/ca.pem", 0o666),
    ];
    for (path, mode) in modes {
        let node = Node::new();
        for fragment in [
            "etc/enlist/enlist.toml",
            "etc/enlist/config.d/50-x.toml",
            "run/enlist/config.d/a.toml",
            "usr/lib/enlist/config.d/a.toml",
        ] {
            node.write(fragment, settings);
        }
        node.write("etc/ca.pem", "");
        let with_ca = format!("{settings}ca_file = \"/etc/ca.pem\"\n");
        node.write("etc/enlist/config.d/60-ca.toml", &with_ca);
        fs::set_permissions(node.path(path), Permissions::from_mode(mode)).unwrap();
        let run = node.enlist(&["join"]);
        let command = format!("chmod go-w {}", node.path(path).display());
        let other = format!("chmod o-w {}", node.path(path).display());
        expect(&run, 78, &["can write"]);
        assert!(run.stderr.contains(&command) || run.stderr.contains(&other), "{}", run.stderr);
        assert!(node.emulator.calls().is_empty());
    }
}

#[test]
fn settings_of_another_account_are_refused() {
    if !is_root() {
        return;
    }
    for path in ["etc/enlist/enlist.toml", "etc/enlist"] {
        let victim = Victim::new();
        give(&victim.path(path));
        let (code, said) = victim.enlist(&["join"]);
        assert_eq!(code, 78, "{said}");
        let command = format!("chown root {}", victim.path(path).display());
        assert!(said.contains("belongs to puppet") && said.contains(&command), "{said}");
    }
    // A link of root's to a file of the account.
    let victim = Victim::new();
    fs::rename(victim.path("etc/enlist/enlist.toml"), victim.path("var/lib/puppet/x")).unwrap();
    symlink("/var/lib/puppet/x", victim.path("etc/enlist/enlist.toml")).unwrap();
    assert_eq!(victim.enlist(&["join"]).0, 78);
    // The program's own state directory.
    let victim = Victim::new();
    directory(&victim.path("var/lib/enlist"));
    let (code, said) = victim.enlist(&["join"]);
    assert_eq!(code, 78, "{said}");
}

#[test]
fn a_secret_that_others_can_write_is_refused() {
    let node = Node::new();
    node.settings("[ssm]\non_ec2 = true\nactivation_id = \"0f0e0d0c-0b0a-4988-9766-554433221100\"\nactivation_code_file = \"/etc/code\"\n");
    crate::common::install_agent(&node);
    node.write("etc/code", "0123456789abcdefghijklmn\n");
    fs::set_permissions(node.path("etc/code"), Permissions::from_mode(0o622)).unwrap();
    let run = node.enlist(&["join"]);
    let command = format!("chmod go-w {}", node.path("etc/code").display());
    expect(&run, 78, &["can write to it", &command]);
    assert!(!run.stderr.contains("0123456789abcdefghijklmn"), "{}", run.stderr);
    // If others can only read it, there is a warning.
    fs::set_permissions(node.path("etc/code"), Permissions::from_mode(0o604)).unwrap();
    let run = node.enlist(&["join"]);
    assert!(run.stderr.contains("can read this secret"), "{}", run.stderr);
}

#[test]
fn traps_in_directories_of_other_engines_do_not_redirect_root() {
    if !is_root() {
        return;
    }
    let chef =
        "[opsworks-cm]\nserver = \"chef-test\"\nengine = \"chef\"\n[chef]\nkey_bits = 2048\n";
    let chef = || Victim::of(target_node(chef, &[]), &["etc/chef", "etc/chef/trusted_certs"]);
    tried_on(&chef, &["etc/chef/trusted_certs"], &INSTEAD_OF_DIRECTORY);
    let files = [
        "etc/chef/client.pem",
        "etc/chef/client.rb",
        "etc/chef/first-boot.json",
        "etc/chef/trusted_certs/enlist-ca.pem",
        "etc/chef/.enlist-new",
    ];
    tried_on(&chef, &files, &INSTEAD_OF_FILE);
    let opsworks = format!("[opsworks]\nstack_id = \"{STACK}\"\n");
    let opsworks = || Victim::of(target_node(&opsworks, &[]), &["etc/aws", "etc/aws/opsworks"]);
    tried_on(&opsworks, &["etc/aws/opsworks"], &INSTEAD_OF_DIRECTORY);
    let files = ["etc/aws/opsworks/instance-key.pem", "etc/aws/opsworks/instance-agent.yml"];
    tried_on(&opsworks, &files, &INSTEAD_OF_FILE);
}
