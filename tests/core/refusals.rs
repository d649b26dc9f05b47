//! What is refused, and what the next start does.

use enlist::bootstrap::{Effect, Event, Outcome, Phase, StateMachine, resume};
use enlist::fault::{Fault, Kind};
use enlist::pki::PrivateKey;
use enlist::targets::NameTemplate;
use enlist::targets::opsworks_cm::api;

use super::script::{Script, World, begin, facts, failed, is_call, plan, status, target, token};

#[test]
fn after_a_failed_association_the_next_start_asks_again() {
    let mut world = World::new();
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(status("FAILED", &[]))]);
    let mut core = begin(&world, None);
    assert_eq!(failed(script.run(&mut world, &mut core)).kind, Kind::Rejected);
    let record = script.disk.clone().unwrap();
    assert_eq!(record.phase, Phase::New);
    let mut again = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    assert!(matches!(
        again.run(&mut world, &mut begin(&World::new(), Some(record))),
        Outcome::Joined { .. }
    ));
}

#[test]
fn a_bad_certificate_is_kept_as_evidence_and_the_ticket_stays() {
    let mut world = World::new();
    let stranger = World::new();
    let other_key = stranger.certificate("i-1");
    let other_name = world.certificate("i-2");
    let two = format!("{0}{0}", world.certificate("i-1"));
    for bad in ["", "no PEM", &other_key, &other_name, &two] {
        let answer = status("SUCCESS", &[("PUPPET_NODE_CERT", bad)]);
        let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(answer)]);
        let mut core = begin(&world, None);
        let fault = failed(script.run(&mut world, &mut core));
        assert_eq!(fault.kind, Kind::Data, "{bad}");
        assert!(script.effects.contains(&"keep"));
        assert!(!script.effects.contains(&"install"));
        let record = script.disk.clone().unwrap();
        assert_eq!(record.phase, Phase::Watching { ticket: "t-1".into() });
    }
}

#[test]
fn a_forgotten_token_is_replaced_within_the_budget() {
    let mut world = World::new();
    let gone = || Ok(api::Answer::NotFound("no such token".into()).into());
    let mut script = Script::new(vec![
        Ok(world.healthy()),
        Ok(token()),
        gone(),
        Ok(token()),
        Ok(world.success()),
    ]);
    let mut core = begin(&world, None);
    assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
    assert!(script.effects.contains(&"wait"), "it pauses between its calls");
    let mut endless =
        Script::new((0..2000).map(|n| if n % 2 == 0 { Ok(token()) } else { gone() }).collect());
    endless.answers.insert(0, Ok(world.healthy()));
    let mut core = begin(&world, None);
    assert_eq!(failed(endless.run(&mut world, &mut core)).kind, Kind::Transient);
    assert!(endless.asked.len() < 200, "asked {} times", endless.asked.len());
}

/// The record counts what was sent: a call that could not be sent is not counted again when it is tried again.
#[test]
fn attempts_are_the_calls_that_were_sent() {
    let mut world = World::new();
    let unsent = || Err(Fault::new(Kind::Transient, "could not be sent", "x", "y").unsent());
    let busy = || Err(Fault::new(Kind::Transient, "too many", "x", "y").throttled());
    let answers = vec![Ok(world.healthy()), unsent(), unsent(), busy(), unsent(), Ok(token())];
    let mut script = Script::new(answers);
    script.answers.push(Ok(world.success()));
    let mut core = begin(&world, None);
    let outcome = script.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Joined { .. }));
    let creating = script.asked.iter().filter(|asked| asked.contains("AssociateNode"));
    assert_eq!(creating.count(), 5);
    assert_eq!(script.disk.unwrap().attempts, 2);
}

/// The first call had an effect, so the authority may have something of this node.
#[test]
fn a_call_that_is_refused_after_one_that_was_not_leaves_no_refused_join() {
    let mut world = World::new();
    let mut script = Script::new(vec![
        Ok(world.healthy()),
        Ok(token()),
        Ok(api::Answer::NotFound("no such token".into()).into()),
        Err(Fault::new(Kind::Rejected, "no", "x", "y")),
    ]);
    let mut core = begin(&world, None);
    assert_eq!(failed(script.run(&mut world, &mut core)).kind, Kind::Rejected);
    let record = script.disk.unwrap();
    assert_eq!((record.phase.clone(), record.was_refused), (Phase::Creating, false));
    assert!(record.may_be_known(), "a leave tells the authority");
}

