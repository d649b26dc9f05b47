//! The calls of a Chef server's API, as far as a node makes them.
//!
//! Source: Chef's documentation, "Chef Infra Server API", and the source of Chef Infra Server. Cinc
//! Server and goiardi have the same calls.

use std::fmt;

use super::url::ServerUrl;
use crate::targets::api::Call;

/// One call, and whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub url: ServerUrl,
    /// The server's CA, PEM. None: a CA that this system trusts.
    pub ca: Option<String>,
    pub action: Action,
    /// None: this call needs no signature.
    pub signed: Option<Signed>,
}

/// What the signature's headers contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The client that signs.
    pub user: String,
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub time: String,
    /// The version of the API.
    pub version: u8,
    pub signature: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// GET server_api_version, beside the organizations.
    GetVersions,
    /// POST clients. `body` is JSON.
    CreateClient { name: String, body: String },
    /// GET clients/NAME.
    GetClient { name: String },
    /// PUT clients/NAME/keys/default. `body` is JSON.
    UpdateKey { name: String, body: String },
    /// DELETE clients/NAME.
    DeleteClient { name: String },
    /// POST nodes. `body` is JSON.
    CreateNode { name: String, body: String },
    /// GET nodes/NAME.
    GetNode { name: String },
    /// PUT nodes/NAME. `body` is JSON.
    UpdateNode { name: String, body: String },
    /// DELETE nodes/NAME.
    DeleteNode { name: String },
}

impl Action {
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::GetVersions | Self::GetClient { .. } | Self::GetNode { .. } => "GET",
            Self::CreateClient { .. } | Self::CreateNode { .. } => "POST",
            Self::UpdateKey { .. } | Self::UpdateNode { .. } => "PUT",
            Self::DeleteClient { .. } | Self::DeleteNode { .. } => "DELETE",
        }
    }

    /// The path of the call, as it is sent and signed.
    #[must_use]
    pub fn path(&self, url: &ServerUrl) -> String {
        match self {
            Self::GetVersions => url.of_server("server_api_version"),
            Self::CreateClient { .. } => url.below("clients"),
            Self::CreateNode { .. } => url.below("nodes"),
            Self::GetClient { name } | Self::DeleteClient { name } => {
                url.below(&format!("clients/{name}"))
            }
            Self::UpdateKey { name, .. } => url.below(&format!("clients/{name}/keys/default")),
            Self::GetNode { name } | Self::UpdateNode { name, .. } | Self::DeleteNode { name } => {
                url.below(&format!("nodes/{name}"))
            }
        }
    }

    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::CreateClient { body, .. }
            | Self::UpdateKey { body, .. }
            | Self::CreateNode { body, .. }
            | Self::UpdateNode { body, .. } => body,
            _ => "",
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::GetVersions => None,
            Self::CreateClient { name, .. }
            | Self::GetClient { name }
            | Self::UpdateKey { name, .. }
            | Self::DeleteClient { name }
            | Self::CreateNode { name, .. }
            | Self::GetNode { name }
            | Self::UpdateNode { name, .. }
            | Self::DeleteNode { name } => Some(name),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The oldest and the newest version of the API. None: the server has no such path, as goiardi.
    Versions(Option<(i64, i64)>),
    /// It has created the client or the node.
    Created,
    /// A client, as the server describes it.
    Client { name: Option<String>, public_key: Option<String> },
    /// A node, as the server describes it: JSON.
    Node(String),
    /// It has changed or removed the object, which it described.
    Done,
    /// It has no such object.
    Missing,
    /// It has an object of this name already.
    Taken,
    /// It does not accept the signature; why, and its words.
    Unauthenticated(Unauthenticated, String),
    /// The signature is right, and the client may not do this; the server's words.
    Forbidden(String),
    /// It does not accept the request's content; the server's words.
    Refused(String),
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// The organization has no client or user of this name.
    NoSuchClient,
    /// The client or user of this name has another key.
    OtherKey,
    /// One of these. goiardi does not say which.
    Unclear,
}

/// What the server said, as the cause of a fault.
#[must_use]
pub fn words(said: &str) -> String {
    format!("the server's words: {said}")
}

impl Call for Request {
    fn action(&self) -> &'static str {
        match self.action {
            Action::GetVersions => "GET server_api_version",
            Action::CreateClient { .. } => "POST clients",
            Action::GetClient { .. } => "GET clients",
            Action::UpdateKey { .. } => "PUT keys",
            Action::DeleteClient { .. } => "DELETE clients",
            Action::CreateNode { .. } => "POST nodes",
            Action::GetNode { .. } => "GET nodes",
            Action::UpdateNode { .. } => "PUT nodes",
            Action::DeleteNode { .. } => "DELETE nodes",
        }
    }

    fn on(&self) -> String {
        match self.action.name() {
            Some(name) => format!("node {name}, {}", self.url),
            None => self.url.to_string(),
        }
    }

    fn creates(&self) -> bool {
        matches!(self.action, Action::CreateClient { .. })
    }
}

impl fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchClient => "the organization has no client of this name",
            Self::OtherKey => "the client of this name has another key",
            Self::Unclear => {
                "the organization has no client of this name, or the client has another key"
            }
        })
    }
}
