//! CreateServer, but for its engine attributes.

use enlist_emulator::control::{Fault, FaultKind, Span};
use serde_json::{Value, json};

use super::*;
use crate::Outcome;

fn create(plane: &mut ControlPlane, seconds: u64, name: &str, members: &Value) -> Value {
    let body = with(&new_server(name), members);
    ok(plane, seconds, "CreateServer", &body)["Server"].clone()
}

#[test]
fn creates_and_immediately_starts_a_new_server_that_is_ready_when_it_is_healthy() {
    let mut plane = plane();
    let made = create(&mut plane, 0, "web", &json!({ "Engine": "Puppet" }));
    assert_eq!((&made["ServerName"], &made["Status"]), (&json!("web"), &json!("CREATING")));
    assert_eq!(status(&mut plane, 9, "web"), "CREATING");
    assert_eq!(status(&mut plane, 10, "web"), "HEALTHY");
    let begun = ["The server is being created."];
    let ended = ["The health check has succeeded.", "The server has been created."];
    assert_eq!(events(&mut plane, 10, "web"), [&ended[..], &begun].concat());
}

#[test]
fn the_server_can_fail_on_demand() {
    let mut plane = plane();
    plane.inject(Fault::new("CreateServer", FaultKind::Failed).times(1));
    create(&mut plane, 0, "web", &json!({ "Engine": "Puppet" }));
    assert_eq!(status(&mut plane, 9, "web"), "CREATING");
    let failed = server(&mut plane, 10, "web");
    assert_eq!(failed["Status"], "FAILED");
    assert_eq!(failed["StatusReason"], "The server could not be created.");
    assert_eq!(error(&mut plane, 10, "DeleteServer", &named("web")), "ok");
}

/// `--creation-time 3calls`: for tools that are tested without waiting.
#[test]
fn the_server_can_be_ready_after_so_many_calls() {
    let times = Times { creation: Span::Calls(3), ..Times::default() };
    let mut plane = paper(settings(times));
    create(&mut plane, 0, "web", &json!({ "Engine": "Puppet" }));
    let seen: Vec<_> = (0..5).map(|_| status(&mut plane, 0, "web")).collect();
    assert_eq!(seen, ["CREATING", "CREATING", "CREATING", "HEALTHY", "HEALTHY"]);
}

#[test]
fn by_default_you_can_create_a_maximum_of_10_servers() {
    let mut plane = plane();
    for number in 0..8 {
        create(&mut plane, 0, &format!("s{number}"), &json!({ "Engine": "Puppet" }));
    }
    let one_more = with(&new_server("more"), &json!({ "Engine": "Puppet" }));
    assert_eq!(error(&mut plane, 0, "CreateServer", &one_more), "LimitExceededException");
    let limit = json!({ "Maximum": 10, "Name": "ServerLimit", "Used": 10 });
    let attributes = ok(&mut plane, 0, "DescribeAccountAttributes", &json!({}));
    assert_eq!(attributes["Attributes"][0], limit);
    ok(&mut plane, 0, "DeleteServer", &named("s0"));
    assert_eq!(error(&mut plane, 9, "CreateServer", &one_more), "LimitExceededException");
    assert_eq!(error(&mut plane, 10, "CreateServer", &one_more), "ok");
}

#[test]
fn a_resource_already_exists_exception_is_thrown_when_a_server_with_the_same_name_exists() {
    let mut plane = plane();
    let body = with(&new_server("puppet"), &json!({ "Engine": "Puppet" }));
    assert_eq!(error(&mut plane, 0, "CreateServer", &body), "ResourceAlreadyExistsException");
    ok(&mut plane, 0, "DeleteServer", &named("puppet"));
    assert_eq!(error(&mut plane, 9, "CreateServer", &body), "ResourceAlreadyExistsException");
    assert_eq!(error(&mut plane, 10, "CreateServer", &body), "ok");
}

#[test]
fn the_defaults_are_the_documented_ones() -> Outcome {
    let mut plane = plane();
    let made = create(&mut plane, 0, "web", &json!({ "Engine": "Puppet" }));
    assert_eq!(made["AssociatePublicIpAddress"], true);
    assert_eq!(made["BackupRetentionCount"], 1);
    assert_eq!(made["DisableAutomatedBackup"], false, "automated backups are enabled by default");
    assert_eq!(
        (&made["EngineModel"], &made["EngineVersion"]),
        (&json!("Monolithic"), &json!("2017"))
    );
    assert_eq!(made["KeyPair"], Value::Null);
    assert_eq!(made["SubnetIds"], json!([]));
    assert_eq!(made["MaintenanceStatus"], Value::Null, "there was no maintenance yet");
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    assert!(text("Endpoint").starts_with("web-"), "{made}");
    assert!(text("Endpoint").ends_with(".us-east-1.opsworks-cm.io"), "{made}");
    assert!(
        text("ServerArn").starts_with("arn:aws:opsworks-cm:us-east-1:123456789012:server/web/")
    );
    assert!(
        text("CloudFormationStackArn").starts_with("arn:aws:cloudformation:us-east-1:123456789")
    );
    let groups = made["SecurityGroupIds"].as_array().ok_or("no groups")?;
    assert_eq!(groups.len(), 1, "one new security group is created");
    // "A random, daily start time", and "a random one-hour period on Tuesday, Wednesday, or Friday".
    assert_eq!(text("PreferredBackupWindow").len(), 5);
    let days: std::collections::BTreeSet<String> = (0..8)
        .map(|number| {
            let mut plane = paper(ControlSettings { seed: number, ..settings(ten_seconds()) });
            let made = create(&mut plane, 0, "web", &json!({ "Engine": "Puppet" }));
            made["PreferredMaintenanceWindow"].as_str().unwrap_or_default()[..3].to_owned()
        })
        .collect();
    assert!(days.iter().all(|day| ["Tue", "Wed", "Fri"].contains(&day.as_str())), "{days:?}");
    assert!(days.len() > 1, "{days:?}");
    Ok(())
}

