//! RestoreServer.

use enlist_emulator::control::{Fault, FaultKind};
use serde_json::{Value, json};

use super::*;
use crate::plane::associate;

fn restore(id: &str) -> Value {
    json!({ "ServerName": "puppet", "BackupId": id })
}

fn nodes(plane: &mut ControlPlane, seconds: u64) -> Vec<String> {
    let state = plane.state(after(seconds));
    let rows = state["associations"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["node"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn restore_server_maintains_the_existing_server_endpoint() {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    let before = server(&mut plane, 10, "puppet");
    let response = call(&mut plane, after(10), "RestoreServer", &restore(&id));
    assert_eq!((response.status, response.body.len()), (200, 0), "an empty HTTP body");
    assert_eq!(status(&mut plane, 19, "puppet"), "RESTORING");
    let restored = server(&mut plane, 20, "puppet");
    assert_eq!(restored["Status"], "HEALTHY");
    for name in ["Endpoint", "ServerArn", "Engine", "CreatedAt"] {
        assert_eq!(restored[name], before[name], "{name}");
    }
    let messages = events(&mut plane, 20, "puppet");
    assert_eq!(messages[1], format!("The backup {id} has been restored."));
}

/// "If you do not specify this parameter, `RestoreServer` uses the instance type from the specified
/// backup."
#[test]
fn the_instance_type_and_the_key_pair_are_given_or_the_backups() {
    let mut plane = plane();
    let members = json!({ "Engine": "Puppet", "KeyPair": "old" });
    ok(&mut plane, 0, "CreateServer", &with(&new_server("web"), &members));
    let id = back_up(&mut plane, 10, "web");
    let body = json!({ "ServerName": "web", "BackupId": id });
    let given = with(&body, &json!({ "InstanceType": "t2.medium", "KeyPair": "new" }));
    let pair = |plane: &mut ControlPlane, seconds| {
        let server = server(plane, seconds, "web");
        [&server["InstanceType"], &server["KeyPair"]]
            .map(|it| it.as_str().unwrap_or("-").to_owned())
    };
    ok(&mut plane, 20, "RestoreServer", &given);
    assert_eq!(pair(&mut plane, 30), ["t2.medium", "new"]);
    ok(&mut plane, 30, "RestoreServer", &body);
    assert_eq!(pair(&mut plane, 40), ["m4.large", "old"]);
    for (kind, wanted) in [
        ("m3.medium", "ok"),
        ("c3.large", "ok"),
        ("c4", "ok"),
        ("m5.large", "ValidationException"),
        ("t3.medium", "ValidationException"),
        ("x", "ValidationException"),
        ("", "ValidationException"),
    ] {
        let mut plane = self::plane();
        let id = back_up(&mut plane, 0, "puppet");
        let body = with(&restore(&id), &json!({ "InstanceType": kind }));
        assert_eq!(error(&mut plane, 10, "RestoreServer", &body), wanted, "{kind}");
    }
}

/// AWS's example: "Restoring a server restores connections to the nodes that the server was managing
/// at the time that the specified backup was performed."
#[test]
fn the_server_manages_the_nodes_again_that_it_had_when_the_backup_was_made() {
    let mut plane = plane();
    let node = |name: &str| with(&associate(name, name), &named("puppet"));
    ok(&mut plane, 0, "AssociateNode", &node("kept"));
    ok(&mut plane, 0, "AssociateNode", &node("left"));
    let id = back_up(&mut plane, 0, "puppet");
    let leave = json!({ "ServerName": "puppet", "NodeName": "left" });
    ok(&mut plane, 10, "DisassociateNode", &leave);
    ok(&mut plane, 10, "AssociateNode", &node("new"));
    assert_eq!(nodes(&mut plane, 10), ["kept", "new"]);
    ok(&mut plane, 10, "RestoreServer", &restore(&id));
    assert_eq!(nodes(&mut plane, 19), ["kept", "new"]);
    assert_eq!(nodes(&mut plane, 20), ["kept", "left"]);
}

#[test]
fn a_restore_can_fail_on_demand() {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    plane.inject(Fault::new("RestoreServer", FaultKind::Failed).times(1));
    ok(&mut plane, 10, "RestoreServer", &restore(&id));
    let failed = server(&mut plane, 20, "puppet");
    assert_eq!(failed["Status"], "FAILED");
    assert_eq!(failed["StatusReason"], format!("The backup {id} could not be restored."));
}

#[test]
fn a_backup_must_be_complete_and_of_the_servers_engine() {
    let mut plane = plane();
    let unknown = error(&mut plane, 0, "RestoreServer", &restore("puppet-2025"));
    assert_eq!(unknown, "ResourceNotFoundException");
    let other = back_up(&mut plane, 0, "chef");
    assert_eq!(error(&mut plane, 5, "RestoreServer", &restore(&other)), "InvalidStateException");
    assert_eq!(error(&mut plane, 10, "RestoreServer", &restore(&other)), "ValidationException");
}

/// A server is also restored from TERMINATED: that is what backups are for.
#[test]
fn a_terminated_server_comes_back() -> crate::Outcome {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    assert_eq!(status(&mut plane, 10, "puppet"), "HEALTHY");
    plane.opsworks_cm_mut().set_server_status("puppet", "TERMINATED", None)?;
    ok(&mut plane, 10, "RestoreServer", &restore(&id));
    assert_eq!(status(&mut plane, 20, "puppet"), "HEALTHY");
    Ok(())
}
