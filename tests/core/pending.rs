//! A target that finds an earlier request of the node's at the authority goes on waiting for it: with
//! the ticket on disk before it polls, and without a creating call.

use std::time::Duration;

use enlist::bootstrap::{Outcome, PhaseName, Plan, resume};
use enlist::fault::{Fault, Kind};
use enlist::targets::opsworks_cm::api::Answer as Own;
use enlist::targets::{Answer, Decision, Question, Reconciled};

use super::fixed_target::{FixedTarget, call};
use super::script::{Script, World};

/// Drives a join whose authority says `undecided` times that it has not decided.
fn join(undecided: usize, budget: Duration) -> (Outcome, Script) {
    let (outcome, script, _) = wait(undecided, budget, false, None);
    (outcome, script)
}

/// As [`join`], of a node that stays or does not. Returns the time that passed, too.
fn wait(
    undecided: usize,
    budget: Duration,
    stays: bool,
    gives_up_after: Option<Duration>,
) -> (Outcome, Script, Duration) {
    let mut world = World::new();
    let mut target = FixedTarget::new(&world);
    target.gives_up_after = gives_up_after;
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
    let plan = Plan { will_renew: stays, ..target.plan(budget) };
    let mut core = resume(plan, None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(script.phases.iter().all(|phase| *phase == PhaseName::Watching), "{:?}", script.phases);
    (outcome, script, world.mono)
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

/// The daemon stays: a person may sign next week. The polls become seldom, two minutes at most.
#[test]
fn a_node_that_stays_waits_beyond_its_budget() {
    let (outcome, script, passed) = wait(200, Duration::from_mins(30), true, None);
    assert!(matches!(outcome, Outcome::Joined { already: false, .. }), "{outcome:?}");
    assert_eq!(script.asked.len(), 201);
    let hours = passed.as_secs_f64() / 3600.0;
    assert!((4.0..8.0).contains(&hours), "200 polls in {hours} h");
}

#[test]
fn a_node_that_stays_gives_up_after_the_time_of_the_settings() {
    let limit = Duration::from_hours(3);
    let (outcome, _, passed) = wait(300, Duration::from_mins(30), true, Some(limit));
    let Outcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
    assert_eq!((fault.kind, fault.todo.as_str()), (Kind::Rejected, "sign i-1"));
    assert!((limit..limit + Duration::from_mins(5)).contains(&passed), "{passed:?}");
}

/// In the log, for systemd, and in the record, which `enlist status` reads.
#[test]
fn after_a_minute_it_is_said_what_a_person_can_do() {
    let (_, script) = join(40, Duration::from_mins(5));
    let (early, late) = (script.said.first().unwrap(), script.said.last().unwrap());
    assert!(!early.contains("sign i-1"), "{early}");
    assert!(late.contains("i-1 is not signed: sign i-1"), "{late}");
    let record = script.disk.unwrap();
    let fault = record.fault.unwrap();
    assert_eq!((fault.what.as_str(), fault.todo.as_str()), ("i-1 is not signed", "sign i-1"));
}

/// Each look succeeds and finds nothing, so the creating call is made again, and fails again.
#[test]
fn the_pauses_grow_although_the_looks_between_the_calls_succeed() {
    let mut world = World::new();
    let mut target = FixedTarget::new(&world);
    target.shows_registration = false;
    target.reconcile = |_, answers| match answers {
        [] => Question::Ask(call()),
        _ => Question::Done(Reconciled::CallAgain),
    };
    let lost = || Fault::new(Kind::Transient, "the reply was lost", "x", "wait").in_doubt();
    let answers = (0..1000).map(|count| match count % 2 {
        0 => Err(lost()),
        _ => Ok(Own::NotFound(String::new()).into()),
    });
    let mut script = Script::new(answers.collect());
    let plan = target.plan(Duration::from_mins(30));
    let mut core = resume(plan, None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    // A minute at most, so at least thirty calls in half an hour; as many looks.
    assert!((60..160).contains(&script.asked.len()), "{}", script.asked.len());
}
