//! OpsWorks for Configuration Management, API version 2016-11-01.

mod admin;
mod associate;
mod association;
mod engine_attributes;
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

pub use admin::OpsWorksCmSettings;
pub use association::{Association, Outcome};
pub use server::{
    DEFAULT_SERVER, Engine, HEALTHY, Place, STATUSES, Server, ServerSpec, ServerSpecError,
};

use super::Context;
use super::validate::{Members, Text};
use crate::error::ApiError;
use crate::now::Now;
use association::Ticket;
use server::SERVER_NAME;

/// The service's state.
#[derive(Debug)]
pub struct OpsWorksCm {
    settings: OpsWorksCmSettings,
    servers: BTreeMap<String, Server>,
    associations: BTreeMap<NodeKey, Arc<Association>>,
    /// When associations end that are being dissolved.
    leaving: BTreeSet<(Now, NodeKey)>,
    tickets: BTreeMap<String, Ticket>,
    /// The tickets' tokens, oldest first.
    tokens: VecDeque<String>,
}

/// A server's name and a node's.
type NodeKey = (String, String);

impl OpsWorksCm {
    pub(super) fn new(settings: OpsWorksCmSettings, now: Now) -> Self {
        let servers = settings.servers.iter();
        let servers = servers.map(|spec| (spec.name.clone(), Server::new(spec, now))).collect();
        Self {
            settings,
            servers,
            associations: BTreeMap::new(),
            leaving: BTreeSet::new(),
            tickets: BTreeMap::new(),
            tokens: VecDeque::new(),
        }
    }

    /// Does what was due until `now`.
    pub(super) fn settle(&mut self, now: Now) {
        while let Some((due, _)) = self.leaving.first()
            && *due <= now
            && let Some((_, key)) = self.leaving.pop_first()
        {
            self.associations.remove(&key);
        }
    }

    pub(super) fn handle(
        &mut self,
        context: &mut Context<'_>,
        action: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.settle(context.now);
        let members = || Members::of(body);
        match action {
            "AssociateNode" => self.associate_node(context, members()?),
            "DescribeNodeAssociationStatus" => self.describe_status(context, members()?),
            "DescribeServers" => self.describe_servers(context, members()?),
            "DisassociateNode" => self.disassociate_node(context, members()?),
            unknown => Err(ApiError::UnknownOperation(format!("'{unknown}'"))),
        }
    }

    fn describe_servers(
        &self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let name = members.optional_text("ServerName", &SERVER_NAME)?;
        let next_token = members.optional_text("NextToken", &Text::ANY)?;
        members.optional_integer("MaxResults", 1)?;
        members.finish()?;

        // Paging is "not currently implemented": no token was ever given out.
        if next_token.is_some() {
            return Err(ApiError::InvalidNextToken("The provided nextToken is not valid.".into()));
        }
        let servers: Vec<&Server> = match name {
            Some(name) => vec![self.server(name)?],
            None => self.servers.values().collect(),
        };
        let bundle = context.authority.bundle();
        let describe =
            |server: &&Server| server.describe(context.now, &self.settings.place, bundle);
        Ok(json!({ "Servers": servers.iter().map(describe).collect::<Vec<_>>() }))
    }

    fn server(&self, name: &str) -> Result<&Server, ApiError> {
        let unknown = || ApiError::ResourceNotFound(format!("No server named '{name}' exists."));
        self.servers.get(name).ok_or_else(unknown)
    }

    fn healthy_server(&self, name: &str, now: Now) -> Result<&Server, ApiError> {
        let server = self.server(name)?;
        match server.status(now) {
            HEALTHY => Ok(server),
            status => Err(ApiError::InvalidState(format!(
                "The server '{name}' is in the state {status}; it must be {HEALTHY}."
            ))),
        }
    }
}
