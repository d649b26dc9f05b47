//! The file of the audit lines.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;

use crate::ID;
use crate::program::{Authority, as_aws, expect, judge, request};

#[test]
fn what_can_not_be_audited_is_not_signed() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    fs::create_dir(authority.path("audit.jsonl")).unwrap();
    expect(&authority.judge(request(0).as_bytes()), 74, "the audit line can't be written");
}

/// As after a full disk.
#[test]
fn a_torn_audit_line_takes_no_other_with_it() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    fs::write(authority.path("audit.jsonl"), "{\"time\":\"2026-").unwrap();
    for _ in 0..2 {
        expect(&authority.judge(request(0).as_bytes()), 0, "signed by rule 1");
    }
    let text = fs::read_to_string(authority.path("audit.jsonl")).unwrap();
    let lines: Vec<_> = text.lines().map(serde_json::from_str::<serde_json::Value>).collect();
    let signed = |line: &Result<serde_json::Value, _>| {
        line.as_ref().is_ok_and(|line| line["verdict"] == "signed")
    };
    assert_eq!(lines.iter().map(signed).collect::<Vec<_>>(), [false, true, true], "{text}");
}

/// Whoever can change the file, or put another in its place, can take back what was recorded.
#[test]
fn an_audit_file_that_everybody_can_write_is_none() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    let audit = authority.path("audit.jsonl");
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (of_file, of_directory, code) in
        [(0o666, 0o755, 74), (0o640, 0o777, 74), (0o640, 0o1777, 0), (0o660, 0o755, 0)]
    {
        fs::write(&audit, "").unwrap();
        open(&audit, of_file);
        // Nothing else is refused in this directory: the settings are named by another path.
        let directory = authority.path("log");
        fs::create_dir_all(&directory).unwrap();
        open(&directory, of_directory);
        let moved = directory.join("audit.jsonl");
        fs::rename(&audit, &moved).unwrap();
        let text = fs::read_to_string(authority.path("autosign.toml")).unwrap();
        let settings = text.replace(audit.to_str().unwrap(), moved.to_str().unwrap());
        fs::write(authority.path("autosign.toml"), &settings).unwrap();
        let why = if code == 0 { "signed by rule 1" } else { "everybody can write " };
        expect(&authority.judge(request(0).as_bytes()), code, why);
        fs::write(authority.path("autosign.toml"), text).unwrap();
    }
}

/// An audit file is evidence, and a device is everybody's: neither is to be removed.
#[test]
fn an_audit_file_that_can_not_be_written_has_a_way_out() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    let text = fs::read_to_string(authority.path("autosign.toml")).unwrap();
    let audit = authority.path("audit.jsonl");
    for device in ["/dev/null", "/dev/zero"] {
        let other = text.replace(audit.to_str().unwrap(), device);
        fs::write(authority.path("autosign.toml"), other).unwrap();
        let run = authority.judge(request(0).as_bytes());
        expect(&run, 74, "name a regular file in [audit]");
        assert!(!run.stderr.contains("rm "), "{}", run.stderr);
    }
    fs::write(authority.path("autosign.toml"), &text).unwrap();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A new file is of the owner of the directory, who is to write to it later.
    let owner = |path: &str, account| {
        std::os::unix::fs::chown(authority.path(path), Some(account), Some(account)).unwrap();
    };
    fs::create_dir(authority.path("log")).unwrap();
    owner("log", 65534);
    let log = authority.path("log/a.jsonl");
    fs::write(
        authority.path("autosign.toml"),
        text.replace(audit.to_str().unwrap(), log.to_str().unwrap()),
    )
    .unwrap();
    expect(&authority.judge(request(0).as_bytes()), 0, "signed by rule 1");
    assert_eq!(fs::metadata(&log).unwrap().uid(), 65534);
    // Root adds nothing to a file that somebody else controls.
    let run = authority.judge(request(0).as_bytes());
    expect(&run, 74, "or with --explain, which writes no line");
    assert!(!run.stderr.contains("rm "), "{}", run.stderr);
}

#[test]
fn an_audit_file_of_root_is_handed_over() {
    let (authority, _sts) = Authority::with(|asked, _| as_aws(asked));
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(authority.directory.path(), open).unwrap();
    for (is_there, todo) in [(false, "install -o "), (true, "chown ")] {
        if is_there {
            fs::write(authority.path("audit.jsonl"), "").unwrap();
        }
        let command = authority.command(&[ID]);
        // A copy, where that account can start it. Another process makes it: a child of another
        // test would hold a descriptor of this process open, and the copy would be busy (ETXTBSY).
        let program = authority.path("enlist");
        let mut cp = std::process::Command::new("cp");
        assert!(cp.arg(command.get_program()).arg(&program).status().unwrap().success());
        let mut copied = std::process::Command::new(program);
        copied.args(command.get_args()).uid(65534).gid(65534);
        let run = judge(copied, request(0).as_bytes());
        expect(&run, 74, todo);
        assert!(run.stderr.contains(authority.path("audit.jsonl").to_str().unwrap()));
    }
}
