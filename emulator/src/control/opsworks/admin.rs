//! How the service is set up, and what people and tests may see and change while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::OpsWorks;
use super::identity::IdentityVerifier;
use super::instance::RegisteredInstance;
use super::stack::{Stack, StackSpec};
use crate::control::opsworks_cm::Place;
use crate::control::table::Kept;
use crate::now::Now;

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct OpsWorksSettings {
    /// The stacks of the account.
    pub stacks: Vec<StackSpec>,
    /// How long an instance is `registering` before it is `registered`.
    pub registration_time: Duration,
    /// How long an instance that is assigned to a layer is in `running_setup`, and one that is
    /// unassigned in `unassigning`.
    pub setup_time: Duration,
    /// Who checks instance identity documents; `None` takes every signature.
    pub identity: Option<Arc<dyn IdentityVerifier>>,
    /// Region and account, for ARNs and for stacks that name no region.
    pub place: Place,
}

impl Default for OpsWorksSettings {
    /// One stack, [`DEFAULT_STACK`](super::DEFAULT_STACK); instances are registered at once, and
    /// identity documents believed.
    fn default() -> Self {
        Self {
            stacks: vec![StackSpec::default()],
            registration_time: Duration::ZERO,
            setup_time: Duration::ZERO,
            identity: None,
            place: Place::default(),
        }
    }
}

/// What people and tests may see and change while the service runs.
impl OpsWorks {
    /// Adds a stack, or replaces the one of the same identifier.
    pub fn put_stack(&mut self, spec: &StackSpec, now: Now) {
        let stack = Stack::new(spec, &self.settings.place, now);
        self.stacks.insert(spec.id.clone(), stack);
    }

    /// Removes a stack; its instances go with it.
    pub fn remove_stack(&mut self, id: &str) {
        self.stacks.remove(id);
        self.instances.retain(|_, instance| instance.stack != id);
    }

    /// Removes an instance, as somebody at the console would.
    pub fn remove_instance(&mut self, id: &str) {
        self.instances.remove(id);
    }

    /// Sets how long instances are `registering` that come from here on.
    pub fn set_registration_time(&mut self, time: Duration) {
        self.settings.registration_time = time;
    }

    /// The stacks by identifier.
    #[must_use]
    pub fn stacks(&self) -> &BTreeMap<String, Stack> {
        &self.stacks
    }

    /// The registered instances by identifier.
    #[must_use]
    pub fn instances(&self) -> &BTreeMap<String, RegisteredInstance> {
        &self.instances
    }

    /// Stacks and instances as JSON; statuses are those at `now`.
    #[must_use]
    pub fn state(&self, now: Now) -> Value {
        let stacks = self.stacks.iter().map(|(id, stack)| stack.state(id));
        let instances = self.instances.iter().map(|(id, instance)| instance.state(id, now));
        json!({
            "stacks": stacks.collect::<Vec<_>>(),
            "instances": instances.collect::<Vec<_>>(),
        })
    }
}

impl OpsWorks {
    /// What is written down of the service, by its name.
    pub(in crate::control) fn tables(&mut self) -> Vec<(&'static str, &mut dyn Kept)> {
        vec![("stacks", &mut self.stacks), ("instances", &mut self.instances)]
    }
}
