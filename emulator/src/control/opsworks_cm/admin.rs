//! What people and tests may see and change while the service runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::association::{Association, Outcome};
use super::backup::Backup;
use super::server::Server;
use super::server::spec;
use super::server::spec::{Engine, ServerSpec, ServerSpecError};
use super::server::work::{Progress, Work};
use super::settings::Times;
use super::{Departed, OpsWorksCm};
use crate::control::Context;
use crate::control::span::Due;
use crate::control::table::Kept;
use crate::control::validate::Members;
use crate::error::ApiError;
use crate::hex;
use crate::now::Now;

/// What people and tests may change while the service runs.
impl OpsWorksCm {
    /// Adds a server, or replaces the one of the same name.
    pub fn put_server(&mut self, spec: &ServerSpec, now: Now) {
        let server = Server::of_spec(spec, &self.settings.place, now);
        self.servers.insert(spec.name.clone(), server);
    }

    /// Removes a server, and what goes with it when one is deleted.
    pub fn remove_server(&mut self, name: &str) {
        self.forget_server(name);
    }

    /// Sets a server's status, for good or until it heals at `healthy_at`. A server that does not
    /// exist stays so.
    ///
    /// # Errors
    /// When the reference does not know the status.
    pub fn set_server_status(
        &mut self,
        name: &str,
        status: &str,
        healthy_at: Option<Now>,
    ) -> Result<(), ServerSpecError> {
        let status = spec::status(status)?;
        self.interrupt(name, None);
        if let Some(server) = self.servers.get_mut(name) {
            server.status = status;
            server.reason = None;
            server.progress =
                healthy_at.map(|at| Progress { work: Work::Heal, fails: false, due: Due::At(at) });
        }
        Ok(())
    }

    /// `AssociateNode` that is over at once.
    pub(in crate::control) fn seed(
        &mut self,
        context: &mut Context<'_>,
        body: &Value,
    ) -> Result<(), ApiError> {
        let time = std::mem::take(&mut self.settings.association_time);
        let done = Members::of(body).and_then(|members| self.associate_node(context, members));
        self.settings.association_time = time;
        done.map(|_| ())
    }

    /// Sets how long associations take that begin from here on.
    pub fn set_association_time(&mut self, time: Duration) {
        self.settings.association_time = time;
    }

    /// Sets how long disassociations take that begin from here on.
    pub fn set_disassociation_time(&mut self, time: Duration) {
        self.settings.disassociation_time = time;
    }

    /// Sets how long tokens can be asked for, those given out already too.
    pub fn set_token_lifetime(&mut self, lifetime: Duration) {
        self.settings.token_lifetime = lifetime;
    }

    /// Sets how long what servers do takes that begins from here on.
    pub fn set_times(&mut self, times: Times) {
        self.settings.times = times;
    }

    /// The backups by identifier.
    #[must_use]
    pub fn backups(&self) -> &BTreeMap<String, Backup> {
        &self.backups
    }

    /// The certificate of an associated node and when it was made, once the association is over.
    pub(in crate::control) fn certificate_of(
        &self,
        node: &(String, String),
        now: Now,
    ) -> Option<(&str, Now)> {
        let found = self.associations.get(node).filter(|found| found.resolves_at <= now)?;
        match &*found.outcome {
            Outcome::Joined { certificate } => {
                certificate.as_deref().map(|certificate| (certificate, found.issued_at))
            }
            _ => None,
        }
    }

    /// The public key of an associated node of a Chef organization, in DER, and since when.
    pub(in crate::control) fn chef_client(
        &self,
        node: &(String, String),
        organization: &str,
        now: Now,
    ) -> Option<(&[u8], Now)> {
        let found = self.associations.get(node).filter(|found| found.resolves_at <= now)?;
        let joined = matches!(*found.outcome, Outcome::Joined { .. });
        let meant = found.organization.as_deref() == Some(organization);
        (joined && meant).then_some((found.public_key.as_slice(), found.issued_at))
    }

    /// The names of a server's nodes.
    pub(in crate::control) fn names_of(&self, server: &str) -> Vec<String> {
        self.nodes_of(server).iter().map(|(name, _)| name.clone()).collect()
    }

