//! CreateBackup, DeleteBackup, DescribeBackups, and automated backups.

use enlist_emulator::control::{Fault, FaultKind};
use serde_json::{Value, json};

use super::*;
use crate::Outcome;

const DAY: u64 = 24 * 3600;

fn ids(plane: &mut ControlPlane, seconds: u64, body: &Value) -> Vec<String> {
    let found = ok(plane, seconds, "DescribeBackups", body);
    let rows = found["Backups"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["BackupId"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn while_the_server_is_in_the_backing_up_state_no_additional_backup_can_be_created() {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    assert_eq!(status(&mut plane, 9, "puppet"), "BACKING_UP");
    assert_eq!(backup(&mut plane, 9, &id)["Status"], "IN_PROGRESS");
    assert_eq!(error(&mut plane, 9, "CreateBackup", &named("puppet")), "InvalidStateException");
    assert_eq!(error(&mut plane, 9, "CreateBackup", &named("chef")), "ok", "the other can be");
    assert_eq!(status(&mut plane, 10, "puppet"), "HEALTHY");
    assert_eq!(backup(&mut plane, 10, &id)["Status"], "OK");
    let messages =
        [format!("Backup {id} is complete."), format!("Manual backup {id} has started.")];
    assert_eq!(events(&mut plane, 10, "puppet"), messages);
}

#[test]
fn a_backup_leaves_the_server_in_the_state_it_had() -> Outcome {
    for state in ["RUNNING", "HEALTHY", "UNHEALTHY"] {
        let mut plane = plane();
        plane.opsworks_cm_mut().set_server_status("puppet", state, None)?;
        back_up(&mut plane, 0, "puppet");
        assert_eq!(status(&mut plane, 10, "puppet"), state);
    }
    Ok(())
}

#[test]
fn by_default_you_can_create_a_maximum_of_50_manual_backups() {
    let mut plane = plane();
    for number in 0..50 {
        back_up(&mut plane, number * 10, "puppet");
    }
    assert_eq!(error(&mut plane, 500, "CreateBackup", &named("puppet")), "LimitExceededException");
    let limit = json!({ "Maximum": 50, "Name": "ManualBackupLimit", "Used": 50 });
    let attributes = ok(&mut plane, 500, "DescribeAccountAttributes", &json!({}));
    assert_eq!(attributes["Attributes"][1], limit);
    let first = json!({ "BackupId": "puppet-20250101000000000" });
    ok(&mut plane, 500, "DeleteBackup", &first);
    assert_eq!(error(&mut plane, 509, "CreateBackup", &named("puppet")), "LimitExceededException");
    assert_eq!(error(&mut plane, 510, "CreateBackup", &named("puppet")), "ok");
}

/// "The generated ID of the backup. Example: `myServerName-yyyyMMddHHmmssSSS`"
#[test]
fn backup_ids_are_in_the_format_server_name_and_moment() {
    let mut plane = paper(settings(Times::default()));
    let moment = START.plus(Duration::from_millis(5025));
    let mut made = || body_of(&call(&mut plane, moment, "CreateBackup", &named("puppet")));
    assert_eq!(made()["Backup"]["BackupId"], "puppet-20250101000005025");
    assert_eq!(made()["Backup"]["BackupId"], "puppet-20250101000005026", "of two at one moment");
}

#[test]
fn a_backup_maintains_a_snapshot_of_a_servers_attributes_at_the_time_the_backup_starts() -> Outcome
{
    let mut plane = plane();
    let body = json!({ "ServerName": "puppet", "Description": "at launch" });
    let made = ok(&mut plane, 0, "CreateBackup", &body)["Backup"].clone();
    let server = server(&mut plane, 0, "puppet");
    for name in [
        "Engine",
        "EngineModel",
        "EngineVersion",
        "InstanceProfileArn",
        "InstanceType",
        "KeyPair",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "SecurityGroupIds",
        "ServerName",
        "ServiceRoleArn",
        "SubnetIds",
    ] {
        assert_eq!(made[name], server[name], "{name}");
    }
    assert_eq!(made["BackupType"], "MANUAL");
    assert_eq!(made["Description"], "at launch");
    assert_eq!(made["CreatedAt"].as_f64(), Some(1_735_689_600.0));
    assert_eq!(made["Status"], "IN_PROGRESS");
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    assert!(
        text("BackupArn").starts_with("arn:aws:opsworks-cm:us-east-1:123456789012:backup/puppet-")
    );
    assert!(text("S3LogUrl").starts_with("https://s3."), "{made}");
    assert!(text("UserArn").starts_with("arn:aws:iam::123456789012:user/"), "{made}");
    assert_eq!(made["S3DataSize"], Value::Null, "deprecated and no longer used");
    assert_eq!(made["S3DataUrl"], Value::Null, "deprecated and no longer used");
    ok(
        &mut plane,
        10,
        "UpdateServer",
        &json!({
            "ServerName": "puppet", "PreferredBackupWindow": "05:00",
        }),
    );
    let id = made["BackupId"].as_str().ok_or("no id")?;
    assert_eq!(backup(&mut plane, 10, id)["PreferredBackupWindow"], "02:00");
    Ok(())
}

#[test]
fn a_backup_can_fail_on_demand() {
    let mut plane = plane();
    plane.inject(Fault::new("CreateBackup", FaultKind::Failed).times(1));
    let id = back_up(&mut plane, 0, "puppet");
    let failed = backup(&mut plane, 10, &id);
    assert_eq!(failed["Status"], "FAILED");
    assert!(failed["StatusDescription"].is_string());
    let server = server(&mut plane, 10, "puppet");
    assert_eq!(server["Status"], "HEALTHY");
    assert_eq!(server["StatusReason"], format!("The backup {id} has failed."));
    let restore = json!({ "ServerName": "puppet", "BackupId": id });
    assert_eq!(error(&mut plane, 10, "RestoreServer", &restore), "InvalidStateException");
}

#[test]
fn the_results_are_ordered_by_time_with_newest_backups_first() {
    let mut plane = plane();
    let old = back_up(&mut plane, 0, "puppet");
    let other = back_up(&mut plane, 5, "chef");
    let new = back_up(&mut plane, 20, "puppet");
    // "If you do not specify a BackupId or ServerName, the command returns all backups."
    assert_eq!(ids(&mut plane, 30, &json!({})), [&*new, &*other, &*old]);
    assert_eq!(ids(&mut plane, 30, &named("puppet")), [&*new, &*old]);
    assert_eq!(ids(&mut plane, 30, &named("chef")), [&*other]);
    assert_eq!(ids(&mut plane, 30, &json!({ "BackupId": other })), [&*other]);
    let both = json!({ "BackupId": other, "ServerName": "puppet" });
    assert_eq!(ids(&mut plane, 30, &both), Vec::<String>::new());
    // "This is not currently implemented for `DescribeBackups` requests."
    assert_eq!(ids(&mut plane, 30, &json!({ "MaxResults": 1 })).len(), 3);
    let token = json!({ "NextToken": "x" });
    assert_eq!(error(&mut plane, 30, "DescribeBackups", &token), "InvalidNextTokenException");
}

#[test]
fn an_invalid_state_exception_is_thrown_when_a_backup_deletion_is_already_in_progress() {
    let mut plane = plane();
    let id = json!({ "BackupId": back_up(&mut plane, 0, "puppet") });
    assert_eq!(error(&mut plane, 9, "DeleteBackup", &id), "InvalidStateException", "IN_PROGRESS");
    let response = call(&mut plane, after(10), "DeleteBackup", &id);
    assert_eq!((response.status, response.body.len()), (200, 0), "an empty HTTP body");
    let found = ok(&mut plane, 19, "DescribeBackups", &id);
    assert_eq!(found["Backups"][0]["Status"], "DELETING");
    assert_eq!(error(&mut plane, 19, "DeleteBackup", &id), "InvalidStateException");
    assert_eq!(error(&mut plane, 20, "DescribeBackups", &id), "ResourceNotFoundException");
    assert_eq!(error(&mut plane, 20, "DeleteBackup", &id), "ResourceNotFoundException");
}

#[test]
fn a_deletion_can_fail_on_demand() {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    plane.inject(Fault::new("DeleteBackup", FaultKind::Failed).times(1));
    ok(&mut plane, 10, "DeleteBackup", &json!({ "BackupId": id }));
    assert_eq!(backup(&mut plane, 20, &id)["Status"], "FAILED");
    ok(&mut plane, 20, "DeleteBackup", &json!({ "BackupId": id }));
    assert_eq!(ids(&mut plane, 30, &json!({})), Vec::<String>::new());
}

/// "HH:MM for daily backups": the servers of these tests have 02:00, and ten to keep.
#[test]
fn automated_backups_are_made_when_their_window_comes() {
    let mut plane = plane();
    let two = 2 * 3600;
    assert_eq!(ids(&mut plane, two - 1, &named("puppet")).len(), 0);
    assert_eq!(status(&mut plane, two, "puppet"), "BACKING_UP");
    assert_eq!(status(&mut plane, two + 10, "puppet"), "HEALTHY");
    let made = ok(&mut plane, two + 10, "DescribeBackups", &named("puppet"))["Backups"][0].clone();
    assert_eq!((&made["BackupType"], &made["Status"]), (&json!("AUTOMATED"), &json!("OK")));
    // "This field is empty for automated backups."
    assert_eq!((&made["Description"], &made["UserArn"]), (&Value::Null, &Value::Null));
    assert_eq!(ids(&mut plane, 3 * DAY, &named("puppet")).len(), 3, "nobody need have looked");
}

#[test]
fn the_oldest_backups_are_deleted_if_the_retention_count_is_exceeded() {
    let mut plane = plane();
    let manual = back_up(&mut plane, 0, "puppet");
    ok(
        &mut plane,
        10,
        "UpdateServer",
        &json!({
            "ServerName": "puppet", "BackupRetentionCount": 2,
        }),
    );
    let found = ids(&mut plane, 10 * DAY, &named("puppet"));
    assert_eq!(found.len(), 3);
    assert_eq!(found[..2], ["puppet-20250110020000000", "puppet-20250109020000000"]);
    assert_eq!(found[2], manual, "manual backups do not count");
    assert_eq!(ids(&mut plane, 10 * DAY, &named("chef")).len(), 10, "the other keeps ten");
}

/// "DDD:HH:MM for weekly backups": 2025 began on a Wednesday.
#[test]
fn weekly_windows_come_once_a_week() {
    let mut plane = plane();
    ok(
        &mut plane,
        0,
        "UpdateServer",
        &json!({
            "ServerName": "puppet", "PreferredBackupWindow": "Mon:08:00",
        }),
    );
    let found = ids(&mut plane, 15 * DAY, &named("puppet"));
    assert_eq!(found, ["puppet-20250113080000000", "puppet-20250106080000000"]);
}

#[test]
fn setting_disable_automated_backup_to_true_disables_scheduled_backups() {
    let mut plane = plane();
    let disabled = |disabled: bool| {
        json!({
            "ServerName": "puppet", "DisableAutomatedBackup": disabled,
        })
    };
    ok(&mut plane, 0, "UpdateServer", &disabled(true));
    assert_eq!(ids(&mut plane, 5 * DAY, &named("puppet")).len(), 0);
    ok(&mut plane, 5 * DAY, "UpdateServer", &disabled(false));
    let made = ids(&mut plane, 6 * DAY, &named("puppet"));
    assert_eq!(made, ["puppet-20250106020000000"], "what was missed is not made up for");
}

#[test]
fn a_server_that_cannot_be_backed_up_misses_its_window() -> Outcome {
    let mut plane = plane();
    let healthy_at = Some(after(DAY));
    plane.opsworks_cm_mut().set_server_status("puppet", "CONNECTION_LOST", healthy_at)?;
    assert_eq!(ids(&mut plane, 2 * DAY, &named("puppet")), ["puppet-20250102020000000"]);
    Ok(())
}

/// Moving the clock by years costs no more than two months of backups.
#[test]
fn a_clock_that_jumps_is_no_trouble() {
    let mut plane = plane();
    let began = std::time::Instant::now();
    assert_eq!(ids(&mut plane, 200 * 365 * DAY, &named("puppet")).len(), 10);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
