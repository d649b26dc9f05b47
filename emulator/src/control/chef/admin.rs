//! What people and tests may see and change of Chef servers while they run.

use serde_json::{Value, json};

use super::{Chef, Client, Face, Place, has_organization, key, validator_of};
use crate::control::public_key;
use crate::control::table::Kept;

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Itself and its node.
    Plain,
    /// Create clients, and nothing else.
    Validator,
    /// Everything: it is of the group `admins`.
    Admin,
}

impl Chef {
    /// What is written down, by its name.
    pub(in crate::control) fn tables(&mut self) -> Vec<(&'static str, &mut dyn Kept)> {
        vec![("chef_clients", &mut self.clients), ("chef_nodes", &mut self.nodes)]
    }

    /// Creates a client of a server's organization, or replaces it.
    ///
    /// # Errors
    /// When the text holds no RSA public key in PEM.
    pub fn put_client(
        &mut self,
        (server, organization, name): (&str, &str, &str),
        kind: ClientKind,
        public_key: &str,
    ) -> Result<(), String> {
        if key::read(public_key).is_none() {
            return Err("this is no RSA public key in PEM".to_owned());
        }
        let client = Client {
            public_key: Some(public_key.to_owned()),
            validator: kind == ClientKind::Validator,
            admin: kind == ClientKind::Admin,
            deleted_at: None,
        };
        let key = (server.to_owned(), organization.to_owned(), name.to_owned());
        self.clients.insert(key, client);
        Ok(())
    }

    /// Makes a new key for an organization's validator; its name, and the private key in PEM.
    pub(crate) fn renew_validator(
        &mut self,
        face: &mut Face<'_>,
        organization: &str,
    ) -> Result<(String, String), String> {
        if !has_organization(face, organization) {
            return Err(format!("organization '{organization}' does not exist."));
        }
        let made = face.authority.make_key().map_err(|refusal| refusal.to_string())?;
        let name = validator_of(organization);
        let public = public_key::to_pem(&made.public_der);
        let place = (face.server, organization, name.as_str());
        self.put_client(place, ClientKind::Validator, &public)?;
        Ok((name, made.private_pem))
    }

    /// Deletes a client; false when there is none.
    pub(crate) fn delete_client(
        &mut self,
        face: &Face<'_>,
        organization: &str,
        name: &str,
    ) -> bool {
        let found = self.client(face, organization, name).is_some();
        let place = Place {
            organization: organization.to_owned(),
            kind: "clients".to_owned(),
            name: None,
            rest: Vec::new(),
        };
        self.remove_client(face, &place, name);
        found
    }

    /// Deletes a node object; false when there is none.
    pub(crate) fn delete_node(&mut self, face: &Face<'_>, organization: &str, name: &str) -> bool {
        let key = (face.server.to_owned(), organization.to_owned(), name.to_owned());
        self.nodes.remove(&key).is_some()
    }

    /// What the admin API shows of an organization.
    pub(crate) fn show(&self, face: &Face<'_>, organization: &str) -> Option<Value> {
        if !has_organization(face, organization) {
            return None;
        }
        let clients = self.client_names(face, organization).into_iter().filter_map(|name| {
            let client = self.client(face, organization, &name)?;
            Some(json!({
                "name": name, "validator": client.validator, "admin": client.admin,
                "public_key": client.public_key,
            }))
        });
        let nodes = self
            .nodes
            .iter()
            .filter(|((server, known, _), _)| server == face.server && known == organization);
        let nodes = nodes.map(|((_, _, name), node)| {
            json!({ "name": name, "owner": node.owner, "object": node.object })
        });
        Some(json!({
            "server": face.server,
            "organization": organization,
            "clients": clients.collect::<Vec<_>>(),
            "nodes": nodes.collect::<Vec<_>>(),
        }))
    }

    /// Clients and nodes as JSON. Clients of associations are those rows' own.
    pub(in crate::control) fn state(&self) -> Value {
        let clients = self.clients.iter().filter(|(_, client)| client.deleted_at.is_none());
        let clients = clients.map(|((server, organization, name), client)| {
            json!({
                "server": server, "organization": organization, "name": name,
                "validator": client.validator, "admin": client.admin,
                "public_key": client.public_key,
            })
        });
        let nodes = self.nodes.iter().map(|((server, organization, name), node)| {
            json!({
                "server": server, "organization": organization, "name": name, "owner": node.owner,
                "object": node.object,
            })
        });
        json!({
            "chef_clients": clients.collect::<Vec<_>>(),
            "chef_nodes": nodes.collect::<Vec<_>>(),
        })
    }

    /// Forgets the node object of a node that has been disassociated.
    pub(in crate::control) fn forget_associated(&mut self, server: &str, node: &str) {
        self.nodes.retain(|(known, _, name), _| known != server || name != node);
    }

    /// Forgets a server that has been deleted.
    pub(in crate::control) fn forget_server(&mut self, server: &str) {
        self.clients.retain(|(known, _, _), _| known != server);
        self.nodes.retain(|(known, _, _), _| known != server);
    }
}
