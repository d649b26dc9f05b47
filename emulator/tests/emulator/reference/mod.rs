//! The reference of OpsWorks CM (API version 2016-11-01, of April 2019), action by action. Tests have
//! the reference's sentences as their names, so that the two can be read side by side.

mod associate_node;
mod backups;
mod create_server;
mod create_server_attributes;
mod delete_server;
mod describe_events;
mod describe_servers;
mod export_server_engine_attribute;
mod maintenance;
mod members;
mod members_of_create_server;
mod restore_server;
mod starter_kits;
mod states;
mod tags;
mod update_server;

use std::time::Duration;

use enlist_emulator::ca::SigningCa;
use enlist_emulator::control::{
    ControlPlane, ControlSettings, OpsWorksCmSettings, ServerSpec, Span, Times,
};
use enlist_emulator::now::Now;
use serde_json::{Value, json};

use super::plane::{START, call, json as body_of, paper, verdict};

/// The moment so many seconds after the start.
fn after(seconds: u64) -> Now {
    START.plus(Duration::from_secs(seconds))
}

/// Every change takes ten seconds.
fn ten_seconds() -> Times {
    let ten = Span::Time(Duration::from_secs(10));
    Times {
        creation: ten,
        backup: ten,
        restore: ten,
        maintenance: ten,
        update: ten,
        deletion: ten,
        backup_deletion: ten,
    }
}

/// A plane with the healthy servers `puppet` and `chef`, where every change takes ten seconds.
fn plane() -> ControlPlane {
    paper(settings(ten_seconds()))
}

/// The same with a CA that makes real certificates.
fn signing_plane() -> Result<ControlPlane, Box<dyn std::error::Error>> {
    let ca = SigningCa::shared(START, "puppet-test")?;
    Ok(ControlPlane::new(settings(ten_seconds()), Box::new(ca), START))
}

fn settings(times: Times) -> ControlSettings {
    let specs = ["name=puppet", "name=chef,engine=Chef"];
    let servers = specs.map(|spec| spec.parse::<ServerSpec>().expect("a server"));
    let opsworks_cm =
        OpsWorksCmSettings { servers: servers.to_vec(), times, ..OpsWorksCmSettings::default() };
    ControlSettings { throttle: None, opsworks_cm, ..ControlSettings::default() }
}

/// What an action answers that must succeed, so many seconds after the start.
fn ok(plane: &mut ControlPlane, seconds: u64, action: &str, body: &Value) -> Value {
    let response = call(plane, after(seconds), action, body);
    assert_eq!(verdict(&response), ("ok".to_owned(), String::new()), "{action} {body}");
    assert_eq!(response.status, 200, "{action}");
    body_of(&response)
}

/// The error that an action answers, or `ok`.
fn error(plane: &mut ControlPlane, seconds: u64, action: &str, body: &Value) -> String {
    let response = call(plane, after(seconds), action, body);
    let (error, message) = verdict(&response);
    assert_eq!(response.status, if error == "ok" { 200 } else { 400 }, "{action}");
    assert_eq!(error != "ok", !message.is_empty(), "{action}: an error says why");
    error
}

/// The least that creates a server.
fn new_server(name: &str) -> Value {
    json!({
        "ServerName": name,
        "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/aws-opsworks-cm-ec2-role",
        "InstanceType": "m4.large",
        "ServiceRoleArn": "arn:aws:iam::123456789012:role/aws-opsworks-cm-service-role",
    })
}

/// `body` with more members, or others.
fn with(body: &Value, members: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in members.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn named(server: &str) -> Value {
    json!({ "ServerName": server })
}

/// A server, as `DescribeServers` shows it.
fn server(plane: &mut ControlPlane, seconds: u64, name: &str) -> Value {
    ok(plane, seconds, "DescribeServers", &named(name))["Servers"][0].clone()
}

/// A server's status, or the error.
fn status(plane: &mut ControlPlane, seconds: u64, name: &str) -> String {
    let response = call(plane, after(seconds), "DescribeServers", &named(name));
    match body_of(&response)["Servers"][0]["Status"].as_str() {
        Some(status) => status.to_owned(),
        None => verdict(&response).0,
    }
}

/// Makes a manual backup that takes ten seconds; its identifier.
fn back_up(plane: &mut ControlPlane, seconds: u64, server: &str) -> String {
    let backup = ok(plane, seconds, "CreateBackup", &named(server));
    backup["Backup"]["BackupId"].as_str().unwrap_or_default().to_owned()
}

/// A backup, as `DescribeBackups` shows it.
fn backup(plane: &mut ControlPlane, seconds: u64, id: &str) -> Value {
    ok(plane, seconds, "DescribeBackups", &json!({ "BackupId": id }))["Backups"][0].clone()
}

/// The messages of a server's events, newest first.
fn events(plane: &mut ControlPlane, seconds: u64, server: &str) -> Vec<String> {
    let events = ok(plane, seconds, "DescribeEvents", &named(server));
    let rows = events["ServerEvents"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["Message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The value of an engine attribute in a list of them.
fn attribute(list: &Value, name: &str) -> Option<String> {
    let found = list.as_array()?.iter().find(|attribute| attribute["Name"] == name)?;
    found["Value"].as_str().map(str::to_owned)
}

/// One engine attribute.
fn one(name: &str, value: &str) -> Value {
    json!([{ "Name": name, "Value": value }])
}
