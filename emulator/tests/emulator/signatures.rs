//! Signature Version 4: AWS's own examples, and everything that can be wrong with a signature.

use enlist_emulator::http::Request;
use enlist_emulator::sigv4::{Credentials, Scope, verify};
use enlist_emulator::{Emulator, Now, Options, machine_now};
use serde_json::json;

use super::client::{Signing, call, call_signed, send};
use super::{Outcome, shared_ca};

/// 2015-08-30T12:36:00Z, the moment of AWS's examples.
const MOMENT: Now = Now::from_unix_seconds(1_440_938_160);

/// Method, query, headers beside `x-amz-date`, service, signature.
type Example = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

/// AWS's examples. The first is the one of the "Signature Version 4 Signing Process" pages, the
/// others are of the published test suite (get-vanilla, post-vanilla,
/// get-vanilla-query-order-key-case).
const EXAMPLES: [Example; 4] = [
    (
        "GET",
        "Action=ListUsers&Version=2010-05-08",
        &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
        ],
        "iam",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    ),
    (
        "GET",
        "",
        &[("host", "example.amazonaws.com")],
        "service",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "POST",
        "",
        &[("host", "example.amazonaws.com")],
        "service",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "GET",
        "Param2=value2&Param1=value1",
        &[("host", "example.amazonaws.com")],
        "service",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
];

fn example_keys() -> Credentials {
    Credentials {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    }
}

#[test]
fn the_published_examples_verify() {
    for (method, query, headers, service, signature) in EXAMPLES {
        let mut request = Request {
            method: method.to_owned(),
            path: "/".to_owned(),
            query: query.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: Vec::new(),
        };
        request.headers.push(("x-amz-date".to_owned(), "20150830T123600Z".to_owned()));
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        request.headers.push(("authorization".to_owned(), authorization));
        let scope = Scope { service, region: Some("us-east-1") };
        assert_eq!(verify(MOMENT, &request, &example_keys(), &scope), Ok(()), "{method} {query}");
        request.query.push_str("&x=y");
        assert!(verify(MOMENT, &request, &example_keys(), &scope).is_err());
    }
}

#[test]
fn a_signature_must_be_right_in_every_part() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let good = Signing::of(&emulator);
    let seconds = good.now.unix_seconds();
    let at = |seconds| Signing { now: Now::from_unix_seconds(seconds), ..good.clone() };
    let invalid = "InvalidSignatureException";
    let rows = [
        (good.clone(), "", "", ""),
        (at(seconds - 899), "", "", ""),
        (at(seconds + 899), "", "", ""),
        (at(seconds - 960), "", invalid, "Signature expired"),
        (at(seconds + 960), "", invalid, "Signature not yet current"),
        (Signing { region: "eu-west-1".into(), ..good.clone() }, "", "", ""),
        (Signing { secret_key: "x".into(), ..good.clone() }, "", invalid, "does not match"),
        (
            Signing { service: "opsworks".into(), ..good.clone() },
            "",
            invalid,
            "correct service: 'opsworks-cm'",
        ),
        (
            Signing { access_key: "AKIAX".into(), ..good.clone() },
            "",
            "UnrecognizedClientException",
            "security token",
        ),
        (good.clone(), "tampered", invalid, "does not match"),
    ];
    for (signing, body, error, part) in rows {
        let reply = if body.is_empty() {
            call_signed(&emulator, &signing, "DescribeServers", "{}")?
        } else {
            let host = super::client::host(emulator.api_url());
            let headers = signing.headers(host, "OpsWorksCM_V2016_11_01.DescribeServers", "{}");
            send(emulator.api_url(), "POST", "/", &headers, r#"{"ServerName":"x"}"#)?
        };
        assert_eq!(reply.error(), error, "{}", reply.body);
        assert!(reply.body.contains(part), "{}", reply.body);
        assert_eq!(reply.status, if error.is_empty() { 200 } else { 400 });
    }
    Ok(())
}

#[test]
fn a_signature_must_be_there_and_whole() -> Outcome {
    let emulator = Emulator::start(Options { throttle: None, ..shared_ca() })?;
    let signing = Signing::of(&emulator);
    let host = super::client::host(emulator.api_url());
    let headers = signing.headers(host, "OpsWorksCM_V2016_11_01.DescribeServers", "{}");
    let changed = |name: &str, change: &dyn Fn(&str) -> Option<String>| {
        let each = headers.iter().filter_map(|(known, value)| {
            let value = if known == name { change(value)? } else { value.clone() };
            Some((known.clone(), value))
        });
        send(emulator.api_url(), "POST", "/", &each.collect::<Vec<_>>(), "{}")
    };
    let incomplete = "IncompleteSignatureException";
    let missing = "MissingAuthenticationTokenException";
    let replace =
        |from: &'static str, to: &'static str| move |value: &str| Some(value.replace(from, to));
    assert_eq!(changed("authorization", &|_| None)?.error(), missing);
    assert_eq!(changed("x-amz-date", &|_| None)?.error(), incomplete);
    assert_eq!(changed("x-amz-date", &|_| Some("yesterday".into()))?.error(), incomplete);
    for (from, to) in [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("Signature=", "Signatur="),
        ("SignedHeaders=", "Headers="),
        ("Credential=", "Credentials="),
        ("/aws4_request", ""),
        ("host;", ""),
        ("x-amz-date;", ""),
        ("host;", "host;x-absent;"),
    ] {
        let reply = changed("authorization", &replace(from, to))?;
        assert_eq!(reply.error(), incomplete, "{from}: {}", reply.body);
    }
    for (name, from, to) in [
        ("authorization", "content-type;", ""),
        ("x-amz-target", "DescribeServers", "AssociateNode"),
        ("content-type", "1.1", "1.0"),
    ] {
        let reply = changed(name, &replace(from, to))?;
        assert_eq!(reply.error(), "InvalidSignatureException", "{name}: {}", reply.body);
    }
    Ok(())
}

#[test]
fn the_region_is_checked_when_it_is_set() -> Outcome {
    let region = Some("eu-west-1".to_owned());
    let emulator = Emulator::start(Options { region, ..shared_ca() })?;
    let reply = call(&emulator, "DescribeServers", &json!({}))?;
    assert_eq!(reply.error(), "InvalidSignatureException");
    let signing = Signing { region: "eu-west-1".into(), ..Signing::of(&emulator) };
    assert_eq!(call_signed(&emulator, &signing, "DescribeServers", "{}")?.status, 200);
    Ok(())
}

#[test]
fn what_iam_refuses_is_refused() -> Outcome {
    let denied = ["AssociateNode".to_owned()].into();
    let emulator = Emulator::start(Options { denied, ..shared_ca() })?;
    assert_eq!(call(&emulator, "DescribeServers", &json!({}))?.status, 200);
    let reply = call(&emulator, "AssociateNode", &json!({}))?;
    assert_eq!((reply.status, reply.error().as_str()), (400, "AccessDeniedException"));
    assert!(reply.body.contains("not authorized to perform: opsworks-cm:AssociateNode"));
    Ok(())
}

#[test]
fn the_emulators_clock_can_be_wrong() -> Outcome {
    let emulator = Emulator::start(Options { clock_offset: 3600, ..shared_ca() })?;
    let signing = Signing { now: machine_now(), ..Signing::of(&emulator) };
    let reply = call_signed(&emulator, &signing, "DescribeServers", "{}")?;
    assert!(reply.body.contains("Signature expired"), "{}", reply.body);
    assert_eq!(call(&emulator, "DescribeServers", &json!({}))?.status, 200);
    Ok(())
}
