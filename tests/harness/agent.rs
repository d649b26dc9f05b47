//! A model of amazon-ssm-agent for the real hand-over. Like the real one, it overwrites its vault before
//! it calls the API. A crash can come before and after each write, the agent's and enlist's.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use enlist::engines::ssm_agent::{Code, HandOver};
use enlist::fault::Fault;
use enlist::host::{Store, engines};
use enlist_emulator::http::Response;
use serde_json::Value;

use super::node::{Crash, Node};
use super::tree::Tree;
use super::{keys, wire};

pub const VAULT_KEY: &str = "var/lib/amazon/ssm/Vault/Store/RegistrationKey";
const VAULT: &str = "var/lib/amazon/ssm/Vault";
const REGISTRATION: &str = "var/lib/amazon/ssm/registration";
const OURS: &str = "var/lib/enlist/ssm/vault";
const COPIES: &str = "var/lib/enlist/ssm/vault/copies";
const AT_WORK: &str = "var/lib/enlist/ssm/vault/at-work";
/// The file with the API's answer to the agent: the id, or nothing.
const TOLD: &str = "tmp/agent-told";
const UNFINISHED: &str = r#"{"instanceID":"","region":"us-east-1"}"#;

const PROGRAM: &str = r#"#!/bin/sh
umask 022
root=${0%/usr/bin/amazon-ssm-agent}
data=$root/var/lib/amazon/ssm
printf '{"instanceID":"","region":"us-east-1"}' > "$data/Vault/Store/RegistrationKey"
if ! read -r id < "$root/tmp/agent-told"; then
    echo "ERROR Registration failed: no answer came"
    exit 1
fi
printf '{"instanceID":"%s","region":"us-east-1"}' "$id" > "$data/Vault/Store/RegistrationKey"
printf '{"ManagedInstanceID":"%s"}' "$id" > "$data/registration"
"#;

