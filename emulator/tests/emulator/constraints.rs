//! Every documented constraint of every request member: at its limit, and one past.

use enlist_emulator::ca::SigningCa;
use enlist_emulator::control::{
    ControlPlane, ControlSettings, Engine, OpsWorksCmSettings, ServerSpec,
};
use enlist_emulator::http::Request;
use serde_json::{Value, json};

use super::Outcome;
use super::client::TARGET;
use super::openssl;
use super::plane::{START, call, json, verdict};
use super::rows::{self, INVALID, NOT_FOUND, NULL, OK, Row, TYPE};

const LONG_NAME: &str = "Member must have length less than or equal to 40";
const SERVER_PATTERN: &str = r"regular expression pattern: [a-zA-Z][a-zA-Z0-9\-]*";
const NODE_PATTERN: &str = r"regular expression pattern: ^[\-\p{Alnum}_:.]+$";
const LONG_TEXT: &str = "Member must have length less than or equal to 10000";

/// A plane with a real CA, and servers whose names are as short and as long as they may be.
fn plane() -> Result<ControlPlane, Box<dyn std::error::Error>> {
    let mut servers: Vec<_> =
        ["puppet-test", "p", &"p".repeat(40)].map(ServerSpec::new).into_iter().collect();
    servers.push(ServerSpec { engine: Engine::Chef, ..ServerSpec::new("chef-test") });
    let opsworks_cm = OpsWorksCmSettings { servers, ..OpsWorksCmSettings::default() };
    let settings = ControlSettings { throttle: None, opsworks_cm, ..ControlSettings::default() };
    let ca = SigningCa::shared(START, "puppet-test")?;
    Ok(ControlPlane::new(settings, Box::new(ca), START))
}

/// Sends `base` once for each row, with one member replaced.
fn check(plane: &mut ControlPlane, action: &str, base: &Value, rows: &[Row]) {
    rows::check(plane, (TARGET, action), base, rows);
}

/// The rows of `ServerName`, which is the same in every action. `good` is what a name gets that
/// is valid and exists.
fn server_name(good: &'static str, missing: &'static str) -> Vec<Row> {
    let null = if missing == OK { "" } else { NULL };
    [
        (json!("p"), good, ""),
        (json!("p".repeat(40)), good, ""),
        (json!("p".repeat(41)), INVALID, LONG_NAME),
        (json!(""), INVALID, "Member must have length greater than or equal to 1"),
        (json!("1p"), INVALID, SERVER_PATTERN),
        (json!("-p"), INVALID, SERVER_PATTERN),
        (json!("p_p"), INVALID, SERVER_PATTERN),
        (json!("p.p"), INVALID, SERVER_PATTERN),
        (json!("pé"), INVALID, SERVER_PATTERN),
        (json!("p\n"), INVALID, SERVER_PATTERN),
        (json!("unknown"), NOT_FOUND, "unknown"),
        (Value::Null, missing, null),
        (json!(7), TYPE, "NUMBER_VALUE can not be converted to a String"),
        (json!(["p"]), TYPE, "START_ARRAY can not be converted to a String"),
    ]
    .map(|(value, error, part)| ("ServerName", value, error, part))
    .into()
}

fn node_name(good: &'static str) -> Vec<Row> {
    [
        (json!("n"), good, ""),
        (json!("-"), good, ""),
        (json!("Node_1:eu-west-1.example"), good, ""),
        (json!("n".repeat(10_000)), good, ""),
        (json!("n".repeat(10_001)), INVALID, LONG_TEXT),
        (json!(""), INVALID, NODE_PATTERN),
        (json!("a b"), INVALID, NODE_PATTERN),
        (json!("a/b"), INVALID, NODE_PATTERN),
        (json!("nodé"), INVALID, NODE_PATTERN),
        (json!("a\n"), INVALID, NODE_PATTERN),
        (Value::Null, INVALID, "Value null at 'nodeName'"),
        (json!(true), TYPE, "TRUE_VALUE can not be converted to a String"),
    ]
    .map(|(value, error, part)| ("NodeName", value, error, part))
    .into()
}

