//! Retries and polls: how long the core waits, and when it gives up.

use std::time::Duration;

use enlist::bootstrap::{Effect, Event, Outcome, Record, StateMachine};
use enlist::fault::Kind;

use super::script::{
    Script, World, begin, facts, fail_until, failed, is_call, passing, server, status, token,
};

#[test]
fn in_progress_is_polled_at_growing_intervals() {
    let mut world = World::new();
    let mut answers = vec![Ok(world.healthy()), Ok(token())];
    answers.extend((0..8).map(|_| Ok(status("IN_PROGRESS", &[]))));
    answers.push(Ok(world.success()));
    let mut script = Script::new(answers);
    let mut core = begin(&world, None);
    assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
    let waited = world.mono.as_secs_f64();
    // 1 + 2 + 4 and five times 5 seconds, each a quarter more or less.
    assert!((24.0..40.0).contains(&waited), "waited {waited} s");
}

/// A poll that is too early takes the turn of another throttled node's call. One that is too late
/// delays the join where few nodes are throttled.
#[test]
fn a_throttled_node_polls_after_a_part_of_the_time_that_it_was_throttled() {
    let waited = |seconds: u64| {
        let mut world = World::new();
        let from = world.mono;
        let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
        let mut core = begin(&world, None);
        fail_until(Duration::from_secs(seconds), &mut world, &mut script, &mut core, || {
            passing().throttled()
        });
        let throttled = world.mono.saturating_sub(from);
        assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
        world.mono.saturating_sub(from + throttled).as_secs_f64()
    };
    // The next try, and then some seconds, ten, half of the throttled time, or a minute.
    for (throttled, least, most) in
        [(1, 2.0, 13.0), (20, 10.0, 17.0), (60, 31.0, 48.0), (600, 60.0, 95.0)]
    {
        let waited = waited(throttled);
        assert!((least..most).contains(&waited), "{throttled} s: {waited} s");
    }
}

#[test]
fn one_throttled_call_delays_a_single_node_by_seconds() {
    let mut world = World::new();
    let mut script = Script::new(vec![
        Err(passing().throttled()),
        Ok(world.healthy()),
        Ok(token()),
        Err(passing().throttled()),
        Ok(status("IN_PROGRESS", &[])),
        Ok(world.success()),
    ]);
    let mut core = begin(&world, None);
    assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
    let waited = world.mono.as_secs_f64();
    // Around 0.9 s, 2 s, 1.4 s and 6.8 s.
    assert!((7.0..15.0).contains(&waited), "waited {waited} s");
    let waits = script.effects.iter().filter(|word| **word == "wait").count();
    assert_eq!(waits, 4, "{:?}", script.effects);
}

#[test]
fn a_start_after_ten_minutes_of_throttling_does_not_begin_with_quick_tries() {
    let mut world = World::new();
    let mut script = Script::new(vec![
        Err(passing().throttled()),
        Ok(world.healthy()),
        Ok(token()),
        Ok(world.success()),
    ]);
    let mut core = begin(&world, None);
    fail_until(Duration::from_mins(10), &mut world, &mut script, &mut core, || {
        passing().throttled()
    });
    let started = world.mono;
    let mut core = begin(&world, script.disk.clone());
    assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
    let waited = world.mono.saturating_sub(started).as_secs_f64();
    // Around 18 s (the first wait of an episode: from a fifth of that on), and a minute for the authority.
    assert!((3.0 + 59.0..33.0 + 70.0).contains(&waited), "waited {waited} s");
}

#[test]
fn an_unhealthy_server_is_waited_for_and_a_deleted_one_is_not() {
    let mut world = World::new();
    let wait = |word| Ok(server(word, ""));
    let mut script = Script::new(vec![
        wait("CREATING"),
        wait("UNDER_MAINTENANCE"),
        Ok(world.healthy()),
        Ok(token()),
        Ok(world.success()),
    ]);
    let mut core = begin(&world, None);
    assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
    assert!(script.effects.iter().filter(|word| **word == "wait").count() >= 2);
    for gone in ["DELETING", "TERMINATED", "FAILED"] {
        let mut script = Script::new(vec![wait(gone)]);
        let fault = failed(script.run(&mut world, &mut begin(&World::new(), None)));
        assert_eq!(fault.kind, Kind::Rejected, "{gone}");
    }
}

