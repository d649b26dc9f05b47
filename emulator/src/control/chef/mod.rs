//! The API of Chef servers: clients and nodes of organizations, as Chef Infra Server 15 (oc_erchef)
//! answers, and its texts word for word. Associated nodes are clients of their organization.

mod admin;
mod clients;
mod key;
mod nodes;
mod signature;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use admin::ClientKind;

use super::opsworks_cm::OpsWorksCm;
use super::puppet_ca::percent_decoded;
use super::table::Table;
use crate::ca::Authority;
use crate::http::{Request, Response};
use crate::now::Now;

/// The versions of the API, `X-Ops-Server-API-Version`.
const VERSIONS: std::ops::RangeInclusive<i64> = 0..=2;
const JSON: &str = "application/json";
/// The longest body that the server takes, in bytes.
const LARGEST: usize = 1_000_000;
/// The server's superuser, whose key is in the starter kit.
const PIVOTAL: &str = "pivotal";

/// Server, organization, and a name in it.
type Name = (String, String, String);

/// How the servers are set up.
#[derive(Clone, Debug, Default)]
pub struct ChefSettings {
    /// The public key of every organization's validator: SubjectPublicKeyInfo in DER.
    pub validator_key: Option<Vec<u8>>,
}

/// The state of all Chef servers.
#[derive(Debug)]
pub struct Chef {
    settings: ChefSettings,
    clients: Table<Name, Client>,
    nodes: Table<Name, Node>,
}

/// A client of an organization.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Client {
    /// The public key in PEM, as it was sent; none yet, or no more.
    public_key: Option<String>,
    validator: bool,
    /// Whether it is of the group `admins`.
    admin: bool,
    /// When it was deleted: an associated node of the name from before is none, either.
    deleted_at: Option<Now>,
}

/// A node object.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Node {
    object: Value,
    /// The client that created it, and may change and delete it. Empty: that client is gone.
    owner: String,
}

/// What an answer may use.
pub(crate) struct Face<'a> {
    pub now: Now,
    /// The server that is asked.
    pub server: &'a str,
    pub request: &'a Request,
    pub authority: &'a mut dyn Authority,
    pub cm: &'a OpsWorksCm,
}

/// Who signed a request.
struct Requestor {
    name: String,
    is_admin: bool,
    is_validator: bool,
}

/// A path below an organization.
struct Place {
    organization: String,
    kind: String,
    /// The object's name, and what follows it.
    name: Option<String>,
    rest: Vec<String>,
}

impl Place {
    /// `/organizations/ORG/KIND[/NAME[/...]]`.
    fn of(path: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).map(percent_decoded);
        if parts.next().as_deref() != Some("organizations") {
            return None;
        }
        let (organization, kind) = (parts.next()?, parts.next()?);
        Some(Self { organization, kind, name: parts.next(), rest: parts.collect() })
    }

    fn key(&self, server: &str, name: &str) -> Name {
        (server.to_owned(), self.organization.clone(), name.to_owned())
    }
}

/// The action of a request, by which faults are set.
pub(super) fn action(request: &Request) -> Option<&'static str> {
    let method = request.method.as_str();
    match (method, request.path.as_str()) {
        ("GET", "/_status") => return Some("GetStatus"),
        ("GET", "/server_api_version") => return Some("GetServerApiVersion"),
        _ => {}
    }
    let place = Place::of(&request.path)?;
    let rest: Vec<_> = place.rest.iter().map(String::as_str).collect();
    Some(match (method, place.kind.as_str(), &place.name, rest.as_slice()) {
        ("POST", "clients", None, _) => "CreateClient",
        ("GET", "clients", None, _) => "ListClients",
        ("GET", "clients", Some(_), []) => "GetClient",
        ("PUT", "clients", Some(_), []) => "UpdateClient",
        ("DELETE", "clients", Some(_), []) => "DeleteClient",
        ("GET", "clients", Some(_), ["keys"]) => "ListClientKeys",
        ("GET", "clients", Some(_), ["keys", _]) => "GetClientKey",
        ("PUT", "clients", Some(_), ["keys", _]) => "UpdateClientKey",
        ("POST", "nodes", None, _) => "CreateNode",
        ("GET", "nodes", None, _) => "ListNodes",
        ("GET", "nodes", Some(_), []) => "GetNode",
        ("PUT", "nodes", Some(_), []) => "UpdateNode",
        ("DELETE", "nodes", Some(_), []) => "DeleteNode",
        _ => return None,
    })
}