/// One engine attribute.
fn attribute(name: impl Into<Value>, value: impl Into<Value>) -> Value {
    json!([{ "Name": name.into(), "Value": value.into() }])
}

/// `csr` with so much text before its armour that it has `length` characters.
fn padded(csr: &str, length: usize) -> String {
    format!("{}\n{csr}", "#".repeat(length - csr.len() - 1))
}

#[test]
fn associate_node() -> Outcome {
    let mut plane = plane()?;
    let csr = openssl::request("node", &[])?;
    let puppet = |value: &str| attribute("PUPPET_NODE_CSR", value);
    let base = json!({
        "ServerName": "puppet-test", "NodeName": "node", "EngineAttributes": puppet(&csr),
        "Unknown": "members are ignored",
    });
    check(&mut plane, "AssociateNode", &base, &server_name(OK, INVALID));
    check(&mut plane, "AssociateNode", &base, &node_name(OK));
    let cut = &csr[..csr.len() / 2];
    let junk = csr.lines().nth(1).unwrap_or_default();
    let junk = csr.replace(junk, &junk.chars().rev().collect::<String>());
    let twice = json!([puppet(&csr)[0], puppet(&csr)[0]]);
    let rows = [
        (puppet(&padded(&csr, 10_000)), OK, ""),
        (puppet(&padded(&csr, 10_001)), INVALID, LONG_TEXT),
        (puppet(&padded(&csr, 10_001)), INVALID, "Value at 'engineAttributes.1.member.value'"),
        (attribute("n".repeat(10_000), "v"), INVALID, "Unknown engine attribute"),
        (attribute("n".repeat(10_001), "v"), INVALID, LONG_TEXT),
        (Value::Null, INVALID, "Value null at 'engineAttributes'"),
        (json!([]), INVALID, "Missing engine attribute 'PUPPET_NODE_CSR'"),
        (puppet(""), INVALID, "Missing engine attribute 'PUPPET_NODE_CSR'"),
        (attribute("PUPPET_NODE_CSR", Value::Null), INVALID, "Missing engine attribute"),
        (attribute(Value::Null, "v"), INVALID, "Unknown engine attribute ''"),
        (attribute("CHEF_ORGANIZATION", "default"), INVALID, "Unknown engine attribute"),
        (twice, INVALID, "is given twice"),
        (json!({}), TYPE, "START_OBJECT can not be converted to a List"),
        (json!(["x"]), TYPE, "STRING_VALUE can not be converted to a structure"),
        (attribute("PUPPET_NODE_CSR", 5), TYPE, "NUMBER_VALUE can not be converted to a String"),
        (puppet("no PEM at all"), INVALID, "is not PEM"),
        (puppet(cut), INVALID, "is not PEM"),
        (puppet(&junk), INVALID, "does not hold a PKCS#10 request"),
        (puppet(plane.ca_bundle()), INVALID, "'CERTIFICATE' is not a certificate signing request"),
    ];
    let rows = rows.map(|(value, error, part)| ("EngineAttributes", value, error, part));
    check(&mut plane, "AssociateNode", &base, &rows);
    Ok(())
}

