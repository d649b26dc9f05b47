//! A record with arbitrary content.

use std::time::Duration;

use enlist::bootstrap::{
    Effect, Event, Leave, Now, PhaseName, Plan, Record, Report, StateMachine, resume,
};
use enlist::engines::Engines;
use enlist::fault::{Fault, Kind};
use enlist::targets::{Request, Signature, Target};

use super::world::{facts, key_report, observed, targets};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let record = match Record::parse(&text, "/r") {
        Ok(record) => record,
        Err(fault) => {
            assert_eq!(fault.kind, Kind::Invariant);
            return;
        }
    };
    let written = record.to_text();
    assert_eq!(Record::parse(&written, "/r").unwrap(), record, "the round trip");
    assert_eq!(Record::parse(&written, "/r").unwrap().to_text(), written);
    let report = Report::of(&record);
    assert_eq!(report.joined, record.is_member());
    serde_json::to_string(&report).unwrap();
    for (target, engines) in targets() {
        if target.id() == record.target {
            joining(target, engines, &record);
        }
    }
    for (target, engines) in targets() {
        if target.id() == record.target {
            leaving(target, engines, &record);
        }
    }
}

/// A join from any record keeps the rules.
fn joining(target: Box<dyn Target>, engines: Engines, record: &Record) {
    let plan =
        Plan { target, engines, name: None, budget: Duration::from_mins(1), will_renew: false };
    let core = resume(plan, Some(record.clone()), 7, Now::default());
    drive(core, record, |request, disk| {
        if is_creating(request) {
            assert_eq!(disk.phase.name(), PhaseName::Creating, "not written ahead: {request:?}");
        }
    });
}

fn leaving(target: Box<dyn Target>, engines: Engines, record: &Record) {
    let record_there = Some(record.clone());
    let core = Leave::new(target, engines, record_there, Duration::from_mins(1), 7, Now::default());
    drive(core, record, |request, disk| {
        assert!(!is_creating(request), "{request:?}");
        assert_eq!(disk.phase.name(), PhaseName::Leaving, "not written ahead: {request:?}");
    });
}

/// Drives it with a network that is down, so that every call is retried until the budget is spent.
fn drive(mut core: impl StateMachine, record: &Record, asked: impl Fn(&Request, &Record)) {
    let (mut now, mut disk) = (Now { unix: super::world::NOW, ..Now::default() }, record.clone());
    for _ in 0..200 {
        let effect = core.poll();
        assert!(effect == core.poll(), "poll returns the same effect until its event is handled");
        core.status(now);
        let event = match effect {
            Effect::Finish(_) => return,
            Effect::SettleHandOver => Event::HandOverSettled,
            Effect::GatherFacts(_) => Event::Facts(Box::new(facts()), Box::new(observed())),
            Effect::Sign(signing) => {
                Event::Signed(Signature { bytes: signing.bytes, signature: Vec::new() })
            }
            Effect::EnsureKey(_) => Event::Key(Box::new(key_report())),
            Effect::Persist(record) => {
                assert_eq!(Record::parse(&record.to_text(), "/r").as_ref(), Ok(&*record));
                disk = *record;
                Event::Persisted
            }
            Effect::Call(request) => {
                asked(&request, &disk);
                Event::Failed(Fault::new(Kind::Transient, "no network", "x", "wait").in_doubt())
            }
            Effect::WaitUntil(until) => {
                assert!(until > now.mono);
                now.mono = until;
                Event::Woke
            }
            Effect::Hold(_) => Event::Held,
            Effect::Release(_) => Event::Released,
            Effect::Install(_) => Event::Installed(Vec::new()),
            Effect::HandOver(_) => Event::HandedOver("mi-0123456789abcdef0".to_owned()),
            Effect::Clear(_) => Event::Cleared,
            Effect::Forget => Event::Forgotten,
            Effect::Keep(_) => Event::Kept,
            Effect::SetAside(_) => {
                disk = Record::new(&disk.target, &disk.authority_name, now.unix);
                Event::IsAside
            }
            Effect::Inspect => {
                Event::Inspected(Some(Box::new(disk.clone())), Vec::new(), facts().machine())
            }
        };
        core.handle(now, event);
    }
    panic!("no end after 200 effects");
}

fn is_creating(request: &Request) -> bool {
    ["AssociateNode", "RegisterInstance", "CreateActivation"].contains(&request.call().action())
}
