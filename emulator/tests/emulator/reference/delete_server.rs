//! DeleteServer.

use enlist_emulator::control::{Fault, FaultKind};
use serde_json::json;

use super::*;
use crate::plane::{associate, status as token_status};

#[test]
fn when_you_run_this_command_the_server_state_is_updated_to_deleting() {
    let mut plane = plane();
    let response = call(&mut plane, START, "DeleteServer", &named("puppet"));
    assert_eq!((response.status, response.body.len()), (200, 0), "an empty HTTP body");
    assert_eq!(status(&mut plane, 9, "puppet"), "DELETING");
}

#[test]
fn after_the_server_is_deleted_it_is_no_longer_returned() {
    let mut plane = plane();
    ok(&mut plane, 0, "DeleteServer", &named("puppet"));
    let names = |plane: &mut ControlPlane, seconds| {
        let found = ok(plane, seconds, "DescribeServers", &json!({}));
        found["Servers"].as_array().map(Vec::len)
    };
    assert_eq!(names(&mut plane, 9), Some(2));
    assert_eq!(names(&mut plane, 10), Some(1));
    assert_eq!(status(&mut plane, 10, "puppet"), "ResourceNotFoundException");
    assert_eq!(
        error(&mut plane, 10, "DeleteServer", &named("puppet")),
        "ResourceNotFoundException"
    );
}

/// "When you delete a server, the server's events are also deleted."
#[test]
fn the_servers_events_are_also_deleted() {
    let mut plane = plane();
    back_up(&mut plane, 0, "puppet");
    ok(&mut plane, 10, "DeleteServer", &named("puppet"));
    assert_eq!(events(&mut plane, 19, "puppet")[0], "The server is being deleted.");
    let gone = error(&mut plane, 20, "DescribeEvents", &named("puppet"));
    assert_eq!(gone, "ResourceNotFoundException");
    ok(
        &mut plane,
        20,
        "CreateServer",
        &with(&new_server("puppet"), &json!({ "Engine": "Puppet" })),
    );
    assert_eq!(events(&mut plane, 20, "puppet"), ["The server is being created."]);
}

#[test]
fn its_nodes_tokens_and_automated_backups_go_with_it_and_manual_backups_stay() {
    let mut plane = plane();
    let node = with(&associate("node", "request"), &named("puppet"));
    ok(&mut plane, 0, "AssociateNode", &node);
    let manual = back_up(&mut plane, 0, "puppet");
    let day = 24 * 3600;
    let all = |plane: &mut ControlPlane, seconds| {
        ok(plane, seconds, "DescribeBackups", &named("puppet"))["Backups"].clone()
    };
    assert_eq!(all(&mut plane, day).as_array().map(Vec::len), Some(2));
    ok(&mut plane, day, "DeleteServer", &named("puppet"));
    let left = all(&mut plane, day + 10);
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    assert_eq!(left[0]["BackupId"], manual);
    assert_eq!(plane.state(after(day + 10))["associations"], json!([]));
    assert_eq!(token_status(&mut plane, after(day + 10), "any"), "ResourceNotFoundException");
}

/// "If the AWS CloudFormation stack cannot be deleted, the server cannot be deleted."
#[test]
fn if_the_cloud_formation_stack_cannot_be_deleted_the_server_cannot_be_deleted() {
    let mut plane = plane();
    plane.inject(Fault::new("DeleteServer", FaultKind::Failed).times(1));
    ok(&mut plane, 0, "DeleteServer", &named("puppet"));
    let left = server(&mut plane, 10, "puppet");
    assert_eq!(left["Status"], "FAILED");
    assert_eq!(left["StatusReason"], "The AWS CloudFormation stack could not be deleted.");
    ok(&mut plane, 10, "DeleteServer", &named("puppet"));
    assert_eq!(status(&mut plane, 20, "puppet"), "ResourceNotFoundException");
}

/// A backup that was being made of it is lost.
#[test]
fn a_server_can_be_deleted_while_it_is_busy() {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    ok(&mut plane, 5, "DeleteServer", &named("puppet"));
    assert_eq!(backup(&mut plane, 5, &id)["Status"], "FAILED");
    assert_eq!(status(&mut plane, 14, "puppet"), "DELETING", "the backup's end is none");
    assert_eq!(status(&mut plane, 15, "puppet"), "ResourceNotFoundException");
    ok(&mut plane, 15, "CreateServer", &with(&new_server("new"), &json!({ "Engine": "Puppet" })));
    ok(&mut plane, 16, "DeleteServer", &named("new"));
    assert_eq!(status(&mut plane, 25, "new"), "DELETING", "its creation is none");
}
