//! OpsWorks for Configuration Management, API version 2016-11-01.

mod admin;
mod associate;
mod association;
mod backup;
mod create;
mod credentials;
mod engine_attributes;
mod event;
mod export;
mod kit;
mod lifecycle;
mod page;
mod server;
mod settings;
mod settle;
mod tags;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

pub use association::{Association, Outcome};
pub use backup::Backup;
pub use server::Server;
pub use server::spec::{DEFAULT_SERVER, Engine, Place, ServerSpec, ServerSpecError};
pub use server::status::{HEALTHY, STATUSES};
pub use settings::{OpsWorksCmSettings, Times};

use super::Context;
use super::span::Due;
use super::table::Table;
use super::validate::{Members, Text};
use crate::error::ApiError;
use crate::now::Now;
use association::Ticket;
use server::spec::SERVER_NAME;
use server::status;

/// The service's state.
#[derive(Debug)]
pub struct OpsWorksCm {
    settings: OpsWorksCmSettings,
    servers: Table<String, Server>,
    backups: Table<String, Backup>,
    /// Backups that are being deleted: until when, and whether it fails.
    deletions: Table<String, (Due, bool)>,
    /// The number of calls so far.
    call: u64,
    associations: Table<NodeKey, Arc<Association>>,
    /// When associations end that are being dissolved.
    leaving: BTreeSet<(Now, NodeKey)>,
    tickets: Table<String, Ticket>,
    /// The tickets' tokens, oldest first.
    tokens: VecDeque<String>,
    departed: Departed,
}

/// What has gone, and what runs on the servers has to hear of.
#[derive(Clone, Debug, Default)]
pub(super) struct Departed {
    /// Server, node, the association, and when it ended.
    pub nodes: Vec<(String, String, Arc<Association>, Now)>,
    pub servers: Vec<String>,
}

/// A server's name and a node's.
type NodeKey = (String, String);

impl OpsWorksCm {
    pub(super) fn new(settings: OpsWorksCmSettings, now: Now) -> Self {
        let servers = settings.servers.iter();
        let servers =
            servers.map(|spec| (spec.name.clone(), Server::of_spec(spec, &settings.place, now)));
        let servers = servers.collect();
        Self {
            settings,
            servers,
            backups: Table::default(),
            deletions: Table::default(),
            call: 0,
            associations: Table::default(),
            leaving: BTreeSet::new(),
            tickets: Table::default(),
            tokens: VecDeque::new(),
            departed: Departed::default(),
        }
    }

    pub(super) fn handle(
        &mut self,
        context: &mut Context<'_>,
        action: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.call = self.call.saturating_add(1);
        self.settle(context.now);
        let members = Members::of(body)?;
        match action {
            "AssociateNode" => self.associate_node(context, members),
            "CreateBackup" => self.create_backup(context, members),
            "CreateServer" => self.create_server(context, members),
            "DeleteBackup" => self.delete_backup(context, members),
            "DeleteServer" => self.delete_server(context, members),
            "DescribeAccountAttributes" => self.describe_account_attributes(members),
            "DescribeBackups" => self.describe_backups(members),
            "DescribeEvents" => self.describe_events(members),
            "DescribeNodeAssociationStatus" => self.describe_status(context, members),
            "DescribeServers" => self.describe_servers(context, members),
            "DisassociateNode" => self.disassociate_node(context, members),
            "ExportServerEngineAttribute" => self.export_server_engine_attribute(context, members),
            "ListTagsForResource" => self.list_tags_for_resource(members),
            "RestoreServer" => self.restore_server(context, members),
            "StartMaintenance" => self.start_maintenance(context, members),
            "TagResource" => self.tag_resource(members),
            "UntagResource" => self.untag_resource(members),
            "UpdateServer" => self.update_server(context, members),
            "UpdateServerEngineAttributes" => {
                self.update_server_engine_attributes(context, members)
            }
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
            return Err(page::invalid());
        }
        let servers: Vec<&Server> = match name {
            Some(name) => vec![self.server(name)?],
            None => self.servers.values().collect(),
        };
        let bundle = context.authority.bundle();
        let rows: Vec<_> = servers.iter().map(|server| server.describe(bundle)).collect();
        Ok(json!({ "Servers": rows }))
    }

    fn server(&self, name: &str) -> Result<&Server, ApiError> {
        let unknown = || ApiError::ResourceNotFound(format!("No server named '{name}' exists."));
        self.servers.get(name).ok_or_else(unknown)
    }

    fn server_mut(&mut self, name: &str) -> Result<&mut Server, ApiError> {
        let unknown = || ApiError::ResourceNotFound(format!("No server named '{name}' exists."));
        self.servers.get_mut(name).ok_or_else(unknown)
    }

    fn healthy_server(&self, name: &str) -> Result<&Server, ApiError> {
        let server = self.server(name)?;
        status::require(name, server.status, status::FOR_NODES)?;
        Ok(server)
    }
}