#[test]
fn associate_node_with_chef() -> Outcome {
    let mut plane = plane()?;
    let key = openssl::public_key("rsa", openssl::key(0))?;
    let pair = |organization: &str, name: &str, key: &str| {
        json!([
            { "Name": "CHEF_ORGANIZATION", "Value": organization },
            { "Name": name, "Value": key },
        ])
    };
    let both = |organization: &str, key: &str| pair(organization, "CHEF_NODE_PUBLIC_KEY", key);
    let named = |name: &str, key: &str| pair("default", name, key);
    let mut three = both("default", &key);
    if let Some(attributes) = three.as_array_mut() {
        attributes.push(attribute("CHEF_AUTOMATE_NODE_PUBLIC_KEY", key.as_str())[0].clone());
    }
    let curve = openssl::run("/".as_ref(), &["ecparam", "-name", "prime256v1", "-genkey"], "")?;
    let curve = openssl::run("/".as_ref(), &["ec", "-pubout"], &curve)?;
    let base = json!({ "ServerName": "chef-test", "NodeName": "node" });
    let rows = [
        (both("default", &key), OK, ""),
        (named("CHEF_NODE_PUBLIC_KEY", &key), OK, ""),
        (named("CHEF_AUTOMATE_NODE_PUBLIC_KEY", &key), OK, ""),
        (named("CHEF_AUTOMATE_NODE_PUBLIC_KEY", ""), INVALID, "'CHEF_AUTOMATE_NODE_PUBLIC_KEY'"),
        (three, INVALID, "are the same; give one of them"),
        (attribute("CHEF_ORGANIZATION", "default"), INVALID, "Missing engine attribute 'CHEF_NODE"),
        (attribute("CHEF_NODE_PUBLIC_KEY", key.as_str()), INVALID, "'CHEF_ORGANIZATION'"),
        (both("", &key), INVALID, "Missing engine attribute 'CHEF_ORGANIZATION'"),
        (both("default", ""), INVALID, "Missing engine attribute 'CHEF_NODE_PUBLIC_KEY'"),
        (both("default", "no PEM"), INVALID, "it is not PEM"),
        (both("default", openssl::key(0)), INVALID, "it is not a PEM block 'PUBLIC KEY'"),
        (both("default", &curve), INVALID, "it does not hold an RSA public key"),
        (attribute("PUPPET_NODE_CSR", "x"), INVALID, "Unknown engine attribute"),
    ];
    let rows = rows.map(|(value, error, part)| ("EngineAttributes", value, error, part));
    check(&mut plane, "AssociateNode", &base, &rows);

    let rows = [
        (Value::Null, INVALID, "Missing engine attribute 'CHEF_ORGANIZATION'"),
        (attribute("CHEF_NODE_KEY", "x"), INVALID, "Unknown engine attribute 'CHEF_NODE_KEY'"),
        (attribute("CHEF_ORGANIZATION", "default"), OK, ""),
    ];
    let rows = rows.map(|(value, error, part)| ("EngineAttributes", value, error, part));
    check(&mut plane, "DisassociateNode", &base, &rows);
    Ok(())
}

#[test]
fn disassociate_node() -> Outcome {
    let mut plane = plane()?;
    let base = json!({ "ServerName": "puppet-test", "NodeName": "nobody" });
    check(&mut plane, "DisassociateNode", &base, &server_name(NOT_FOUND, INVALID));
    check(&mut plane, "DisassociateNode", &base, &node_name(NOT_FOUND));
    let rows = [
        ("EngineAttributes", json!([]), NOT_FOUND, "nobody"),
        ("EngineAttributes", json!("x"), TYPE, "STRING_VALUE can not be converted to a List"),
        ("EngineAttributes", attribute("X", "v"), INVALID, "Unknown engine attribute 'X'"),
        ("EngineAttributes", attribute("X", "v".repeat(10_001)), INVALID, LONG_TEXT),
    ];
    check(&mut plane, "DisassociateNode", &base, &rows);
    Ok(())
}

#[test]
fn describe_node_association_status() -> Outcome {
    let mut plane = plane()?;
    let csr = openssl::request("node", &[])?;
    let attributes = attribute("PUPPET_NODE_CSR", csr);
    let body =
        json!({ "ServerName": "puppet-test", "NodeName": "node", "EngineAttributes": attributes });
    let token = json(&call(&mut plane, START, "AssociateNode", &body));
    let token = token["NodeAssociationStatusToken"].clone();
    let base = json!({ "ServerName": "puppet-test", "NodeAssociationStatusToken": token });

    let action = "DescribeNodeAssociationStatus";
    // The token is not valid with the other servers, though they exist.
    check(&mut plane, action, &base, &server_name(NOT_FOUND, INVALID));
    let rows = [
        (token, OK, ""),
        (json!("x".repeat(10_000)), NOT_FOUND, "No recent"),
        (json!("x".repeat(10_001)), INVALID, LONG_TEXT),
        (json!(""), NOT_FOUND, "No recent"),
        (Value::Null, INVALID, "Value null at 'nodeAssociationStatusToken'"),
        (json!(1.5), TYPE, "DECIMAL_VALUE can not be converted to a String"),
    ];
    let rows = rows.map(|(value, error, part)| ("NodeAssociationStatusToken", value, error, part));
    check(&mut plane, action, &base, &rows);
    Ok(())
}

