//! How activations live, in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use enlist_emulator::control::{ControlPlane, ControlSettings, SsmSettings};
use enlist_emulator::http::Response;
use enlist_emulator::now::Now;
use serde_json::{Value, json};

use super::Outcome;
use super::openssl;
use super::plane::{SSM, START, ask, json, paper, verdict};

pub fn plane() -> ControlPlane {
    paper(ControlSettings { throttle: None, ..ControlSettings::default() })
}

/// Creates an activation: its ID and its code.
pub fn create(plane: &mut ControlPlane, now: Now, body: &Value) -> (String, String) {
    let response = ask(plane, now, SSM, "CreateActivation", body);
    let body = json(&response);
    match (body["ActivationId"].as_str(), body["ActivationCode"].as_str()) {
        (Some(id), Some(code)) => (id.to_owned(), code.to_owned()),
        _ => panic!("no activation: {:?}", verdict(&response)),
    }
}

/// The key of a node by its number, as base64. Making each takes a tenth of a second, so numbers
/// from 2 on are the first key with another exponent: nobody has its private half.
pub fn public_key(number: usize) -> Result<String, Box<dyn std::error::Error>> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let pem = openssl::public_key("rsa", openssl::key(number.min(1)))?;
    let mut der = pem::parse(pem)?.into_contents();
    if let Some(last) = der.last_mut().filter(|_| number > 1) {
        *last = u8::try_from(number)?;
    }
    Ok(BASE64_STANDARD.encode(der))
}

/// Registers node `number`.
pub fn register(
    plane: &mut ControlPlane,
    now: Now,
    (id, code): &(String, String),
    number: usize,
) -> Result<Response, Box<dyn std::error::Error>> {
    let body = json!({
        "ActivationId": id, "ActivationCode": code, "PublicKey": public_key(number)?,
        "PublicKeyType": "Rsa", "Fingerprint": format!("00000000-0000-4000-8000-{number:012}"),
    });
    Ok(ask(plane, now, SSM, "RegisterManagedInstance", &body))
}

pub fn list(plane: &mut ControlPlane, now: Now, body: &Value) -> Vec<Value> {
    let body = json(&ask(plane, now, SSM, "DescribeActivations", body));
    body["ActivationList"].as_array().cloned().unwrap_or_default()
}

pub fn after(seconds: u64) -> Now {
    START.plus(Duration::from_secs(seconds))
}

const DAY: u64 = 24 * 3600;

#[test]
fn an_activation_is_told_once_and_listed_without_its_code() -> Outcome {
    let mut plane = plane();
    let tags = json!([{ "Key": "OS", "Value": "Linux" }]);
    let activation = create(
        &mut plane,
        START,
        &json!({ "IamRole": "service-role/r", "DefaultInstanceName": "web", "Tags": tags,
            "Description": "mark", "RegistrationLimit": 5, "ExpirationDate": 1_735_700_000 }),
    );
    let (id, code) = &activation;
    let expected = json!({
        "ActivationId": id, "IamRole": "service-role/r", "DefaultInstanceName": "web",
        "Description": "mark", "RegistrationLimit": 5, "RegistrationsCount": 0,
        "ExpirationDate": 1_735_700_000.0, "Expired": false, "CreatedDate": 1_735_689_600.0,
        "Tags": tags,
    });
    assert_eq!(list(&mut plane, START, &json!({})), [expected]);
    register(&mut plane, START, &activation, 0)?;
    assert_eq!(list(&mut plane, START, &json!({}))[0]["RegistrationsCount"], 1);

    assert_eq!(plane.ssm().activations()[id].code(), code, "a test may have it");
    let state = plane.state(START).to_string();
    let calls = serde_json::to_string(&plane.calls())?;
    assert!(state.contains(id) && calls.contains(id));
    assert!(!state.contains(code) && !calls.contains(code));
    Ok(())
}

#[test]
fn the_same_request_twice_is_two_activations() {
    let mut plane = plane();
    let body = json!({ "IamRole": "r" });
    let (first, second) = (create(&mut plane, START, &body), create(&mut plane, START, &body));
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_eq!(list(&mut plane, START, &json!({})).len(), 2);
}

#[test]
fn an_activation_expires() -> Outcome {
    let mut plane = plane();
    let usual = create(&mut plane, START, &json!({ "IamRole": "r" }));
    let until = START.unix_seconds() + 60;
    let short = json!({ "IamRole": "r", "ExpirationDate": until, "RegistrationLimit": 2 });
    let short = create(&mut plane, START, &short);
    assert_eq!(register(&mut plane, after(59), &short, 0)?.status, 200);
    let late = register(&mut plane, after(60), &short, 1)?;
    assert_eq!(verdict(&late).0, "ActivationExpired");
    let filter =
        |id: &str| json!({ "Filters": [{ "FilterKey": "ActivationIds", "FilterValues": [id] }] });
    assert_eq!(list(&mut plane, after(59), &filter(&short.0))[0]["Expired"], false);
    assert_eq!(list(&mut plane, after(60), &filter(&short.0))[0]["Expired"], true);

    assert_eq!(register(&mut plane, after(DAY - 1), &usual, 1)?.status, 200);
    let late = register(&mut plane, after(DAY), &usual, 2)?;
    assert_eq!(verdict(&late).0, "ActivationExpired", "without a date, a day");
    Ok(())
}

