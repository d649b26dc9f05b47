//! What must be true at the end, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use enlist::bootstrap::{Effect, KeyFingerprints, Outcome, Phase, PhaseName};
use enlist::engines::Action;
use enlist::pki::PrivateKey;
use enlist::targets::Request;
use enlist::targets::opsworks_cm::api as cm;
use serde_json::Value;

use super::agent;
use super::cases::{Case, FORMER};
use super::node::Node;
use super::tree::is_kept_aside;

/// Paths and modes of all files but backups: what a crash must not change.
pub type Shape = BTreeMap<PathBuf, u32>;

pub fn shape(node: &Node) -> Shape {
    let tree = node.tree();
    let files = tree.files.into_iter().map(|(path, (_, mode))| (path, mode));
    let all = tree.directories.into_iter().chain(files);
    all.filter(|(path, _)| !is_kept_aside(path) && !path.starts_with("tmp"))
        .filter(|(path, _)| !path.ends_with("backup") && !path.starts_with("var/lib/amazon"))
        .collect()
}

/// There is one member at the authority and one key. All files are installed, and no other.
pub fn joined(node: &Node, case: &Case, shape_of_reference: &Shape) {
    assert_eq!(&shape(node), shape_of_reference, "the files on disk");
    nothing_half_written(node);
    let record = node.store(case).load().unwrap().expect("there is a record");
    assert_eq!(record.phase.name(), PhaseName::Joined);
    let key = case.key.map(|path| {
        let text = std::fs::read(node.path(path)).expect("the key is installed");
        PrivateKey::from_pem(&text).unwrap().public().clone()
    });
    assert_eq!(record.key, key.as_ref().map(KeyFingerprints::of));
    match case.id {
        "opsworks-cm" => {
            let mut all = node.plane.opsworks_cm().associations().iter();
            let ((_, name), one) = all.next().expect("there is an association");
            assert!(all.next().is_none(), "one association");
            assert_eq!(Some(name), record.name.as_ref());
            assert_eq!(one.public_key, key.unwrap().spki_der(), "the key at the authority");
        }
        "opsworks" => {
            let all = node.plane.opsworks().instances();
            let (id, one) = all.iter().next().expect("there is an instance");
            assert_eq!(all.len(), 1, "one instance");
            assert_eq!(record.member_id(), Some(id.as_str()));
            assert_eq!(one.public_key.as_deref(), Some(key.unwrap().spki_der()));
        }
        "chef-server" => node.is_client(record.name.as_deref().unwrap(), &key.unwrap()),
        "puppet-server" => node.certified(case, record.name.as_deref().unwrap(), &key.unwrap()),
        _ => ssm_joined(node, case, &record),
    }
    keys_sent_were_made(node);
}

fn ssm_joined(node: &Node, case: &Case, record: &enlist::bootstrap::Record) {
    let ssm = node.plane.ssm();
    let activations: Vec<_> = ssm.activations().iter().collect();
    assert_eq!(activations.len(), 1, "one activation, and none left over");
    let (activation, used) = activations[0];
    if case.name == "ssm (file)" {
        let text = std::fs::read(node.path("var/lib/enlist/ssm/activation.json")).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["ActivationId"].as_str(), Some(activation.as_str()));
        assert_eq!(json["ActivationCode"].as_str(), Some(used.code()));
        assert_eq!(record.member_id(), Some(activation.as_str()));
        return;
    }
    let instances: Vec<_> = ssm.instances().iter().collect();
    assert_eq!(instances.len(), 1, "one managed instance");
    assert_eq!(agent::registered(node).as_ref(), Some(instances[0].0), "the agent's own id");
    assert_eq!(record.member_id(), Some(instances[0].0.as_str()));
    assert_eq!(&instances[0].1.activation, activation);
    assert_eq!(used.registrations, 1);
}

/// No more different keys were sent than were made.
fn keys_sent_were_made(node: &Node) {
    let mut sent: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (action, body) in &node.asked {
        let member = match action.as_str() {
            "AssociateNode" => &body["EngineAttributes"],
            "RegisterInstance" => &body["RsaPublicKey"],
            "PUT certificate_request" | "POST clients" => body,
            _ => continue,
        };
        sent.entry(action).or_default().insert(member.to_string());
    }
    let most = sent.values().map(BTreeSet::len).max().unwrap_or_default();
    assert!(most <= node.keys_made, "{most} keys were sent, and {} made", node.keys_made);
}

