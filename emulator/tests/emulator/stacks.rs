//! How instances are registered with stacks, and leave.

use std::time::Duration;

use enlist_emulator::control::{
    ControlPlane, ControlSettings, DEFAULT_STACK, OpsWorksSettings, StackSpec,
};
use enlist_emulator::imds::Instance;
use enlist_emulator::{Emulator, Now, Options};
use serde_json::{Value, json};

use super::client::{self, Reply, call_target, send};
use super::plane::{STACKS, START, ask, json, paper, verdict};
use super::{Outcome, shared_ca};

fn plane(spec: &str, seconds: u64) -> Result<ControlPlane, Box<dyn std::error::Error>> {
    let opsworks = OpsWorksSettings {
        stacks: vec![StackSpec::default(), spec.parse()?],
        registration_time: Duration::from_secs(seconds),
        ..OpsWorksSettings::default()
    };
    Ok(paper(ControlSettings { throttle: None, opsworks, ..ControlSettings::default() }))
}

const OTHER: &str = "11111111-2222-4333-8444-555555555555";

fn other(rest: &str) -> String {
    format!("id={OTHER},name=other{rest}")
}

pub fn register(plane: &mut ControlPlane, now: Now, stack: &str, hostname: &str) -> String {
    let body = json!({ "StackId": stack, "Hostname": hostname });
    let response = ask(plane, now, STACKS, "RegisterInstance", &body);
    let id = json(&response)["InstanceId"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("{:?}", verdict(&response)))
}

pub fn describe(plane: &mut ControlPlane, now: Now, body: &Value) -> Vec<Value> {
    let response = json(&ask(plane, now, STACKS, "DescribeInstances", body));
    response["Instances"].as_array().cloned().unwrap_or_default()
}

pub fn after(seconds: u64) -> Now {
    START.plus(Duration::from_secs(seconds))
}

#[test]
fn an_instance_is_registered_described_and_deregistered() -> Outcome {
    let mut plane = plane(&other(""), 30)?;
    let id = register(&mut plane, START, DEFAULT_STACK, "Web-1");
    let stack = json!({ "StackId": DEFAULT_STACK });
    for (now, status) in
        [(START, "registering"), (after(29), "registering"), (after(30), "registered")]
    {
        let found = describe(&mut plane, now, &stack);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["InstanceId"], id);
        assert_eq!(found[0]["Status"], status);
        assert_eq!(found[0]["Hostname"], "web-1", "the service compares small letters");
        assert_eq!(found[0]["InfrastructureClass"], "on-premises");
        assert_eq!(found[0]["CreatedAt"], "2025-01-01T00:00:00+00:00");
        assert_eq!(describe(&mut plane, now, &json!({ "InstanceIds": [id] })), found);
    }
    assert_eq!(describe(&mut plane, START, &json!({ "StackId": OTHER })), Vec::<Value>::new());

    let leave = json!({ "InstanceId": id });
    let left = ask(&mut plane, after(40), STACKS, "DeregisterInstance", &leave);
    assert_eq!((left.status, left.body.len()), (200, 0), "the action has no output");
    assert_eq!(describe(&mut plane, after(40), &stack), Vec::<Value>::new());
    let again = ask(&mut plane, after(41), STACKS, "DeregisterInstance", &leave);
    assert_eq!(verdict(&again).0, "ResourceNotFoundException");
    Ok(())
}

#[test]
fn the_same_request_twice_is_two_instances() -> Outcome {
    let mut plane = plane(&other(""), 0)?;
    let first = register(&mut plane, START, DEFAULT_STACK, "web");
    let second = register(&mut plane, START, DEFAULT_STACK, "web");
    assert_ne!(first, second);
    assert_eq!(describe(&mut plane, START, &json!({ "StackId": DEFAULT_STACK })).len(), 2);
    Ok(())
}

#[test]
fn host_names_can_be_unique() -> Outcome {
    let mut plane = plane(&other(",unique-hostnames=true"), 0)?;
    let id = register(&mut plane, START, OTHER, "web");
    register(&mut plane, START, DEFAULT_STACK, "web");
    let body = json!({ "StackId": OTHER, "Hostname": "WEB" });
    let (error, message) = verdict(&ask(&mut plane, START, STACKS, "RegisterInstance", &body));
    assert_eq!(error, "ValidationException");
    assert!(message.contains("'web' is already in use"), "{message}");
    ask(&mut plane, START, STACKS, "DeregisterInstance", &json!({ "InstanceId": id }));
    register(&mut plane, START, OTHER, "web");
    Ok(())
}

