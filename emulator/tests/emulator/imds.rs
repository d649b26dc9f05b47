//! The metadata service: sessions in virtual time, paths over HTTP.

use std::time::Duration;

use enlist_emulator::http::{Request, Response};
use enlist_emulator::imds::{Answering, IdentityKey, Imds, Instance, Signer};
use enlist_emulator::{Emulator, Now, Options};
use serde_json::Value;

use super::client::{Reply, call, send, variable};
use super::openssl::{self, Scratch};
use super::plane::START;
use super::{Outcome, shared_ca};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";

fn service(instance: Instance) -> Imds {
    Imds::new(instance, Answering::Service, Box::new(IdentityKey::default()), 1)
}

fn ask(imds: &mut Imds, now: Now, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let (method, path) = (method.to_owned(), path.to_owned());
    imds.handle(now, &Request { method, path, headers, ..Request::default() })
}

fn token(imds: &mut Imds, now: Now, ttl: &str) -> String {
    let response = ask(imds, now, "PUT", "/latest/api/token", &[(TTL, ttl)]);
    String::from_utf8_lossy(&response.body).into_owned()
}

/// A path's text, or its status.
fn get(imds: &mut Imds, path: &str) -> Result<String, u16> {
    let token = token(imds, START, "60");
    let response = ask(imds, START, "GET", &format!("/latest/{path}"), &[(TOKEN, &token)]);
    match response.status {
        200 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        status => Err(status),
    }
}

