//! Files that are too large, or that block whoever reads them.

use std::fs;

use crate::common::{self, Node};
use crate::{MOST_MEMORY, measured};

/// What is in the place of a file: endless, or it blocks its reader.
#[derive(Clone, Copy, Debug)]
enum Endless {
    Large,
    Pipe,
    /// Only root can make it.
    Device,
}

impl Endless {
    fn make(self, path: &std::path::Path) {
        let by = |program: &str, arguments: &[&str]| {
            let mut command = std::process::Command::new(program);
            assert!(command.arg(path).args(arguments).status().unwrap().success());
        };
        match self {
            Self::Large => fs::File::create(path).unwrap().set_len(1 << 30).unwrap(),
            Self::Pipe => by("mkfifo", &[]),
            Self::Device => by("mknod", &["c", "1", "5"]),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Large => "larger than",
            Self::Pipe => "a named pipe",
            Self::Device => "a device",
        }
    }
}

#[test]
fn endless_files_are_not_read_to_their_end() {
    let endless = |path: &str, kind: Endless| {
        let node = Node::new();
        let _ = fs::remove_file(node.path(path));
        fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        kind.make(&node.path(path));
        let (run, memory) = measured(&mut node.command(&["join"]));
        println!("{path}: {kind:?}: exit {}, {memory} KiB", run.code);
        assert!(memory < MOST_MEMORY, "{path}: {memory} KiB");
        (run, node)
    };
    let mut kinds = vec![Endless::Large, Endless::Pipe];
    let is_root = std::process::Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    kinds.extend(is_root.then_some(Endless::Device));
    for kind in kinds {
        for (path, code) in [
            ("etc/enlist/enlist.toml", 78),
            ("etc/enlist/config.d/50-more.toml", 78),
            ("etc/puppetlabs/puppet/puppet.conf", 74),
            ("etc/puppetlabs/puppet/ssl/ssl.lock", 74),
            ("etc/puppetlabs/puppet/ssl/certs/ca.pem", 74),
            ("var/lib/enlist/opsworks-cm/record.json", 74),
        ] {
            let (run, _) = endless(path, kind);
            // A large file may be smaller the next time. A pipe stays a pipe.
            let code = if matches!(kind, Endless::Large) { code } else { 78 };
            common::expect(&run, code, &[kind.words(), "to do: "]);
        }
        let (run, _) = endless("etc/puppetlabs/puppet/csr_attributes.yaml", kind);
        common::expect(&run, 78, &["csr_attributes.yaml", "to do: "]);
        let (run, _) = endless("etc/hosts", kind);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}