#[test]
fn an_activation_is_used_up() -> Outcome {
    let mut plane = plane();
    let activation = create(&mut plane, START, &json!({ "IamRole": "r", "RegistrationLimit": 2 }));
    let first = json(&register(&mut plane, START, &activation, 0)?)["InstanceId"].clone();
    assert_eq!(
        verdict(&register(&mut plane, START, &activation, 0)?).0,
        "InstanceAlreadyRegistered"
    );
    assert_eq!(register(&mut plane, START, &activation, 1)?.status, 200);
    let third = register(&mut plane, START, &activation, 2)?;
    assert_eq!(verdict(&third).0, "RegistrationLimitExceeded");
    let gone = json!({ "InstanceId": first });
    assert_eq!(ask(&mut plane, START, SSM, "DeregisterManagedInstance", &gone).status, 200);
    let third = register(&mut plane, START, &activation, 2)?;
    assert_eq!(verdict(&third).0, "RegistrationLimitExceeded", "what is used stays used");
    Ok(())
}

#[test]
fn a_deleted_activation_is_of_no_use() -> Outcome {
    let mut plane = plane();
    let activation = create(&mut plane, START, &json!({ "IamRole": "r", "RegistrationLimit": 2 }));
    register(&mut plane, START, &activation, 0)?;
    let delete = json!({ "ActivationId": activation.0 });
    assert_eq!(ask(&mut plane, START, SSM, "DeleteActivation", &delete).status, 200);
    assert_eq!(list(&mut plane, START, &json!({})), Vec::<Value>::new());
    let refused = register(&mut plane, START, &activation, 1)?;
    assert_eq!(verdict(&refused).0, "InvalidActivation");
    let again = ask(&mut plane, START, SSM, "DeleteActivation", &delete);
    assert_eq!(verdict(&again).0, "InvalidActivation", "it might have been deleted, and it was");
    assert_eq!(plane.ssm().instances().len(), 1, "deleting does not deregister");
    Ok(())
}

/// A list of pages, by following its tokens.
fn pages(plane: &mut ControlPlane, body: &Value) -> Vec<Vec<String>> {
    let (mut pages, mut body) = (Vec::new(), body.clone());
    loop {
        let answer = json(&ask(plane, START, SSM, "DescribeActivations", &body));
        let rows = answer["ActivationList"].as_array().cloned().unwrap_or_default();
        let ids = rows.iter().map(|row| row["ActivationId"].to_string());
        pages.push(ids.collect());
        match &answer["NextToken"] {
            Value::Null => return pages,
            token => body["NextToken"] = token.clone(),
        }
    }
}

#[test]
fn lists_come_in_pages() {
    let mut plane = plane();
    for number in 0..120 {
        let name = if number % 2 == 0 { "even" } else { "odd" };
        create(&mut plane, START, &json!({ "IamRole": "r", "DefaultInstanceName": name }));
    }
    let lengths = |pages: &[Vec<String>]| pages.iter().map(Vec::len).collect::<Vec<_>>();
    let all = pages(&mut plane, &json!({}));
    assert_eq!(lengths(&all), [50, 50, 20]);
    assert_eq!(all.concat().into_iter().collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(lengths(&pages(&mut plane, &json!({ "MaxResults": 40 }))), [40, 40, 40]);
    let filter = json!([{ "FilterKey": "DefaultInstanceName", "FilterValues": ["even"] }]);
    let even = pages(&mut plane, &json!({ "MaxResults": 50, "Filters": filter }));
    assert_eq!(lengths(&even), [50, 10]);

    let page = json(&ask(&mut plane, START, SSM, "DescribeActivations", &json!({})));
    let foreign = json!({ "NextToken": page["NextToken"] });
    let refused = ask(&mut plane, START, SSM, "DescribeInstanceInformation", &foreign);
    assert_eq!(verdict(&refused).0, "InvalidNextToken", "the token is of another list");
}

#[test]
fn filters_narrow_and_their_values_widen() {
    let mut plane = plane();
    let named = |role: &str, name: &str| json!({ "IamRole": role, "DefaultInstanceName": name });
    let (first, _) = create(&mut plane, START, &named("a", "x"));
    let (second, _) = create(&mut plane, START, &named("b", "x"));
    create(&mut plane, START, &json!({ "IamRole": "b" }));
    let filter = |key: &str, values: &[&str]| json!({ "FilterKey": key, "FilterValues": values });
    let role_b = filter("IamRole", &["b"]);
    let rows = [
        (vec![role_b.clone()], 2),
        (vec![filter("IamRole", &["a", "b"])], 3),
        (vec![filter("DefaultInstanceName", &["x"])], 2),
        (vec![filter("DefaultInstanceName", &["x"]), role_b.clone()], 1),
        (vec![filter("ActivationIds", &[&first, &second])], 2),
        (vec![filter("ActivationIds", &[&first]), role_b], 0),
        (vec![filter("ActivationIds", &["nothing of the kind"])], 0),
    ];
    for (filters, count) in rows {
        let body = json!({ "Filters": filters });
        assert_eq!(list(&mut plane, START, &body).len(), count, "{body}");
    }
}

#[test]
fn the_roles_can_be_named() {
    let roles = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let ssm = SsmSettings { roles: roles(&["service-role/here"]), ..SsmSettings::default() };
    let mut plane = paper(ControlSettings { throttle: None, ssm, ..ControlSettings::default() });
    let verdict_of = |plane: &mut ControlPlane, role: &str| {
        verdict(&ask(plane, START, SSM, "CreateActivation", &json!({ "IamRole": role }))).0
    };
    assert_eq!(verdict_of(&mut plane, "service-role/here"), "ok");
    assert_eq!(verdict_of(&mut plane, "here"), "ValidationException", "the path is part of it");
    assert_eq!(verdict_of(&mut plane, "late"), "ValidationException");
    // A role that was just made is not known everywhere at once.
    plane.ssm_mut().set_roles(roles(&["late"]));
    assert_eq!(verdict_of(&mut plane, "late"), "ok");
}
