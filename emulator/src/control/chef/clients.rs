//! Clients of an organization, and their keys.

use serde_json::{Map, Value, json};

use super::{
    Answer, Chef, Client, Face, Place, Requestor, key, missing, object, ok, refused, response, uri,
};
use crate::control::{public_key, room_for};
use crate::http::Response;

/// The one key that a client has.
const DEFAULT: &str = "default";

/// What a body says of a new client or key.
struct Asked {
    name: String,
    validator: bool,
    /// None: one is to be made, or there is to be none.
    public_key: Option<String>,
    makes_key: bool,
}

impl Chef {
    pub(super) fn clients(&mut self, face: &mut Face<'_>, place: &Place, version: i64) -> Answer {
        let rest: Vec<_> = place.rest.iter().map(String::as_str).collect();
        match (face.request.method.as_str(), &place.name, rest.as_slice()) {
            ("POST", None, _) => self.create_client(face, place, version),
            ("GET", None, _) => self.list_clients(face, place),
            ("GET", Some(name), []) => {
                let client = self.allowed(face, place, name, "read")?;
                Ok(ok(&described(&client, place, name, version)))
            }
            ("PUT", Some(name), []) => self.update_client(face, place, name, version),
            ("DELETE", Some(name), []) => {
                let client = self.allowed(face, place, name, "delete")?;
                self.remove_client(face, place, name);
                Ok(ok(&described(&client, place, name, version)))
            }
            ("GET", Some(name), ["keys"]) => {
                self.allowed(face, place, name, "read")?;
                let uri = format!("{}/keys/{DEFAULT}", uri(face, place, name));
                Ok(ok(&json!([{ "uri": uri, "name": DEFAULT, "expired": false }])))
            }
            ("GET", Some(name), ["keys", key]) => {
                let client = self.allowed(face, place, name, "read")?;
                is_default(key, name)?;
                Ok(ok(&key_of(client.public_key.as_deref())))
            }
            (_, Some(name), [_, key]) => self.update_key(face, place, name, key),
            _ => Err(refused(405, "method not allowed")),
        }
    }

    fn create_client(&mut self, face: &mut Face<'_>, place: &Place, version: i64) -> Answer {
        let asked = read_client(&object(face.request)?, None, version)?;
        let who = self.requestor(face, place)?;
        let may = who.is_admin || (who.is_validator && !asked.validator);
        if !may {
            return Err(missing("create"));
        }
        if self.client(face, &place.organization, &asked.name).is_some() {
            return Err(refused(409, "Client already exists"));
        }
        let full = |_| refused(500, "internal service error");
        room_for(self.clients.len(), true, "clients").map_err(full)?;
        let (public_key, private_key) = key_for(face, &asked)?;
        let uri = uri(face, place, &asked.name);
        let mut answer = Map::new();
        answer.insert("uri".to_owned(), json!(uri));
        if version == 0 {
            answer.insert("public_key".to_owned(), json!(public_key));
            if let Some(private_key) = &private_key {
                answer.insert("private_key".to_owned(), json!(private_key));
            }
        } else if public_key.is_some() {
            let key = key_of(public_key.as_deref());
            let key = with(key, "uri", Some(format!("{uri}/keys/{DEFAULT}")));
            answer.insert("chef_key".to_owned(), with(key, "private_key", private_key));
        }
        let client =
            Client { public_key, validator: asked.validator, admin: false, deleted_at: None };
        self.clients.insert(place.key(face.server, &asked.name), client);
        Ok(response(201, &Value::Object(answer)).with_header("location", uri))
    }

    fn list_clients(&self, face: &Face<'_>, place: &Place) -> Answer {
        let who = self.requestor(face, place)?;
        if !who.is_admin {
            return Err(missing("read"));
        }
        let names = self.client_names(face, &place.organization);
        let rows = names.into_iter().map(|name| {
            let uri = uri(face, place, &name);
            (name, json!(uri))
        });
        Ok(ok(&Value::Object(rows.collect())))
    }

