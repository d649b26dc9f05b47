//! Every documented constraint of every member of the actions on servers and backups: at its limit,
//! and one past.

use serde_json::{Value, json};

use super::*;
use crate::client::TARGET;
use crate::rows::{INVALID, NOT_FOUND, NULL, OK, Row, TYPE, check, of};

pub(super) const LONG: &str = "Member must have length less than or equal to";
pub(super) const PATTERN: &str = "Member must satisfy regular expression pattern";
const LEAST: &str = "Member must have value greater than or equal to 1";

/// Sends `base` once for each row to a plane of its own.
pub(super) fn rows(action: &str, base: &Value, rows: Vec<Row>) {
    for row in rows {
        let mut plane = paper(settings(Times::default()));
        back_up(&mut plane, 0, "puppet");
        check(&mut plane, (TARGET, action), base, &[row]);
    }
}

/// The rows of `ServerName`; `good` is what one gets that is valid and of no server.
pub(super) fn server_name(good: &'static str, missing: &'static str) -> Vec<Row> {
    let null = if missing == OK { "" } else { NULL };
    of(
        "ServerName",
        [
            (json!("z"), good, ""),
            (json!("z".repeat(40)), good, ""),
            (json!("z".repeat(41)), INVALID, LONG),
            (json!(""), INVALID, "greater than or equal to 1"),
            (json!("1z"), INVALID, PATTERN),
            (json!("z_"), INVALID, PATTERN),
            (json!("zé"), INVALID, PATTERN),
            (json!("z\n"), INVALID, PATTERN),
            (Value::Null, missing, null),
            (json!(7), TYPE, "can not be converted to a String"),
        ],
    )
}

/// The rows of a string whose only constraint is the model's longest.
pub(super) fn text(member: &'static str, base_value: &str) -> Vec<Row> {
    let padded =
        |length: usize| json!(format!("{base_value}{}", "x".repeat(length - base_value.len())));
    of(
        member,
        [
            (padded(10_000), OK, ""),
            (padded(10_001), INVALID, LONG),
            (json!(1), TYPE, "NUMBER_VALUE can not be converted to a String"),
        ],
    )
}

pub(super) fn optional_text(member: &'static str, base_value: &str) -> Vec<Row> {
    let mut rows = text(member, base_value);
    rows.push((member, Value::Null, OK, ""));
    rows
}

pub(super) fn boolean(member: &'static str) -> Vec<Row> {
    of(
        member,
        [
            (json!(true), OK, ""),
            (json!(false), OK, ""),
            (Value::Null, OK, ""),
            (json!("true"), TYPE, "STRING_VALUE can not be converted to a Boolean"),
            (json!(1), TYPE, "NUMBER_VALUE can not be converted to a Boolean"),
        ],
    )
}

pub(super) fn at_least_one(member: &'static str) -> Vec<Row> {
    of(
        member,
        [
            (json!(1), OK, ""),
            (json!(i32::MAX), OK, ""),
            (Value::Null, OK, ""),
            (json!(0), INVALID, LEAST),
            (json!(-1), INVALID, LEAST),
            (json!(2_147_483_648_u32), TYPE, "can not be converted to an Integer"),
            (json!(1.5), TYPE, "DECIMAL_VALUE can not be converted to an Integer"),
            (json!("1"), TYPE, "STRING_VALUE can not be converted to an Integer"),
        ],
    )
}

pub(super) fn window(member: &'static str) -> Vec<Row> {
    let mut rows = of(
        member,
        [
            (json!("Mon:00:00"), OK, ""),
            (json!("Sun:23:59"), OK, ""),
            (Value::Null, OK, ""),
            (json!(""), INVALID, PATTERN),
            (json!("24:00"), INVALID, PATTERN),
            (json!("23:60"), INVALID, PATTERN),
            (json!("8:00"), INVALID, PATTERN),
            (json!("Thr:08:00"), INVALID, PATTERN),
            (json!("MON:08:00"), INVALID, PATTERN),
            (json!("Mon:08:00\n"), INVALID, PATTERN),
            (json!(800), TYPE, "can not be converted to a String"),
        ],
    );
    rows.push((member, json!("x".repeat(10_001)), INVALID, LONG));
    rows
}

