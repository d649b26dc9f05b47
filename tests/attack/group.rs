//! Attacks through directories that a group can write to, and through files of other accounts.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use crate::common::{NAME, Node, expect, install_agent, off_ec2, run, target_node, text};
use crate::victim::{ACCOUNT, Victim, give, is_root};

/// A directory of root's that the account's group can write to.
fn shared(victim: &Victim, path: &str, mode: u32) {
    let path = victim.path(path);
    fs::create_dir_all(&path).unwrap();
    chown(&path, Some(0), Some(ACCOUNT)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_link_of_roots_that_a_group_can_have_moved_is_not_followed() {
    if !is_root() {
        return;
    }
    for target in ["/srv/roots-own/cron.d", "../../../srv/roots-own/cron.d"] {
        let victim = Victim::new();
        shared(&victim, "var/lib/puppet", 0o770);
        fs::rename(victim.path("var/lib/puppet/ssl"), victim.path("var/lib/puppet/own")).unwrap();
        // A link of root's for another purpose, renamed by the account.
        symlink(target, victim.path("var/lib/puppet/ssl")).unwrap();
        let (code, said) = victim.enlist(&["join"]);
        victim.unharmed("a join by way of a link that was moved");
        assert_eq!(code, 78, "{said}");
        victim.enlist(&["leave"]);
        victim.unharmed("a leave by way of a link that was moved");
    }
}

#[test]
fn a_hard_link_in_a_directory_of_a_group_is_not_used() {
    if !is_root() {
        return;
    }
    let victim = Victim::new();
    shared(&victim, "etc/puppet", 0o775);
    fs::remove_file(victim.path("etc/puppet/puppet.conf")).unwrap();
    fs::hard_link(victim.path("srv/roots-own/shadow"), victim.path("etc/puppet/puppet.conf"))
        .unwrap();
    let (code, said) = victim.enlist(&["join"]);
    victim.unharmed("a hard link in a shared directory");
    assert_eq!(code, 78, "{said}");
}

#[test]
fn a_program_that_another_account_can_write_is_not_run() {
    if !is_root() {
        return;
    }
    for way in ["owner", "group", "directory", "everybody"] {
        let node = target_node(
            "[ssm]\niam_role = \"service-role/SSM\"\nagent = \"/opt/own/amazon-ssm-agent\"\n",
            &[],
        );
        install_agent(&node);
        let program = node.path("opt/own/amazon-ssm-agent");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::rename(node.path("usr/bin/amazon-ssm-agent"), &program).unwrap();
        match way {
            "owner" => give(&program),
            "group" => {
                chown(&program, Some(0), Some(ACCOUNT)).unwrap();
                fs::set_permissions(&program, Permissions::from_mode(0o775)).unwrap();
            }
            "everybody" => fs::set_permissions(&program, Permissions::from_mode(0o777)).unwrap(),
            _ => give(program.parent().unwrap()),
        }
        let run = off_ec2(&node, &["join", "--set", "aws.region=us-east-1"]);
        assert!(!node.path("agent-arguments").exists(), "{way}: it was run: {}", run.stderr);
        expect(&run, 78, &[text(&program)]);
    }
}

/// Gives the directories to root, so that only the key itself belongs to another account.
fn give_to_root(victim: &Victim) {
    for path in ["var/lib/puppet", "var/lib/puppet/ssl", "var/lib/puppet/ssl/private_keys"] {
        fs::create_dir_all(victim.path(path)).unwrap();
        chown(victim.path(path), Some(0), Some(0)).unwrap();
    }
}

#[test]
fn a_key_of_another_account_is_reported_and_corrected() {
    if !is_root() {
        return;
    }
    let victim = Victim::new();
    victim.node.join();
    give_to_root(&victim);
    let key = victim.path(&format!("var/lib/puppet/ssl/private_keys/{NAME}.pem"));
    assert!(!victim.node.enlist(&["status"]).stdout.contains("finding"));
    chown(&key, Some(ACCOUNT + 1), Some(ACCOUNT + 1)).unwrap();
    let run = victim.node.enlist(&["status"]);
    assert!(run.stdout.contains("belongs to another user (61235)"), "{}", run.stdout);

    let other = Victim::new();
    give_to_root(&other);
    let standing = other.path(&format!("var/lib/puppet/ssl/private_keys/{NAME}.pem"));
    fs::copy(&key, &standing).unwrap();
    chown(&standing, Some(ACCOUNT + 1), Some(ACCOUNT + 1)).unwrap();
    let run = other.node.join();
    assert!(run.stderr.contains("this private key belonged to another user"), "{}", run.stderr);
    let meta = fs::metadata(&standing).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (ACCOUNT, ACCOUNT, 0o640));
}

#[test]
fn a_ca_bundle_that_others_can_write_is_not_trusted() {
    if !is_root() {
        return;
    }
    let node = Node::new();
    let read = |name: &str| {
        let mut command = node.command(&["join"]);
        command.env("AWS_ENDPOINT_URL", "https://127.0.0.1:9").env(name, node.path("ca.pem"));
        run(&mut command)
    };
    let ca = node.path("ca.pem");
    for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        node.write("ca.pem", "");
        fs::set_permissions(&ca, Permissions::from_mode(0o666)).unwrap();
        expect(
            &read(name),
            78,
            &["everybody can write to it", &format!("chmod go-w {}", text(&ca))],
        );
        fs::set_permissions(&ca, Permissions::from_mode(0o644)).unwrap();
        give(&ca);
        expect(&read(name), 78, &["and not to root", &format!("chown root {}", text(&ca))]);
        fs::remove_file(&ca).unwrap();
        assert!(Command::new("mkfifo").arg(&ca).status().unwrap().success());
        expect(&read(name), 78, &["a named pipe"]);
        fs::remove_file(&ca).unwrap();
        symlink("/dev/zero", &ca).unwrap();
        expect(&read(name), 78, &["a device"]);
        fs::remove_file(&ca).unwrap();
    }
}

