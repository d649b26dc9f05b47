//! Nodes of a Chef server.

use enlist_emulator::control::{
    ControlPlane, ControlSettings, Engine, OpsWorksCmSettings, ServerSpec,
};
use serde_json::{Value, json};

use super::Outcome;
use super::openssl;
use super::plane::{START, call, json, paper, status, verdict};

fn plane() -> ControlPlane {
    let servers = vec![ServerSpec { engine: Engine::Chef, ..ServerSpec::new("puppet-test") }];
    let opsworks_cm = OpsWorksCmSettings { servers, ..OpsWorksCmSettings::default() };
    paper(ControlSettings { throttle: None, opsworks_cm, ..ControlSettings::default() })
}

fn attributes(organization: &str, key: Option<&str>) -> Value {
    let organization = json!({ "Name": "CHEF_ORGANIZATION", "Value": organization });
    let key = key.map(|key| json!({ "Name": "CHEF_NODE_PUBLIC_KEY", "Value": key }));
    [organization].into_iter().chain(key).collect()
}

/// An action on the node `node`; the status that its token shows.
fn act(plane: &mut ControlPlane, action: &str, attributes: &Value) -> String {
    let body =
        json!({ "ServerName": "puppet-test", "NodeName": "node", "EngineAttributes": attributes });
    let response = call(plane, START, action, &body);
    match json(&response)["NodeAssociationStatusToken"].as_str() {
        Some(token) => status(plane, START, token),
        None => verdict(&response).0,
    }
}

#[test]
fn a_node_joins_and_leaves() -> Outcome {
    let mut plane = plane();
    let key = openssl::public_key("rsa", openssl::key(0))?;
    assert_eq!(act(&mut plane, "AssociateNode", &attributes("default", Some(&key))), "SUCCESS");
    let state = plane.state(START);
    let node = &state["associations"][0];
    assert_eq!(node["public_key"], key, "as OpenSSL writes it");
    assert_eq!(node["organization"], "default");
    assert_eq!(node["certificate"], Value::Null);
    let listed = json(&call(&mut plane, START, "DescribeServers", &json!({})));
    assert_eq!(listed["Servers"][0]["Engine"], "Chef");
    assert_eq!(listed["Servers"][0]["EngineAttributes"], json!([]));

    assert_eq!(act(&mut plane, "DisassociateNode", &attributes("other", None)), "FAILED");
    assert_eq!(plane.opsworks_cm().associations().len(), 1, "it is of another organization");
    assert_eq!(act(&mut plane, "DisassociateNode", &attributes("default", None)), "SUCCESS");
    assert_eq!(plane.opsworks_cm().associations().len(), 0);
    Ok(())
}

#[test]
fn there_is_one_organization() -> Outcome {
    let mut plane = plane();
    let key = openssl::public_key("rsa", openssl::key(0))?;
    for organization in ["Default", "other"] {
        let found = act(&mut plane, "AssociateNode", &attributes(organization, Some(&key)));
        assert_eq!(found, "FAILED", "{organization}");
        let state = plane.state(START);
        let failure = state["associations"][0]["failure"].to_string();
        assert!(failure.contains("no organization of this name"), "{failure}");
    }
    let other = openssl::public_key("rsa", openssl::key(1))?;
    assert_eq!(act(&mut plane, "AssociateNode", &attributes("default", Some(&other))), "SUCCESS");
    let taken = act(&mut plane, "AssociateNode", &attributes("default", Some(&key)));
    assert_eq!(taken, "ValidationException", "another key does not take a name over");
    Ok(())
}
