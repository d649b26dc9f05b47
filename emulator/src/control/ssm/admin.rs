//! How the service is set up, and what people and tests may see and change while it runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Ssm;
use super::activation::Activation;
use super::managed::{ManagedInstance, PING_STATUSES, Report};
use crate::control::Place;
use crate::control::table::Kept;
use crate::now::Now;

/// How the service behaves.
#[derive(Clone, Debug, Default)]
pub struct SsmSettings {
    /// The roles that exist and trust the service, as `IamRole` names them; `None` for any.
    pub roles: Option<BTreeSet<String>>,
    /// The parameters that can be read: name and value, each a `SecureString`.
    pub parameters: BTreeMap<String, String>,
    /// Region and account, for ARNs.
    pub place: Place,
}

/// What people and tests may see and change while the service runs.
impl Ssm {
    /// The activations by identifier.
    #[must_use]
    pub fn activations(&self) -> &BTreeMap<String, Activation> {
        &self.activations
    }

    /// The managed instances by identifier.
    #[must_use]
    pub fn instances(&self) -> &BTreeMap<String, ManagedInstance> {
        &self.instances
    }

    /// Sets the roles that exist; `None` for any.
    pub fn set_roles(&mut self, roles: Option<BTreeSet<String>>) {
        self.settings.roles = roles;
    }

    /// Sets what an instance's agent told of its machine.
    pub fn report(&mut self, instance: &str, report: Report) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.report = report;
        }
    }

    /// Sets an instance's `PingStatus`; one that the reference does not know changes nothing.
    pub fn set_ping_status(&mut self, instance: &str, status: &str) {
        let status = PING_STATUSES.into_iter().find(|known| *known == status);
        if let (Some(instance), Some(status)) = (self.instances.get_mut(instance), status) {
            instance.ping_status = status;
        }
    }

    /// Activations and managed instances as JSON. Codes are not part of it.
    #[must_use]
    pub fn state(&self, now: Now) -> Value {
        let activations = self.activations.iter().map(|(id, row)| row.state(id, now));
        let instances = self.instances.iter().map(|(id, row)| row.state(id));
        json!({
            "activations": activations.collect::<Vec<_>>(),
            "managed_instances": instances.collect::<Vec<_>>(),
        })
    }
}

impl Ssm {
    /// What is written down of the service, by its name.
    pub(in crate::control) fn tables(&mut self) -> Vec<(&'static str, &mut dyn Kept)> {
        vec![
            ("activations", &mut self.activations),
            ("deleted_activations", &mut self.deleted),
            ("managed_instances", &mut self.instances),
        ]
    }

    /// Makes what follows from the tables, once they have been read.
    pub(in crate::control) fn restored(&mut self) {
        self.keys = self.instances.values().map(|instance| instance.public_key.clone()).collect();
    }
}
