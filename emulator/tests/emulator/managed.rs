//! Managed instances: listed, filtered, and deregistered.

use enlist_emulator::control::{ControlPlane, Report};
use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::activations::{create, plane, public_key, register};
use super::client::{call_target, send};
use super::plane::{SSM, START, ask, json, verdict};
use super::{Outcome, shared_ca};

fn list(plane: &mut ControlPlane, body: &Value) -> Vec<Value> {
    let body = json(&ask(plane, START, SSM, "DescribeInstanceInformation", body));
    body["InstanceInformationList"].as_array().cloned().unwrap_or_default()
}

fn filtered(plane: &mut ControlPlane, key: &str, value: &str) -> usize {
    list(plane, &json!({ "Filters": [{ "Key": key, "Values": [value] }] })).len()
}

#[test]
fn a_node_inherits_what_its_activation_says() -> Outcome {
    let mut plane = plane();
    let tags = json!([{ "Key": "OS", "Value": "Linux" }]);
    let body = json!({ "IamRole": "r", "DefaultInstanceName": "web", "Tags": tags });
    let activation = create(&mut plane, START, &body);
    let id = json(&register(&mut plane, START, &activation, 0)?)["InstanceId"].clone();
    let id = id.as_str().unwrap_or_default();
    assert!(id.starts_with("mi-") && id.len() == 20, "{id}");
    let found = list(&mut plane, &json!({}));
    assert_eq!(found.len(), 1);
    for (member, value) in [
        ("InstanceId", json!(id)),
        ("ActivationId", json!(activation.0)),
        ("IamRole", json!("r")),
        ("Name", json!("web")),
        ("ResourceType", json!("ManagedInstance")),
        ("PingStatus", json!("Online")),
        ("RegistrationDate", json!(1_735_689_600.0)),
    ] {
        assert_eq!(found[0][member], value, "{member}");
    }
    let state = plane.state(START);
    let node = &state["managed_instances"][0];
    assert_eq!(node["id"], id);
    assert_eq!(node["activation_id"], activation.0);
    assert_eq!(node["tags"], tags);
    assert_eq!(node["fingerprint"], "00000000-0000-4000-8000-000000000000");
    Ok(())
}

#[test]
fn nodes_are_found_by_what_they_are() -> Outcome {
    let mut plane = plane();
    let tags = json!([{ "Key": "OS", "Value": "Linux" }]);
    let first = create(&mut plane, START, &json!({ "IamRole": "a", "Tags": tags }));
    let second = create(&mut plane, START, &json!({ "IamRole": "b", "RegistrationLimit": 2 }));
    let id = json(&register(&mut plane, START, &first, 0)?)["InstanceId"].clone();
    let id = id.as_str().unwrap_or_default().to_owned();
    register(&mut plane, START, &second, 1)?;
    register(&mut plane, START, &second, 2)?;
    plane.ssm_mut().set_ping_status(&id, "ConnectionLost");
    let version = Some("3.3.1".to_owned());
    plane.ssm_mut().report(&id, Report { agent_version: version, ..Report::default() });
    for (key, value, count) in [
        ("InstanceIds", id.as_str(), 1),
        ("ActivationIds", &second.0, 2),
        ("IamRole", "a", 1),
        ("IamRole", "c", 0),
        ("PingStatus", "ConnectionLost", 1),
        ("PingStatus", "Online", 2),
        ("AgentVersion", "3.3.1", 1),
        ("PlatformTypes", "Linux", 3),
        ("ResourceType", "ManagedInstance", 3),
        ("ResourceType", "EC2Instance", 0),
        ("AssociationStatus", "Success", 0),
        ("SourceIds", &id, 1),
        ("tag-key", "OS", 1),
        ("tag-key", "os", 0),
        ("tag:OS", "Linux", 1),
        ("tag:OS", "Windows", 0),
        ("tag:Other", "Linux", 0),
    ] {
        assert_eq!(filtered(&mut plane, key, value), count, "{key}={value}");
    }
    let legacy = json!([{ "key": "InstanceIds", "valueSet": [id] }]);
    let legacy = json!({ "InstanceInformationFilterList": legacy });
    assert_eq!(list(&mut plane, &legacy).len(), 1);
    Ok(())
}

