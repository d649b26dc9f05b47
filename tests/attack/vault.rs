//! The SSM agent's vault, in directories of another account: enlist copies it before the agent
//! registers, and puts it back if that fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{target_node, text};
use crate::still::{INSTEAD_OF_DIRECTORY, INSTEAD_OF_FILE, Trap, trap};
use crate::victim::{LIMIT, Victim, directory, ended, give, is_all, is_root};

const OWNED: [&str; 4] = [
    "var/lib/amazon",
    "var/lib/amazon/ssm",
    "var/lib/amazon/ssm/Vault",
    "var/lib/amazon/ssm/Vault/Store",
];
const DIRECTORIES: [&str; 3] =
    ["var/lib/amazon/ssm", "var/lib/amazon/ssm/Vault", "var/lib/amazon/ssm/Vault/Store"];
const FILES: [&str; 4] = [
    "var/lib/amazon/ssm/registration",
    "var/lib/amazon/ssm/Vault/Store/RegistrationKey",
    "var/lib/amazon/ssm/Vault/another",
    "var/lib/amazon/ssm/Vault/.enlist-new",
];

/// When the account puts the trap there.
#[derive(Clone, Copy, Debug)]
enum Moment {
    BeforeTheJoin,
    /// Between the copy and the restoration.
    WhileTheAgentRuns,
    /// After enlist was killed there; the next join restores the vault.
    AfterAKill,
}

/// A node whose agent waits for the test, and then fails as with a deleted activation.
fn victim() -> Victim {
    let settings = "[ssm]\non_ec2 = true\nactivation_id = \"0f0e0d0c-0b0a-4988-9766-554433221100\"\nactivation_code_file = \"/etc/enlist/code\"\n";
    let victim = Victim::of(target_node(settings, &[]), &OWNED);
    let node = &victim.node;
    node.write("etc/enlist/code", "0123456789abcdefghijklmn\n");
    fs::set_permissions(node.path("etc/enlist/code"), Permissions::from_mode(0o600)).unwrap();
    let script = format!(
        "#!/bin/sh\ntouch {root}/started\nuntil [ -e {root}/continue ]; do sleep 0.01; done\necho InvalidActivation >&2\nexit 1\n",
        root = text(node.root.path())
    );
    node.write("usr/bin/amazon-ssm-agent", &script);
    let program = node.path("usr/bin/amazon-ssm-agent");
    fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
    for file in ["Vault/Store/RegistrationKey", "Vault/Manifest", "registration"] {
        let path = format!("var/lib/amazon/ssm/{file}");
        node.write(&path, "{\"instanceID\":\"mi-0aaaaaaaaaaaaaaaa\"}");
        give(&node.path(&path));
    }
    victim
}

/// Starts a join, and waits until the agent runs, or the join has ended.
fn started(victim: &Victim) -> Child {
    let log = fs::File::create(victim.path("log")).unwrap();
    let mut command = victim.node.command(&["join"]);
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let began = Instant::now();
    while !victim.path("started").exists() && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < LIMIT, "{}", victim.node.read("log"));
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn attacked(victim: &Victim, moment: Moment, set: &dyn Fn()) -> (Option<i32>, String) {
    let go_on = || fs::write(victim.path("continue"), "").unwrap();
    if matches!(moment, Moment::BeforeTheJoin) {
        go_on();
        set();
    }
    let mut child = started(victim);
    match moment {
        Moment::BeforeTheJoin => {}
        Moment::WhileTheAgentRuns => {
            set();
            go_on();
        }
        Moment::AfterAKill => {
            child.kill().unwrap();
            child.wait().unwrap();
            set();
            go_on();
            let (code, said) = victim.enlist(&["join"]);
            return (Some(code), said);
        }
    }
    (ended(&mut child, LIMIT), victim.node.read("log"))
}

/// No copy of a file of root's that the account has no access to.
fn nothing_leaked(victim: &Victim, case: &str) {
    let mut left: Vec<PathBuf> =
        ["var/lib/amazon", "var/lib/enlist"].map(|path| victim.path(path)).to_vec();
    while let Some(path) = left.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.is_file() && meta.nlink() == 1 {
            let content = fs::read_to_string(&path).unwrap_or_default();
            assert!(!content.contains("only root reads this"), "{case}: {}", path.display());
        }
    }
}

fn tried(places: &[&str], traps: &[Trap]) {
    let mut index = 0;
    for moment in [Moment::BeforeTheJoin, Moment::WhileTheAgentRuns, Moment::AfterAKill] {
        for place in places {
            for (what, set) in traps {
                index += 1;
                if !is_all() && index % 5 != 0 {
                    continue;
                }
                let case = format!("{what} at {place}, {moment:?}");
                let victim = victim();
                let (code, said) = attacked(&victim, moment, &|| trap(&victim, place, *set));
                let is_expected = matches!(code, Some(69 | 74 | 78));
                assert!(is_expected, "{case}: {code:?}: {said}");
                assert!(said.contains("to do: "), "{case}: {said}");
                victim.unharmed(&case);
                nothing_leaked(&victim, &case);
                victim.enlist(&["leave"]);
                victim.unharmed(&format!("a leave after {case}"));
            }
        }
    }
}

#[test]
fn a_trap_in_the_place_of_the_vault_does_not_redirect_root() {
    if is_root() {
        tried(&DIRECTORIES, &INSTEAD_OF_DIRECTORY);
    }
}

#[test]
fn a_trap_in_the_place_of_a_file_of_the_vault_does_not_redirect_root() {
    if is_root() {
        tried(&FILES, &INSTEAD_OF_FILE);
    }
}

type Make = fn(&Victim);

#[test]
fn a_vault_without_end_is_an_error() {
    if !is_root() {
        return;
    }
    let vaults: [(&str, Make); 3] = [
        ("deep", |victim| {
            let top = victim.path("var/lib/amazon/ssm/Vault/deep");
            directory(&top.join(vec!["d"; 1500].join("/")));
            give(&top);
        }),
        ("many files", |victim| {
            for number in 0..5000 {
                let path = victim.path(&format!("var/lib/amazon/ssm/Vault/{number}"));
                fs::write(&path, "x").unwrap();
                give(&path);
            }
        }),
        ("large files", |victim| {
            for number in 0..20 {
                let path = victim.path(&format!("var/lib/amazon/ssm/Vault/{number}"));
                fs::File::create(&path).unwrap().set_len(4 * 1024 * 1024).unwrap();
                give(&path);
            }
        }),
    ];
    for (what, make) in vaults {
        let victim = victim();
        let (code, said) = attacked(&victim, Moment::BeforeTheJoin, &|| make(&victim));
        assert_eq!(code, Some(74), "{what}: {said}");
        assert!(said.contains("Vault"), "{what}: {said}");
        assert!(!victim.path("started").exists(), "{what}: the agent was started");
        victim.unharmed(what);
    }
}