#[test]
fn a_registration_can_end_badly() -> Outcome {
    let mut plane = plane(&other(""), 5)?;
    plane.inject("RegisterInstance=failed*1".parse()?);
    register(&mut plane, START, DEFAULT_STACK, "web");
    let stack = json!({ "StackId": DEFAULT_STACK });
    assert_eq!(describe(&mut plane, after(4), &stack)[0]["Status"], "registering");
    assert_eq!(describe(&mut plane, after(5), &stack)[0]["Status"], "setup_failed");
    Ok(())
}

#[test]
fn stacks_are_what_was_asked_for() -> Outcome {
    let mut plane = plane(&other(",region=eu-west-1,vpc=vpc-1"), 0)?;
    let all = json(&ask(&mut plane, START, STACKS, "DescribeStacks", &json!({})));
    assert_eq!(all["Stacks"].as_array().map(Vec::len), Some(2));
    let body = json!({ "StackIds": [OTHER] });
    let one = json(&ask(&mut plane, START, STACKS, "DescribeStacks", &body));
    let one = &one["Stacks"][0];
    assert_eq!(one["Name"], "other");
    assert_eq!(one["Region"], "eu-west-1");
    assert_eq!(one["VpcId"], "vpc-1");
    assert_eq!(one["Arn"], format!("arn:aws:opsworks:eu-west-1:123456789012:stack/{OTHER}/"));
    plane.opsworks_mut().remove_stack(OTHER);
    let gone = ask(&mut plane, START, STACKS, "DescribeStacks", &body);
    assert_eq!(verdict(&gone).0, "ResourceNotFoundException");
    Ok(())
}

fn call(emulator: &Emulator, action: &str, body: &Value) -> std::io::Result<Reply> {
    call_target(emulator, ("opsworks", &format!("{STACKS}.{action}")), body)
}

/// The identity document and its signature, as the metadata service tells them.
pub fn papers(emulator: &Emulator) -> std::io::Result<(String, String)> {
    let header = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
    let ttl = header("x-aws-ec2-metadata-token-ttl-seconds", "60");
    let token = send(emulator.imds_url(), "PUT", "/latest/api/token", &ttl, "")?.body;
    let get = |name: &str| {
        let path = format!("/latest/dynamic/instance-identity/{name}");
        let token = header("x-aws-ec2-metadata-token", &token);
        send(emulator.imds_url(), "GET", &path, &token, "").map(|reply| reply.body)
    };
    Ok((get("document")?, get("signature")?))
}

#[test]
fn an_ec2_instance_proves_who_it_is() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let (document, signature) = papers(&emulator)?;
    let register = |document: &str, signature: &str| {
        let identity = json!({ "Document": document, "Signature": signature });
        let body = json!({ "StackId": DEFAULT_STACK, "InstanceIdentity": identity });
        call(&emulator, "RegisterInstance", &body)
    };
    let one_line = signature.replace('\n', "");
    for signature in [&signature, &one_line] {
        assert_eq!(register(&document, signature)?.status, 200);
    }
    let value: Value = serde_json::from_str(&document)?;
    let rewritten = serde_json::to_string(&value)?;
    let other = document.replace("i-0123456789abcdef0", "i-fedcba98765432100");
    assert_ne!(other, document);
    let not_over = "the signature is not one over this document";
    for (document, signature, part) in [
        (rewritten.as_str(), signature.as_str(), not_over),
        (&other, &signature, not_over),
        (&format!("{document}\n"), &signature, not_over),
        (&document, "AAAA", not_over),
        (&document, "", not_over),
        (&document, "*", "the signature is not base64"),
    ] {
        let reply = register(document, signature)?;
        assert_eq!(reply.error(), "ValidationException", "{}", reply.body);
        assert!(reply.body.contains(part), "{}", reply.body);
    }
    let instances = &emulator.state()["instances"];
    assert_eq!(instances.as_array().map(Vec::len), Some(2));
    assert_eq!(instances[0]["ec2_instance_id"], "i-0123456789abcdef0");
    assert_eq!(instances[0]["infrastructure"], "ec2");

    let body = json!({ "StackId": DEFAULT_STACK });
    let described = call(&emulator, "DescribeInstances", &body)?.json();
    let described = &described["Instances"][0];
    assert_eq!(described["Ec2InstanceId"], "i-0123456789abcdef0");
    assert_eq!(described["AvailabilityZone"], "us-east-1a");
    assert_eq!(described["InstanceType"], "t3.micro");
    Ok(())
}