pub(super) fn texts(member: &'static str) -> Vec<Row> {
    of(
        member,
        [
            (json!([]), OK, ""),
            (json!(["x", "y".repeat(10_000)]), OK, ""),
            (json!(["y".repeat(10_001)]), INVALID, LONG),
            (Value::Null, OK, ""),
            (json!("x"), TYPE, "STRING_VALUE can not be converted to a List"),
            (json!([1]), TYPE, "NUMBER_VALUE can not be converted to a String"),
        ],
    )
}

pub(super) fn attributes(member: &'static str) -> Vec<Row> {
    of(
        member,
        [
            (json!([]), OK, ""),
            (Value::Null, OK, ""),
            (one(&"x".repeat(10_001), "v"), INVALID, LONG),
            (one("x", &"v".repeat(10_001)), INVALID, LONG),
            (one("x", "v"), INVALID, "x"),
            (json!({}), TYPE, "START_OBJECT can not be converted to a List"),
            (json!([1]), TYPE, "NUMBER_VALUE can not be converted to a structure"),
        ],
    )
}

fn backup_id(good: &'static str) -> Vec<Row> {
    of(
        "BackupId",
        [
            (json!("puppet-20250101000000000"), good, ""),
            (json!("z".repeat(79)), NOT_FOUND, "z"),
            (json!("z-2016-11-22T16:13:27.998Z"), NOT_FOUND, ""),
            (json!("z".repeat(80)), INVALID, LONG),
            (json!("1z"), INVALID, PATTERN),
            (json!("z_"), INVALID, PATTERN),
            (json!(""), INVALID, PATTERN),
            (json!([]), TYPE, "can not be converted to a String"),
        ],
    )
}

#[test]
fn create_backup() {
    rows("CreateBackup", &named("puppet"), server_name(NOT_FOUND, INVALID));
    rows("CreateBackup", &named("puppet"), optional_text("Description", ""));
}

#[test]
fn delete_backup() {
    let base = json!({ "BackupId": "puppet-20250101000000000" });
    rows("DeleteBackup", &base, backup_id(OK));
    rows("DeleteBackup", &base, of("BackupId", [(Value::Null, INVALID, NULL)]));
}

#[test]
fn delete_server() {
    rows("DeleteServer", &named("puppet"), server_name(NOT_FOUND, INVALID));
}

#[test]
fn describe_backups() {
    rows("DescribeBackups", &json!({}), server_name(OK, OK));
    rows("DescribeBackups", &json!({}), backup_id(OK));
    rows("DescribeBackups", &json!({}), at_least_one("MaxResults"));
    rows(
        "DescribeBackups",
        &json!({}),
        of(
            "NextToken",
            [
                (json!("x"), "InvalidNextTokenException", ""),
                (json!("x".repeat(10_001)), INVALID, LONG),
                (Value::Null, OK, ""),
            ],
        ),
    );
}

#[test]
fn describe_events() {
    rows("DescribeEvents", &named("puppet"), server_name(NOT_FOUND, INVALID));
    rows("DescribeEvents", &named("puppet"), at_least_one("MaxResults"));
    rows(
        "DescribeEvents",
        &named("puppet"),
        of(
            "NextToken",
            [
                (json!("x"), "InvalidNextTokenException", ""),
                (json!("x".repeat(10_001)), INVALID, LONG),
                (Value::Null, OK, ""),
            ],
        ),
    );
}

#[test]
fn export_server_engine_attribute() {
    let base = json!({ "ServerName": "puppet", "ExportAttributeName": "Userdata" });
    let action = "ExportServerEngineAttribute";
    rows(action, &base, server_name(NOT_FOUND, INVALID));
    rows(action, &base, attributes("InputAttributes"));
    rows(
        action,
        &base,
        of(
            "ExportAttributeName",
            [
                (Value::Null, INVALID, NULL),
                (json!("x".repeat(10_001)), INVALID, LONG),
                (json!(1), TYPE, "can not be converted to a String"),
            ],
        ),
    );
}

