//! How the service is set up, and what people and tests may see and change while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::OpsWorksCm;
use super::association::Association;
use super::server::{self, DEFAULT_SERVER, Place, Server, ServerSpec, ServerSpecError};
use crate::ca;
use crate::now::Now;

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct OpsWorksCmSettings {
    /// The servers of the account.
    pub servers: Vec<ServerSpec>,
    /// How long an association is IN_PROGRESS.
    pub association_time: Duration,
    /// How long a disassociation is IN_PROGRESS.
    pub disassociation_time: Duration,
    /// How long a token can be asked for: the reference says "recent", one hour by default.
    pub token_lifetime: Duration,
    /// How long certificates are good for; a node that asks again in the second half of that time
    /// gets a new one.
    pub certificate_lifetime: Duration,
    /// Region and account, for ARNs.
    pub place: Place,
}

impl Default for OpsWorksCmSettings {
    /// One healthy Puppet server, [`DEFAULT_SERVER`]; requests resolve at once.
    fn default() -> Self {
        Self {
            servers: vec![ServerSpec::new(DEFAULT_SERVER)],
            association_time: Duration::ZERO,
            disassociation_time: Duration::ZERO,
            token_lifetime: Duration::from_hours(1),
            certificate_lifetime: ca::LIFETIME,
            place: Place::default(),
        }
    }
}

/// What people and tests may change while the service runs.
impl OpsWorksCm {
    /// Adds a server, or replaces the one of the same name.
    pub fn put_server(&mut self, spec: &ServerSpec, now: Now) {
        self.servers.insert(spec.name.clone(), Server::new(spec, now));
    }

    /// Removes a server; its associations go with it.
    pub fn remove_server(&mut self, name: &str) {
        self.servers.remove(name);
        self.associations.retain(|(server, _), _| server != name);
        self.leaving.retain(|(_, (server, _))| server != name);
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
        let status = server::status(status)?;
        if let Some(server) = self.servers.get_mut(name) {
            server.set_status(status, healthy_at);
        }
        Ok(())
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

    /// Servers and associations as JSON; statuses are those at `now`.
    #[must_use]
    pub fn state(&self, now: Now) -> Value {
        let servers = self.servers.values().map(|server| {
            json!({
                "name": server.name,
                "engine": server.engine.name(),
                "status": server.status(now),
                "endpoint": server.endpoint,
            })
        });
        let associations = self.associations.iter();
        let associations = associations.map(|((server, node), it)| it.describe(now, server, node));
        json!({
            "servers": servers.collect::<Vec<_>>(),
            "associations": associations.collect::<Vec<_>>(),
        })
    }
}