#[test]
fn what_is_given_is_what_the_server_has() {
    let given = json!({
        "AssociatePublicIpAddress": false,
        "BackupRetentionCount": 7,
        "DisableAutomatedBackup": true,
        "Engine": "Chef",
        "EngineModel": "Single",
        "EngineVersion": "12",
        "InstanceType": "c4.xlarge",
        "KeyPair": "admin",
        "PreferredBackupWindow": "Mon:08:00",
        "PreferredMaintenanceWindow": "Sun:23:59",
        "SecurityGroupIds": ["sg-1", "sg-2"],
        "SubnetIds": ["subnet-1"],
        "CustomDomain": "chef.example.com",
        "CustomCertificate": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
        "CustomPrivateKey": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n",
    });
    let mut plane = plane();
    let made = create(&mut plane, 0, "web", &given);
    for (name, value) in given.as_object().into_iter().flatten() {
        if !["CustomCertificate", "CustomPrivateKey"].contains(&name.as_str()) {
            assert_eq!(&made[name], value, "{name}");
            assert_eq!(&server(&mut plane, 10, "web")[name], value, "{name}");
        }
    }
}

/// "Valid values include `Chef` and `Puppet`." "Required: No": it is the backup's then, or the
/// model's, or Chef, which the service had first.
#[test]
fn the_engine_its_model_and_its_version_go_together() {
    let mut plane = plane();
    let id = back_up(&mut plane, 0, "puppet");
    for (number, (members, wanted)) in [
        (json!({ "Engine": "Puppet", "EngineVersion": "2019" }), "Puppet Monolithic 2019"),
        (json!({ "Engine": "Chef" }), "Chef Single 12"),
        (json!({ "Engine": "ChefAutomate" }), "ChefAutomate Single 2"),
        (json!({ "EngineModel": "Monolithic" }), "Puppet Monolithic 2017"),
        (json!({ "EngineModel": "Single" }), "Chef Single 12"),
        (json!({}), "Chef Single 12"),
        (json!({ "BackupId": id }), "Puppet Monolithic 2017"),
    ]
    .into_iter()
    .enumerate()
    {
        let made = create(&mut plane, 10, &format!("s{number}"), &members);
        let word = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let found = ["Engine", "EngineModel", "EngineVersion"].map(word).join(" ");
        assert_eq!(found, wanted, "{members}");
    }
    for members in [
        json!({ "Engine": "chef" }),
        json!({ "Engine": "" }),
        json!({ "Engine": "Ansible" }),
        json!({ "Engine": "Chef", "EngineModel": "Monolithic" }),
        json!({ "Engine": "Puppet", "EngineModel": "Single" }),
        json!({ "EngineModel": "Double" }),
        json!({ "Engine": "Chef", "EngineVersion": "2017" }),
        json!({ "Engine": "Puppet", "EngineVersion": "12" }),
        json!({ "Engine": "Puppet", "EngineVersion": "" }),
        json!({ "Engine": "Chef", "BackupId": id }),
    ] {
        let body = with(&new_server("more"), &members);
        assert_eq!(
            error(&mut plane, 10, "CreateServer", &body),
            "ValidationException",
            "{members}"
        );
    }
}

/// "If you specify this field, AWS OpsWorks CM creates the server by using the backup represented by
/// `BackupId`."
#[test]
fn a_server_can_be_created_by_using_a_backup() {
    let mut plane = plane();
    let settings = json!({
        "Engine": "Puppet", "KeyPair": "admin", "PreferredBackupWindow": "03:00",
        "PreferredMaintenanceWindow": "Mon:04:00", "SubnetIds": ["subnet-1"],
        "SecurityGroupIds": ["sg-1"],
    });
    create(&mut plane, 0, "web", &settings);
    let node = with(&crate::plane::associate("node", "request"), &named("web"));
    ok(&mut plane, 10, "AssociateNode", &node);
    let id = back_up(&mut plane, 10, "web");
    let early = with(&new_server("copy"), &json!({ "BackupId": id }));
    assert_eq!(error(&mut plane, 10, "CreateServer", &early), "ResourceNotFoundException");
    let copy = create(&mut plane, 20, "copy", &json!({ "BackupId": id }));
    for (name, value) in settings.as_object().into_iter().flatten() {
        assert_eq!(&copy[name], value, "{name}");
    }
    let state = plane.state(after(30));
    let nodes = state["associations"].as_array().into_iter().flatten();
    let servers: Vec<_> = nodes.map(|row| row["server"].clone()).collect();
    assert_eq!(servers, ["copy", "web"], "the copy manages the nodes of the backup");
}

#[test]
fn a_resource_not_found_exception_is_thrown_when_you_specify_a_backup_id_that_is_not_valid() {
    let mut plane = plane();
    for id in ["unknown-20250101000000000", "1", "-", "a b", "", &"x".repeat(79)] {
        let body = with(&new_server("web"), &json!({ "BackupId": id }));
        assert_eq!(
            error(&mut plane, 0, "CreateServer", &body),
            "ResourceNotFoundException",
            "{id}"
        );
    }
    let body = with(&new_server("web"), &json!({ "BackupId": "x".repeat(80) }));
    assert_eq!(error(&mut plane, 0, "CreateServer", &body), "ValidationException");
}