/// A refusal, or what else ends a request early.
type Answer = Result<Response, Response>;

impl Chef {
    pub(super) fn new(settings: ChefSettings) -> Self {
        Self { settings, clients: Table::default(), nodes: Table::default() }
    }

    /// Answers a request at a server's endpoint.
    pub(super) fn handle(&mut self, face: &mut Face<'_>) -> Response {
        let asked = face.request.header("x-ops-server-api-version");
        let version = match asked.map_or(Ok(0), str::parse::<i64>) {
            Ok(version) if VERSIONS.contains(&version) => version,
            other => return not_acceptable(asked.unwrap_or_default(), other.unwrap_or(-1)),
        };
        let answer = self.route(face, version).unwrap_or_else(|refused| refused);
        with_versions(answer, version, version)
    }

    fn route(&mut self, face: &mut Face<'_>, version: i64) -> Answer {
        match (face.request.method.as_str(), face.request.path.as_str()) {
            ("GET", "/server_api_version") => {
                let (min, max) = (VERSIONS.start(), VERSIONS.end());
                return Ok(ok(&json!({ "min_api_version": min, "max_api_version": max })));
            }
            ("GET", "/_status") => return Ok(ok(&status())),
            _ => {}
        }
        let Some(place) = Place::of(&face.request.path) else {
            return Err(refused(404, "No such path on this server."));
        };
        if action(face.request).is_none() {
            return Err(refused(404, "The emulator serves clients and nodes alone."));
        }
        // The order is the server's: headers and time, size, organization, the body itself, and
        // only then who signed, and what that one may do.
        signature::check_headers(face)?;
        if face.request.body.len() > LARGEST {
            let text = format!("JSON must be no more than {LARGEST} bytes.");
            return Err(response(413, &json!({ "error": text })));
        }
        if !has_organization(face, &place.organization) {
            let organization = &place.organization;
            let text = format!("organization '{organization}' does not exist.");
            return Err(response(404, &json!({ "error": [text] })));
        }
        match place.kind.as_str() {
            "clients" => self.clients(face, &place, version),
            _ => self.nodes(face, &place),
        }
    }

    /// Who signed the request, when the signature is right.
    fn requestor(&self, face: &Face<'_>, place: &Place) -> Result<Requestor, Response> {
        let name = face.request.header("x-ops-userid").unwrap_or_default().to_owned();
        let organization = &place.organization;
        let Some((keys, is_admin, is_validator)) = self.actor(face, organization, &name) else {
            return Err(unauthorized(&format!(
                "Failed to authenticate as '{name}'. Ensure that your node_name and client key are \
                 correct."
            )));
        };
        if !keys.iter().any(|key| signature::verifies(face.request, key)) {
            return Err(unauthorized(&format!("Invalid signature for user or client '{name}'")));
        }
        Ok(Requestor { name, is_admin, is_validator })
    }

    /// An actor's keys in PEM, whether it is an administrator, and whether a validator.
    fn actor(
        &self,
        face: &Face<'_>,
        organization: &str,
        name: &str,
    ) -> Option<(Vec<String>, bool, bool)> {
        if name == PIVOTAL {
            let server = face.cm.servers().get(face.server)?;
            let key = server.pivotal_key.as_deref().map(super::public_key::to_pem);
            return Some((key.into_iter().collect(), true, false));
        }
        let client = self.client(face, organization, name)?;
        Some((client.public_key.into_iter().collect(), client.admin, client.validator))
    }

