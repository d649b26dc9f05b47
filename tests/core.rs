//! The pure core, walked through every phase by a scripted host: no clock, no disk, no network.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "common/puppet_node.rs"]
mod puppet_node;

use std::time::Duration;

use enlist::bootstrap::{
    Bootstrap, Effect, Event, KeyFingerprints, Now, Outcome, Phase, Plan, Record, StateMachine,
    resume,
};
use enlist::engines::{Action, Engines, Installed, Item, KeyReport};
use enlist::fault::{Fault, Kind};
use enlist::pki::{CaBundle, CsrSpec, PrivateKey, csr};
use enlist::targets::opsworks_cm::OpsworksCm;
use enlist::targets::opsworks_cm::api::{self, Server};
use enlist::targets::{Answer, Call, NameTemplate, Request};

const UNIX: i64 = 1_900_000_000;

/// A CA and a node's key, made once per test: small, so that the suite stays quick.
struct World {
    ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    key: PrivateKey,
    mono: Duration,
}

impl World {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
        let ca_key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .unwrap();
        let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
        Self { ca, key: PrivateKey::generate(2048).unwrap(), mono: Duration::ZERO }
    }

    fn now(&self) -> Now {
        Now { mono: self.mono, unix: UNIX, skew: 0 }
    }

    fn report(&self) -> KeyReport {
        let spec = CsrSpec { name: "i-1".into(), ..CsrSpec::default() };
        KeyReport {
            public: self.key.public().clone(),
            csr: Some(csr::build(&spec, &self.key).unwrap()),
        }
    }

    fn certificate(&self, name: &str) -> String {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let public = rcgen::SubjectPublicKeyInfo::from_der(self.key.public().spki_der()).unwrap();
        params.signed_by(&public, &self.ca).unwrap().pem()
    }

    fn healthy(&self) -> Answer {
        server("HEALTHY", &self.ca.pem())
    }

    fn success(&self) -> Answer {
        status("SUCCESS", &[("OTHER", "x"), ("PUPPET_NODE_CERT", &self.certificate("i-1"))])
    }
}

fn server(status: &str, ca: &str) -> Answer {
    api::Answer::Servers(vec![Server {
        name: Some("p".into()),
        status: Some(status.into()),
        endpoint: Some("puppet.example".into()),
        engine: Some("Puppet".into()),
        attributes: vec![("PUPPET_API_CA_CERT".into(), ca.into())],
        ..Server::default()
    }])
    .into()
}

fn status(status: &str, attributes: &[(&str, &str)]) -> Answer {
    api::Answer::AssociationStatus {
        status: Some(status.into()),
        attributes: attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    }
    .into()
}

fn token() -> Answer {
    api::Answer::Associated { token: Some("t-1".into()) }.into()
}

fn facts(instance: &str) -> Event {
    puppet_node::facts(instance)
}

fn target() -> (OpsworksCm, Engines) {
    puppet_node::opsworks_cm("p")
}

fn plan(target: (OpsworksCm, Engines)) -> Plan {
    puppet_node::plan(target, Duration::from_mins(30))
}

fn is_call(request: &Request, wanted: &str) -> bool {
    request.action() == wanted
}

fn begin(world: &World, record: Option<Record>) -> Bootstrap {
    resume(plan(target()), record, 7, world.now())
}

/// What a disk and a scripted authority would do, until the core finishes or has asked all.
struct Script {
    answers: Vec<Result<Answer, Fault>>,
    asked: Vec<String>,
    disk: Option<Record>,
    instance: &'static str,
    effects: Vec<&'static str>,
}

impl Script {
    fn new(answers: Vec<Result<Answer, Fault>>) -> Self {
        Self { answers, asked: Vec::new(), disk: None, instance: "i-1", effects: Vec::new() }
    }

    fn run(&mut self, world: &mut World, core: &mut Bootstrap) -> Outcome {
        for _ in 0..1000 {
            let effect = core.poll();
            assert_eq!(effect, core.poll(), "poll gives the same answer until it is handled");
            let (done, event) = match effect {
                Effect::Finish(outcome) => return outcome,
                Effect::GatherFacts(_) => ("facts", facts(self.instance)),
                Effect::EnsureKey(_) => ("key", Event::Key(Box::new(world.report()))),
                Effect::Persist(record) => {
                    self.disk = Some(*record);
                    ("persist", Event::Persisted)
                }
                Effect::Call(request) => {
                    // Write-ahead: whatever is asked, its phase is on disk.
                    if is_call(&request, "AssociateNode") {
                        assert_eq!(self.disk.as_ref().unwrap().phase, Phase::Creating);
                    }
                    self.asked.push(request.action().into());
                    assert!(
                        !self.answers.is_empty(),
                        "more was asked than scripted: {:?}",
                        self.asked
                    );
                    let event = match self.answers.remove(0) {
                        Ok(answer) => Event::Answered(answer),
                        Err(fault) => Event::Failed(fault),
                    };
                    ("call", event)
                }
                Effect::WaitUntil(until) => {
                    assert!(until > world.mono);
                    world.mono = until;
                    ("wait", Event::Woke)
                }
                Effect::Hold(_) => ("hold", Event::Held),
                Effect::Release(_) => ("release", Event::Released),
                Effect::Install(_) => {
                    let phase = &self.disk.as_ref().unwrap().phase;
                    assert!(matches!(phase, Phase::Installing { .. }), "{phase:?}");
                    ("install", Event::Installed(vec![Installed::new(Item::Key, "/s/k")]))
                }
                Effect::Keep(_) => ("keep", Event::Kept),
                Effect::SetAside(_) => {
                    self.disk = None;
                    ("aside", Event::IsAside)
                }
                other => panic!("{other:?} in a join of a Puppet server"),
            };
            self.effects.push(done);
            core.handle(world.now(), event);
        }
        panic!("no end after 1000 effects");
    }
}

