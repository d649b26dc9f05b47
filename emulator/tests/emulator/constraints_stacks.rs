//! OpsWorks Stacks: every constraint of every request member, at its limit and one past.

use enlist_emulator::control::{ControlSettings, DEFAULT_STACK};
use enlist_emulator::http::Request;
use serde_json::{Value, json};

use super::Outcome;
use super::openssl;
use super::plane::{STACKS, START, ask, json, paper, verdict};
use super::rows::{INVALID, NOT_FOUND, NULL, OK, TYPE, check, of};

/// A stack that there is not.
const NO_STACK: &str = "00000000-0000-4000-8000-000000000000";

fn plane() -> enlist_emulator::ControlPlane {
    paper(ControlSettings { throttle: None, ..ControlSettings::default() })
}

/// The SHA-1 of a public key in PEM, by OpenSSL.
fn fingerprint(pem: &str) -> Result<String, Box<dyn std::error::Error>> {
    let scratch = openssl::Scratch::new()?;
    let key = scratch.write("key.pem", pem)?;
    openssl::run(
        scratch.path(),
        &["pkey", "-pubin", "-in", &key, "-outform", "DER", "-out", "der"],
        "",
    )?;
    let digest = openssl::run(scratch.path(), &["dgst", "-sha1", "-r", "der"], "")?;
    Ok(digest.split(' ').next().unwrap_or_default().to_owned())
}

#[test]
fn register_instance() {
    let mut plane = plane();
    let base = json!({ "StackId": DEFAULT_STACK, "Unknown": "members are ignored" });
    let target = (STACKS, "RegisterInstance");
    let pattern = "regular expression pattern: ^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$";
    let rows = [
        of(
            "StackId",
            [
                (json!(DEFAULT_STACK), OK, ""),
                (json!(NO_STACK), NOT_FOUND, "Unable to find stack with ID 00000000"),
                (json!(""), NOT_FOUND, "Unable to find stack"),
                (Value::Null, INVALID, "Value null at 'stackId'"),
                (json!(1), TYPE, "NUMBER_VALUE can not be converted to a String"),
            ],
        ),
        of(
            "Hostname",
            [
                (json!("a"), OK, ""),
                (json!("Web-01"), OK, ""),
                (json!("1"), OK, ""),
                (json!("h".repeat(63)), OK, ""),
                (json!("h".repeat(64)), INVALID, "length less than or equal to 63"),
                (json!(""), INVALID, pattern),
                (json!("-a"), INVALID, pattern),
                (json!("a-"), INVALID, pattern),
                (json!("-"), INVALID, pattern),
                (json!("a.example"), INVALID, pattern),
                (json!("a_b"), INVALID, pattern),
                (json!("é"), INVALID, pattern),
                (json!("a\n"), INVALID, pattern),
                (Value::Null, OK, ""),
                (json!(["a"]), TYPE, "START_ARRAY"),
            ],
        ),
    ];
    for rows in rows {
        check(&mut plane, target, &base, &rows);
    }
    for member in ["PrivateIp", "PublicIp"] {
        let rows = [
            (json!("0.0.0.0"), OK, ""),
            (json!("255.255.255.255"), OK, ""),
            (json!("256.0.0.1"), INVALID, "is not an IPv4 address"),
            (json!("10.0.0"), INVALID, "'10.0.0' is not an IPv4 address"),
            (json!("010.0.0.1"), INVALID, "is not an IPv4 address"),
            (json!("::1"), INVALID, "is not an IPv4 address"),
            (json!(" 10.0.0.1"), INVALID, "is not an IPv4 address"),
            (json!(""), INVALID, "is not an IPv4 address"),
            (Value::Null, OK, ""),
            (json!(10), TYPE, "NUMBER_VALUE"),
        ];
        check(&mut plane, target, &base, &of(member, rows));
    }
}

#[test]
fn the_key_and_its_fingerprint() -> Outcome {
    let mut plane = plane();
    let target = (STACKS, "RegisterInstance");
    let base = json!({ "StackId": DEFAULT_STACK });
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let other = openssl::public_key("rsa", openssl::key(1))?;
    let curve = openssl::run("/".as_ref(), &["ecparam", "-name", "prime256v1", "-genkey"], "")?;
    let curve = openssl::run("/".as_ref(), &["ec", "-pubout"], &curve)?;
    let pkcs1 = openssl::run("/".as_ref(), &["rsa", "-RSAPublicKey_out"], openssl::key(0))?;
    let cut = key.lines().filter(|line| !line.contains("IDAQAB")).collect::<Vec<_>>().join("\n");
    let rows = [
        (json!(key), OK, ""),
        (json!("no PEM"), INVALID, "Invalid RsaPublicKey: it is not PEM"),
        (json!(""), INVALID, "it is not PEM"),
        (json!(openssl::key(0)), INVALID, "it is not a PEM block 'PUBLIC KEY'"),
        (json!(pkcs1), INVALID, "it is not a PEM block 'PUBLIC KEY'"),
        (json!(curve), INVALID, "it does not hold an RSA public key"),
        (json!(cut), INVALID, "Invalid RsaPublicKey: it"),
        (Value::Null, OK, ""),
        (json!(true), TYPE, "TRUE_VALUE"),
    ];
    check(&mut plane, target, &base, &of("RsaPublicKey", rows));

    let (mine, others) = (fingerprint(&key)?, fingerprint(&other)?);
    assert_eq!(mine.len(), 40);
    let colons: Vec<&str> = (0..20).map(|byte| &mine[byte * 2..byte * 2 + 2]).collect();
    let form = "regular expression pattern: ^[0-9a-f]{40}$";
    let rows = [
        (json!(mine), OK, ""),
        (json!(others), INVALID, "is not the fingerprint of RsaPublicKey"),
        (json!(mine.to_uppercase()), INVALID, form),
        (json!(colons.join(":")), INVALID, form),
        (json!(mine[1..]), INVALID, form),
        (json!(format!("{mine}0")), INVALID, form),
        (json!(""), INVALID, form),
        (Value::Null, OK, ""),
    ];
    let with_key = json!({ "StackId": DEFAULT_STACK, "RsaPublicKey": key });
    check(&mut plane, target, &with_key, &of("RsaPublicKeyFingerprint", rows));
    check(&mut plane, target, &base, &of("RsaPublicKeyFingerprint", [(json!(others), OK, "")]));
    Ok(())
}