    fn update_client(
        &mut self,
        face: &mut Face<'_>,
        place: &Place,
        name: &str,
        version: i64,
    ) -> Answer {
        let body = object(face.request)?;
        if version > 0 && (body.contains_key("public_key") || body.contains_key("create_key")) {
            let text = "Since Server API v1, all keys must be updated via the keys endpoint. ";
            return Err(refused(400, text));
        }
        let asked = read_client(&body, Some(name), version)?;
        if asked.name != name {
            return Err(refused(400, "The emulator renames no clients."));
        }
        let mut client = self.allowed(face, place, name, "update")?;
        let mut private_key = None;
        if asked.public_key.is_some() || asked.makes_key {
            (client.public_key, private_key) = key_for(face, &asked)?;
        }
        client.validator =
            body.get("validator").and_then(Value::as_bool).unwrap_or(client.validator);
        let answer = described(&client, place, name, version);
        let answer = with(answer, "private_key", private_key);
        self.clients.insert(place.key(face.server, name), client);
        Ok(ok(&answer))
    }

    fn update_key(&mut self, face: &mut Face<'_>, place: &Place, name: &str, key: &str) -> Answer {
        let body = object(face.request)?;
        let asked = Asked { name: name.to_owned(), ..read_key(&body, 1, false)? };
        if asked.public_key.is_none() && !asked.makes_key {
            return Err(refused(
                400,
                "You must either provide a valid value for 'public_key', or specify 'create_key': \
                 true",
            ));
        }
        let mut client = self.allowed(face, place, name, "update")?;
        is_default(key, name)?;
        let (public_key, private_key) = key_for(face, &asked)?;
        client.public_key = public_key;
        let answer = key_of(client.public_key.as_deref());
        let answer = with(answer, "private_key", private_key);
        self.clients.insert(place.key(face.server, name), client);
        Ok(ok(&answer))
    }

    /// A client that the requestor may do this with: itself, or any for an administrator. A
    /// validator may do nothing, not even with itself.
    fn allowed(
        &self,
        face: &Face<'_>,
        place: &Place,
        name: &str,
        permission: &str,
    ) -> Result<Client, Response> {
        let Requestor { name: who, is_admin, is_validator } = self.requestor(face, place)?;
        let client = self.client(face, &place.organization, name);
        let unknown = || refused(404, &format!("Cannot load client {name}"));
        let client = client.ok_or_else(unknown)?;
        let own = who == name && !is_validator;
        if is_admin || own { Ok(client) } else { Err(missing(permission)) }
    }

    pub(super) fn remove_client(&mut self, face: &Face<'_>, place: &Place, name: &str) {
        let gone =
            Client { public_key: None, validator: false, admin: false, deleted_at: Some(face.now) };
        let key = place.key(face.server, name);
        let node = (face.server.to_owned(), name.to_owned());
        if face.cm.chef_client(&node, &place.organization, face.now).is_some() {
            // The association stays in the account; its client is gone.
            self.clients.insert(key, gone);
        } else {
            self.clients.remove(&key);
        }
        self.disown(face.server, &place.organization, name);
    }

    /// The rights on nodes were those of the client that is gone. A later one of the same name is
    /// another client to the server.
    fn disown(&mut self, server: &str, organization: &str, name: &str) {
        let owned = self.nodes.iter().filter(|((known, place, _), node)| {
            known == server && place == organization && node.owner == name
        });
        let owned: Vec<_> = owned.map(|(key, node)| (key.clone(), node.clone())).collect();
        for (key, node) in owned {
            self.nodes.insert(key, super::Node { owner: String::new(), ..node });
        }
    }

    /// Every client's name.
    pub(super) fn client_names(&self, face: &Face<'_>, organization: &str) -> Vec<String> {
        let of_place = |key: &&super::Name| key.0 == face.server && key.1 == organization;
        let own = self.clients.keys().filter(of_place).map(|(_, _, name)| name.clone());
        let others = face.cm.names_of(face.server).into_iter();
        let mut names: Vec<_> =
            own.chain(others).chain([super::validator_of(organization)]).collect();
        names.sort();
        names.dedup();
        names.retain(|name| self.client(face, organization, name).is_some());
        names
    }
}

