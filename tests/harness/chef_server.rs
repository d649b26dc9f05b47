//! The API of a Chef server: requests and answers, written from Chef's documentation and
//! independently of the agent's transport.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use enlist::config::settings::Settings;
use enlist::config::{Input, fragments};
use enlist::engines::Engines;
use enlist::fault::{Fault, Kind};
use enlist::pki::{PrivateKey, PublicKey};
use enlist::targets::Target;
use enlist::targets::chef_server::ChefServer;
use enlist::targets::chef_server::api::{Action, Answer, Request, Unauthenticated};
use enlist_emulator::control::{ChefSettings, ControlPlane, Family};
use enlist_emulator::http::{self, Connection, Delivery};
use enlist_emulator::now::Now;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::keys;
use super::node::Node;

/// The server's name in the emulator, and for the node.
const SERVER: &str = "chef-test";
const HOST: &str = "chef.example";
const ROOT: &str = "/organizations/default/";
pub const VALIDATOR: &str = "etc/chef/validation.pem";

/// `[chef-server]` with these settings too, and with a run list.
pub fn target(more: &str) -> (Box<dyn Target>, Engines) {
    with_chef(more, "")
}

/// Also with these settings of `[chef]`.
pub fn with_chef(more: &str, chef: &str) -> (Box<dyn Target>, Engines) {
    let text = text(more, chef);
    let mut input = Input::default();
    fragments::add_text(&mut input, &text, "the test").unwrap();
    let settings = Settings::parse(&input, &|path| panic!("{path} is read")).unwrap();
    (Box::new(settings.of::<ChefServer>().unwrap().clone()), settings.engines)
}

/// These settings.
pub fn text(more: &str, chef: &str) -> String {
    format!(
        "[chef-server]\nurl = \"https://{HOST}{ROOT}\"\nvalidator_key = {{ file = \"/{VALIDATOR}\" }}\n{more}[chef]\nkey_bits = 2048\nrun_list = [\"recipe[base]\"]\n{chef}"
    )
}

/// The server knows the validator's public key.
pub fn settings() -> ChefSettings {
    let key = PrivateKey::from_pem(keys::validator().as_bytes()).unwrap();
    ChefSettings { validator_key: Some(key.public().spki_der().to_vec()) }
}

/// The HTTP request of a call.
pub fn call(request: &Request) -> http::Request {
    let (method, path) = match &request.action {
        Action::GetVersions => ("GET", "/server_api_version".to_owned()),
        Action::CreateClient { .. } => ("POST", format!("{ROOT}clients")),
        Action::GetClient { name } => ("GET", format!("{ROOT}clients/{name}")),
        Action::UpdateKey { name, .. } => ("PUT", format!("{ROOT}clients/{name}/keys/default")),
        Action::DeleteClient { name } => ("DELETE", format!("{ROOT}clients/{name}")),
        Action::CreateNode { .. } => ("POST", format!("{ROOT}nodes")),
        Action::GetNode { name } => ("GET", format!("{ROOT}nodes/{name}")),
        Action::UpdateNode { name, .. } => ("PUT", format!("{ROOT}nodes/{name}")),
        Action::DeleteNode { name } => ("DELETE", format!("{ROOT}nodes/{name}")),
    };
    let body = request.action.body().as_bytes().to_vec();
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if let Some(signed) = &request.signed {
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        add("x-ops-sign", "algorithm=sha256;version=1.3;".to_owned());
        add("x-ops-userid", signed.user.clone());
        add("x-ops-timestamp", signed.time.clone());
        add("x-ops-content-hash", BASE64_STANDARD.encode(Sha256::digest(&body)));
        add("x-ops-server-api-version", signed.version.to_string());
        add("x-ops-authorization-1", BASE64_STANDARD.encode(&signed.signature));
    }
    let method = method.to_owned();
    http::Request { method, path, headers, body, ..http::Request::default() }
}

/// Method and kind of a request to a Chef server. None: it goes to another API.
pub fn action(request: &http::Request) -> Option<String> {
    if request.path == "/server_api_version" {
        return Some("GET server_api_version".to_owned());
    }
    let kind = request.path.strip_prefix(ROOT)?.split('/').next()?;
    Some(format!("{} {kind}", request.method))
}

pub fn handle(plane: &mut ControlPlane, now: Now, request: &http::Request) -> http::Response {
    let connection = Connection { server: SERVER.to_owned(), ..Connection::default() };
    plane.handle_at(now, Family::Chef, &connection, request)
}