/// A plane of its own believes every signature; the documents themselves must be right.
#[test]
fn the_identity() {
    let mut plane = plane();
    let base = json!({ "StackId": DEFAULT_STACK });
    let here = r#"{"instanceId": "i-1", "region": "us-east-1"}"#;
    let there = r#"{"instanceId": "i-1", "region": "eu-west-1"}"#;
    let papers =
        |document: Value, signature: Value| json!({ "Document": document, "Signature": signature });
    let both = "needs both Document and Signature";
    let rows = [
        (papers(json!(here), json!("any")), OK, ""),
        (papers(json!(there), json!("any")), INVALID, "in the region eu-west-1, the stack in us-"),
        (papers(json!(here), Value::Null), INVALID, both),
        (papers(Value::Null, json!("any")), INVALID, both),
        (papers(json!("<html>"), json!("any")), INVALID, "names no instanceId"),
        (papers(json!(r#"{"region": "us-east-1"}"#), json!("any")), INVALID, "no instanceId"),
        (papers(json!(r#"{"instanceId": "i-1"}"#), json!("any")), INVALID, "no region"),
        (papers(Value::Null, Value::Null), OK, ""),
        (json!({}), OK, ""),
        (Value::Null, OK, ""),
        (json!("x"), TYPE, "STRING_VALUE can not be converted to a structure"),
        (papers(json!(1), json!("any")), TYPE, "NUMBER_VALUE"),
    ];
    check(&mut plane, (STACKS, "RegisterInstance"), &base, &of("InstanceIdentity", rows));
}

#[test]
fn describe_instances() {
    let mut plane = plane();
    let target = (STACKS, "DescribeInstances");
    let body = json!({ "StackId": DEFAULT_STACK });
    let id = json(&ask(&mut plane, START, STACKS, "RegisterInstance", &body))["InstanceId"].clone();
    let one = "exactly one of StackId, LayerId and InstanceIds";
    let nothing = json!({});
    let rows = [
        ("StackId", json!(DEFAULT_STACK), OK, ""),
        ("StackId", json!(NO_STACK), NOT_FOUND, "Unable to find stack with ID"),
        ("StackId", Value::Null, INVALID, one),
        ("StackId", json!(7), TYPE, "NUMBER_VALUE"),
        ("LayerId", json!("x"), NOT_FOUND, "Unable to find layer with ID x"),
        ("LayerId", json!({}), TYPE, "START_OBJECT"),
        ("InstanceIds", json!([id]), OK, ""),
        ("InstanceIds", json!([id, NO_STACK]), NOT_FOUND, "Unable to find instance with ID 0000"),
        ("InstanceIds", json!([]), INVALID, one),
        ("InstanceIds", json!("x"), TYPE, "STRING_VALUE can not be converted to a List"),
        ("InstanceIds", json!([1]), TYPE, "NUMBER_VALUE can not be converted to a String"),
    ];
    check(&mut plane, target, &nothing, &rows);
    let rows = [
        ("LayerId", json!("x"), INVALID, one),
        ("InstanceIds", json!([id]), INVALID, one),
        ("InstanceIds", json!([]), OK, ""),
    ];
    check(&mut plane, target, &body, &rows);
}

#[test]
fn describe_stacks_and_deregister_instance() {
    let mut plane = plane();
    let rows = [
        (Value::Null, OK, ""),
        (json!([]), OK, ""),
        (json!([DEFAULT_STACK]), OK, ""),
        (json!([DEFAULT_STACK, NO_STACK]), NOT_FOUND, "Unable to find stack with ID 0000"),
        (json!({}), TYPE, "START_OBJECT can not be converted to a List"),
        (json!([{}]), TYPE, "START_OBJECT can not be converted to a String"),
    ];
    check(&mut plane, (STACKS, "DescribeStacks"), &json!({}), &of("StackIds", rows));
    let rows = [
        (Value::Null, INVALID, NULL),
        (json!(NO_STACK), NOT_FOUND, "Unable to find instance with ID 0000"),
        (json!(""), NOT_FOUND, "Unable to find instance"),
        (json!(false), TYPE, "FALSE_VALUE"),
    ];
    check(&mut plane, (STACKS, "DeregisterInstance"), &json!({}), &of("InstanceId", rows));
}

#[test]
fn errors_have_the_form_of_the_model() {
    let mut plane = plane();
    let target = format!("{STACKS}.DescribeInstances");
    let response = plane.handle(START, &Request::call(&target, &json!({})));
    let body = json(&response);
    assert_eq!(body["__type"], INVALID);
    assert!(body["message"].is_string(), "the model's member has a small letter: {body}");
    let unknown = ask(&mut plane, START, STACKS, "CreateStack", &json!({}));
    assert_eq!(verdict(&unknown).0, "UnknownOperationException");
    let foreign = ask(&mut plane, START, STACKS, "AssociateNode", &json!({}));
    assert_eq!(verdict(&foreign).0, "UnknownOperationException");
}
