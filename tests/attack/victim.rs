//! A machine on which an engine's directories belong to another account, and the files of root's that
//! must not change.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::Node;

/// The account's user and group id. No real account has it.
pub const ACCOUNT: u32 = 61_234;

/// The directories that belong to the attacker.
pub const OWNED: [&str; 4] =
    ["var/lib/puppet", "var/lib/puppet/ssl", "var/cache/puppet", "var/cache/puppet/state"];

/// Longer than any join here takes, even on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(90);

pub struct Victim {
    pub node: Node,
    before: BTreeMap<PathBuf, State>,
}

/// Owner, mode, content or link.
type State = (u32, u32, Vec<u8>);

pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(std::env::var_os("CI").is_none(), "two accounts are needed: run this as root");
        println!("SKIPPED: an attack by another account needs root");
    }
    is_root
}

pub fn is_all() -> bool {
    std::env::var("ATTACK").is_ok_and(|wanted| wanted == "all")
}

impl Victim {
    pub fn new() -> Self {
        Self::of(Node::new(), &OWNED)
    }

    /// A node on which these directories belong to the other account.
    pub fn of(node: Node, owned: &[&str]) -> Self {
        fs::set_permissions(node.root.path(), Permissions::from_mode(0o755)).unwrap();
        let passwd = format!(
            "root:x:0:0::/root:/bin/sh\npuppet:x:{ACCOUNT}:{ACCOUNT}::/nonexistent:/bin/false\n"
        );
        node.write("etc/passwd", &passwd);
        node.write("srv/roots-own/shadow", "root:$6$only root reads this:20000::::::\n");
        fs::set_permissions(node.path("srv/roots-own/shadow"), Permissions::from_mode(0o600))
            .unwrap();
        node.write("srv/roots-own/completion.d/git", "# run by root's next shell\n");
        node.write("srv/roots-own/cron.d/job", "# run by cron\n");
        node.write("etc/puppet/puppet.conf", "[main]\n# the admin's\nvardir = /var/lib/puppet\n");
        node.write("srv/roots-own/ssh/authorized_keys", "ssh-ed25519 AAAA root\n");
        for path in owned {
            fs::create_dir_all(node.path(path)).unwrap();
            give(&node.path(path));
        }
        let mut victim = Self { node, before: BTreeMap::new() };
        victim.before = victim.state();
        victim
    }

    /// A node with these additional settings.
    pub fn with(settings: &str) -> Self {
        let victim = Self::new();
        victim.node.settings(&format!(
            "[opsworks-cm]\nserver = \"puppet-test\"\n[puppet]\nkey_bits = 2048\n[node]\nbudget = \"1m\"\n{settings}"
        ));
        victim
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.node.path(path)
    }

    /// Runs a command, which must end; returns its exit code and its output.
    pub fn enlist(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = self.node.command(arguments);
        let log = fs::File::create(self.path("log")).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let code = ended(&mut child, LIMIT);
        let said = fs::read_to_string(self.path("log")).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        (code.unwrap_or_else(|| panic!("{arguments:?} hangs: {said}")), said)
    }

    /// Checks that no file of root's has changed.
    pub fn unharmed(&self, after: &str) {
        assert_eq!(self.state(), self.before, "after {after}");
        assert!(!Path::new("/srv/roots-own").exists(), "after {after}: outside of --root");
    }

    /// Everything below root's directories. No real machine has such directories, so that a program
    /// that is redirected out of `--root` does no harm to the machine that runs the tests.
    fn state(&self) -> BTreeMap<PathBuf, State> {
        let mut found = BTreeMap::new();
        for path in ["srv/roots-own", "etc/passwd"] {
            collect(&self.path(path), &mut found);
        }
        found
    }
}

/// Gives a file, a directory or a link to the other account.
pub fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
}

/// Makes a directory of the other account, with its parents.
pub fn directory(path: &Path) {
    fs::create_dir_all(path).unwrap();
    chown(path, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
}

/// The exit code; none if it does not end in time.
pub fn ended(child: &mut Child, limit: Duration) -> Option<i32> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn collect(path: &Path, found: &mut BTreeMap<PathBuf, State>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let content = if meta.is_file() {
        fs::read(path).unwrap()
    } else if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
        Vec::new()
    } else {
        fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
    };
    found.insert(path.to_owned(), (meta.uid(), meta.mode(), content));
}
