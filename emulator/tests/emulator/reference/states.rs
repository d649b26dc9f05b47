//! Who may do what in which of the 13 states of a server.

use enlist_emulator::control::{ControlPlane, STATUSES};
use serde_json::{Value, json};

use super::*;
use crate::Outcome;
use crate::plane::associate;

/// The states in which an action is allowed: every other one gets `InvalidStateException`.
fn check(action: &str, body: &Value, allowed: &[&str]) -> Outcome {
    for state in STATUSES {
        let mut plane = plane();
        prepare(&mut plane);
        plane.opsworks_cm_mut().set_server_status("puppet", state, None)?;
        let wanted = if allowed.contains(&state) { "ok" } else { "InvalidStateException" };
        assert_eq!(error(&mut plane, 100, action, body), wanted, "{action} in {state}");
        let unchanged = wanted == "ok" || status(&mut plane, 100, "puppet") == state;
        assert!(unchanged, "a refused {action} changes nothing in {state}");
    }
    Ok(())
}

/// A node and a complete backup, whose identifier is `puppet-20250101000000000`.
fn prepare(plane: &mut ControlPlane) {
    let node = with(&associate("node", "request"), &named("puppet"));
    ok(plane, 0, "AssociateNode", &node);
    back_up(plane, 0, "puppet");
    assert_eq!(status(plane, 10, "puppet"), "HEALTHY");
}

const BACKUP: &str = "puppet-20250101000000000";

#[test]
fn a_node_can_only_be_associated_with_servers_that_are_in_a_healthy_state() -> Outcome {
    let body = with(&associate("other", "other request"), &named("puppet"));
    check("AssociateNode", &body, &["HEALTHY"])
}

#[test]
fn a_node_can_only_be_disassociated_from_a_server_that_is_in_a_healthy_state() -> Outcome {
    let body = json!({ "ServerName": "puppet", "NodeName": "node" });
    check("DisassociateNode", &body, &["HEALTHY"])
}

#[test]
fn backups_can_be_created_for_servers_in_running_healthy_and_unhealthy_states() -> Outcome {
    check("CreateBackup", &named("puppet"), &["RUNNING", "HEALTHY", "UNHEALTHY"])
}

#[test]
fn an_invalid_state_exception_is_thrown_when_a_server_deletion_is_already_in_progress() -> Outcome {
    let all_but_one: Vec<_> = STATUSES.into_iter().filter(|state| *state != "DELETING").collect();
    check("DeleteServer", &named("puppet"), &all_but_one)
}

#[test]
fn an_invalid_state_exception_is_thrown_when_the_server_is_creating_terminated_failed_or_deleting()
-> Outcome {
    let excluded = ["CREATING", "TERMINATED", "FAILED", "DELETING"];
    let allowed: Vec<_> = STATUSES.into_iter().filter(|state| !excluded.contains(state)).collect();
    let body = json!({ "ServerName": "puppet", "ExportAttributeName": "Userdata" });
    check("ExportServerEngineAttribute", &body, &allowed)
}

#[test]
fn restores_a_backup_to_a_connection_lost_healthy_running_unhealthy_or_terminated_server() -> Outcome
{
    let allowed = ["CONNECTION_LOST", "HEALTHY", "RUNNING", "UNHEALTHY", "TERMINATED"];
    let body = json!({ "ServerName": "puppet", "BackupId": BACKUP });
    check("RestoreServer", &body, &allowed)
}

#[test]
fn maintenance_can_only_be_started_on_servers_in_healthy_and_unhealthy_states() -> Outcome {
    check("StartMaintenance", &named("puppet"), &["HEALTHY", "UNHEALTHY"])
}

#[test]
fn engine_attributes_can_only_be_updated_in_healthy_or_unhealthy_states() -> Outcome {
    let body = json!({
        "ServerName": "puppet", "AttributeName": "PUPPET_ADMIN_PASSWORD", "AttributeValue": "x",
    });
    check("UpdateServerEngineAttributes", &body, &["HEALTHY", "UNHEALTHY"])
}

/// "While the server is in the `BACKING_UP` state, the server cannot be changed." The other four are
/// the emulator's choice: those in which nothing can be exported.
#[test]
fn while_the_server_is_in_the_backing_up_state_the_server_cannot_be_changed() -> Outcome {
    let excluded = ["BACKING_UP", "CREATING", "TERMINATED", "FAILED", "DELETING"];
    let allowed: Vec<_> = STATUSES.into_iter().filter(|state| !excluded.contains(state)).collect();
    let body = json!({ "ServerName": "puppet", "BackupRetentionCount": 2 });
    check("UpdateServer", &body, &allowed)
}

/// What only looks is allowed in every state.
#[test]
fn describing_is_allowed_in_every_state() -> Outcome {
    for action in ["DescribeServers", "DescribeEvents", "DescribeBackups"] {
        check(action, &named("puppet"), &STATUSES)?;
    }
    Ok(())
}

/// A resource that does not exist is one in no state.
#[test]
fn a_resource_not_found_exception_is_thrown_when_the_server_does_not_exist() {
    let mut plane = plane();
    let one = json!({
        "ServerName": "nobody", "NodeName": "node", "BackupId": BACKUP, "AttributeName": "X",
        "ExportAttributeName": "Userdata", "NodeAssociationStatusToken": "token",
        "EngineAttributes": [],
    });
    for action in [
        "AssociateNode",
        "CreateBackup",
        "DeleteBackup",
        "DeleteServer",
        "DescribeBackups",
        "DescribeEvents",
        "DescribeNodeAssociationStatus",
        "DescribeServers",
        "DisassociateNode",
        "ExportServerEngineAttribute",
        "RestoreServer",
        "StartMaintenance",
        "UpdateServer",
        "UpdateServerEngineAttributes",
    ] {
        assert_eq!(error(&mut plane, 0, action, &one), "ResourceNotFoundException", "{action}");
    }
}
