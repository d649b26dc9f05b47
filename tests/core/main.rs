//! The pure core, driven through every phase by a scripted host, without clock, disk or network.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fixed_target;
mod pending;
mod proof;
#[path = "../common/puppet_node.rs"]
mod puppet_node;
mod refusals;
mod script;
mod signing;
mod waiting;

use enlist::bootstrap::{
    Effect, Event, KeyFingerprints, Outcome, Phase, Record, StateMachine, resume,
};
use enlist::engines::Action;
use enlist::pki::CaBundle;

use script::{Script, World, begin, facts, is_call, plan, target, token};

#[test]
fn a_join_without_faults_makes_three_calls_and_writes_ahead() {
    let mut world = World::new();
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let outcome = {
        let mut core = begin(&world, None);
        script.run(&mut world, &mut core)
    };
    assert!(matches!(outcome, Outcome::Joined { already: false, .. }));
    assert_eq!(script.asked, ["DescribeServers", "AssociateNode", "DescribeNodeAssociationStatus"]);
    assert_eq!(
        script.effects,
        [
            "facts", "persist", "call", "hold", "key", "persist", "call", "persist", "call",
            "persist", "install", "persist"
        ]
    );
    let record = script.disk.unwrap();
    assert!(matches!(record.phase, Phase::Joined { .. }));
    assert_eq!(record.name.as_deref(), Some("i-1"));
    assert_eq!(record.key, Some(KeyFingerprints::of(world.key.public())));
    assert_eq!(record.attempts, 1);
}

#[test]
fn an_authority_in_the_settings_saves_a_call() {
    let mut world = World::new();
    let mut pinned = target();
    pinned.0.endpoint = Some("puppet.example:8141".into());
    pinned.0.ca = Some(CaBundle::from_pem(&world.ca.pem()).unwrap());
    let mut script = Script::new(vec![Ok(token()), Ok(world.success())]);
    let mut core = resume(plan(pinned), None, 7, world.now());
    assert!(matches!(script.run(&mut world, &mut core), Outcome::Joined { .. }));
    assert_eq!(script.asked, ["AssociateNode", "DescribeNodeAssociationStatus"]);
}

#[test]
fn a_join_stopped_at_any_effect_continues_with_one_association() {
    let mut world = World::new();
    // A join has 12 effects. Stop before each of them, and start again from the record on disk.
    for stop in 0..12 {
        let mut core = begin(&world, None);
        let mut disk: Option<Record> = None;
        let mut associated = 0;
        let mut steps = 0;
        let mut starts = 1;
        loop {
            if steps == stop && starts == 1 {
                core = begin(&world, disk.clone());
                starts = 2;
            }
            steps += 1;
            let now = world.now();
            let event = match core.poll() {
                Effect::Finish(outcome) => {
                    assert!(
                        matches!(outcome, Outcome::Joined { .. }),
                        "stopped at {stop}: {outcome:?}"
                    );
                    break;
                }
                Effect::GatherFacts(_) => facts("i-1"),
                Effect::EnsureKey(_) => Event::Key(Box::new(world.report())),
                Effect::Persist(record) => {
                    disk = Some(*record);
                    Event::Persisted
                }
                Effect::Call(request) if is_call(&request, "DescribeServers") => {
                    Event::Answered(world.healthy())
                }
                Effect::Call(request) if is_call(&request, "AssociateNode") => {
                    associated += 1;
                    Event::Answered(token())
                }
                Effect::Call(_) => Event::Answered(world.success()),
                Effect::WaitUntil(until) => {
                    world.mono = until;
                    Event::Woke
                }
                Effect::Hold(_) => Event::Held,
                Effect::Install(_) => Event::Installed(Vec::new()),
                other => panic!("{other:?}"),
            };
            core.handle(now, event);
        }
        // Only a stop between the call and writing its reply may repeat the call, for the same node and
        // key, which is the same association (decision 0001).
        let again = u32::from(stop == 7);
        assert_eq!(associated, 1 + again, "stopped at {stop}");
        assert!(matches!(disk.unwrap().phase, Phase::Joined { .. }));
    }
}

#[test]
fn an_installation_releases_the_engine_last() {
    let world = World::new();
    let mut core = begin(&world, None);
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let actions = loop {
        let effect = core.poll();
        if let Effect::Install(bundle) = &effect {
            assert_eq!(bundle.lock.as_ref().unwrap().at.path, "/s/ssl.lock");
            break bundle
                .actions
                .iter()
                .filter_map(|action| match action {
                    Action::Directory(_) => None,
                    Action::Key { .. } => Some("key".to_owned()),
                    Action::File { item, .. } => Some(item.to_string()),
                    Action::Settings { .. } => Some("settings".to_owned()),
                    Action::Hold { .. } => Some("hold".to_owned()),
                    Action::Release { .. } => Some("release".to_owned()),
                    Action::ConfirmSettings(_) => Some("confirm".to_owned()),
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>();
        }
        let event = match effect {
            Effect::GatherFacts(_) => facts("i-1"),
            Effect::EnsureKey(_) => Event::Key(Box::new(world.report())),
            Effect::Persist(_) => Event::Persisted,
            Effect::Hold(_) => Event::Held,
            Effect::Call(_) => Event::Answered(script.answers.remove(0).unwrap()),
            other => panic!("{other:?}"),
        };
        core.handle(world.now(), event);
    };
    assert_eq!(actions, ["key", "request", "CA", "certificate", "settings", "confirm", "release"]);
}
