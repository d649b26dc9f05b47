//! The admin API: health, state, calls, faults, clock, request limit, permissions, reset.

use std::io::Result;

use enlist_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::client::{Reply, call, call_target, host, send};
use super::{Outcome, shared_ca};

fn emulator() -> std::result::Result<Emulator, enlist_emulator::StartError> {
    Emulator::start(Options { throttle: None, ..shared_ca() })
}

fn ask(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Result<Reply> {
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(emulator.api_url(), method, &format!("/_emulator/v1/{path}"), &json, &body)
}

fn get(emulator: &Emulator, path: &str) -> Result<Value> {
    let reply = ask(emulator, "GET", path, &Value::Null)?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    Ok(reply.json())
}

fn done(emulator: &Emulator, method: &str, path: &str, body: &Value) -> Result<Value> {
    let reply = ask(emulator, method, path, body)?;
    assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
    Ok(reply.json())
}

fn describe(emulator: &Emulator) -> Result<Reply> {
    call(emulator, "DescribeServers", &json!({}))
}

#[test]
fn health_says_that_it_serves_and_in_which_version() -> Outcome {
    let emulator = emulator()?;
    let version = env!("CARGO_PKG_VERSION");
    let wanted = json!({ "status": "ok", "version": version, "api": 1 });
    assert_eq!(get(&emulator, "health")?, wanted);
    Ok(())
}

#[test]
fn calls_are_shown_since_a_number_and_by_service_and_action() -> Outcome {
    let emulator = emulator()?;
    for number in 1..=5 {
        call(&emulator, "DescribeServers", &json!({ "MaxResults": number }))?;
    }
    call_target(&emulator, ("opsworks", "OpsWorks_20130218.DescribeStacks"), &json!({}))?;
    let numbers = |path: &str| -> Result<Vec<u64>> {
        let found = get(&emulator, path)?;
        assert_eq!(found["total"], 6, "those that are shown or not");
        let calls = found["calls"].as_array().cloned().unwrap_or_default();
        Ok(calls.iter().filter_map(|call| call["number"].as_u64()).collect())
    };
    for (query, wanted) in [
        ("calls", &[1, 2, 3, 4, 5, 6][..]),
        ("calls?since=0", &[1, 2, 3, 4, 5, 6]),
        ("calls?since=4", &[5, 6]),
        ("calls?since=6", &[]),
        ("calls?since=99", &[]),
        ("calls?since=18446744073709551615", &[]),
        ("calls?limit=2", &[1, 2]),
        ("calls?since=1&limit=2", &[2, 3]),
        ("calls?service=opsworks", &[6]),
        ("calls?action=DescribeServers&since=3", &[4, 5]),
        ("calls?service=ssm&action=DescribeServers", &[]),
    ] {
        assert_eq!(numbers(query)?, wanted, "{query}");
    }
    let one = get(&emulator, "calls?limit=1")?["calls"][0].clone();
    assert_eq!((&one["service"], &one["status"]), (&json!("opsworks-cm"), &json!(200)));
    assert_eq!(one["request"], json!({ "MaxResults": 1 }));
    assert_eq!(one["answer"]["Servers"][0]["ServerName"], "puppet-test");
    assert_eq!(one["request_id"].as_str().map(str::len), Some(36));
    assert!(one["micros"].as_u64().is_some_and(|micros| micros > 0), "{one}");
    for wrong in ["calls?since=x", "calls?limit=-1"] {
        assert_eq!(ask(&emulator, "GET", wrong, &Value::Null)?.status, 400, "{wrong}");
    }
    assert_eq!(ask(&emulator, "GET", "calls?sinec=1", &Value::Null)?.status, 404);
    Ok(())
}

#[test]
fn faults_are_set_and_taken_back_at_run_time() -> Outcome {
    let emulator = emulator()?;
    done(&emulator, "POST", "faults", &json!({ "fault": "DescribeServers=500*2" }))?;
    let set = done(&emulator, "POST", "faults", &json!({ "fault": "IMDS=503" }))?;
    let row = |action: &str, kind: &str, count: u32| json!({ "action": action, "kind": kind, "count": count, "from": 1 });
    assert_eq!(set["faults"], json!([row("DescribeServers", "500", 2), row("IMDS", "503", 1)]));
    assert_eq!(describe(&emulator)?.status, 500);
    let left = get(&emulator, "faults")?;
    assert_eq!(left["faults"][0], row("DescribeServers", "500", 1));
    assert_eq!(done(&emulator, "DELETE", "faults", &Value::Null)?, json!({ "faults": [] }));
    assert_eq!(describe(&emulator)?.status, 200);
    assert_eq!(get(&emulator, "faults")?, json!({ "faults": [] }));
    for fault in ["DescribeServer=500", "DescribeServers=cert:two", "x", ""] {
        let reply = ask(&emulator, "POST", "faults", &json!({ "fault": fault }))?;
        assert_eq!(reply.status, 400, "{fault}");
        assert!(reply.json()["error"].is_string(), "it says why");
    }
    Ok(())
}

#[test]
fn the_clock_can_be_moved() -> Outcome {
    let emulator = emulator()?;
    let status = json!({ "status": "SETUP", "healthy_after": 3000 });
    done(&emulator, "PUT", "servers/puppet-test/status", &status)?;
    let seen = || -> Result<Value> {
        let state = get(&emulator, "state")?;
        Ok(state["servers"][0]["status"].clone())
    };
    assert_eq!(seen()?, "SETUP");
    let moved = done(&emulator, "PUT", "clock", &json!({ "advance_seconds": 2000 }))?;
    assert_eq!(moved["offset_seconds"], 2000);
    assert_eq!(seen()?, "SETUP");
    done(&emulator, "PUT", "clock", &json!({ "advance_seconds": 1000 }))?;
    assert_eq!(seen()?, "HEALTHY");
    assert_eq!(describe(&emulator)?.status, 200, "the client signs by the emulator's clock");
    assert_eq!(
        done(&emulator, "PUT", "clock", &json!({ "offset_seconds": -5 }))?["offset_seconds"],
        -5
    );
    assert_eq!(get(&emulator, "clock")?["offset_seconds"], -5);
    for wrong in [json!({}), json!({ "advance_seconds": "1" }), json!([1])] {
        assert_eq!(ask(&emulator, "PUT", "clock", &wrong)?.status, 400, "{wrong}");
    }
    Ok(())
}

#[test]
fn servers_are_put_into_any_state() -> Outcome {
    let emulator = emulator()?;
    for status in enlist_emulator::control::STATUSES {
        done(&emulator, "PUT", "servers/puppet-test/status", &json!({ "status": status }))?;
        assert_eq!(describe(&emulator)?.json()["Servers"][0]["Status"], status);
    }
    let status = |name: &str, body: &Value| {
        ask(&emulator, "PUT", &format!("servers/{name}/status"), body).map(|reply| reply.status)
    };
    assert_eq!(status("nobody", &json!({ "status": "HEALTHY" }))?, 404);
    assert_eq!(status("puppet-test", &json!({ "status": "FINE" }))?, 400);
    assert_eq!(status("puppet-test", &json!({}))?, 400);
    let never = json!({ "status": "SETUP", "healthy_after": -1 });
    assert_eq!(status("puppet-test", &never)?, 400);
    Ok(())
}

#[test]
fn the_request_limit_and_permissions_change() -> Outcome {
    let emulator = emulator()?;
    assert_eq!(get(&emulator, "throttle")?, json!({ "rate": null }));
    done(&emulator, "PUT", "throttle", &json!({ "rate": "1/1" }))?;
    assert_eq!(get(&emulator, "throttle")?, json!({ "rate": "1/1" }));
    let errors: Vec<_> = (0..3).map(|_| describe(&emulator).map(|it| it.error())).collect();
    assert!(errors.iter().flatten().any(|error| error == "ThrottlingException"), "{errors:?}");
    done(&emulator, "PUT", "throttle", &json!({ "rate": null }))?;

    let denied = done(&emulator, "PUT", "deny", &json!({ "actions": ["DescribeServers"] }))?;
    assert_eq!(denied, json!({ "actions": ["opsworks-cm:DescribeServers"] }));
    assert_eq!(describe(&emulator)?.error(), "AccessDeniedException");
    done(&emulator, "PUT", "deny", &json!({ "actions": [] }))?;
    assert_eq!(describe(&emulator)?.status, 200);
    for (path, body) in [
        ("throttle", json!({ "rate": "x" })),
        ("throttle", json!({ "rate": 1 })),
        ("throttle", json!({})),
        ("deny", json!({ "actions": ["x"] })),
        ("deny", json!({ "actions": ["IMDS"] })),
        ("deny", json!({})),
    ] {
        assert_eq!(ask(&emulator, "PUT", path, &body)?.status, 400, "{path} {body}");
    }
    Ok(())
}

#[test]
fn a_reset_brings_the_start_back() -> Outcome {
    let servers = vec!["name=one,status=SETUP".parse()?];
    let emulator = Emulator::start(Options { throttle: None, servers, ..shared_ca() })?;
    let before = emulator.ca_bundle();
    done(&emulator, "PUT", "servers/one/status", &json!({ "status": "HEALTHY" }))?;
    done(&emulator, "PUT", "deny", &json!({ "actions": ["DescribeStacks"] }))?;
    done(&emulator, "POST", "faults", &json!({ "fault": "DescribeBackups=500" }))?;
    call(&emulator, "CreateBackup", &json!({ "ServerName": "one" }))?;
    done(&emulator, "POST", "reset", &Value::Null)?;
    let state = get(&emulator, "state")?;
    assert_eq!(state["servers"][0]["status"], "SETUP");
    assert_eq!(state["backups"], json!([]));
    assert_eq!(get(&emulator, "calls")?, json!({ "total": 0, "calls": [] }));
    assert_eq!(get(&emulator, "faults")?, json!({ "faults": [] }));
    assert_eq!(get(&emulator, "deny")?, json!({ "actions": [] }));
    assert_eq!(emulator.ca_bundle(), before, "whoever trusts the CA still does");
    assert_eq!(describe(&emulator)?.status, 200, "the keys are the same");
    Ok(())
}

/// A page of another site that a browser on this machine shows can send a form here, and nothing
/// that needs permission.
#[test]
fn pages_of_other_sites_cannot_change_anything() -> Outcome {
    let emulator = emulator()?;
    let address = host(emulator.api_url());
    let own = format!("http://{address}");
    for (headers, status) in [
        (vec![("content-type", "text/plain")], 403),
        (vec![("content-type", "application/x-www-form-urlencoded")], 403),
        (vec![], 403),
        (vec![("content-type", "application/json"), ("origin", "http://evil.example")], 403),
        (vec![("content-type", "application/json"), ("origin", "null")], 403),
        (vec![("content-type", "application/json"), ("origin", "http://127.0.0.1:1")], 403),
        (vec![("content-type", "application/json"), ("origin", own.as_str())], 200),
        (vec![("content-type", "application/json; charset=utf-8")], 200),
    ] {
        let owned: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let reply = send(emulator.api_url(), "POST", "/_emulator/v1/reset", &owned, "")?;
        assert_eq!(reply.status, status, "{headers:?}");
        assert!(!reply.head.contains("access-control-allow"), "no page elsewhere may read it");
    }
    Ok(())
}

#[test]
fn what_there_is_not_is_said() -> Outcome {
    let emulator = emulator()?;
    for (method, path, status) in [
        ("GET", "", 404),
        ("GET", "secrets", 404),
        ("GET", "reset", 404),
        ("PUT", "reset", 405),
        ("DELETE", "state", 405),
        ("POST", "health", 405),
        ("PUT", "servers/puppet-test", 404),
        ("POST", "servers/puppet-test/status", 405),
    ] {
        let reply = ask(&emulator, method, path, &Value::Null)?;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.json()["error"].is_string(), "{method} {path}: {}", reply.body);
    }
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    let reply = send(emulator.api_url(), "PUT", "/_emulator/v1/clock", &json, "{")?;
    assert_eq!(reply.status, 400);
    assert_eq!(send(emulator.api_url(), "GET", "/_emulator/v2/state", &[], "")?.status, 404);
    Ok(())
}
