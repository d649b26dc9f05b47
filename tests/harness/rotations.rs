//! A new key for the client of a Chef server, with a crash at every point, at pairs of points, and with
//! every reply lost. The installed key is always one that was whole, the server's key is always on disk, and at
//! the end they are the same.

use std::time::Duration;

use enlist::bootstrap::{Maintenance, Outcome};
use enlist::fault::Kind;
use enlist::pki::PrivateKey;
use enlist_emulator::control::{Fault, FaultKind};

use super::cases::CHEF_SERVER_ROTATING as CASE;
use super::checks::{self, Shape};
use super::explore::{self, Story, finish_join, finish_leave};
use super::node::{End, Node};

const ROTATION: Maintenance = Maintenance {
    renew: Some(Duration::from_mins(30)),
    repair: false,
    renew_now: false,
    apply: None,
    is_of_member: false,
};
const DAY: u64 = 86_400_000;
const STAGED: &str = "var/lib/enlist/chef-server/key.pem";

/// A member whose key is due.
fn due() -> Node {
    let mut node = Node::new(&CASE);
    finish_join(&mut node, &CASE);
    node.clock += 90 * DAY;
    node
}

/// The public half of a key on disk, PEM.
fn key_at(node: &Node, path: &str) -> Option<String> {
    let pem = std::fs::read(node.path(path)).ok()?;
    Some(PrivateKey::from_pem(&pem).expect("a whole key").public().to_pem())
}

fn installed(node: &Node) -> String {
    key_at(node, CASE.key.unwrap()).expect("a key is installed")
}

/// Whatever happens, this node can sign with the key that the server has.
pub fn can_sign(node: &Node) {
    let server = node.key_at_server();
    let keys = [Some(installed(node)), key_at(node, STAGED)];
    assert!(keys.contains(&Some(server)), "the server's key is on disk");
    assert!(node.store(&CASE).load().unwrap().unwrap().is_member());
}

fn has_rotated(node: &Node, former: &str, shape: &Shape) {
    let now = installed(node);
    assert_ne!(now, former, "there is a new key");
    assert_eq!(now, node.key_at_server());
    let record = node.store(&CASE).load().unwrap().unwrap();
    assert!(record.former.is_none() && record.fault.is_none(), "{record:?}");
    if !shape.is_empty() {
        checks::joined(node, &CASE, shape);
    }
}

/// Renews with these crashes. False where a start ended before its crash.
fn rotate(shape: &Shape, crashes: &[usize]) -> (Node, bool) {
    let mut node = due();
    let former = installed(&node);
    let story = Story(format!("a new key: crashes at {crashes:?}"));
    let all = crashes.iter().all(|crash| {
        let ended = matches!(node.maintain(&CASE, ROTATION, Some(*crash)), End::Crashed);
        can_sign(&node);
        ended
    });
    let end = node.maintain(&CASE, ROTATION, None);
    assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "renewed, or renewed before");
    has_rotated(&node, &former, shape);
    drop(story);
    (node, all)
}

#[test]
fn a_new_key_survives_every_crash_and_pair() {
    let (node, _) = rotate(&Shape::new(), &[]);
    assert_eq!(node.keys_made, 2, "one key was made for the join, and one for the renewal");
    let shape = checks::shape(&node);
    let points = {
        let mut node = due();
        node.maintain(&CASE, ROTATION, Some(usize::MAX));
        node.points
    };
    let mut runs = 0;
    for first in 0..points {
        rotate(&shape, &[first]);
        runs += 1;
        for second in explore::sample(first) {
            runs += 1;
            if !rotate(&shape, &[first, second]).1 {
                break;
            }
        }
    }
    println!("a new key: {points} points, {runs} runs");
    assert!(points > 25, "only {points} points");
}

#[test]
fn a_new_key_whose_replies_are_lost_is_the_servers_key() {
    for action in ["GetServerApiVersion", "UpdateClientKey", "GetClient"] {
        for kind in [FaultKind::LostBefore, FaultKind::LostReply, FaultKind::InternalFailure] {
            let mut node = due();
            let former = installed(&node);
            node.plane.inject(Fault::new(action, kind).times(1));
            let end = node.maintain(&CASE, ROTATION, None);
            assert!(matches!(end, End::Finished(Outcome::Joined { .. })), "{action}");
            has_rotated(&node, &former, &Shape::new());
        }
    }
}

/// The server does not answer any more once it has the new key, until the budget is spent. The next start
/// finds out which key it has.
#[test]
fn a_renewal_in_doubt_keeps_both_keys_until_the_server_answers() {
    for kind in [FaultKind::LostBefore, FaultKind::LostReply] {
        let mut node = due();
        let former = installed(&node);
        node.plane.inject(Fault::new("UpdateClientKey", kind).times(1));
        node.plane.inject(Fault::new("GetClient", FaultKind::LostBefore).times(10_000));
        let End::Finished(Outcome::Failed(fault)) = node.maintain(&CASE, ROTATION, None) else {
            panic!("it ended well");
        };
        assert_eq!(fault.kind, Kind::Transient);
        assert_eq!(installed(&node), former, "it stays until the server accepts the new one");
        can_sign(&node);
        node.plane.clear_faults();
        let end = node.maintain(&CASE, Maintenance::default(), None);
        assert!(matches!(end, End::Finished(Outcome::Joined { .. })));
        has_rotated(&node, &former, &Shape::new());
    }
}

/// The server refuses the new key: the node keeps the former one, and the record has the fault.
#[test]
fn a_new_key_that_is_refused_leaves_the_former_one() {
    let mut node = due();
    let former = installed(&node);
    node.plane.inject(Fault::new("UpdateClientKey", FaultKind::Denied));
    let End::Finished(Outcome::Joined { record, already: true }) =
        node.maintain(&CASE, ROTATION, None)
    else {
        panic!("it is not a member any more");
    };
    let fault = record.fault.as_ref().unwrap();
    assert_eq!((fault.kind, record.former.is_none()), (Kind::Denied, true), "{fault:?}");
    assert!(fault.what.starts_with("no new key: "), "{fault:?}");
    assert_eq!((installed(&node), node.key_at_server()), (former.clone(), former));
    assert_eq!(record.key.unwrap().sha256.len(), 64);
}

/// A leave deletes the client, whichever key the server has.
#[test]
fn a_leave_in_the_middle_of_a_renewal_leaves_no_client() {
    let points = {
        let mut node = due();
        node.maintain(&CASE, ROTATION, Some(usize::MAX));
        node.points
    };
    for crash in 0..points {
        let mut node = due();
        let story = Story(format!("a leave after a crash of a renewal at {crash}"));
        node.maintain(&CASE, ROTATION, Some(crash));
        finish_leave(&mut node, &CASE);
        checks::left(&node, &CASE, true);
        drop(story);
    }
}