/// Installs the agent on a node. `registered` is the id of an earlier registration.
pub fn install(node: &Node, registered: Option<&str>) {
    node.write("tmp/agent-told", "");
    node.write("usr/bin/.keep", "");
    std::os::unix::fs::symlink(program(), node.path("usr/bin/amazon-ssm-agent")).unwrap();
    // The kernel follows the link to the real path, enlist looks for it below the node's root.
    let below = program().to_str().unwrap().trim_start_matches('/');
    node.write(below, "");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(node.path(below), mode).unwrap();
    std::fs::create_dir_all(node.path("var/lib/amazon/ssm/Vault/Store")).unwrap();
    if let Some(id) = registered {
        node.write(VAULT_KEY, &format!(r#"{{"instanceID":"{id}","region":"us-east-1"}}"#));
        node.write(REGISTRATION, &format!(r#"{{"ManagedInstanceID":"{id}"}}"#));
    }
}

/// One file for all nodes. A program that was just written can't be run while another thread starts a
/// process (ETXTBSY).
fn program() -> &'static Path {
    static MADE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("harness-agent.sh");
        if std::fs::read_to_string(&path).is_ok_and(|known| known == PROGRAM) {
            return path;
        }
        let new = path.with_extension(std::process::id().to_string());
        std::fs::write(&new, PROGRAM).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    })
}

/// The id in the agent's vault.
pub fn registered(node: &Node) -> Option<String> {
    let text = std::fs::read_to_string(node.path(VAULT_KEY)).ok()?;
    let json: Value = serde_json::from_str(&text).ok()?;
    json["instanceID"].as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The real hand-over, with the planned crash.
pub fn hand_over(
    node: &mut Node,
    store: &Store,
    wanted: &HandOver,
) -> Result<Result<String, Fault>, Crash> {
    let Code::Known(code) = &wanted.code else { panic!("these codes come from the API") };
    let before = node.tree();
    assert!(!before.directories.contains_key(Path::new(OURS)), "the earlier hand-over is settled");
    let states = begin(&before, &wanted.activation);
    let at_work = states.last().unwrap().clone();
    node.pass_through(&before, states)?;

    let key = keys::throw_away(node.asked.len());
    let request = wire::register_managed_instance(&wanted.activation, code.expose(), &key);
    let told = node.ask(&request).ok().and_then(|response| instance_id(&response));
    node.write(TOLD, &told.as_ref().map_or_else(String::new, |id| format!("{id}\n")));
    let region = Some("us-east-1".to_owned());
    let root = node.root.clone();
    let result = node.runtime.block_on(engines::hand_over(&root, store, wanted, region));
    let after = node.tree();
    let mut states = vec![at_work.clone()];
    if result.is_ok() {
        let mut state = at_work;
        for path in [VAULT_KEY, REGISTRATION] {
            state.files.insert(path.into(), after.files[Path::new(path)].clone());
            states.push(state.clone());
        }
    } else {
        restore(&mut states);
    }
    finish(&mut states);
    node.pass_through(&after, states)?;
    Ok(result)
}

/// Settles the hand-over of an earlier start, with the planned crash.
pub fn settle(node: &mut Node) -> Result<Result<(), Fault>, Crash> {
    let before = node.tree();
    if !before.directories.contains_key(Path::new(OURS)) {
        return Ok(Ok(()));
    }
    let root = node.root.clone();
    let result = node.runtime.block_on(engines::settle_hand_over(&root));
    let after = node.tree();
    let mut states = vec![before.clone()];
    if [VAULT, REGISTRATION].iter().any(|path| below(&before, path) != below(&after, path)) {
        restore(&mut states);
    }
    finish(&mut states);
    assert_eq!(states.last().unwrap().files, after.files, "the files are as in the model");
    node.pass_through(&after, states)?;
    Ok(result)
}

fn instance_id(response: &Response) -> Option<String> {
    let body: Value = serde_json::from_slice(&response.body).ok()?;
    body["InstanceId"].as_str().map(str::to_owned)
}

/// The states up to the agent's call: copies are made, and the agent overwrites its registration.
fn begin(before: &Tree, activation: &str) -> Vec<Tree> {
    let mut states = Vec::new();
    let mut state = before.clone();
    for directory in ["var/lib/enlist", "var/lib/enlist/ssm", OURS] {
        state.directories.entry(directory.into()).or_insert(0o700);
    }
    states.push(state.clone());
    copy(before, &mut state, VAULT, &format!("{COPIES}/0"));
    states.push(state.clone());
    copy(before, &mut state, REGISTRATION, &format!("{COPIES}/1"));
    states.push(state.clone());
    state.files.insert(AT_WORK.into(), (activation.into(), 0o600));
    states.push(state.clone());
    for directory in [VAULT, "var/lib/amazon/ssm/Vault/Store"] {
        state.directories.entry(directory.into()).or_insert(0o755);
    }
    state.files.insert(VAULT_KEY.into(), (UNFINISHED.into(), 0o644));
    states.push(state);
    states
}

/// The states in which the copies replace what the agent wrote.
fn restore(states: &mut Vec<Tree>) {
    let source = states.last().unwrap().clone();
    let mut state = source.clone();
    for (copied, original) in [("0", VAULT), ("1", REGISTRATION)] {
        remove_below(&mut state, original);
        states.push(state.clone());
        copy(&source, &mut state, &format!("{COPIES}/{copied}"), original);
        states.push(state.clone());
    }
}

/// The states in which `at-work` is removed, then the copies.
fn finish(states: &mut Vec<Tree>) {
    let mut state = states.last().unwrap().clone();
    state.files.remove(Path::new(AT_WORK));
    states.push(state.clone());
    remove_below(&mut state, &format!("{COPIES}/0"));
    states.push(state.clone());
    remove_below(&mut state, OURS);
    states.push(state);
}

fn below(tree: &Tree, path: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = tree.files.iter().filter(|(known, _)| known.starts_with(path));
    files.map(|(path, (content, _))| (path.clone(), content.clone())).collect()
}

fn remove_below(tree: &mut Tree, path: &str) {
    tree.files.retain(|known, _| !known.starts_with(path));
    tree.directories.retain(|known, _| !known.starts_with(path));
}

fn copy(source: &Tree, tree: &mut Tree, from: &str, to: &str) {
    let moved = |path: &Path| match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => Some(PathBuf::from(to)),
        Ok(rest) => Some(Path::new(to).join(rest)),
        Err(_) => None,
    };
    let mut with_parents = |path: &Path| {
        for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("")) {
            tree.directories.entry(parent.into()).or_insert(0o700);
        }
    };
    for path in source.directories.keys().chain(source.files.keys()) {
        if let Some(path) = moved(path) {
            with_parents(&path);
        }
    }
    for (path, mode) in &source.directories {
        moved(path).and_then(|path| tree.directories.insert(path, *mode));
    }
    for (path, file) in &source.files {
        moved(path).and_then(|path| tree.files.insert(path, file.clone()));
    }
}
