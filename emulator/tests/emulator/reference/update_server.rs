//! UpdateServer and UpdateServerEngineAttributes.

use base64::prelude::{BASE64_STANDARD, Engine};
use enlist_emulator::control::{Fault, FaultKind};
use serde_json::{Value, json};

use super::*;
use crate::{Outcome, openssl};

#[test]
fn updates_settings_for_a_server() {
    let mut plane = plane();
    let members = json!({
        "BackupRetentionCount": 3, "DisableAutomatedBackup": true,
        "PreferredBackupWindow": "Sat:05:30", "PreferredMaintenanceWindow": "Sun:06:00",
    });
    for (name, value) in members.as_object().into_iter().flatten() {
        let before = server(&mut plane, 0, "puppet");
        let body = with(&named("puppet"), &json!({ name: value }));
        let answer = ok(&mut plane, 0, "UpdateServer", &body)["Server"].clone();
        assert_eq!(&answer[name], value, "this operation is synchronous");
        let now = server(&mut plane, 0, "puppet");
        assert_eq!(now, with(&before, &json!({ name: value })), "and changes nothing else");
    }
    assert_eq!(error(&mut plane, 0, "UpdateServer", &named("puppet")), "ok", "all are optional");
}

/// "DDD:HH:MM (weekly start time) or HH:MM (daily start time)", of both windows.
#[test]
fn both_windows_are_weekly_or_daily() {
    for name in ["PreferredBackupWindow", "PreferredMaintenanceWindow"] {
        for window in ["08:00", "Mon:08:00"] {
            let body = with(&named("puppet"), &json!({ name: window }));
            let answer = ok(&mut plane(), 0, "UpdateServer", &body);
            assert_eq!(answer["Server"][name], window);
        }
    }
}

fn update(server: &str, name: &str, value: Option<&str>) -> Value {
    json!({ "ServerName": server, "AttributeName": name, "AttributeValue": value })
}

#[test]
fn the_server_enters_the_modifying_state_and_only_one_update_can_occur_at_a_time() {
    let mut plane = plane();
    let body = update("puppet", "PUPPET_ADMIN_PASSWORD", Some("new password"));
    let answer = ok(&mut plane, 0, "UpdateServerEngineAttributes", &body);
    assert_eq!(answer["Server"]["Status"], "MODIFYING");
    assert!(!answer.to_string().contains("new password"), "it is not told again");
    let again = error(&mut plane, 9, "UpdateServerEngineAttributes", &body);
    assert_eq!(again, "InvalidStateException");
    assert_eq!(status(&mut plane, 10, "puppet"), "HEALTHY");
    assert_eq!(error(&mut plane, 10, "UpdateServerEngineAttributes", &body), "ok");
}

#[test]
fn you_can_use_this_command_to_reset_a_chef_servers_public_key() -> Outcome {
    let public = openssl::public_key("rsa", openssl::key(1))?;
    let value = BASE64_STANDARD.encode(&public);
    for name in ["CHEF_PIVOTAL_KEY", "CHEF_AUTOMATE_PIVOTAL_KEY"] {
        let mut plane = plane();
        let body = update("chef", name, Some(&value));
        let answer = ok(&mut plane, 0, "UpdateServerEngineAttributes", &body);
        assert_eq!(answer["Server"]["EngineAttributes"], one(name, &value));
        let key = |plane: &ControlPlane| plane.opsworks_cm().servers()["chef"].pivotal_key.clone();
        assert_eq!(key(&plane), None);
        assert_eq!(status(&mut plane, 10, "chef"), "HEALTHY");
        assert_eq!(key(&plane), Some(pem::parse(&public)?.into_contents()), "when it is over");
    }
    Ok(())
}

/// "The value to set for the attribute. Required: No": one is made then.
#[test]
fn without_a_value_one_is_made_and_told() -> Outcome {
    let mut plane = signing_plane()?;
    let told = |plane: &mut ControlPlane, server: &str, name: &str| {
        let body = update(server, name, None);
        let answer = ok(plane, 0, "UpdateServerEngineAttributes", &body);
        attribute(&answer["Server"]["EngineAttributes"], name).ok_or("not told")
    };
    assert_eq!(told(&mut plane, "puppet", "PUPPET_ADMIN_PASSWORD")?.len(), 16);
    let key = BASE64_STANDARD.decode(told(&mut plane, "chef", "CHEF_PIVOTAL_KEY")?)?;
    let public = openssl::public_key("rsa", &String::from_utf8(key)?)?;
    assert_eq!(status(&mut plane, 10, "chef"), "HEALTHY");
    let known = plane.opsworks_cm().servers()["chef"].pivotal_key.clone();
    assert_eq!(known, Some(pem::parse(public)?.into_contents()));
    Ok(())
}

#[test]
fn other_attributes_and_other_values_are_not_valid() {
    for (server, name, value) in [
        ("puppet", "CHEF_PIVOTAL_KEY", Some("x")),
        ("puppet", "PUPPET_R10K_REMOTE", Some("https://h/r")),
        ("puppet", "PUPPET_ADMIN_PASSWORD", Some("")),
        ("puppet", "PUPPET_ADMIN_PASSWORD", Some("passwörd")),
        ("chef", "PUPPET_ADMIN_PASSWORD", Some("x")),
        ("chef", "CHEF_DELIVERY_ADMIN_PASSWORD", Some("aA1!xxxx")),
        ("chef", "CHEF_PIVOTAL_KEY", Some("new key value")),
        ("chef", "CHEF_PIVOTAL_KEY", Some("")),
        ("chef", "X", None),
    ] {
        let mut plane = plane();
        let body = update(server, name, value);
        let found = error(&mut plane, 0, "UpdateServerEngineAttributes", &body);
        assert_eq!(found, "ValidationException", "{server} {name}");
        assert_eq!(status(&mut plane, 0, server), "HEALTHY", "nothing has begun");
    }
}

#[test]
fn an_update_can_fail_on_demand() {
    let mut plane = plane();
    plane.inject(Fault::new("UpdateServerEngineAttributes", FaultKind::Failed).times(1));
    let body = update("puppet", "PUPPET_ADMIN_PASSWORD", Some("x"));
    ok(&mut plane, 0, "UpdateServerEngineAttributes", &body);
    assert_eq!(status(&mut plane, 10, "puppet"), "UNHEALTHY");
    ok(&mut plane, 10, "UpdateServerEngineAttributes", &body);
    assert_eq!(status(&mut plane, 20, "puppet"), "UNHEALTHY", "the state it had");
}
