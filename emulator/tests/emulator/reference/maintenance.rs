//! StartMaintenance, and maintenance by its window.

use enlist_emulator::control::{Fault, FaultKind};
use serde_json::{Value, json};

use super::*;

#[test]
fn the_server_is_in_an_under_maintenance_state_while_maintenance_is_in_progress() {
    let mut plane = plane();
    let answer = ok(&mut plane, 0, "StartMaintenance", &named("puppet"));
    assert_eq!(answer["Server"]["Status"], "UNDER_MAINTENANCE");
    assert_eq!(answer["Server"]["ServerName"], "puppet");
    assert_eq!(status(&mut plane, 9, "puppet"), "UNDER_MAINTENANCE");
    let done = server(&mut plane, 10, "puppet");
    assert_eq!(
        (&done["Status"], &done["MaintenanceStatus"]),
        (&json!("HEALTHY"), &json!("SUCCESS"))
    );
    let messages = ["Updates successfully installed.", "Maintenance has started."];
    assert_eq!(events(&mut plane, 10, "puppet"), messages);
}

/// "This command can be useful if an earlier maintenance attempt failed, and the underlying cause of
/// maintenance failure has been resolved."
#[test]
fn the_status_of_the_most_recent_maintenance_run_shows_success_or_failed() {
    let mut plane = plane();
    plane.inject(Fault::new("StartMaintenance", FaultKind::Failed).times(1));
    ok(&mut plane, 0, "StartMaintenance", &named("puppet"));
    let failed = server(&mut plane, 10, "puppet");
    assert_eq!(failed["Status"], "UNHEALTHY");
    assert_eq!(failed["MaintenanceStatus"], "FAILED");
    assert_eq!(failed["StatusReason"], "Maintenance has failed.");
    ok(&mut plane, 10, "StartMaintenance", &named("puppet"));
    let done = server(&mut plane, 20, "puppet");
    assert_eq!(
        (&done["Status"], &done["MaintenanceStatus"]),
        (&json!("HEALTHY"), &json!("SUCCESS"))
    );
    assert_eq!(done["StatusReason"], Value::Null);
}

/// The servers of these tests have Mon:03:00; the first Monday of 2025 is 6 January.
#[test]
fn maintenance_is_performed_each_week_in_its_window() {
    let mut plane = plane();
    let monday = 5 * 24 * 3600 + 3 * 3600;
    assert_eq!(status(&mut plane, monday - 1, "puppet"), "HEALTHY");
    assert_eq!(status(&mut plane, monday, "puppet"), "UNDER_MAINTENANCE");
    assert_eq!(status(&mut plane, monday + 10, "puppet"), "HEALTHY");
    let weeks = 7 * 24 * 3600;
    let messages = events(&mut plane, monday + 3 * weeks + 10, "puppet");
    let count = messages.iter().filter(|message| *message == "Maintenance has started.").count();
    assert_eq!(count, 4);
}

#[test]
fn engine_attributes_are_those_of_the_engine() {
    let with_attribute = |server: &str, name: &str, value: &str| {
        with(&named(server), &json!({ "EngineAttributes": one(name, value) }))
    };
    for (server, name, value, wanted) in [
        ("chef", "CHEF_MAJOR_UPGRADE", "true", "ok"),
        ("chef", "CHEF_MAJOR_UPGRADE", "yes", "ValidationException"),
        ("chef", "X", "true", "ValidationException"),
        ("puppet", "CHEF_MAJOR_UPGRADE", "true", "ValidationException"),
    ] {
        let body = with_attribute(server, name, value);
        assert_eq!(error(&mut plane(), 0, "StartMaintenance", &body), wanted, "{server} {name}");
    }
}
