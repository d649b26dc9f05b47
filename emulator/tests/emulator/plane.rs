//! The control plane without sockets, and a certificate authority that costs nothing.

use enlist_emulator::ca::{Authority, Csr, CsrError, Order, Refusal};
use enlist_emulator::control::{ControlPlane, ControlSettings};
use enlist_emulator::http::{Request, Response};
use enlist_emulator::now::Now;
use serde_json::{Value, json};

use super::client::TARGET;

/// The moment at which planes start: 2025-01-01T00:00:00Z.
pub const START: Now = Now::from_unix_seconds(1_735_689_600);

/// Takes any text as a request for whatever name, and signs with a sentence.
pub struct Paper;

impl Authority for Paper {
    fn bundle(&self) -> &'static str {
        "the CA"
    }

    fn read(&self, text: &str) -> Result<Csr, CsrError> {
        let key = text.as_bytes().to_vec();
        Ok(Csr { common_name: None, public_key: key, extensions: Vec::new(), proven: true })
    }

    fn sign(&mut self, now: Now, order: &Order<'_>) -> Result<String, Refusal> {
        Ok(format!("{} is {}, said the CA at {}", order.serial, order.node_name, now.rfc3339()))
    }
}

/// A plane whose CA is paper.
pub fn paper(settings: ControlSettings) -> ControlPlane {
    ControlPlane::new(settings, Box::new(Paper), START)
}

/// The prefixes of the other families' targets.
pub const STACKS: &str = "OpsWorks_20130218";
pub const SSM: &str = "AmazonSSM";

/// An unsigned call of OpsWorks CM.
pub fn call(plane: &mut ControlPlane, now: Now, action: &str, body: &Value) -> Response {
    ask(plane, now, TARGET, action, body)
}

/// An unsigned call of a family's action.
pub fn ask(
    plane: &mut ControlPlane,
    now: Now,
    family: &str,
    action: &str,
    body: &Value,
) -> Response {
    plane.handle(now, &Request::call(&format!("{family}.{action}"), body))
}

/// The body of `AssociateNode` for a node whose request is `csr`.
pub fn associate(node: &str, csr: &str) -> Value {
    let attributes = json!([{ "Name": "PUPPET_NODE_CSR", "Value": csr }]);
    json!({ "ServerName": "puppet-test", "NodeName": node, "EngineAttributes": attributes })
}

/// A response's body.
pub fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or(Value::Null)
}

/// A response's error and message, or `ok`.
pub fn verdict(response: &Response) -> (String, String) {
    let body = json(response);
    let message = body["message"].as_str().or_else(|| body["Message"].as_str());
    let error = response.error.clone().unwrap_or_else(|| "ok".to_owned());
    (error, message.unwrap_or_default().to_owned())
}

/// Associates a node and returns its token.
pub fn join(plane: &mut ControlPlane, now: Now, node: &str, csr: &str) -> String {
    let response = call(plane, now, "AssociateNode", &associate(node, csr));
    let token = json(&response)["NodeAssociationStatusToken"].as_str().map(str::to_owned);
    token.unwrap_or_else(|| panic!("no token: {:?}", verdict(&response)))
}

/// The status that a token shows, or the error.
pub fn status(plane: &mut ControlPlane, now: Now, token: &str) -> String {
    let body = json!({ "ServerName": "puppet-test", "NodeAssociationStatusToken": token });
    let response = call(plane, now, "DescribeNodeAssociationStatus", &body);
    let status = json(&response)["NodeAssociationStatus"].as_str().map(str::to_owned);
    status.unwrap_or_else(|| verdict(&response).0)
}