#[test]
fn a_record_that_cannot_be_written_stops_the_join_before_the_creating_call() {
    let world = World::new();
    let mut core = begin(&world, None);
    let full = Fault::new(Kind::Host, "could not write", "/r", "free space");
    let now = world.now();
    let mut called = 0;
    let outcome = loop {
        let event = match core.poll() {
            Effect::Finish(outcome) => break outcome,
            Effect::GatherFacts(_) => facts("i-1"),
            Effect::Call(request) if is_call(&request, "DescribeServers") => {
                Event::Answered(world.healthy())
            }
            Effect::Call(_) => {
                called += 1;
                Event::Answered(token())
            }
            Effect::EnsureKey(_) => Event::Key(Box::new(world.report())),
            Effect::Hold(_) => Event::Held,
            Effect::Release(_) => Event::Released,
            Effect::Persist(_) => Event::Failed(full.clone()),
            other => panic!("{other:?}"),
        };
        core.handle(now, event);
    };
    assert_eq!(failed(outcome), full);
    assert_eq!(called, 0, "no creating call was made");
}

#[test]
fn another_machines_record_is_set_aside_and_the_node_joins() {
    let mut world = World::new();
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let mut core = begin(&world, None);
    script.run(&mut world, &mut core);
    let record = script.disk.clone();
    // The same disk in another instance: it gets its own key, name and association.
    let mut clone = Script::new(vec![
        Ok(world.healthy()),
        Ok(token()),
        Ok(status("SUCCESS", &[("PUPPET_NODE_CERT", &world.certificate("i-2"))])),
    ]);
    clone.instance = "i-2";
    let mut core = begin(&world, record);
    let outcome = clone.run(&mut world, &mut core);
    assert!(matches!(outcome, Outcome::Joined { already: false, .. }), "{outcome:?}");
    assert!(clone.effects.contains(&"aside"));
    assert_eq!(clone.disk.unwrap().name.as_deref(), Some("i-2"));
}

#[test]
fn another_key_than_the_recorded_one_is_refused() {
    let mut world = World::new();
    let mut script = Script::new(vec![
        Ok(world.healthy()),
        Ok(token()),
        Err(Fault::new(Kind::Protocol, "html", "x", "y")),
    ]);
    let mut core = begin(&world, None);
    assert_eq!(failed(script.run(&mut world, &mut core)).kind, Kind::Protocol);
    world.key = PrivateKey::generate(2048).unwrap();
    let mut again = Script::new(Vec::new());
    let mut core = begin(&world, script.disk.clone());
    assert_eq!(failed(again.run(&mut world, &mut core)).kind, Kind::Data);
}

#[test]
fn another_server_in_the_settings_is_refused() {
    let mut world = World::new();
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let mut core = begin(&world, None);
    script.run(&mut world, &mut core);
    let mut other = target();
    other.0.server = "q".into();
    let mut core = resume(plan(other), script.disk.clone(), 7, world.now());
    assert_eq!(failed(Script::new(Vec::new()).run(&mut world, &mut core)).kind, Kind::Config);
}

#[test]
fn names_are_checked_before_any_call() {
    let mut world = World::new();
    for (template, instance) in [
        ("Web_{instance_id}", "i-1"),
        ("{hostname}-", "i-1"),
        ("a b", "i-1"),
        ("ca", "i-1"),
        ("{instance_id}", "i/1"),
    ] {
        let mut plan = plan(target());
        plan.name = Some(NameTemplate::parse(template).unwrap());
        let mut script = Script::new(Vec::new());
        script.instance = instance;
        let mut core = resume(plan, None, 7, world.now());
        assert_eq!(failed(script.run(&mut world, &mut core)).kind, Kind::Config, "{template}");
    }
}
