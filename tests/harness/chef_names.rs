//! A Chef server that has another machine under the name of this node, or what that machine left.

use enlist::bootstrap::Outcome;
use enlist::fault::{Fault, Kind};

use super::cases::CHEF_SERVER;
use super::checks;
use super::explore::{Reference, Story, finish_join, finish_leave, sample};
use super::node::{End, Node};

/// The server of another machine of the same name, with a client and a node.
fn taken() -> Node {
    let mut other = Node::new(&CHEF_SERVER);
    // Another key than those that the node may make.
    other.keys_made = 3;
    other.join(&CHEF_SERVER, None);
    assert!(!other.is_unknown_to_chef());
    other
}

fn refused(node: &mut Node, crash: Option<usize>, what: &str) -> Fault {
    node.join(&CHEF_SERVER, crash);
    let End::Finished(Outcome::Failed(fault)) = node.join(&CHEF_SERVER, None) else {
        panic!("it joined: {what}");
    };
    assert_eq!(fault.kind, Kind::Rejected, "{fault:?}");
    fault
}

/// The join ends with 69, whatever crashes, first because of the client, then because of its node. Then
/// it joins, or leaves and takes its client with it.
#[test]
fn a_name_that_another_machine_has_stays_that_machines_whenever_it_crashes() {
    let case = &CHEF_SERVER;
    let reference = Reference::of(case);
    let crashes = sample(0).take_while(|crash| *crash < reference.points);
    for (run, crash) in crashes.enumerate() {
        let (other, mut node) = (taken(), Node::new(case));
        let story = Story(format!("a taken name, crash at {crash}"));
        (node.plane, node.clock) = (other.plane, other.clock);
        let fault = refused(&mut node, Some(crash), "with another machine's name");
        assert!(fault.todo.contains("knife client delete"), "{fault:?}");
        node.admin_deletes(false);
        let fault = refused(&mut node, Some(crash), "with another machine's node");
        assert!(fault.todo.contains("knife node delete"), "{fault:?}");
        if run % 2 == 0 {
            node.admin_deletes(true);
            finish_join(&mut node, case);
            checks::joined(&node, case, &reference.shape);
        } else {
            finish_leave(&mut node, case);
            assert!(node.has_no_client(), "its own client is left");
        }
        drop(story);
    }
}
