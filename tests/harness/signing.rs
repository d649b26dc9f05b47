//! A Puppet CA that has another machine under the name of this node, people who sign between any two
//! calls, and revocation lists that the agent has fetched.

use enlist::bootstrap::{Maintenance, Outcome};
use enlist::fault::Kind;
use enlist_emulator::ca::{Authority as _, ListTimes};

use super::authority::Registrar;
use super::cases::{Case, PUPPET_SERVER};
use super::checks;
use super::explore::{Reference, Story, finish_join, join};
use super::node::{End, Node};
use super::puppet_ca::Signs;
use super::replies::{REPLIES, When};

/// At least as many calls as a join makes until it only polls.
const MOST_CALLS: usize = 12;

/// The CA of another machine of the same name: it has that machine's certificate, or its request.
fn taken(signs: Signs) -> Node {
    let mut other = Node::new(&Case { signs, ..PUPPET_SERVER });
    // Another key than those that the node may make.
    other.keys_made = 3;
    other.join(&PUPPET_SERVER, None);
    assert!(other.is_known_to_ca());
    other
}

/// The join ends with 69, whatever crashes, and sends nothing. Once the admin has cleaned the name,
/// it joins.
#[test]
fn a_name_that_another_machine_has_stays_that_machines_whenever_it_crashes() {
    let case = &PUPPET_SERVER;
    let reference = Reference::of(case);
    let (mut runs, mut crashed) = (0, 0);
    for signs in [Signs::TheCa, Signs::APersonBefore(usize::MAX)] {
        for crash in 0..reference.points {
            let (other, mut node) = (taken(signs), Node::new(case));
            let story = Story(format!("a taken name, {signs:?}, crash at {crash}"));
            (node.plane, node.clock) = (other.plane, other.clock);
            runs += 1;
            crashed += usize::from(matches!(node.join(case, Some(crash)), End::Crashed));
            let End::Finished(Outcome::Failed(fault)) = node.join(case, None) else {
                panic!("it joined with another machine's name");
            };
            assert_eq!(fault.kind, Kind::Rejected, "{fault:?}");
            assert!(fault.todo.contains("puppetserver ca clean"), "{fault:?}");
            let sent = node.asked.iter().filter(|(action, _)| action == case.creating);
            assert_eq!(sent.count(), 0, "nothing of this node's was sent");
            node.admin_cleans();
            // The CA keeps the policy that the other machine found.
            node.signs = Signs::APersonAfter(1_000);
            finish_join(&mut node, case);
            checks::joined(&node, case, &reference.shape);
            drop(story);
        }
    }
    println!("a taken name: {runs} runs, {crashed} with a crash");
    assert!(crashed > 50, "only {crashed} crashes");
}

/// The CA had the request all the time, although it had neither a certificate nor, a moment later, a
/// request: somebody signed in between.
#[test]
fn a_signature_between_any_two_calls_is_found() {
    let reference = Reference::of(&PUPPET_SERVER);
    let mut runs = 0;
    for nth in 0..MOST_CALLS {
        let case = Case { signs: Signs::APersonBefore(nth), ..PUPPET_SERVER };
        for reply in REPLIES {
            join(&case, &reference, &[], &[(When::Next(case.creating), reply)]);
            runs += 1;
        }
        for crash in (nth % 4..reference.points).step_by(4) {
            join(&case, &reference, &[crash], &[]);
            runs += 1;
        }
    }
    println!("a person who signs before each of {MOST_CALLS} calls: {runs} runs");
}

/// The agent fetches revocation lists by itself. A repair puts back what is missing, and keeps lists
/// that are newer than those of the join.
#[test]
fn a_repair_keeps_newer_revocation_lists() {
    let case = &PUPPET_SERVER;
    let (list, certificate) = ("etc/puppetlabs/puppet/ssl/crl.pem", case.kept[1]);
    let repair = Maintenance { repair: true, ..Maintenance::default() };
    let mut node = Node::new(case);
    finish_join(&mut node, case);
    let of_join = std::fs::read_to_string(node.path(list)).unwrap();
    let now = node.plane_now();
    let times = ListTimes::of_puppet(now);
    let newer = Registrar::new(now).revocation_list(&[(vec![9], now)], times).unwrap();
    assert_ne!(newer, of_join);
    for (found, kept) in [(newer.as_str(), newer.as_str()), ("half a list", of_join.as_str())] {
        node.write(list, found);
        std::fs::remove_file(node.path(certificate)).unwrap();
        let end = node.maintain(case, repair.clone(), None);
        assert!(matches!(end, End::Finished(Outcome::Joined { already: false, .. })));
        assert!(node.path(certificate).exists(), "it is repaired");
        assert_eq!(std::fs::read_to_string(node.path(list)).unwrap(), kept);
    }
}
