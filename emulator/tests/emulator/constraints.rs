//! Every documented constraint of every request member: at its limit, and one past.

use enlist_emulator::ca::SigningCa;
use enlist_emulator::control::{
    ControlPlane, ControlSettings, Engine, OpsWorksCmSettings, ServerSpec,
};
use enlist_emulator::http::Request;
use serde_json::{Value, json};

use super::Outcome;
use super::openssl;
use super::plane::{START, call, json, verdict};

const NULL: &str = "failed to satisfy constraint: Member must not be null";
const LONG_NAME: &str = "Member must have length less than or equal to 40";
const SERVER_PATTERN: &str = r"regular expression pattern: [a-zA-Z][a-zA-Z0-9\-]*";
const NODE_PATTERN: &str = r"regular expression pattern: ^[\-\p{Alnum}_:.]+$";
const LONG_TEXT: &str = "Member must have length less than or equal to 10000";

const OK: &str = "ok";
const INVALID: &str = "ValidationException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const TYPE: &str = "SerializationException";

/// A plane with a real CA, and servers whose names are as short and as long as they may be.
fn plane() -> Result<ControlPlane, Box<dyn std::error::Error>> {
    let mut servers: Vec<_> =
        ["puppet-test", "p", &"p".repeat(40)].map(ServerSpec::new).into_iter().collect();
    servers.push(ServerSpec { engine: Engine::Chef, ..ServerSpec::new("chef-test") });
    let opsworks_cm = OpsWorksCmSettings { servers, ..OpsWorksCmSettings::default() };
    let settings = ControlSettings { throttle: None, opsworks_cm, ..ControlSettings::default() };
    let ca = SigningCa::generate(START, "puppet-test")?;
    Ok(ControlPlane::new(settings, Box::new(ca), START))
}

/// Sends `base` once for each row, with one member replaced, and compares the error and a part of
/// its message.
fn check(
    plane: &mut ControlPlane,
    action: &str,
    base: &Value,
    rows: &[(&str, Value, &str, &str)],
) {
    for (member, value, error, part) in rows {
        let mut body = base.clone();
        body[member] = value.clone();
        let found = verdict(&call(plane, START, action, &body));
        let shown: String = value.to_string().chars().take(60).collect();
        assert_eq!(found.0, *error, "{action} {member}={shown}: {}", found.1);
        assert!(found.1.contains(part), "{action} {member}={shown}: {}", found.1);
    }
}

/// The rows of `ServerName`, which is the same in every action. `good` is what a name gets that
/// is valid and exists.
fn server_name(good: &'static str, missing: &'static str) -> Vec<(&'static str, Value, &'static str, &'static str)> {
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

fn node_name() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    [
        (json!("n"), OK, ""),
        (json!("-"), OK, ""),
        (json!("Node_1:eu-west-1.example"), OK, ""),
        (json!("n".repeat(10_000)), OK, ""),
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

#[test]
fn associate_node() -> Outcome {
    let mut plane = plane()?;
    let csr = openssl::request("node", &[])?;
    let csr = |value: &str| json!([{ "Name": "PUPPET_NODE_CSR", "Value": value }]).replace_csr(&csr);
    let base = json!({
        "ServerName": "puppet-test", "NodeName": "node", "EngineAttributes": csr("CSR"),
        "Unknown": "members are ignored",
    });
    check(&mut plane, "AssociateNode", &base, &server_name(OK, INVALID));
    check(&mut plane, "AssociateNode", &base, &node_name());
    let other = |name: Value, value: Value| json!([{ "Name": name, "Value": value }]);
    let attributes = [
        (csr("CSR"), OK, ""),
        (csr("10000 characters: CSR"), OK, ""),
        (csr("10001 characters: CSR"), INVALID, "'engineAttributes.1.member.value' failed"),
        (other(json!("n".repeat(10_000)), json!("v")), INVALID, "Unknown engine attribute"),
        (other(json!("n".repeat(10_001)), json!("v")), INVALID, LONG_TEXT),
        (Value::Null, INVALID, "Value null at 'engineAttributes'"),
        (json!([]), INVALID, "Missing engine attribute 'PUPPET_NODE_CSR'"),
        (csr(""), INVALID, "Missing engine attribute 'PUPPET_NODE_CSR'"),
        (other(json!("PUPPET_NODE_CSR"), Value::Null), INVALID, "Missing engine attribute"),
        (other(Value::Null, json!("v")), INVALID, "Unknown engine attribute ''"),
        (other(json!("CHEF_ORGANIZATION"), json!("default")), INVALID, "Unknown engine attribute"),
        (json!({}), TYPE, "START_OBJECT can not be converted to a List"),
        (json!(["x"]), TYPE, "STRING_VALUE can not be converted to a structure"),
        (other(json!("PUPPET_NODE_CSR"), json!(5)), TYPE, "NUMBER_VALUE"),
        (csr("no PEM at all"), INVALID, "it is not PEM"),
        (csr("CUT"), INVALID, "not PEM"),
        (csr("LABEL"), INVALID, "'CERTIFICATE' is not a certificate signing request"),
        (csr("JUNK"), INVALID, "does not hold a PKCS#10 request"),
    ];
    let rows = attributes.map(|(value, error, part)| ("EngineAttributes", value, error, part));
    check(&mut plane, "AssociateNode", &base, &rows[..15]);
    for (member, value, error, part) in &rows[15..] {
        let mut body = base.clone();
        body[member] = value.clone();
        let found = verdict(&call(&mut plane, START, "AssociateNode", &body));
        assert_eq!((found.0.as_str(), found.1.contains(part)), (*error, true), "{}", found.1);
    }
    Ok(())
}