#[test]
fn describe_servers() -> Outcome {
    let mut plane = plane()?;
    check(&mut plane, "DescribeServers", &json!({}), &server_name(OK, OK));
    let rows = [
        ("MaxResults", json!(1), OK, ""),
        ("MaxResults", json!(2_147_483_647), OK, ""),
        ("MaxResults", Value::Null, OK, ""),
        ("MaxResults", json!(0), INVALID, "Member must have value greater than or equal to 1"),
        ("MaxResults", json!(-1), INVALID, "Value '-1' at 'maxResults'"),
        ("MaxResults", json!(2_147_483_648_u32), TYPE, "can not be converted to an Integer"),
        ("MaxResults", json!(1.5), TYPE, "DECIMAL_VALUE can not be converted to an Integer"),
        ("MaxResults", json!("1"), TYPE, "STRING_VALUE can not be converted to an Integer"),
        ("NextToken", json!("x"), "InvalidNextTokenException", "nextToken is not valid"),
        ("NextToken", json!("x".repeat(10_001)), INVALID, LONG_TEXT),
        ("NextToken", Value::Null, OK, ""),
        ("NextToken", json!({}), TYPE, "START_OBJECT can not be converted to a String"),
    ];
    check(&mut plane, "DescribeServers", &json!({}), &rows);
    let all = json(&call(&mut plane, START, "DescribeServers", &json!({})));
    assert_eq!(all["Servers"].as_array().map(Vec::len), Some(4));
    let one = json!({ "ServerName": "chef-test" });
    let one = json(&call(&mut plane, START, "DescribeServers", &one));
    assert_eq!(one["Servers"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["Servers"][0]["Engine"], "Chef");
    Ok(())
}

#[test]
fn one_answer_names_every_violation() -> Outcome {
    let mut plane = plane()?;
    let body = json!({ "ServerName": "1", "NodeName": "a b" });
    let (error, message) = verdict(&call(&mut plane, START, "AssociateNode", &body));
    assert_eq!(error, INVALID);
    assert!(message.starts_with("3 validation errors detected: Value '1' at 'serverName'"));
    assert_eq!(message.matches("; Value").count(), 2, "{message}");
    Ok(())
}

#[test]
fn requests_that_are_not_calls() -> Outcome {
    let mut plane = plane()?;
    let good = || Request::call("OpsWorksCM_V2016_11_01.DescribeServers", &json!({}));
    let with_body = |body: &str| Request { body: body.into(), ..good() };
    let rows = [
        (good(), 200, OK),
        (with_body("{"), 400, TYPE),
        (with_body(""), 400, TYPE),
        (with_body("[]"), 400, TYPE),
        (with_body("\u{0}\u{ff}"), 400, TYPE),
        (
            Request::call("OpsWorksCM_V2016_11_01.Frobnicate", &json!({})),
            400,
            "UnknownOperationException",
        ),
        (Request::call("OpsWorksCM_V2016_11_01", &json!({})), 400, "UnknownOperationException"),
        (Request::call("Other.DescribeServers", &json!({})), 400, "UnknownOperationException"),
        (Request { headers: Vec::new(), ..good() }, 400, "UnknownOperationException"),
        (Request { method: "GET".into(), ..good() }, 405, "MethodNotAllowedException"),
        (Request { path: "/x".into(), ..good() }, 404, "NotFoundException"),
    ];
    for (request, status, error) in rows {
        let response = plane.handle(START, &request);
        assert_eq!(
            (response.status, verdict(&response).0.as_str()),
            (status, error),
            "{request:?}"
        );
        let header = |name: &str| response.headers.iter().find(|(known, _)| known == name);
        assert!(header("x-amzn-requestid").is_some());
        let named = header("x-amzn-errortype").map_or(OK, |(_, value)| value.as_str());
        assert_eq!(named, error);
        assert_eq!(json(&response)["__type"].as_str().unwrap_or(OK), error);
    }
    Ok(())
}
