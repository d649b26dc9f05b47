//! Faults, seen on the wire.

use std::time::{Duration, Instant};

use enlist_emulator::control::{Family, Fault, FaultKind, FaultPlan};
use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::client::{Reply, call, send};
use super::openssl;
use super::plane::associate;
use super::{Outcome, shared_ca};

fn emulator() -> Result<Emulator, enlist_emulator::StartError> {
    Emulator::start(Options { throttle: None, ..shared_ca() })
}

fn describe(emulator: &Emulator) -> std::io::Result<Reply> {
    call(emulator, "DescribeServers", &json!({}))
}

#[test]
fn answers_in_place_of_the_apis() -> Outcome {
    let emulator = emulator()?;
    for (kind, status, error, part) in [
        ("throttle", 400, "ThrottlingException", "Rate exceeded"),
        ("500", 500, "InternalFailure", ""),
        ("503", 503, "ServiceUnavailable", ""),
        ("denied", 400, "AccessDeniedException", "opsworks-cm:DescribeServers"),
        ("html", 200, "", "<html>"),
        ("html-403", 403, "", "<html>"),
        ("garbage", 200, "", "ELF"),
        ("redirect", 301, "", ""),
    ] {
        emulator.inject(format!("DescribeServers={kind}").parse()?);
        let reply = describe(&emulator)?;
        assert_eq!((reply.status, reply.error().as_str()), (status, error), "{kind}");
        assert!(reply.body.contains(part), "{kind}: {}", reply.body);
        assert_eq!(describe(&emulator)?.status, 200, "{kind} happens once");
    }
    emulator.inject("*=redirect".parse()?);
    assert!(describe(&emulator)?.head.contains("location: https://"));
    Ok(())
}

#[test]
fn a_request_lost_has_no_effect_and_a_reply_lost_has() -> Outcome {
    let emulator = emulator()?;
    let body = associate("node", &openssl::request("node", &[])?);
    emulator.inject("AssociateNode=lost-before".parse()?);
    assert!(call(&emulator, "AssociateNode", &body).is_err());
    assert_eq!(emulator.state()["associations"], json!([]));

    emulator.inject("AssociateNode=lost-reply".parse()?);
    assert!(call(&emulator, "AssociateNode", &body).is_err());
    assert_eq!(emulator.state()["associations"][0]["associate_calls"], 1);

    assert_eq!(call(&emulator, "AssociateNode", &body)?.status, 200);
    assert_eq!(emulator.state()["associations"][0]["associate_calls"], 2);
    let calls = emulator.calls();
    let statuses: Vec<_> = calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, None, Some(200)]);
    assert_eq!(calls[1].fault.as_deref(), Some("lost-reply"));
    assert_eq!(calls[1].request["NodeName"], "node");
    Ok(())
}

#[test]
fn a_truncated_reply_announces_more_than_it_brings() -> Outcome {
    let emulator = emulator()?;
    emulator.inject("DescribeServers=truncated".parse()?);
    let reply = describe(&emulator)?;
    let announced =
        reply.head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let announced: usize = announced.unwrap_or_default().parse()?;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.len(), announced / 2);
    assert_eq!(reply.json(), Value::Null);
    Ok(())
}

#[test]
fn a_slow_reply_comes_late() -> Outcome {
    let emulator = emulator()?;
    emulator.inject("DescribeServers=slow:0.3".parse()?);
    let began = Instant::now();
    assert_eq!(describe(&emulator)?.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(300));
    Ok(())
}

#[test]
fn an_association_fails_on_request() -> Outcome {
    let emulator = emulator()?;
    emulator.inject(Fault::new("AssociateNode", FaultKind::Failed));
    let body = associate("node", &openssl::request("node", &[])?);
    let token = call(&emulator, "AssociateNode", &body)?.json();
    let token = &token["NodeAssociationStatusToken"];
    let body = json!({ "ServerName": "puppet-test", "NodeAssociationStatusToken": token });
    let reply = call(&emulator, "DescribeNodeAssociationStatus", &body)?.json();
    assert_eq!(reply["NodeAssociationStatus"], "FAILED");
    Ok(())
}

/// What a plan does to six calls of `AssociateNode`, by the kinds' names. `A` stands for it.
fn strikes(faults: &[&str]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut plan = FaultPlan::default();
    for given in faults {
        let fault = given.strip_prefix("A=").map(|kind| format!("AssociateNode={kind}"));
        plan.add(fault.unwrap_or_else(|| (*given).to_owned()).parse()?);
    }
    let mut take = || plan.take(Family::OpsWorksCm, "AssociateNode");
    Ok((0..6).map(|_| take().map_or_else(|| "-".into(), FaultKind::name)).collect())
}