/// The answer in a response, or its fault. Only a new client or key is in doubt.
pub fn answer(request: &Request, response: &http::Response) -> Result<Answer, Fault> {
    let is_creating =
        matches!(request.action, Action::CreateClient { .. } | Action::UpdateKey { .. });
    let lost = |what: &str| {
        let fault = Fault::new(Kind::Transient, what, "the server", "nothing");
        Err(if is_creating { fault.in_doubt() } else { fault })
    };
    match response.delivery {
        Delivery::Dropped => return lost("no answer came"),
        Delivery::Late(_) => return lost("no answer in time"),
        Delivery::Truncated => return lost("an incomplete answer"),
        Delivery::Whole => {}
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let said = body["error"][0].as_str().unwrap_or_default().to_owned();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Ok(match (&request.action, response.status) {
        (_, 429) => {
            let fault = Fault::new(Kind::Transient, "too many requests", "the server", "nothing");
            return Err(fault.throttled());
        }
        (_, 500..) => return lost("an error of the server"),
        (_, 401) if said.starts_with("Invalid signature") => {
            Answer::Unauthenticated(Unauthenticated::OtherKey, said)
        }
        (_, 401) if said.contains("node_name and client key") => {
            Answer::Unauthenticated(Unauthenticated::NoSuchClient, said)
        }
        (_, 403) => Answer::Forbidden(said),
        (Action::GetVersions, 200) => Answer::Versions(Some((
            body["min_api_version"].as_i64().unwrap(),
            body["max_api_version"].as_i64().unwrap(),
        ))),
        (Action::CreateClient { .. } | Action::CreateNode { .. }, 201) => Answer::Created,
        (Action::CreateClient { .. } | Action::CreateNode { .. }, 409) => Answer::Taken,
        (Action::GetClient { .. }, 200) => {
            Answer::Client { name: text("name"), public_key: text("public_key") }
        }
        (Action::GetNode { .. }, 200) => {
            Answer::Node(String::from_utf8(response.body.clone()).unwrap())
        }
        (_, 200) => Answer::Done,
        (_, 404) => Answer::Missing,
        (action, status) => panic!("{action:?} was answered with {status}: {body}"),
    })
}

impl Node {
    fn chef_rows(&self, table: &str) -> Vec<Value> {
        let rows = self.plane.chef_state()[table].as_array().unwrap().clone();
        rows.into_iter().filter(|row| row["server"] == SERVER).collect()
    }

    /// Whether the server has neither a client nor a node.
    pub fn is_unknown_to_chef(&self) -> bool {
        self.has_no_client() && self.chef_rows("chef_nodes").is_empty()
    }

    /// The key of the one client, PEM.
    pub fn key_at_server(&self) -> String {
        let clients = self.chef_rows("chef_clients");
        clients[0]["public_key"].as_str().unwrap().to_owned()
    }

    pub fn has_no_client(&self) -> bool {
        self.chef_rows("chef_clients").is_empty()
    }

    /// The server has one client, under this name and with this key, and its node, which it owns.
    pub fn is_client(&self, name: &str, key: &PublicKey) {
        let clients = self.chef_rows("chef_clients");
        let [client] = clients.as_slice() else { panic!("not one client: {clients:?}") };
        assert_eq!((client["name"].as_str(), &client["admin"]), (Some(name), &false.into()));
        assert_eq!(client["public_key"].as_str(), Some(key.to_pem().as_str()));
        let nodes = self.chef_rows("chef_nodes");
        let [node] = nodes.as_slice() else { panic!("not one node: {nodes:?}") };
        assert_eq!((node["name"].as_str(), node["owner"].as_str()), (Some(name), Some(name)));
        assert_eq!(node["object"]["run_list"][0], "recipe[base]");
    }

    /// What an admin does: `knife client delete`, and `knife node delete` too.
    pub fn admin_deletes(&mut self, node_too: bool) {
        let now = self.plane_now();
        for (kind, is_wanted) in [("clients", true), ("nodes", node_too)] {
            let rows = self.chef_rows(&format!("chef_{kind}"));
            for row in rows.iter().filter(|_| is_wanted) {
                let name = row["name"].as_str().unwrap();
                assert!(self.plane.delete_of_chef(now, SERVER, "default", kind, name));
            }
        }
    }
}