    /// A client: one that was created here, the validator that settings name, or an associated node.
    fn client(&self, face: &Face<'_>, organization: &str, name: &str) -> Option<Client> {
        let key = (face.server.to_owned(), organization.to_owned(), name.to_owned());
        let own = self.clients.get(&key);
        if let Some(own) = own.filter(|own| own.deleted_at.is_none()) {
            return Some(own.clone());
        }
        let plain = |der: &[u8], validator| Client {
            public_key: Some(super::public_key::to_pem(der)),
            validator,
            admin: false,
            deleted_at: None,
        };
        if own.is_none() && name == validator_of(organization) {
            return self.settings.validator_key.as_deref().map(|der| plain(der, true));
        }
        let node = (face.server.to_owned(), name.to_owned());
        let (der, since) = face.cm.chef_client(&node, organization, face.now)?;
        let gone = own.and_then(|own| own.deleted_at).is_some_and(|gone| since <= gone);
        (!gone).then(|| plain(der, false))
    }
}

fn has_organization(face: &Face<'_>, name: &str) -> bool {
    let server = face.cm.servers().get(face.server);
    let known = server.is_some_and(|it| it.organizations.iter().any(|known| known == name));
    name == "default" || known
}

fn validator_of(organization: &str) -> String {
    format!("{organization}-validator")
}

fn status() -> Value {
    let upstreams = json!({
        "chef_index": "pong", "chef_sql": "pong", "oc_chef_action": "pong", "oc_chef_authz": "pong",
    });
    json!({ "status": "pong", "upstreams": upstreams })
}

/// The body as a JSON object.
fn object(request: &Request) -> Result<serde_json::Map<String, Value>, Response> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(refused(400, "Incorrect JSON type for request body")),
        Err(_) => Err(refused(400, "invalid JSON")),
    }
}

fn ok(body: &Value) -> Response {
    response(200, body)
}

fn response(status: u16, body: &Value) -> Response {
    let mut response = Response::new(status, JSON, body.to_string());
    if status >= 400 {
        let error = body.get("error").unwrap_or(&Value::Null);
        let first = error.get(0).unwrap_or(error);
        response.error = Some(first.as_str().unwrap_or_default().chars().take(200).collect());
    }
    response
}

fn refused(status: u16, text: &str) -> Response {
    response(status, &json!({ "error": [text] }))
}

fn unauthorized(text: &str) -> Response {
    let versions = "X-Ops-Sign version=\"1.0\" version=\"1.1\"";
    refused(401, text).with_header("www-authenticate", versions)
}

fn missing(permission: &str) -> Response {
    refused(403, &format!("missing {permission} permission"))
}

fn not_acceptable(asked: &str, version: i64) -> Response {
    let body = json!({
        "error": "invalid-x-ops-server-api-version",
        "message": format!("Specified version {asked} not supported"),
        "min_version": VERSIONS.start(),
        "max_version": VERSIONS.end(),
    });
    with_versions(response(406, &body), version, -1)
}

fn with_versions(response: Response, asked: i64, answered: i64) -> Response {
    let versions = json!({
        "min_version": VERSIONS.start().to_string(),
        "max_version": VERSIONS.end().to_string(),
        "request_version": asked.to_string(),
        "response_version": answered.to_string(),
    });
    response
        .with_header("x-ops-server-api-version", versions.to_string())
        .with_header("x-ops-api-info", "flavor=cs;version=15.10.0;oc_erchef=15.10.0")
}

/// Where an object is, as the client asked for the server.
fn uri(face: &Face<'_>, place: &Place, name: &str) -> String {
    let host = face.request.header("host").unwrap_or(face.server);
    format!("https://{host}/organizations/{}/{}/{name}", place.organization, place.kind)
}
