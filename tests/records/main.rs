//! Records as former versions wrote them, one of each phase and target. They are read, mean what they
//! meant, and are written again as the same JSON. All but `ssm-managed.json` come from a former
//! version's own run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use enlist::bootstrap::{Phase, PhaseName, Record};
use enlist::engines::Grant;
use enlist::fault::Kind;
use serde_json::{Value, json};

/// File, phase, and whether it is a member's.
const RECORDS: [(&str, PhaseName, bool); 13] = [
    ("puppet-new", PhaseName::New, false),
    ("puppet-requested", PhaseName::Requested, false),
    ("puppet-creating", PhaseName::Creating, false),
    ("puppet-watching", PhaseName::Watching, false),
    ("puppet-refused", PhaseName::Watching, false),
    ("puppet-installing", PhaseName::Installing, false),
    ("puppet", PhaseName::Joined, true),
    ("puppet-renewing", PhaseName::Watching, true),
    ("puppet-leaving", PhaseName::Leaving, false),
    ("chef", PhaseName::Joined, true),
    ("opsworks", PhaseName::Joined, true),
    ("ssm-file", PhaseName::Joined, true),
    ("ssm-managed", PhaseName::Joined, true),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(format!("{name}.json"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn record(name: &str) -> Record {
    Record::parse(&text(name), name).unwrap()
}

#[test]
fn every_record_of_a_former_version_is_read_and_written_as_it_was() {
    for (name, phase, is_member) in RECORDS {
        let record = record(name);
        assert_eq!((record.phase.name(), record.is_member()), (phase, is_member), "{name}");
        let written: Value = serde_json::from_str(&record.to_text()).unwrap();
        let mut former: Value = serde_json::from_str(&text(name)).unwrap();
        if phase != PhaseName::Watching {
            // It was kept when it was spent.
            former["ticket"] = Value::Null;
        }
        assert!(written == former, "{name}: {written:#}");
        assert_eq!(Record::parse(&record.to_text(), name), Ok(record), "{name}");
    }
    let files = std::fs::read_dir(path("x").parent().unwrap()).unwrap();
    let files = files.filter(|file| {
        file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "json")
    });
    assert_eq!(files.count(), RECORDS.len(), "every file is read");
}

/// The settings are those that a later start compares with.
#[test]
fn the_settings_of_a_membership_are_read() {
    let settings = record("puppet-requested").settings;
    assert_eq!(settings["node.name"], "web-1.example.com");
    assert_eq!(settings["puppet-server.server"], json!(["puppet.example.com"]));
    assert_eq!(settings["puppet-server.trust_on_first_use"], json!(true));
    assert_eq!(settings.len(), 4, "{settings:?}");
    assert!(record("puppet").settings.is_empty(), "earlier versions kept none");
}

#[test]
fn what_a_phase_holds_is_taken_over() {
    let Phase::Watching { ticket } = record("puppet-watching").phase else { panic!("no ticket") };
    assert_eq!(ticket.len(), 36);
    let installing = record("puppet-installing");
    let Phase::Installing { grant } = &installing.phase else { panic!("no grant") };
    assert!(matches!(grant, Grant::Certificate { .. }));
    assert!(installing.planned.len() > 3, "{:?}", installing.planned);
    let renewing = record("puppet-renewing");
    assert!(renewing.former.is_some() && renewing.phase.grant().is_none());
    assert!(renewing.certificate().is_some(), "the former one");
    let Phase::Leaving { was_attempted: true, grant: Some(_), .. } = record("puppet-leaving").phase
    else {
        panic!("what it leaves is not known")
    };
    let managed = record("ssm-managed");
    assert_eq!(managed.member_id(), Some("mi-0123456789abcdef0"));
    assert_eq!(managed.engine.former_registration.as_deref(), Some("mi-00000000000000001"));
    let site = record("puppet").engine.puppet.unwrap();
    assert_eq!(site.ssldir, "/etc/puppetlabs/puppet/ssl");
}

#[test]
fn a_record_that_lacks_what_its_phase_needs_is_damaged() {
    let joined: Value = serde_json::from_str(&text("puppet")).unwrap();
    let with = |name: &str, value: Value| {
        let mut record = joined.clone();
        record[name] = value;
        record.to_string()
    };
    let mut without_schema = joined.clone();
    without_schema.as_object_mut().unwrap().remove("schema");
    for damaged in [
        with("grant", Value::Null),
        text("puppet-watching").replace("\"ticket\": \"", "\"ticket\": null, \"x\": \""),
        with("phase", json!("elsewhere")),
        with("schema", json!(2)),
        with("schema", json!("1")),
        with("surprise", json!(1)),
        with("puppet", json!([])),
        with("attempts", json!(-1)),
        with("installed", json!([{ "what": "a pony", "path": "/p" }])),
        without_schema.to_string(),
        "[]".to_owned(),
        String::new(),
    ] {
        let Err(fault) = Record::parse(&damaged, "/r") else { panic!("read: {damaged}") };
        assert_eq!((fault.kind, fault.on.as_str()), (Kind::Invariant, "/r"), "{damaged}");
    }
}