#[test]
fn the_region_of_the_stack_must_be_the_instances() -> Outcome {
    let stacks = vec![StackSpec { region: Some("eu-west-1".into()), ..StackSpec::default() }];
    let emulator = Emulator::start(Options { stacks, ..shared_ca() })?;
    let register = || -> Result<Reply, Box<dyn std::error::Error>> {
        let (document, signature) = papers(&emulator)?;
        let identity = json!({ "Document": document, "Signature": signature });
        let body = json!({ "StackId": DEFAULT_STACK, "InstanceIdentity": identity });
        Ok(call(&emulator, "RegisterInstance", &body)?)
    };
    assert!(register()?.body.contains("in the region us-east-1, the stack in eu-west-1"));
    emulator.with_imds(|imds| {
        *imds.instance_mut() = Instance { region: "eu-west-1".into(), ..Instance::default() };
    });
    assert_eq!(register()?.status, 200);
    Ok(())
}

#[test]
fn a_lost_reply_leaves_an_instance_behind() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let body = json!({ "StackId": DEFAULT_STACK, "Hostname": "web" });
    emulator.inject("RegisterInstance=lost-before".parse()?);
    assert!(call(&emulator, "RegisterInstance", &body).is_err());
    assert_eq!(emulator.state()["instances"], json!([]));
    emulator.inject("RegisterInstance=lost-reply".parse()?);
    assert!(call(&emulator, "RegisterInstance", &body).is_err());
    assert_eq!(emulator.state()["instances"][0]["hostname"], "web");
    emulator.inject("DescribeInstances=500".parse()?);
    let stack = json!({ "StackId": DEFAULT_STACK });
    assert_eq!(call(&emulator, "DescribeInstances", &stack)?.status, 500);
    assert_eq!(call(&emulator, "DescribeInstances", &stack)?.status, 200);
    Ok(())
}

#[test]
fn signatures_are_made_out_to_the_service() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let target = format!("{STACKS}.DescribeStacks");
    for (service, error) in [("opsworks", ""), ("opsworks-cm", "InvalidSignatureException")] {
        let reply = call_target(&emulator, (service, &target), &json!({}))?;
        assert_eq!(reply.error(), error, "{service}: {}", reply.body);
    }
    let denied = ["RegisterInstance".to_owned()];
    emulator.with(|control| control.set_denied(denied));
    let reply = call(&emulator, "RegisterInstance", &json!({}))?;
    assert_eq!(reply.error(), "AccessDeniedException");
    assert!(reply.body.contains("perform: opsworks:RegisterInstance"), "{}", reply.body);
    let url = client::host(emulator.api_url());
    let header = [("x-amz-target".to_owned(), target.clone()), ("host".to_owned(), url.to_owned())];
    let unsigned = send(emulator.api_url(), "POST", "/", &header, "{}")?;
    assert_eq!(unsigned.error(), "MissingAuthenticationTokenException");
    Ok(())
}

#[test]
fn the_services_count_their_requests_each_for_itself() {
    let mut plane = paper(ControlSettings::default());
    for _ in 0..10 {
        let all = ask(&mut plane, START, STACKS, "DescribeStacks", &json!({}));
        assert_eq!(verdict(&all).0, "ok");
    }
    let eleventh = ask(&mut plane, START, STACKS, "DescribeStacks", &json!({}));
    assert_eq!(verdict(&eleventh).0, "ThrottlingException");
    let other = super::plane::call(&mut plane, START, "DescribeServers", &json!({}));
    assert_eq!(verdict(&other).0, "ok");
}