#[test]
fn nothing_is_told_without_a_session() {
    let mut imds = service(Instance::default());
    let path = "/latest/meta-data/instance-id";
    assert_eq!(ask(&mut imds, START, "GET", path, &[]).status, 401);
    assert_eq!(ask(&mut imds, START, "GET", path, &[(TOKEN, "guess")]).status, 401);
    let token = token(&mut imds, START, "60");
    assert_eq!(ask(&mut imds, START, "GET", path, &[(TOKEN, &token)]).status, 200);
    let forwarded = [(TOKEN, token.as_str()), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(ask(&mut imds, START, "GET", path, &forwarded).status, 403);
    assert_eq!(ask(&mut imds, START, "POST", path, &[(TOKEN, &token)]).status, 405);
}

#[test]
fn a_session_lasts_as_long_as_asked() {
    let mut imds = service(Instance::default());
    let path = "/latest/meta-data/instance-id";
    let token = token(&mut imds, START, "10");
    let mut at = |milliseconds| {
        let now = START.plus(Duration::from_millis(milliseconds));
        ask(&mut imds, now, "GET", path, &[(TOKEN, &token)]).status
    };
    assert_eq!((at(0), at(9_999), at(10_000)), (200, 200, 401));
}

#[test]
fn a_session_is_asked_for_in_seconds_up_to_six_hours() {
    let mut imds = service(Instance::default());
    let mut status = |headers: &[(&str, &str)]| {
        ask(&mut imds, START, "PUT", "/latest/api/token", headers).status
    };
    assert_eq!(status(&[]), 400);
    for (ttl, expected) in [("0", 400), ("1", 200), ("21600", 200), ("21601", 400), ("x", 400)] {
        assert_eq!(status(&[(TTL, ttl)]), expected, "{ttl}");
    }
}

#[test]
fn every_documented_path() {
    let mut imds = service(Instance { region: "eu-west-1".into(), ..Instance::default() });
    for (path, value) in [
        ("meta-data/instance-id", "i-0123456789abcdef0"),
        ("meta-data/ami-id", "ami-0123456789abcdef0"),
        ("meta-data/hostname", "ip-10-0-0-17.eu-west-1.compute.internal"),
        ("meta-data/local-ipv4", "10.0.0.17"),
        ("meta-data/public-ipv4", "203.0.113.17"),
        ("meta-data/placement/region", "eu-west-1"),
        ("meta-data/placement/availability-zone", "eu-west-1a"),
        ("meta-data/placement/", "availability-zone\nregion"),
        ("dynamic/instance-identity/", "document\nsignature"),
    ] {
        assert_eq!(get(&mut imds, path).as_deref(), Ok(value), "{path}");
    }
    for path in [
        "meta-data/tags/instance",
        "meta-data/tags/instance/pp_role",
        "meta-data/autoscaling/target-lifecycle-state",
        "meta-data/spot/instance-action",
        "meta-data/iam/security-credentials/",
        "meta-data/instance-id/",
        "meta-data/nothing",
        "nothing",
    ] {
        assert_eq!(get(&mut imds, path), Err(404), "{path}");
    }
}

#[test]
fn what_is_set_appears() {
    let mut imds = service(Instance::default());
    let instance = imds.instance_mut();
    let tags = [("Name", "web 1"), ("pp_role", "web"), ("team/cost", "7")];
    instance.tags =
        Some(tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
    instance.target_lifecycle_state = Some("Terminated".into());
    instance.spot_action = Some(("terminate".into(), START));
    instance.public_ip = None;
    let list = get(&mut imds, "meta-data/tags/instance");
    assert_eq!(list.as_deref(), Ok("Name\npp_role\nteam/cost"));
    assert_eq!(get(&mut imds, "meta-data/tags/instance/Name").as_deref(), Ok("web 1"));
    assert_eq!(get(&mut imds, "meta-data/tags/instance/team/cost").as_deref(), Ok("7"));
    assert_eq!(get(&mut imds, "meta-data/tags/instance/other"), Err(404));
    assert_eq!(get(&mut imds, "meta-data/public-ipv4"), Err(404));
    let state = get(&mut imds, "meta-data/autoscaling/target-lifecycle-state");
    assert_eq!(state.as_deref(), Ok("Terminated"));
    let action = get(&mut imds, "meta-data/spot/instance-action");
    assert_eq!(action.as_deref(), Ok(r#"{"action":"terminate","time":"2025-01-01T00:00:00Z"}"#));
}

#[test]
fn the_identity_document_is_written_as_ec2_writes_it() {
    let mut imds = service(Instance::default());
    let document = get(&mut imds, "dynamic/instance-identity/document").unwrap_or_default();
    assert!(document.starts_with("{\n  \"accountId\" : \"123456789012\",\n  \"architecture\" : "));
    assert!(document.contains("\n  \"billingProducts\" : null,\n"));
    assert!(document.ends_with("\n  \"version\" : \"2017-09-30\"\n}"));
    let parsed: Value = serde_json::from_str(&document).unwrap_or_default();
    assert_eq!(parsed["instanceId"], "i-0123456789abcdef0");
    assert_eq!(parsed["privateIp"], "10.0.0.17");
    assert_eq!(get(&mut imds, "dynamic/instance-identity/document"), Ok(document));
}

#[test]
fn the_signature_is_over_the_documents_bytes() -> Outcome {
    let key = IdentityKey::default();
    let mut imds = service(Instance::default());
    let document = get(&mut imds, "dynamic/instance-identity/document").unwrap_or_default();
    let signature = key.sign(document.as_bytes()).ok_or("no signature")?;
    let scratch = Scratch::new()?;
    scratch.write("document", &document)?;
    std::fs::write(scratch.path().join("signature"), signature)?;
    scratch.write("key.pem", &key.public_key_pem().ok_or("no key")?)?;
    let verify = ["dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "document"];
    assert_eq!(openssl::run(scratch.path(), &verify, "")?.trim(), "Verified OK");

    let text = get(&mut imds, "dynamic/instance-identity/signature").unwrap_or_default();
    assert_eq!(get(&mut imds, "dynamic/instance-identity/signature"), Ok(text.clone()));
    let lines: Vec<_> = text.lines().map(str::len).collect();
    // 256 bytes are 344 characters of base64.
    assert_eq!(lines, [64, 64, 64, 64, 64, 24]);
    Ok(())
}

fn http(
    emulator: &Emulator,
    method: &str,
    path: &str,
    header: (&str, &str),
) -> std::io::Result<Reply> {
    let headers = [(header.0.to_owned(), header.1.to_owned())];
    send(emulator.imds_url(), method, path, &headers, "")
}

#[test]
fn it_is_served_over_http() -> Outcome {
    let emulator = Emulator::start(shared_ca())?;
    let token = http(&emulator, "PUT", "/latest/api/token", (TTL, "60"))?;
    assert!(token.head.contains("x-aws-ec2-metadata-token-ttl-seconds: 60"), "{}", token.head);
    emulator.with_imds(|imds| imds.instance_mut().id = "i-1".into());
    let id = http(&emulator, "GET", "/latest/meta-data/instance-id", (TOKEN, &token.body))?;
    assert_eq!((id.status, id.body.as_str()), (200, "i-1"));
    assert_eq!(http(&emulator, "GET", "/latest/meta-data/", (TOKEN, "x"))?.status, 401);
    let statuses: Vec<_> = emulator.imds_calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [200, 200, 401]);
    Ok(())
}

#[test]
fn it_can_be_late_or_broken() -> Outcome {
    let faults = vec!["IMDS=503*2".parse()?, "IMDS=lost-before".parse()?];
    let emulator = Emulator::start(Options { faults, ..shared_ca() })?;
    let open = || http(&emulator, "PUT", "/latest/api/token", (TTL, "60"));
    assert_eq!(open()?.status, 503);
    assert_eq!(open()?.status, 503);
    assert!(open().is_err());
    assert_eq!(open()?.status, 200);
    emulator.inject("IMDS=html".parse()?);
    assert!(http(&emulator, "PUT", "/latest/api/token", (TTL, "60"))?.body.contains("<html>"));
    Ok(())
}

#[test]
fn somewhere_else_there_is_a_portal_or_nothing() -> Outcome {
    let emulator = Emulator::start(Options { imds: Answering::Portal, ..shared_ca() })?;
    for (method, path) in [("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/instance-id")] {
        let reply = http(&emulator, method, path, (TTL, "60"))?;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("<html>"));
    }
    let emulator = Emulator::start(Options { no_imds: true, ..shared_ca() })?;
    assert!(http(&emulator, "PUT", "/latest/api/token", (TTL, "60")).is_err());
    Ok(())
}

#[test]
fn a_role_hands_out_the_credentials() -> Outcome {
    let emulator = Emulator::start(Options { role: Some("node".into()), ..shared_ca() })?;
    assert_eq!(variable(&emulator, "AWS_ACCESS_KEY_ID"), "");
    let token = http(&emulator, "PUT", "/latest/api/token", (TTL, "60"))?.body;
    let path = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(http(&emulator, "GET", path, (TOKEN, &token))?.body, "node");
    let reply = http(&emulator, "GET", &format!("{path}node"), (TOKEN, &token))?.json();
    assert_eq!(reply["Code"], "Success");
    assert!(reply["AccessKeyId"].as_str().is_some_and(|key| key.starts_with("ASIA")));
    // Without the session token, the right keys are not enough.
    let text = |name: &str| reply[name].as_str().unwrap_or_default().to_owned();
    let keys = super::client::Signing {
        access_key: text("AccessKeyId"),
        secret_key: text("SecretAccessKey"),
        ..super::client::Signing::of(&emulator)
    };
    let refused = super::client::call_signed(&emulator, &keys, "DescribeServers", "{}")?;
    assert_eq!(refused.error(), "UnrecognizedClientException");
    assert_eq!(call(&emulator, "DescribeServers", &serde_json::json!({}))?.status, 400);
    Ok(())
}