#[test]
fn restore_server() {
    let base = json!({ "ServerName": "puppet", "BackupId": "puppet-20250101000000000" });
    rows("RestoreServer", &base, server_name(NOT_FOUND, INVALID));
    rows("RestoreServer", &base, backup_id(OK));
    rows("RestoreServer", &base, of("BackupId", [(Value::Null, INVALID, NULL)]));
    rows("RestoreServer", &base, optional_text("KeyPair", ""));
    rows("RestoreServer", &base, optional_text("InstanceType", "m4."));
}

#[test]
fn start_maintenance() {
    rows("StartMaintenance", &named("puppet"), server_name(NOT_FOUND, INVALID));
    rows("StartMaintenance", &named("puppet"), attributes("EngineAttributes"));
}

#[test]
fn update_server() {
    rows("UpdateServer", &named("puppet"), server_name(NOT_FOUND, INVALID));
    rows("UpdateServer", &named("puppet"), at_least_one("BackupRetentionCount"));
    rows("UpdateServer", &named("puppet"), boolean("DisableAutomatedBackup"));
    rows("UpdateServer", &named("puppet"), window("PreferredBackupWindow"));
    rows("UpdateServer", &named("puppet"), window("PreferredMaintenanceWindow"));
}

#[test]
fn update_server_engine_attributes() {
    let base = json!({
        "ServerName": "puppet", "AttributeName": "PUPPET_ADMIN_PASSWORD", "AttributeValue": "x",
    });
    let action = "UpdateServerEngineAttributes";
    rows(action, &base, server_name(NOT_FOUND, INVALID));
    rows(action, &base, text("AttributeValue", ""));
    rows(
        action,
        &base,
        of(
            "AttributeName",
            [
                (json!("A".repeat(64)), INVALID, "cannot be changed"),
                (json!("A".repeat(65)), INVALID, LONG),
                (json!(""), INVALID, "greater than or equal to 1"),
                (json!("1A"), INVALID, PATTERN),
                (json!("_A"), INVALID, PATTERN),
                (json!("a"), INVALID, PATTERN),
                (json!("A-B"), INVALID, PATTERN),
                (Value::Null, INVALID, NULL),
                (json!(1), TYPE, "can not be converted to a String"),
            ],
        ),
    );
}

#[test]
fn tags() {
    let arn = server(&mut paper(settings(Times::default())), 0, "puppet")["ServerArn"].clone();
    let base = json!({ "ResourceArn": arn, "Tags": [], "TagKeys": [] });
    for action in ["TagResource", "UntagResource", "ListTagsForResource"] {
        rows(
            action,
            &base,
            of(
                "ResourceArn",
                [
                    (json!("arn:aws:opsworks-cm:x:123456789012:y"), NOT_FOUND, ""),
                    (json!("arn:aws:opsworks-cm:x:12345678901:y"), INVALID, PATTERN),
                    (json!("arn:aws:opsworks:x:123456789012:y"), INVALID, PATTERN),
                    (json!("x"), INVALID, PATTERN),
                    (Value::Null, INVALID, NULL),
                ],
            ),
        );
    }
    let same = |count: usize| -> Value { (0..count).map(|_| one_tag()).collect() };
    rows(
        "TagResource",
        &base,
        of(
            "Tags",
            [
                (same(200), OK, ""),
                (same(201), INVALID, LONG),
                (Value::Null, INVALID, NULL),
                (json!([{ "Key": "k" }]), INVALID, NULL),
                (json!([{ "Value": "v" }]), INVALID, NULL),
            ],
        ),
    );
    rows(
        "UntagResource",
        &base,
        of(
            "TagKeys",
            [
                (json!(vec!["k"; 200]), OK, ""),
                (json!(vec!["k"; 201]), INVALID, LONG),
                (json!([""]), INVALID, "greater than or equal to 1"),
                (json!(["k".repeat(129)]), INVALID, LONG),
                (Value::Null, INVALID, NULL),
            ],
        ),
    );
    rows("ListTagsForResource", &base, at_least_one("MaxResults"));
}

fn one_tag() -> Value {
    json!({ "Key": "k", "Value": "v" })
}
