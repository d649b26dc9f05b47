//! How associations live, in virtual time.

use std::time::{Duration, Instant};

use enlist_emulator::control::{
    ControlPlane, ControlSettings, Fault, FaultKind, OpsWorksCmSettings, STATUSES,
};
use enlist_emulator::now::Now;
use serde_json::{Value, json};

use super::Outcome;
use super::plane::{START, associate, call, join, json, paper, status, verdict};

fn plane(association_seconds: u64) -> ControlPlane {
    let opsworks_cm = OpsWorksCmSettings {
        association_time: Duration::from_secs(association_seconds),
        disassociation_time: Duration::from_secs(association_seconds / 2),
        ..OpsWorksCmSettings::default()
    };
    paper(ControlSettings { throttle: None, opsworks_cm, ..ControlSettings::default() })
}

fn after(seconds: u64) -> Now {
    START.plus(Duration::from_secs(seconds))
}

fn leave(node: &str) -> Value {
    json!({ "ServerName": "puppet-test", "NodeName": node })
}

#[test]
fn an_association_takes_its_time() {
    let mut plane = plane(30);
    let token = join(&mut plane, START, "node", "request");
    assert_eq!(status(&mut plane, START, &token), "IN_PROGRESS");
    assert_eq!(status(&mut plane, after(29), &token), "IN_PROGRESS");
    assert_eq!(status(&mut plane, after(30), &token), "SUCCESS");
}

#[test]
fn the_certificate_is_not_the_first_attribute() {
    let mut plane = plane(0);
    let token = join(&mut plane, START, "node", "request");
    let body = json!({ "ServerName": "puppet-test", "NodeAssociationStatusToken": token });
    let response = json(&call(&mut plane, START, "DescribeNodeAssociationStatus", &body));
    assert_eq!(response["EngineAttributes"][0]["Name"], "PUPPET_API_CA_CERT");
    assert_eq!(response["EngineAttributes"][1]["Name"], "PUPPET_NODE_CERT");
}

#[test]
fn the_same_node_again_is_the_same_association() {
    let mut plane = plane(30);
    let first = join(&mut plane, START, "node", "request");
    let second = join(&mut plane, after(10), "node", "request");
    assert_ne!(first, second);
    for token in [&first, &second] {
        assert_eq!(status(&mut plane, after(29), token), "IN_PROGRESS");
        assert_eq!(status(&mut plane, after(30), token), "SUCCESS");
    }
    let state = plane.state(after(30));
    assert_eq!(state["associations"].as_array().map(Vec::len), Some(1));
    assert_eq!(state["associations"][0]["associate_calls"], 2);
}

#[test]
fn another_key_does_not_take_a_name_over() {
    let mut plane = plane(0);
    join(&mut plane, START, "node", "request");
    let response = call(&mut plane, START, "AssociateNode", &associate("node", "other request"));
    let (error, message) = verdict(&response);
    assert_eq!(error, "ValidationException");
    assert!(message.contains("already associated"), "{message}");
}

#[test]
fn a_failed_association_frees_the_name() {
    let mut plane = plane(10);
    plane.inject(Fault::new("AssociateNode", FaultKind::Failed).times(1));
    let token = join(&mut plane, START, "node", "request");
    assert_eq!(status(&mut plane, after(9), &token), "IN_PROGRESS");
    let early = call(&mut plane, after(9), "AssociateNode", &associate("node", "other"));
    assert_eq!(verdict(&early).0, "ValidationException");

    assert_eq!(status(&mut plane, after(10), &token), "FAILED");
    let again = join(&mut plane, after(11), "node", "other");
    assert_eq!(status(&mut plane, after(21), &again), "SUCCESS");
    assert_eq!(status(&mut plane, after(21), &token), "FAILED", "the old token stays as it ended");
}

#[test]
fn leaving_has_a_token_and_a_duration_of_its_own() {
    let mut plane = plane(10);
    join(&mut plane, START, "node", "request");
    let response = call(&mut plane, after(20), "DisassociateNode", &leave("node"));
    let token = json(&response)["NodeAssociationStatusToken"].as_str().map(str::to_owned);
    let token = token.unwrap_or_default();
    assert_eq!(status(&mut plane, after(24), &token), "IN_PROGRESS");
    assert_eq!(status(&mut plane, after(25), &token), "SUCCESS");

    let again = call(&mut plane, after(25), "DisassociateNode", &leave("node"));
    assert_eq!(verdict(&again).0, "ResourceNotFoundException");
    join(&mut plane, after(26), "node", "another request");
}

