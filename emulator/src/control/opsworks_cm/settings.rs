//! How the service is set up.

use std::time::Duration;

use super::server::spec::{DEFAULT_SERVER, Place, ServerSpec};
use crate::ca;
use crate::control::span::Span;

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
    /// How long what servers do takes.
    pub times: Times,
    /// "You can create a maximum of 10 servers."
    pub server_limit: usize,
    /// "You can create a maximum of 50 manual backups."
    pub backup_limit: usize,
    /// `Endpoint` of servers that are created; made from name and region when `None`.
    pub endpoint: Option<String>,
    /// Region and account, for ARNs.
    pub place: Place,
}

/// How long what servers do takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// CREATING.
    pub creation: Span,
    /// BACKING_UP.
    pub backup: Span,
    /// RESTORING.
    pub restore: Span,
    /// UNDER_MAINTENANCE.
    pub maintenance: Span,
    /// MODIFYING.
    pub update: Span,
    /// DELETING, of a server.
    pub deletion: Span,
    /// DELETING, of a backup.
    pub backup_deletion: Span,
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
            times: Times::default(),
            server_limit: 10,
            backup_limit: 50,
            endpoint: None,
            place: Place::default(),
        }
    }
}
