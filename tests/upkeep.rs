//! A repair of a member, driven by a scripted host.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "common/puppet_node.rs"]
mod puppet_node;

use std::time::Duration;

use enlist::bootstrap::{
    Effect, Event, KeyFingerprints, Maintenance, Now, Outcome, Phase, Record, StateMachine, resume,
};
use enlist::engines::{Authority, Grant, Installed, Item, KeyReport};
use enlist::fault::{Fault, Kind};
use enlist::pki::{CsrSpec, PrivateKey, csr};
use enlist::targets::Target;

const JOINED: i64 = 1_900_000_000;
const YEAR: i64 = 365 * 86_400;
const BUDGET: Duration = Duration::from_mins(30);

fn report() -> KeyReport {
    let key = PrivateKey::generate(2048).unwrap();
    let spec = CsrSpec { name: "i-1".into(), ..CsrSpec::default() };
    KeyReport {
        public: key.public().clone(),
        csr: Some(csr::build(&spec, &key).unwrap()),
        is_installed: false,
    }
}

/// A member for a year, whose join took all but a millisecond of its budget.
fn member(key: &KeyReport) -> Record {
    let (target, _) = puppet_node::opsworks_cm("p");
    let grant =
        Grant::Certificate { pem: "p".into(), serial: "1".into(), not_after: JOINED + 5 * YEAR };
    Record {
        phase: Phase::Joined { grant },
        name: Some("i-1".into()),
        key: Some(KeyFingerprints::of(&key.public)),
        authority: Some(Authority::Puppet {
            endpoint: "p.example".into(),
            ca: "ca".into(),
            crl: None,
        }),
        installed: vec![Installed::new(Item::Certificate, "/s/certs/i-1.pem")],
        elapsed_ms: 1_799_999,
        ..Record::new("opsworks-cm", &target.authority_name(), JOINED)
    }
}

/// Repairs a member, with this many failures, and with a crash after this many effects.
fn repair(key: &KeyReport, mut failures: u32, mut crash: Option<u32>) -> (Record, Duration) {
    let mut disk = member(key);
    let mut mono = Duration::from_secs(5);
    let mut begun = false;
    'start: loop {
        let plan = || puppet_node::plan(puppet_node::opsworks_cm("p"), BUDGET);
        let now = |mono| Now { mono, unix: JOINED + YEAR, skew: 0 };
        let maintenance = Maintenance { repair: !begun, ..Maintenance::default() };
        let mut core =
            resume(plan(), Some(disk.clone()), 7, now(mono)).allowing(maintenance, now(mono));
        for _ in 0..1000 {
            let event = match core.poll() {
                Effect::Finish(Outcome::Joined { record, .. }) => return (*record, mono),
                Effect::Finish(Outcome::Failed(_)) => return (disk, mono),
                Effect::GatherFacts(_) => puppet_node::facts("i-1"),
                Effect::Persist(record) => {
                    disk = *record;
                    begun |= matches!(disk.phase, Phase::Installing { .. });
                    Event::Persisted
                }
                Effect::Hold(_) => Event::Held,
                Effect::EnsureKey(_) => Event::Key(Box::new(key.clone())),
                Effect::WaitUntil(until) => {
                    mono = until;
                    Event::Woke
                }
                Effect::Install(_) if failures > 0 => {
                    failures -= 1;
                    Event::Failed(Fault::new(Kind::Transient, "it is busy", "disk", "wait"))
                }
                Effect::Install(_) => {
                    let files = vec![Installed::new(Item::Certificate, "/s/certs/i-1.pem")];
                    Event::Installed(files)
                }
                other => panic!("{other:?} in a repair"),
            };
            core.handle(now(mono), event);
            if begun && let Some(left) = crash.as_mut() {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    crash = None;
                    continue 'start;
                }
            }
        }
        panic!("no end");
    }
}

#[test]
fn a_repair_does_not_move_the_date_of_the_renewal() {
    let key = report();
    let due = member(&key).renewal_at(None).unwrap();
    let (record, _) = repair(&key, 0, None);
    assert!(matches!(record.phase, Phase::Joined { .. }));
    assert_eq!(record.since, JOINED);
    assert_eq!(record.renewal_at(None), Some(due));
    for crash in 1..6 {
        let (record, _) = repair(&key, 2, Some(crash));
        assert_eq!(record.renewal_at(None), Some(due), "stopped after {crash} effects");
    }
}

#[test]
fn a_repair_has_a_budget_of_its_own() {
    let (record, mono) = repair(&report(), 9, None);
    assert!(matches!(record.phase, Phase::Joined { .. }));
    assert!(mono > Duration::from_mins(1), "it waited after each failure: {mono:?}");
}

#[test]
fn a_repair_that_fails_leaves_a_member_with_the_fault() {
    let key = report();
    let due = member(&key).renewal_at(None);
    let (record, _) = repair(&key, 1000, None);
    assert!(matches!(record.phase, Phase::Joined { .. }), "{:?}", record.phase);
    assert!(record.fault.as_ref().is_some_and(|fault| fault.is_final));
    assert_eq!((record.since, record.renewal_at(None).is_some()), (JOINED, due.is_some()));
}
