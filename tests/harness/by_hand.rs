//! A person carries the request and the answer, with a crash at every point of both starts.

use enlist::bootstrap::{ByHand, Outcome, PhaseName};
use enlist::targets::Carried;
use enlist::targets::puppet_server::api::{Action, Request, Trust};

use super::cases::{Case, PUPPET_SERVER};
use super::checks;
use super::explore::{Reference, Story, finish_leave, sample};
use super::node::{End, Node};
use super::puppet_ca;

const CASE: Case = Case {
    name: "puppet-server (carried)",
    target: || puppet_ca::target("trust_on_first_use = true"),
    ..PUPPET_SERVER
};

/// One start of `enlist csr --by-hand`; its request.
fn request(node: &mut Node, crash: Option<usize>) -> Option<String> {
    match node.carry(&CASE, ByHand::Request { is_recorded: true }, crash) {
        End::Crashed => None,
        End::Finished(Outcome::Requested(report)) => Some(report.csr().unwrap().to_owned()),
        End::Finished(other) => panic!("{other:?}"),
    }
}

/// One start of `enlist accept`; whether it ended.
fn accept(node: &mut Node, answer: &str, crash: Option<usize>) -> bool {
    let answer = ByHand::Answer(Box::new(Carried::parse(answer).unwrap()));
    match node.carry(&CASE, answer, crash) {
        End::Crashed => false,
        End::Finished(Outcome::Joined { .. }) => true,
        End::Finished(other) => panic!("{other:?}"),
    }
}

/// What a person does at the CA: hands in the request, and takes the answer. The CA has signed once, however often the
/// request is carried.
fn carried(node: &mut Node, csr: &str) -> String {
    let name = "i-0123456789abcdef0".to_owned();
    let mut ask = |action: Action| {
        let (servers, trust) = (vec!["puppet.example".to_owned()], Trust::FirstUse);
        let call = puppet_ca::call(&Request { servers, port: 8140, trust, action });
        let now = node.plane_now();
        String::from_utf8(puppet_ca::handle(&mut node.plane, now, &call).body).unwrap()
    };
    ask(Action::PutCertificateRequest { name: name.clone(), csr: csr.to_owned() });
    let certificate = ask(Action::GetCertificate { name });
    let ca = ask(Action::GetCertificate { name: "ca".to_owned() });
    format!("{certificate}{ca}{}", ask(Action::GetRevocationLists))
}

/// Joins with a crash in the start that makes the request, or in the one that accepts the answer.
fn join(crashes: (Option<usize>, &[usize])) -> (Node, bool) {
    let story = Story(format!("{}: crashes at {crashes:?}", CASE.name));
    let mut node = Node::new(&CASE);
    let mut all = crashes.0.is_none() || request(&mut node, crashes.0).is_none();
    let csr = request(&mut node, None).unwrap();
    assert_eq!(node.store(&CASE).load().unwrap().unwrap().phase.name(), PhaseName::Requested);
    let answer = carried(&mut node, &csr);
    all &= crashes.1.iter().all(|crash| !accept(&mut node, &answer, Some(*crash)));
    assert!(accept(&mut node, &answer, None));
    // The node itself has asked nobody.
    assert!(node.asked.is_empty(), "{:?}", node.asked);
    drop(story);
    (node, all)
}

/// How many points the two starts have.
fn points() -> (usize, usize) {
    let mut node = Node::new(&CASE);
    let csr = request(&mut node, Some(usize::MAX)).unwrap();
    let of_request = node.points;
    let answer = carried(&mut node, &csr);
    assert!(accept(&mut node, &answer, Some(usize::MAX)));
    (of_request, node.points)
}

#[test]
fn a_carried_answer_is_installed_whenever_it_crashes() {
    // A join over the network leaves the same files.
    let shape = Reference::of(&CASE).shape;
    let (of_request, of_answer) = points();
    for first in 0..of_request {
        let (node, crashed) = join((Some(first), &[]));
        assert!(crashed, "there is a point {first} of the request");
        checks::joined(&node, &CASE, &shape);
    }
    for first in 0..of_answer {
        let (node, crashed) = join((None, &[first]));
        assert!(crashed, "there is a point {first} of the answer");
        checks::joined(&node, &CASE, &shape);
        for second in sample(first) {
            let (node, crashed) = join((None, &[first, second]));
            checks::joined(&node, &CASE, &shape);
            if !crashed {
                break;
            }
        }
    }
    println!("{}: {of_request} and {of_answer} crash points", CASE.name);
}

#[test]
fn a_node_that_waits_for_a_carried_answer_leaves_whenever_it_crashes() {
    for crash in 0.. {
        let mut node = Node::new(&CASE);
        let csr = request(&mut node, None).unwrap();
        carried(&mut node, &csr);
        let has_ended = matches!(node.leave(&CASE, Some(crash)), End::Finished(_));
        finish_leave(&mut node, &CASE);
        checks::nothing_half_written(&node);
        checks::left(&node, &CASE, true);
        assert!(node.asked.is_empty(), "{:?}", node.asked);
        if has_ended {
            assert!(crash > 3, "there are points");
            return;
        }
    }
}
