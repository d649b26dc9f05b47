//! What people and tests may see and change while the control plane runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Call, Calls, Context, ControlPlane, Fault, OpsWorks, OpsWorksCm, Outcome, Rate, Snapshot, Ssm,
    Target, Throttle, targets, throttles,
};
use crate::now::Now;
use crate::options::SeedNode;

/// What people and tests may see and change.
impl ControlPlane {
    /// Sets a fault, from the next call on.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Forgets every fault.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Associates a node at once, whatever an association takes; it is no call of the record.
    ///
    /// # Errors
    /// Why the node cannot be associated, or why its association failed.
    pub fn seed_node(&mut self, now: Now, node: &SeedNode) -> Result<(), String> {
        let SeedNode { server, name, attributes } = node;
        let attributes = attributes.iter();
        let attributes: Value =
            attributes.map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let body =
            json!({ "ServerName": server, "NodeName": name, "EngineAttributes": attributes });
        let (random, authority) = (&mut self.random, &mut *self.authority);
        let puppet_ca = &self.puppet_ca;
        let mut context = Context { now, fault: None, host: None, random, authority, puppet_ca };
        self.opsworks_cm.seed(&mut context, &body).map_err(|error| error.to_string())?;
        let key = (server.clone(), name.clone());
        match self.opsworks_cm.associations().get(&key).map(|made| &*made.outcome) {
            Some(Outcome::Failed { reason }) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// The account's request limit, for each service.
    #[must_use]
    pub fn throttle(&self) -> Option<Rate> {
        self.throttles.values().next().and_then(Throttle::rate)
    }

    /// The actions that IAM refuses.
    #[must_use]
    pub fn denied_actions(&self) -> Vec<String> {
        self.denied.iter().map(Target::to_string).collect()
    }

    /// Sets the account's request limit; the buckets start full.
    pub fn set_throttle(&mut self, rate: Option<Rate>, now: Now) {
        self.throttles = throttles(rate, now);
    }

    /// The faults that can still strike.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.armed()
    }

    /// Sets the actions that IAM refuses, each as [`Target`] reads it; others are ignored.
    pub fn set_denied(&mut self, actions: impl IntoIterator<Item = String>) {
        self.denied = targets(actions);
    }

    /// OpsWorks CM's state.
    #[must_use]
    pub fn opsworks_cm(&self) -> &OpsWorksCm {
        &self.opsworks_cm
    }

    /// OpsWorks CM's state, to change it.
    pub fn opsworks_cm_mut(&mut self) -> &mut OpsWorksCm {
        &mut self.opsworks_cm
    }

    /// OpsWorks Stacks' state.
    #[must_use]
    pub fn opsworks(&self) -> &OpsWorks {
        &self.opsworks
    }

    /// OpsWorks Stacks' state, to change it.
    pub fn opsworks_mut(&mut self) -> &mut OpsWorks {
        &mut self.opsworks
    }

    /// Systems Manager's state.
    #[must_use]
    pub fn ssm(&self) -> &Ssm {
        &self.ssm
    }

    /// Systems Manager's state, to change it.
    pub fn ssm_mut(&mut self) -> &mut Ssm {
        &mut self.ssm
    }

    /// The CA bundle that Puppet servers give out.
    #[must_use]
    pub fn ca_bundle(&self) -> &str {
        self.authority.bundle()
    }

    /// The newest calls, oldest first. At most 16 MiB of them are kept.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.since(0).collect()
    }

    /// The record of the calls.
    #[must_use]
    pub fn record(&self) -> &Calls {
        &self.calls
    }

    /// Notes how long the newest call took.
    pub fn set_duration(&mut self, duration: Duration) {
        self.calls.set_duration(duration);
    }

    /// Does what was due until `now`. Every call does this first.
    pub fn settle(&mut self, now: Now) {
        self.opsworks_cm.settle(now);
        self.settle_faces();
    }

    /// The account as JSON, as it is at `now`.
    #[must_use]
    pub fn state(&mut self, now: Now) -> Value {
        self.snapshot(now).value()
    }

    /// The account as it is at `now`, to be made into JSON later.
    #[must_use]
    pub fn snapshot(&mut self, now: Now) -> Snapshot {
        self.settle(now);
        let mut members = Map::new();
        members.insert("now".to_owned(), Value::from(now.rfc3339()));
        let (cm, puppet_ca) = (&self.opsworks_cm, &self.puppet_ca);
        let faces = [puppet_ca.state_json(cm, now), self.chef.state()];
        let families = [self.opsworks_cm.state(now), self.opsworks.state(now), self.ssm.state(now)];
        for family in families.into_iter().chain(faces) {
            if let Value::Object(family) = family {
                members.extend(family);
            }
        }
        let associations = self.opsworks_cm.associations().iter();
        let associations = associations.map(|(key, it)| (key.clone(), Arc::clone(it))).collect();
        Snapshot { now, members, associations }
    }
}