/// The public key in PEM, and the private one where it is made.
fn key_for(
    face: &mut Face<'_>,
    asked: &Asked,
) -> Result<(Option<String>, Option<String>), Response> {
    if !asked.makes_key {
        return Ok((asked.public_key.clone(), None));
    }
    let made = face.authority.make_key();
    let made = made.map_err(|_| refused(500, "internal service error"))?;
    Ok((Some(public_key::to_pem(&made.public_der)), Some(made.private_pem)))
}

fn is_default(key: &str, client: &str) -> Result<(), Response> {
    if key == DEFAULT {
        return Ok(());
    }
    Err(refused(404, &format!("There is no key named {key} associated with client {client}.")))
}

fn key_of(public_key: Option<&str>) -> Value {
    json!({ "name": DEFAULT, "public_key": public_key, "expiration_date": "infinity" })
}

fn described(client: &Client, place: &Place, name: &str, version: i64) -> Value {
    let row = json!({
        "name": name,
        "clientname": name,
        "validator": client.validator,
        "orgname": place.organization,
        "json_class": "Chef::ApiClient",
        "chef_type": "client",
    });
    with(row, "public_key", client.public_key.clone().filter(|_| version == 0))
}

/// A structure with one member more, where there is one.
fn with(mut row: Value, name: &str, value: Option<String>) -> Value {
    if let (Some(members), Some(value)) = (row.as_object_mut(), value) {
        members.insert(name.to_owned(), Value::String(value));
    }
    row
}

/// Reads a client. Version 0 takes any public key as it is; later ones judge it.
fn read_client(
    body: &Map<String, Value>,
    url_name: Option<&str>,
    version: i64,
) -> Result<Asked, Response> {
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(refused(400, &format!("Field '{name}' invalid"))),
    };
    let name = match (text("name")?, text("clientname")?, url_name) {
        (Some(name), Some(other), _) if name != other => {
            return Err(refused(400, "name and clientname must match"));
        }
        (Some(name), _, _) | (None, Some(name), _) | (None, None, Some(name)) => name,
        (None, None, None) => return Err(refused(400, "Field 'name' missing")),
    };
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    if name.is_empty() || !name.chars().all(fits) {
        let pattern = "Malformed client name.  Must be A-Z, a-z, 0-9, _, -, or .";
        return Err(refused(
            400,
            &format!("Invalid client name '{name}' using regex: '{pattern}'."),
        ));
    }
    let validator = match body.get("validator") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(validator)) => *validator,
        Some(_) => return Err(refused(400, "Field 'validator' invalid")),
    };
    Ok(Asked { name: name.to_owned(), validator, ..read_key(body, version, url_name.is_none())? })
}

/// Reads what a body says of a key. In version 0 a client that is created without one gets one.
fn read_key(body: &Map<String, Value>, version: i64, creates: bool) -> Result<Asked, Response> {
    let public_key = match body.get("public_key") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => return Err(refused(400, "Field 'public_key' invalid")),
    };
    let is_true = |name: &str| body.get(name).and_then(Value::as_bool) == Some(true);
    let makes_key = if version == 0 {
        public_key.is_none() && (creates || is_true("private_key"))
    } else {
        if is_true("create_key") && public_key.is_some() {
            let text = "You must specify either create_key or public_key, but not both";
            return Err(refused(400, text));
        }
        if is_true("private_key") {
            return Err(refused(400, "Please use create_key: true instead of private_key: true"));
        }
        if public_key.as_deref().is_some_and(|text| key::read(text).is_none()) {
            return Err(refused(400, "Public Key must be a valid key."));
        }
        is_true("create_key")
    };
    Ok(Asked { name: String::new(), validator: false, public_key, makes_key })
}