#[test]
fn a_transient_fault_is_retried_until_the_budget_ends() {
    let mut world = World::new();
    let mut script = Script::new((0..500).map(|_| Err(passing())).collect());
    let mut core = begin(&world, None);
    let fault = failed(script.run(&mut world, &mut core));
    assert_eq!(fault.kind, Kind::Transient);
    assert_eq!(world.mono.as_secs(), 30 * 60, "the last try comes when the budget ends");
    let record = script.disk.clone().unwrap();
    assert!(record.fault.as_ref().unwrap().is_final);
    // The fault was final, so the next start has a new budget.
    let mut again =
        Script::new(vec![Err(passing()), Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let mut core = begin(&world, Some(record));
    assert!(matches!(again.run(&mut world, &mut core), Outcome::Joined { .. }));
}

/// Outside EC2 the facts are gathered again before each try. That they can be is no progress.
#[test]
fn the_waits_grow_although_the_facts_are_gathered_before_each_try() {
    let mut world = World::new();
    let mut script = Script::new((0..500).map(|_| Err(passing())).collect());
    script.instance = "";
    let mut core = begin(&world, None);
    failed(script.run(&mut world, &mut core));
    let facts = script.effects.iter().filter(|word| **word == "facts").count();
    assert_eq!(facts, script.asked.len(), "gathered before each try");
    // 0.5 + 1 + 2 + ... seconds, and then one a minute.
    assert!((30..60).contains(&script.asked.len()), "{} tries", script.asked.len());
    assert!(script.disk.unwrap().fault.unwrap().times > 20, "one row of failures");
}

#[test]
fn a_crash_does_not_reset_the_budget() {
    let mut world = World::new();
    let mut script = Script::new((0..500).map(|_| Err(passing())).collect());
    let mut core = begin(&world, None);
    fail_until(Duration::from_mins(20), &mut world, &mut script, &mut core, passing);
    let started = world.mono;
    let mut core = begin(&world, script.disk.clone());
    failed(script.run(&mut world, &mut core));
    let spent = world.mono.saturating_sub(started).as_secs();
    assert!(
        (9 * 60..=12 * 60).contains(&spent),
        "ten minutes of thirty were left, and {spent} s were spent"
    );
}

/// The limits of what is only asked end with the budget. A creating call, an installation and everything
/// on the disk keep theirs.
#[test]
fn questions_end_with_the_budget_and_creating_calls_do_not() {
    let world = World::new();
    let seen = |record: Option<Record>| {
        let mut core = begin(&world, record);
        let (mut cut, mut whole, mut disk) = (Vec::new(), Vec::new(), None);
        loop {
            let (effect, ends) = (core.poll(), core.ends());
            let name = effect.describe("a");
            match ends {
                Some(_) => cut.push(name),
                None => whole.push(name),
            }
            let event = match effect {
                Effect::GatherFacts(_) => facts("i-1"),
                Effect::EnsureKey(_) => Event::Key(Box::new(world.report())),
                Effect::Persist(record) => {
                    disk = Some(*record);
                    Event::Persisted
                }
                Effect::Hold(_) => Event::Held,
                Effect::Call(request) if is_call(&request, "DescribeServers") => {
                    Event::Answered(world.healthy())
                }
                Effect::Call(request) if is_call(&request, "AssociateNode") => {
                    Event::Answered(token())
                }
                Effect::Call(_) => Event::Answered(world.success()),
                Effect::Install(_) => Event::Installed(Vec::new()),
                Effect::Finish(_) => return (cut, whole, disk),
                other => panic!("{other:?}"),
            };
            core.handle(world.now(), event);
        }
    };
    let (cut, whole, _) = seen(None);
    let questions = [
        "gathering facts",
        "calling DescribeServers for a",
        "calling DescribeNodeAssociationStatus for a",
    ];
    assert_eq!(cut, questions);
    assert!(whole.contains(&"calling AssociateNode for a".to_owned()), "{whole:?}");
    // Earlier starts have spent the budget: each start makes one whole try.
    let mut core = begin(&world, None);
    let Effect::GatherFacts(_) = core.poll() else { panic!("no facts are gathered") };
    core.handle(world.now(), facts("i-1"));
    let Effect::Persist(mut record) = core.poll() else { panic!("nothing is written") };
    record.elapsed_ms = u64::MAX;
    assert!(seen(Some(*record)).0.is_empty());
}