    /// The server that answers at a host name. The name is the server's endpoint, the server's name, or
    /// the server's name and `.localhost`. For any other name it is the first server of the engine.
    pub(in crate::control) fn server_at(
        &self,
        engine: Engine,
        name: Option<&str>,
    ) -> Option<&Server> {
        let name = name.unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let label = name.strip_suffix(".localhost").unwrap_or(&name);
        let mut all = self.servers.values().filter(|server| server.engine == engine);
        let first = all.clone().next();
        let is_meant = |server: &&Server| {
            server.endpoint.eq_ignore_ascii_case(&name) || server.name.eq_ignore_ascii_case(label)
        };
        all.find(is_meant).or(first)
    }

    /// What has gone since this was last asked: associations that ended, and servers.
    pub(in crate::control) fn take_departed(&mut self) -> Departed {
        std::mem::take(&mut self.departed)
    }

    /// The servers by name.
    #[must_use]
    pub fn servers(&self) -> &BTreeMap<String, Server> {
        &self.servers
    }

    /// The associations by server name and node name.
    #[must_use]
    pub fn associations(&self) -> &BTreeMap<(String, String), Arc<Association>> {
        &self.associations
    }

    /// Servers, backups and the latest tokens as JSON; statuses are those at `now`.
    #[must_use]
    pub fn state(&self, now: Now) -> Value {
        let servers = self.servers.values().map(|server| server.state(now));
        let backups = self.backups.values().map(|backup| {
            json!({
                "id": backup.id,
                "server": backup.server,
                "type": if backup.manual { "MANUAL" } else { "AUTOMATED" },
                "status": backup.status,
                "created_at": backup.created_at.rfc3339(),
                "description": backup.description,
                "nodes": backup.nodes.len(),
            })
        });
        let latest = self.tokens.iter().rev().take(TOKENS_SHOWN);
        let tokens = latest.filter_map(|token| {
            let ticket = self.tickets.get(token)?;
            let ends_at = ticket.issued_at.plus(self.settings.token_lifetime);
            Some(ticket.show(token, now, ends_at))
        });
        json!({
            "servers": servers.collect::<Vec<_>>(),
            "backups": backups.collect::<Vec<_>>(),
            "tokens": tokens.collect::<Vec<_>>(),
        })
    }
}

/// How many tokens the state has: it is asked for every second while the page is open.
const TOKENS_SHOWN: usize = 100;

impl Server {
    fn state(&self, now: Now) -> Value {
        let ends_at = self.progress.as_ref().and_then(|progress| match progress.due {
            Due::At(moment) => Some(moment.rfc3339()),
            Due::AfterCall(_) => None,
        });
        json!({
            "name": self.name,
            "engine": self.engine.name(),
            "status": self.status(now),
            "status_reason": self.reason,
            "status_ends_at": ends_at,
            "endpoint": self.endpoint,
            "arn": self.arn,
            "pivotal_key_sha256": self.pivotal_key.as_deref().map(hex::sha256),
        })
    }
}

impl OpsWorksCm {
    /// What is written down of the service, by its name.
    pub(in crate::control) fn tables(&mut self) -> Vec<(&'static str, &mut dyn Kept)> {
        vec![
            ("servers", &mut self.servers),
            ("backups", &mut self.backups),
            ("backup_deletions", &mut self.deletions),
            ("associations", &mut self.associations),
            ("tokens", &mut self.tickets),
        ]
    }

    /// Makes what follows from the tables, once they have been read.
    pub(in crate::control) fn restored(&mut self) {
        let leaving = self.associations.iter();
        let leaving = leaving.filter_map(|(key, it)| it.leaves_at.map(|at| (at, key.clone())));
        self.leaving = leaving.collect();
        let mut tokens: Vec<_> =
            self.tickets.iter().map(|(token, it)| (it.issued_at, token)).collect();
        tokens.sort();
        self.tokens = tokens.into_iter().map(|(_, token)| token.clone()).collect();
    }

    /// Sets the number of calls so far.
    pub(in crate::control) const fn set_call(&mut self, call: u64) {
        self.call = call;
    }

    /// The number of calls so far, which spans are counted by.
    pub(in crate::control) const fn call(&self) -> u64 {
        self.call
    }
}