/// There is no temporary file, staged key or lock, and no secret in the wrong file.
pub fn nothing_half_written(node: &Node) {
    for (path, (content, _)) in node.tree().files {
        let name = path.to_string_lossy();
        assert!(!name.contains("enlist-new"), "{name} is left over");
        assert!(!name.ends_with("ssl.lock"), "{name} is left over");
        assert!(!name.ends_with("at-work") && !name.contains("/copies"), "{name} is left over");
        if name.starts_with("var/lib/enlist") && !is_kept_aside(&path) {
            assert!(!name.ends_with("key.pem"), "{name} is left over");
            let text = String::from_utf8_lossy(&content);
            if !name.ends_with("activation.json") {
                node.assert_no_secret(&text, &name);
            }
        }
    }
}

/// The record on disk is ahead of the effect: a creating call has its name and the key's fingerprint, a
/// poll its ticket, an installation its grant, and a removal the phase Leaving.
pub fn wrote_ahead(node: &Node, case: &Case, effect: &Effect) {
    let record = node.store(case).load().expect("the record can be read");
    let state = record.as_ref().map_or(Phase::New, |record| record.phase.clone());
    let phase = state.name();
    let is_leaving = phase == PhaseName::Leaving;
    let as_intended = match effect {
        Effect::Call(request) if request.call().action() == case.creating => {
            let whole = record.as_ref().is_some_and(|record| {
                record.name.is_some()
                    && record.attempts > 0
                    && record.key.is_some() == case.key.is_some()
            });
            phase == PhaseName::Creating && whole
        }
        Effect::Call(Request::OpsworksCm(cm::Request::DescribeNodeAssociationStatus {
            token,
            ..
        })) => is_leaving || matches!(&state, Phase::Watching { ticket } if ticket == token),
        // A repair in the middle of a renewal installs the former files, and no key.
        Effect::Install(bundle)
            if record.as_ref().is_some_and(|record| record.former.is_some()) =>
        {
            let has_key = bundle.actions.iter().any(|it| matches!(it, Action::Key { .. }));
            phase == PhaseName::Installing || !has_key
        }
        Effect::Install(_) | Effect::HandOver(_) => phase == PhaseName::Installing,
        // A member removes only what the join has used up.
        Effect::Clear(bundle) if phase == PhaseName::Joined => {
            bundle.actions.iter().all(|it| matches!(it, Action::RemoveSecret { .. }))
        }
        Effect::Clear(_) => is_leaving,
        Effect::Call(request) if request.call().action() == "DisassociateNode" => is_leaving,
        Effect::Finish(Outcome::Joined { .. }) => {
            record.as_ref().is_some_and(enlist::bootstrap::Record::is_member)
        }
        Effect::Finish(Outcome::Left { .. }) => record.is_none(),
        _ => true,
    };
    assert!(as_intended, "the record says {phase:?} before {effect:?}");
}

/// Nothing is left at the authority or installed, backups are kept, and the admin's files are restored.
pub fn left(node: &Node, case: &Case, was_joined: bool) {
    assert!(node.store(case).load().unwrap().is_none(), "the record is in the backups");
    assert!(node.plane.opsworks_cm().associations().is_empty(), "an association is left");
    assert!(node.plane.opsworks().instances().is_empty(), "an instance is left");
    assert!(node.plane.ssm().activations().is_empty(), "an activation is left");
    assert!(node.plane.ssm().instances().is_empty(), "a managed instance is left");
    assert!(node.is_unknown_to_chef(), "a client or a node is left");
    if case.id == "puppet-server" && node.is_known_to_ca() {
        assert!(node.told_admin, "it says how the CA's admin removes what is left");
    }
    for path in case.gone {
        assert!(!node.path(path).exists(), "{path} is left");
    }
    for (path, content) in case.admins {
        let now = std::fs::read_to_string(node.path(path)).unwrap();
        assert_eq!(&now, content, "{path} is restored");
    }
    if case.name == "ssm (agent, registered before)" && !was_joined {
        assert_eq!(agent::registered(node).as_deref(), Some(FORMER), "the former registration");
    }
}

/// The contents of the files that a leave will remove.
pub fn contents(node: &Node, case: &Case) -> Vec<Vec<u8>> {
    case.kept.iter().map(|path| std::fs::read(node.path(path)).unwrap()).collect()
}

/// Each of these contents is in the backups.
pub fn kept(node: &Node, contents: &[Vec<u8>]) {
    let tree = node.tree();
    for wanted in contents {
        let found = tree.files.iter().any(|(path, (content, _))| {
            path.to_string_lossy().contains("/backup/") && content == wanted
        });
        assert!(found, "a removed file is in the backups");
    }
}