#[test]
fn a_new_root_directory_is_not_writable_for_others() {
    let program = env!("CARGO_BIN_EXE_enlist");
    for umask in ["0", "077"] {
        let node = Node::new();
        let root = node.path(&format!("made-{umask}/below"));
        let arguments = "join --set opsworks-cm.server=puppet-test --set puppet.key_bits=2048";
        let line = format!("umask {umask}; exec {program} {arguments} --root {}", text(&root));
        let mut command = Command::new("sh");
        let run = run(command.args(["-c", &line]).envs(node.emulator.env()));
        assert_eq!(run.code, 0, "{}", run.stderr);
        for path in [root.parent().unwrap(), &root] {
            let mode = fs::metadata(path).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o755, "{}: {mode:o}", path.display());
        }
    }
}

#[test]
fn a_quote_from_another_accounts_file_is_short() {
    if !is_root() {
        return;
    }
    let victim = Victim::new();
    victim.node.join();
    let conf = victim.path("etc/puppet/puppet.conf");
    fs::write(&conf, vec![b'x'; 7_000_000]).unwrap();
    give(&conf);
    for arguments in [&["status"][..], &["status", "--json"], &["join"]] {
        let run = victim.node.enlist(arguments);
        let length = run.stdout.len() + run.stderr.len();
        assert!(length < 20_000, "{arguments:?}: {length}");
    }
    let record = victim.path("var/lib/enlist/opsworks-cm/record.json");
    assert!(fs::metadata(record).unwrap().len() < 50_000);
}

/// `user::rwx,user:ACCOUNT:rwx,group::r-x,mask::rwx,other::r-x` (acl(5), and the kernel's
/// `posix_acl_xattr.h`: a version, then tag, permissions and id of each entry).
fn allow(path: &std::path::Path) {
    let mut list = 2_u32.to_le_bytes().to_vec();
    let none = u32::MAX;
    for (tag, may, id) in
        [(1_u16, 7_u16, none), (2, 7, ACCOUNT), (4, 5, none), (16, 7, none), (32, 5, none)]
    {
        list.extend(tag.to_le_bytes());
        list.extend(may.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, "system.posix_acl_access", &list, flags).unwrap();
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o775);
}

#[test]
fn an_access_control_list_counts_like_a_mode() {
    if !is_root() {
        return;
    }
    for path in ["etc/enlist/enlist.toml", "etc/enlist"] {
        let victim = Victim::new();
        allow(&victim.path(path));
        let (code, said) = victim.enlist(&["join"]);
        assert_eq!(code, 78, "{said}");
        let command = format!("chmod go-w {}", victim.path(path).display());
        assert!(said.contains("access control list") && said.contains(&command), "{said}");
        // This command is enough: the mode's group bits are the list's mask.
        assert!(
            Command::new("chmod").arg("go-w").arg(victim.path(path)).status().unwrap().success()
        );
        victim.node.join();
    }
    let victim = Victim::new();
    let directory = victim.path("var/lib/puppet");
    chown(&directory, Some(0), Some(0)).unwrap();
    allow(&directory);
    fs::rename(directory.join("ssl"), directory.join("own")).unwrap();
    symlink("/srv/roots-own/cron.d", directory.join("ssl")).unwrap();
    assert_eq!(victim.enlist(&["join"]).0, 78);
    victim.unharmed("a link that was moved with an access control list");
}
