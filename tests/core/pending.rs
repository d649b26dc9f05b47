//! A target that finds an earlier request of the node's at the authority goes on waiting for it: with
//! the ticket on disk before it polls, and without a creating call.

use std::time::Duration;

use enlist::bootstrap::{Outcome, PhaseName, resume};
use enlist::fault::Kind;
use enlist::targets::opsworks_cm::api::Answer as Own;
use enlist::targets::{Answer, Decision, Question, Reconciled};

use super::fixed_target::{FixedTarget, call};
use super::script::{Script, World};

/// Drives a join whose authority says `undecided` times that it has not decided.
fn join(undecided: usize, budget: Duration) -> (Outcome, Script) {
    let mut world = World::new();
    let mut target = FixedTarget::new(&world);
    target.reconcile = |_, _| Question::Done(Reconciled::Pending("ours".to_owned()));
    target.wait = |grant, ticket, answers| {
        assert_eq!(ticket, "ours");
        match answers.last() {
            None => Question::Ask(call()),
            Some(Answer::OpsworksCm(Own::NotFound(_))) => Question::AskLater(call()),
            Some(_) => Question::Done(Decision::Granted(grant.clone())),
        }
    };
    let mut answers = vec![Ok(Own::NotFound(String::new()).into()); undecided];
    answers.push(Ok(Own::Servers(Vec::new()).into()));
    let mut script = Script::new(answers);
    let mut core = resume(target.plan(budget), None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(script.phases.iter().all(|phase| *phase == PhaseName::Watching), "{:?}", script.phases);
    (outcome, script)
}

#[test]
fn an_earlier_request_is_waited_for_and_what_is_waited_for_is_said() {
    let (outcome, script) = join(2, Duration::from_mins(5));
    assert!(matches!(outcome, Outcome::Joined { already: false, .. }), "{outcome:?}");
    assert_eq!(script.asked.len(), 3);
    assert_eq!(script.said.len(), 2);
    assert!(script.said.iter().all(|line| line.contains("i-1 is not signed")), "{:?}", script.said);
}

#[test]
fn at_the_end_of_the_budget_the_target_says_what_to_do() {
    let (outcome, _) = join(200, Duration::from_secs(30));
    let Outcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
    assert_eq!((fault.kind, fault.what.as_str()), (Kind::Transient, "i-1 is not signed"));
    assert_eq!(fault.todo, "sign i-1");
}