/// A node is a member until its disassociation has succeeded.
#[test]
fn a_disassociation_acts_when_it_is_over() {
    let mut plane = plane(10);
    join(&mut plane, START, "node", "request");
    let nodes = |plane: &mut ControlPlane, seconds| {
        plane.state(after(seconds))["associations"].as_array().map(Vec::len)
    };
    let leaving = |plane: &mut ControlPlane, seconds| {
        let answer = json(&call(plane, after(seconds), "DisassociateNode", &leave("node")));
        answer["NodeAssociationStatusToken"].as_str().unwrap_or_default().to_owned()
    };
    let token = leaving(&mut plane, 20);
    assert_eq!(nodes(&mut plane, 24), Some(1));
    let again = leaving(&mut plane, 24);
    assert_ne!(token, again);
    let back = call(&mut plane, after(24), "AssociateNode", &associate("node", "request"));
    assert_eq!(verdict(&back).0, "InvalidStateException");
    for token in [&token, &again] {
        assert_eq!(status(&mut plane, after(24), token), "IN_PROGRESS");
        assert_eq!(status(&mut plane, after(25), token), "SUCCESS");
    }
    assert_eq!(nodes(&mut plane, 25), Some(0));
    join(&mut plane, after(25), "node", "another request");
    assert_eq!(nodes(&mut plane, 25), Some(1), "what was due does not come again");
}

#[test]
fn a_disassociation_that_fails_changes_nothing() {
    let mut plane = plane(10);
    join(&mut plane, START, "node", "request");
    plane.inject(Fault::new("DisassociateNode", FaultKind::Failed).times(1));
    let answer = json(&call(&mut plane, after(20), "DisassociateNode", &leave("node")));
    let token = answer["NodeAssociationStatusToken"].as_str().unwrap_or_default().to_owned();
    assert_eq!(status(&mut plane, after(24), &token), "IN_PROGRESS");
    assert_eq!(status(&mut plane, after(25), &token), "FAILED");
    assert_eq!(plane.opsworks_cm().associations().len(), 1);
}

#[test]
fn tokens_are_forgotten_after_an_hour() {
    let mut plane = plane(0);
    let token = join(&mut plane, START, "node", "request");
    assert_eq!(status(&mut plane, after(3599), &token), "SUCCESS");
    assert_eq!(status(&mut plane, after(3600), &token), "ResourceNotFoundException");
    let fresh = join(&mut plane, after(3600), "node", "request");
    assert_eq!(status(&mut plane, after(3600), &fresh), "SUCCESS");
}

#[test]
fn only_a_healthy_server_takes_and_lets_go() -> Outcome {
    for known in STATUSES {
        let mut plane = plane(0);
        plane.opsworks_cm_mut().set_server_status("puppet-test", known, Some(after(60)))?;
        let expected = if known == "HEALTHY" { "ok" } else { "InvalidStateException" };
        let response = call(&mut plane, START, "AssociateNode", &associate("node", "request"));
        assert_eq!(verdict(&response).0, expected, "{known}");
        if known != "HEALTHY" {
            let response = call(&mut plane, START, "DisassociateNode", &leave("node"));
            assert_eq!(verdict(&response).0, expected, "{known}");
        }
        let listed = json(&call(&mut plane, START, "DescribeServers", &json!({})));
        assert_eq!(listed["Servers"][0]["Status"], known);
        let response = call(&mut plane, after(60), "AssociateNode", &associate("node", "request"));
        assert_eq!(verdict(&response).0, "ok", "{known} heals");
    }
    let mut plane = plane(0);
    assert!(plane.opsworks_cm_mut().set_server_status("puppet-test", "FINE", None).is_err());
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = |seed| {
        let mut plane = paper(ControlSettings { seed, ..ControlSettings::default() });
        let token = join(&mut plane, START, "node", "request");
        (token, plane.state(START).to_string())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// A simulation's use: what ten thousand nodes cost must not grow with their square.
#[test]
fn ten_thousand_nodes_are_no_trouble() {
    let began = Instant::now();
    let mut plane = plane(60);
    let names: Vec<_> = (0..10_000).map(|number| format!("i-{number:017x}")).collect();
    let tokens: Vec<_> = names.iter().map(|name| join(&mut plane, START, name, name)).collect();
    assert!(tokens.iter().all(|token| status(&mut plane, after(60), token) == "SUCCESS"));
    assert_eq!(plane.opsworks_cm().associations().len(), 10_000);
    assert_eq!(plane.record().total(), 20_000);
    // Measured at 1 s in an unoptimised build on one slow core.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
