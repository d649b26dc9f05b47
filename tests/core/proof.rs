//! A proof that is good for minutes is made directly before each creating call, and for no other step.

use std::time::Duration;

use enlist::bootstrap::{Outcome, resume};
use enlist::engines::{Proof, RequestAdditions};
use enlist::targets::opsworks_cm::api::Answer as Own;
use enlist::targets::{Answer, Created, Question, Reconciled};

use super::fixed_target::{FixedTarget, call};
use super::script::{Script, World, passing};

fn target(world: &World) -> FixedTarget {
    let mut target = FixedTarget::new(world);
    target.additions = RequestAdditions { proof: Proof::Iam, ..RequestAdditions::NONE };
    target.created = |grant| Created::Granted(grant.clone(), None);
    target.reconcile = |_, answers| match answers {
        [] => Question::Ask(call()),
        _ => Question::Done(Reconciled::CallAgain),
    };
    target
}

fn answer() -> Answer {
    Own::Servers(Vec::new()).into()
}

/// The time of the newest proof before each creating call.
fn ages(script: &Script, creating: &[usize]) -> Vec<Duration> {
    let made = |at: &Duration| {
        let before =
            script.proofs.iter().filter(|(made, proof)| made <= at && *proof == Proof::Iam);
        before.map(|(made, _)| at.saturating_sub(*made)).min().unwrap_or(Duration::MAX)
    };
    creating.iter().filter_map(|call| script.asked_at.get(*call)).map(made).collect()
}

#[test]
fn each_repetition_after_a_while_has_a_new_proof() {
    let mut world = World::new();
    let mut target = target(&world);
    target.shows_registration = false;
    let mut answers = vec![Err(passing()); 150];
    answers.push(Ok(answer()));
    let mut script = Script::new(answers);
    let mut core = resume(target.plan(Duration::from_hours(2)), None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Joined { .. }), "{outcome:?}");
    let calls: Vec<usize> = (0..script.asked.len()).collect();
    let ages = ages(&script, &calls);
    assert!(ages.iter().all(|age| *age < Duration::from_mins(1)), "{ages:?}");
    // It was longer than the proof is good for, and not every call needed another one.
    assert!(world.mono > Duration::from_mins(15), "{:?}", world.mono);
    assert!(script.proofs.len() > 5 && script.proofs.len() <= calls.len(), "{:?}", script.proofs);
}

#[test]
fn questions_that_take_long_come_before_the_proof() {
    let mut world = World::new();
    let mut answers = vec![Err(passing()); 30];
    answers.extend([Ok(answer()), Ok(answer())]);
    let mut script = Script::new(answers);
    let mut core = resume(target(&world).plan(Duration::from_hours(2)), None, 7, world.now());
    let outcome = script.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Joined { .. }), "{outcome:?}");
    let ages = ages(&script, &[script.asked.len() - 1]);
    assert_eq!(ages, [Duration::ZERO]);
}

/// Wherever a start ends, the next one makes a new proof before it asks, or asks no more.
#[test]
fn a_start_after_a_crash_has_a_proof_of_its_own() {
    for stop in 1..30 {
        let mut world = World::new();
        let mut first = Script::new(vec![Ok(answer()), Ok(answer())]);
        let plan = |world: &World| target(world).plan(Duration::from_mins(30));
        let mut core = resume(plan(&world), None, 7, world.now());
        let ended = first.run_some(stop, &mut world, &mut core);
        world.mono += Duration::from_hours(1);
        let mut second = Script::new(vec![Ok(answer()), Ok(answer())]);
        second.disk = first.disk.clone();
        let mut core = resume(plan(&world), first.disk.clone(), 7, world.now());
        let outcome = second.run(&mut world, &mut core);
        assert!(matches!(outcome, Outcome::Joined { .. }), "{stop}: {outcome:?}");
        if let [_, creating] = second.asked.as_slice() {
            assert_eq!(ages(&second, &[1]), [Duration::ZERO], "{stop}: {creating}");
        }
        if ended {
            return;
        }
    }
    panic!("the join has more than 30 effects");
}
