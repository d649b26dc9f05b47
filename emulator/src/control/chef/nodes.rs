//! Node objects.

use serde_json::{Map, Value, json};

use super::{Answer, Chef, Face, Node, Place, missing, object, ok, refused, response, uri};
use crate::control::room_for;
use crate::http::Response;

/// The members of a node object, and what they are when they are left out.
const MEMBERS: [&str; 11] = [
    "name",
    "chef_environment",
    "json_class",
    "chef_type",
    "normal",
    "default",
    "override",
    "automatic",
    "run_list",
    "policy_name",
    "policy_group",
];
const HASHES: [&str; 4] = ["normal", "default", "override", "automatic"];

impl Chef {
    pub(super) fn nodes(&mut self, face: &mut Face<'_>, place: &Place) -> Answer {
        match (face.request.method.as_str(), &place.name) {
            ("POST", None) => self.create_node(face, place),
            ("GET", None) => self.list_nodes(face, place),
            ("GET", Some(name)) => {
                let node = self.node(face, place, name, "read")?;
                Ok(ok(&node.object))
            }
            ("PUT", Some(name)) => self.update_node(face, place, name),
            ("DELETE", Some(name)) => {
                let node = self.node(face, place, name, "delete")?;
                self.nodes.remove(&place.key(face.server, name));
                Ok(ok(&node.object))
            }
            _ => Err(refused(405, "method not allowed")),
        }
    }

    /// Whoever creates a node owns it.
    fn create_node(&mut self, face: &Face<'_>, place: &Place) -> Answer {
        let body = read_node(object(face.request)?, None)?;
        let who = self.requestor(face, place)?;
        if who.is_validator {
            return Err(missing("create"));
        }
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = place.key(face.server, &name);
        if self.nodes.contains_key(&key) {
            return Err(refused(409, "Node already exists"));
        }
        let full = |_| refused(500, "internal service error");
        room_for(self.nodes.len(), true, "nodes").map_err(full)?;
        self.nodes.insert(key, Node { object: Value::Object(body), owner: who.name });
        let uri = uri(face, place, &name);
        Ok(response(201, &json!({ "uri": uri })).with_header("location", uri))
    }

    fn list_nodes(&self, face: &Face<'_>, place: &Place) -> Answer {
        if self.requestor(face, place)?.is_validator {
            return Err(missing("read"));
        }
        let of_place = |key: &&super::Name| key.0 == face.server && key.1 == place.organization;
        let names = self.nodes.keys().filter(of_place);
        let rows = names.map(|(_, _, name)| (name.clone(), json!(uri(face, place, name))));
        Ok(ok(&Value::Object(rows.collect())))
    }

    fn update_node(&mut self, face: &Face<'_>, place: &Place, name: &str) -> Answer {
        let body = read_node(object(face.request)?, Some(name))?;
        let node = self.node(face, place, name, "update")?;
        let object = Value::Object(body);
        let changed = Node { object: object.clone(), ..node };
        self.nodes.insert(place.key(face.server, name), changed);
        Ok(ok(&object))
    }

    /// A node that the requestor may do this with: every client may read, its owner and
    /// administrators may do the rest.
    fn node(
        &self,
        face: &Face<'_>,
        place: &Place,
        name: &str,
        permission: &str,
    ) -> Result<Node, Response> {
        let who = self.requestor(face, place)?;
        let node = self.nodes.get(&place.key(face.server, name));
        let node = node.ok_or_else(|| refused(404, &format!("node '{name}' not found")))?;
        let may =
            who.is_admin || (!who.is_validator && (permission == "read" || node.owner == who.name));
        if may { Ok(node.clone()) } else { Err(missing(permission)) }
    }
}

/// Fills in what is left out, and checks what is there.
fn read_node(
    mut body: Map<String, Value>,
    url_name: Option<&str>,
) -> Result<Map<String, Value>, Response> {
    if let Some(unknown) = body.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(refused(400, &format!("Invalid key {unknown} in request body")));
    }
    if let Some(url_name) = url_name {
        let name = body.entry("name").or_insert_with(|| json!(url_name));
        if name != url_name {
            return Err(refused(400, "Node name mismatch."));
        }
    }
    let defaults = [
        ("chef_environment", json!("_default")),
        ("json_class", json!("Chef::Node")),
        ("chef_type", json!("node")),
        ("run_list", json!([])),
    ];
    for (name, value) in defaults.into_iter().chain(HASHES.map(|name| (name, json!({})))) {
        body.entry(name).or_insert(value);
    }
    let name = body.get("name").ok_or_else(|| refused(400, "Field 'name' missing"))?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.:".contains(letter);
    let is_name = |text: &str, fits: &dyn Fn(char) -> bool| {
        !text.is_empty() && text.len() <= 255 && text.chars().all(fits)
    };
    let invalid = |field: &str| refused(400, &format!("Field '{field}' invalid"));
    if !name.as_str().is_some_and(|name| is_name(name, &fits)) {
        return Err(invalid("name"));
    }
    for field in ["chef_environment", "policy_name", "policy_group"] {
        let word = |letter: char| fits(letter) && (letter != ':' || field != "chef_environment");
        if let Some(value) = body.get(field).filter(|value| !value.is_null())
            && !value.as_str().is_some_and(|text| is_name(text, &word))
        {
            return Err(invalid(field));
        }
    }
    for (field, wanted) in [("json_class", "Chef::Node"), ("chef_type", "node")] {
        if body.get(field).and_then(Value::as_str) != Some(wanted) {
            return Err(invalid(field));
        }
    }
    for field in HASHES {
        if !body.get(field).is_some_and(Value::is_object) {
            return Err(refused(400, &format!("Field '{field}' is not a hash")));
        }
    }
    let list = body.get("run_list").and_then(Value::as_array).and_then(|items| normalized(items));
    let list = list.ok_or_else(|| refused(400, "Field 'run_list' is not a valid run list"))?;
    body.insert("run_list".to_owned(), json!(list));
    Ok(body)
}

/// A run list in its canonical form: every recipe as `recipe[...]`, and nothing twice.
fn normalized(items: &[Value]) -> Option<Vec<String>> {
    let mut list = Vec::new();
    for item in items {
        let item = item.as_str()?;
        let inner = |kind: &str| {
            let rest = item.strip_prefix(kind)?.strip_prefix('[')?;
            rest.strip_suffix(']')
        };
        let (name, whole) = match inner("recipe").or_else(|| inner("role")) {
            Some(name) => (name, item.to_owned()),
            None => (item, format!("recipe[{item}]")),
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.:@".contains(letter);
        if name.is_empty() || !name.chars().all(fits) {
            return None;
        }
        if !list.contains(&whole) {
            list.push(whole);
        }
    }
    Some(list)
}