#[test]
fn faults_come_in_order_and_number() -> Outcome {
    assert_eq!(strikes(&["A=500"])?, ["500", "-", "-", "-", "-", "-"]);
    assert_eq!(strikes(&["*=500*2"])?, ["500", "500", "-", "-", "-", "-"]);
    assert_eq!(strikes(&["A=500*2@3"])?, ["-", "-", "500", "500", "-", "-"]);
    assert_eq!(strikes(&["A=500@6"])?, ["-", "-", "-", "-", "-", "500"]);
    assert_eq!(strikes(&["A=500*0"])?, ["500"; 6]);
    assert_eq!(strikes(&["A=slow:1.5*forever"])?, ["slow:1.5"; 6]);
    assert_eq!(strikes(&["A=failed"])?, ["failed"; 6]);
    assert_eq!(strikes(&["A=cert:two"])?, ["cert:two"; 6]);
    assert_eq!(strikes(&["DescribeServers=500"])?, ["-"; 6]);
    assert_eq!(strikes(&["opsworks-cm:*=500"])?, ["500", "-", "-", "-", "-", "-"]);
    assert_eq!(strikes(&["opsworks:*=500", "ssm:*=500"])?, ["-"; 6]);
    let both = strikes(&["A=500*2", "A=throttle", "*=html@5"])?;
    assert_eq!(both, ["500", "500", "throttle", "-", "html", "-"]);
    Ok(())
}

#[test]
fn a_fault_that_cannot_be_read_says_what_is_allowed() {
    for (text, part) in [
        ("AssociateNode", "write ACTION=KIND[*COUNT][@FROM]"),
        ("=500", "write ACTION=KIND[*COUNT][@FROM]"),
        ("AssociateNode=", "'' is not a kind of fault; it is one of throttle, 500,"),
        (
            "AssociateNod=500",
            "'AssociateNod' is not an action; it is of opsworks-cm: AssociateNode, ",
        ),
        ("associatenode=500", "is not an action"),
        ("ssm:AssociateNode=500", "is not an action"),
        ("cm:AssociateNode=500", "is not an action"),
        ("opsworks-cm:=500", "is not an action"),
        ("AssociateNode:opsworks-cm=500", "is not an action"),
        ("imds=500", "IMDS the metadata service"),
        ("RegisterInstance=cert:two", "'cert:two' cannot strike RegisterInstance; it strikes Asso"),
        ("DescribeServers=failed", "'failed' cannot strike DescribeServers; it strikes Associate"),
        (
            "DescribeServers=invalid-state",
            "cannot strike DescribeServers; it strikes AssociateNode",
        ),
        ("ssm:*=invalid-state", "cannot strike ssm:*"),
        ("ssm:*=failed", "cannot strike ssm:*"),
        ("opsworks:*=cert:two", "cannot strike opsworks:*"),
        ("IMDS=failed", "'failed' cannot strike IMDS"),
        ("AssociateNode=cert:", "cert:other-key"),
        ("AssociateNode=slow:-1", "slow:SECONDS"),
        ("AssociateNode=slow:", "slow:SECONDS"),
        ("AssociateNode=slow:NaN", "slow:SECONDS"),
        ("AssociateNode=500*often", "'often' is not a number of calls"),
        ("AssociateNode=500@", "'' is not a number of calls"),
    ] {
        let message = text.parse::<Fault>().err().map(|error| error.to_string());
        assert!(message.as_ref().is_some_and(|message| message.contains(part)), "{message:?}");
    }
}

#[test]
fn bodies_have_a_limit() -> Outcome {
    let emulator = emulator()?;
    let body = |length: usize| " ".repeat(length);
    let send = |length| send(emulator.api_url(), "POST", "/", &[], &body(length));
    assert_eq!(send(1024 * 1024)?.status, 400);
    assert_eq!(send(1024 * 1024 + 1)?.status, 413);
    Ok(())
}

#[test]
fn the_emulator_can_be_watched() -> Outcome {
    let emulator = emulator()?;
    describe(&emulator)?;
    let get = |path: &str| send(emulator.api_url(), "GET", path, &[], "");
    assert_eq!(get("/_emulator/state")?.json()["servers"][0]["name"], "puppet-test");
    let calls = get("/_emulator/calls")?.json();
    assert_eq!(calls[0]["action"], "DescribeServers");
    assert_eq!(calls[0]["status"], 200);
    assert_eq!(calls.as_array().map(Vec::len), Some(1), "watching is no call");
    assert_eq!(get("/_emulator/secrets")?.status, 404);
    Ok(())
}

#[test]
fn it_stops_when_it_is_dropped() -> Outcome {
    let emulator = emulator()?;
    let url = emulator.api_url().to_owned();
    emulator.inject("DescribeServers=slow:60".parse()?);
    let waiting = std::net::TcpStream::connect(super::client::host(&url))?;
    drop(emulator);
    drop(waiting);
    assert!(send(&url, "GET", "/_emulator/state", &[], "").is_err());
    Ok(())
}