#[test]
fn a_node_is_deregistered_and_can_come_back() -> Outcome {
    let mut plane = plane();
    let activation = create(&mut plane, START, &json!({ "IamRole": "r", "RegistrationLimit": 2 }));
    let id = json(&register(&mut plane, START, &activation, 0)?)["InstanceId"].clone();
    let leave = json!({ "InstanceId": id });
    assert_eq!(ask(&mut plane, START, SSM, "DeregisterManagedInstance", &leave).status, 200);
    assert_eq!(list(&mut plane, &json!({})), Vec::<Value>::new());
    let again = ask(&mut plane, START, SSM, "DeregisterManagedInstance", &leave);
    assert_eq!(verdict(&again).0, "InvalidInstanceId");
    let back = json(&register(&mut plane, START, &activation, 0)?)["InstanceId"].clone();
    assert!(back.is_string());
    assert_ne!(back, id);
    Ok(())
}

#[test]
fn what_an_agent_tells_is_listed() -> Outcome {
    let mut plane = plane();
    let activation = create(&mut plane, START, &json!({ "IamRole": "r" }));
    let id = json(&register(&mut plane, START, &activation, 0)?)["InstanceId"].clone();
    assert_eq!(list(&mut plane, &json!({}))[0]["ComputerName"], Value::Null);
    let text = |text: &str| Some(text.to_owned());
    let report = Report {
        computer_name: text("web.example"),
        ip_address: text("192.0.2.7"),
        platform_name: text("Debian GNU/Linux"),
        platform_version: text("13"),
        ..Report::default()
    };
    plane.ssm_mut().report(id.as_str().unwrap_or_default(), report);
    let found = list(&mut plane, &json!({}));
    assert_eq!(found[0]["ComputerName"], "web.example");
    assert_eq!(found[0]["IPAddress"], "192.0.2.7");
    assert_eq!(found[0]["PlatformVersion"], "13");
    Ok(())
}

/// The agent has no credentials when it registers; everything else is signed.
#[test]
fn only_the_registration_itself_is_not_signed() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let unsigned = |action: &str, body: &Value| {
        let headers = [
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), format!("{SSM}.{action}")),
        ];
        send(emulator.api_url(), "POST", "/", &headers, &body.to_string())
    };
    for action in ["CreateActivation", "DescribeActivations", "DeregisterManagedInstance"] {
        let refused = unsigned(action, &json!({}))?;
        assert_eq!(refused.error(), "MissingAuthenticationTokenException", "{action}");
    }
    let body = json!({ "IamRole": "r", "RegistrationLimit": 2 });
    let target = format!("{SSM}.CreateActivation");
    let wrong = call_target(&emulator, ("opsworks", &target), &body)?;
    assert_eq!(wrong.error(), "InvalidSignatureException");
    let made = call_target(&emulator, ("ssm", &target), &body)?.json();
    let mut body = json!({
        "ActivationId": made["ActivationId"], "ActivationCode": made["ActivationCode"],
        "PublicKey": public_key(0)?, "PublicKeyType": "Rsa", "Fingerprint": "f",
    });
    let registered = unsigned("RegisterManagedInstance", &body)?;
    assert_eq!(registered.status, 200, "{}", registered.body);
    body["PublicKey"] = json!(public_key(1)?);
    emulator.with(|control| control.set_denied(["RegisterManagedInstance".to_owned()]));
    assert_eq!(unsigned("RegisterManagedInstance", &body)?.error(), "AccessDeniedException");
    emulator.with(|control| control.set_denied([]));
    emulator.inject("RegisterManagedInstance=lost-reply".parse()?);
    assert!(unsigned("RegisterManagedInstance", &body).is_err());
    let count = emulator.state()["managed_instances"].as_array().map(Vec::len);
    assert_eq!(count, Some(2), "it had its effect");
    Ok(())
}