fn passing() -> Fault {
    Fault::new(Kind::Transient, "no network", "x", "wait")
}

/// Every call fails until this moment.
fn fail_until(
    end: Duration,
    world: &mut World,
    script: &mut Script,
    core: &mut Bootstrap,
    fault: impl Fn() -> Fault,
) {
    while world.mono < end {
        let now = world.now();
        match core.poll() {
            Effect::GatherFacts(_) => core.handle(now, facts("i-1")),
            Effect::Persist(record) => {
                script.disk = Some(*record);
                core.handle(now, Event::Persisted);
            }
            Effect::WaitUntil(until) => {
                world.mono = until;
                core.handle(world.now(), Event::Woke);
            }
            Effect::Call(_) => core.handle(now, Event::Failed(fault())),
            other => panic!("{other:?}"),
        }
    }
}

fn failed(outcome: Outcome) -> Fault {
    match outcome {
        Outcome::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_straight_way_asks_three_times_and_writes_ahead() {
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
fn a_pinned_authority_saves_a_call() {
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
fn stopped_at_every_effect_it_goes_on_with_one_association() {
    let mut world = World::new();
    // The straight way has 12 effects; stop before each of them, then start again from the disk.
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
        // Only a stop between the call and the writing of its reply may ask again: the same node
        // with the same key, which is the same association (decision 0001).
        let again = u32::from(stop == 7);
        assert_eq!(associated, 1 + again, "stopped at {stop}");
        assert!(matches!(disk.unwrap().phase, Phase::Joined { .. }));
    }
}

#[test]
fn in_progress_is_asked_again_at_a_slowing_pace() {
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

/// Too early a poll would take the turn of one of those that are throttled with us; too late a one
/// costs more than that where they are few.
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
    // The next try, and two seconds, half of the time, or a minute.
    for (throttled, least, most) in
        [(1, 1.8, 4.5), (20, 9.0, 14.0), (60, 30.0, 42.0), (600, 59.0, 95.0)]
    {
        let waited = waited(throttled);
        assert!((least..most).contains(&waited), "{throttled} s: {waited} s");
    }
}

#[test]
fn one_throttled_call_costs_a_lone_node_some_seconds() {
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
fn a_server_that_is_not_healthy_is_waited_for_and_one_that_is_gone_is_not() {
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
fn a_fault_that_passes_is_waited_out_and_the_budget_ends_it() {
    let mut world = World::new();
    let mut script = Script::new((0..500).map(|_| Err(passing())).collect());
    let mut core = begin(&world, None);
    let fault = failed(script.run(&mut world, &mut core));
    assert_eq!(fault.kind, Kind::Transient);
    assert_eq!(world.mono.as_secs(), 30 * 60, "the last try comes when the budget ends");
    let record = script.disk.clone().unwrap();
    assert!(record.fault.as_ref().unwrap().is_final);
    // A verdict was reached, so the next start has a budget of its own.
    let mut again =
        Script::new(vec![Err(passing()), Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let mut core = begin(&world, Some(record));
    assert!(matches!(again.run(&mut world, &mut core), Outcome::Joined { .. }));
}

#[test]
fn a_crash_does_not_renew_the_budget() {
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

#[test]
fn failed_is_rejected_and_the_next_start_asks_anew_with_the_same_key() {
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
fn what_is_not_acceptable_is_kept_and_the_ticket_with_it() {
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
fn a_forgotten_token_is_asked_for_anew_within_the_budget() {
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
    assert!(script.effects.contains(&"wait"), "never in a loop without a pause");
    let mut endless =
        Script::new((0..2000).map(|n| if n % 2 == 0 { Ok(token()) } else { gone() }).collect());
    endless.answers.insert(0, Ok(world.healthy()));
    let mut core = begin(&world, None);
    assert_eq!(failed(endless.run(&mut world, &mut core)).kind, Kind::Transient);
    assert!(endless.asked.len() < 200, "asked {} times", endless.asked.len());
}

#[test]
fn a_record_that_cannot_be_written_stops_before_anything_is_asked() {
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
    assert_eq!(called, 0, "nothing was asked that changes anything");
}

#[test]
fn another_machines_record_is_set_aside_and_the_node_joins_anew() {
    let mut world = World::new();
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let mut core = begin(&world, None);
    script.run(&mut world, &mut core);
    let record = script.disk.clone();
    // The same disk, another instance: its own key, name and association.
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
fn another_key_than_the_one_it_asked_with_is_refused() {
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
fn another_server_in_the_settings_is_said_not_guessed() {
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
fn names_are_checked_before_anything_is_asked() {
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

#[test]
fn an_installation_writes_key_request_ca_certificate_settings_and_lets_go_last() {
    let world = World::new();
    let mut core = begin(&world, None);
    let mut script = Script::new(vec![Ok(world.healthy()), Ok(token()), Ok(world.success())]);
    let words = loop {
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
    assert_eq!(words, ["key", "request", "CA", "certificate", "settings", "confirm", "release"]);
}
