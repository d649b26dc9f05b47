//! OpsWorks Stacks, API version 2013-02-18: what registering an instance and assigning it to a layer
//! calls.

mod admin;
mod identity;
mod instance;
mod layer;
mod provisioning;
mod register;
mod stack;

use serde_json::{Value, json};

pub use admin::OpsWorksSettings;
pub use identity::{Identity, IdentityVerifier};
pub use instance::RegisteredInstance;
pub(super) use layer::TYPES as LAYER_TYPES;
pub use layer::{Layer, LayerSpec, LayerSpecError};
pub use provisioning::{INSTALLER_PATH, installer};
pub use stack::{DEFAULT_STACK, Stack, StackSpec, StackSpecError};

use super::Context;
use super::table::Table;
use super::validate::{Members, Text};
use crate::error::ApiError;
use crate::now::Now;

/// The service's state.
#[derive(Debug)]
pub struct OpsWorks {
    settings: OpsWorksSettings,
    stacks: Table<String, Stack>,
    instances: Table<String, RegisteredInstance>,
}

impl OpsWorks {
    pub(super) fn new(settings: OpsWorksSettings, now: Now) -> Self {
        let stacks = settings.stacks.iter();
        let stacks = stacks.map(|spec| (spec.id.clone(), Stack::new(spec, &settings.place, now)));
        let stacks = stacks.collect();
        Self { settings, stacks, instances: Table::default() }
    }

    pub(super) fn handle(
        &mut self,
        context: &mut Context<'_>,
        action: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let members = || Members::of(body);
        match action {
            "AssignInstance" => self.assign_instance(context, members()?),
            "DescribeLayers" => self.describe_layers(members()?),
            "DescribeStackProvisioningParameters" => {
                self.describe_stack_provisioning_parameters(context, members()?)
            }
            "UnassignInstance" => self.unassign_instance(context, members()?),
            "RegisterInstance" => self.register_instance(context, members()?),
            "DescribeInstances" => self.describe_instances(context, members()?),
            "DeregisterInstance" => self.deregister_instance(members()?),
            "DescribeStacks" => self.describe_stacks(members()?),
            unknown => Err(ApiError::UnknownOperation(format!("'{unknown}'"))),
        }
    }

    fn describe_stacks(&self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let ids = members.texts("StackIds", &(0..=usize::MAX), &Text::UNBOUNDED)?;
        members.finish()?;

        let account = &self.settings.place.account;
        let describe = |id: &str| Ok(self.stack(id)?.describe(id, account));
        let stacks: Result<Vec<_>, ApiError> = match ids.filter(|ids| !ids.is_empty()) {
            Some(ids) => ids.into_iter().map(describe).collect(),
            None => self.stacks.keys().map(|id| describe(id)).collect(),
        };
        Ok(json!({ "Stacks": stacks? }))
    }

    /// "This call accepts only one resource-identifying parameter."
    fn describe_instances(
        &self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let stack = members.optional_text("StackId", &Text::UNBOUNDED)?;
        let layer = members.optional_text("LayerId", &Text::UNBOUNDED)?;
        let ids = members.texts("InstanceIds", &(0..=usize::MAX), &Text::UNBOUNDED)?;
        members.finish()?;

        let found: Vec<&str> = match (stack, layer, ids.filter(|ids| !ids.is_empty())) {
            (Some(stack), None, None) => {
                self.stack(stack)?;
                let all = self.instances.iter();
                all.filter(|(_, known)| known.stack == stack).map(|(id, _)| id.as_str()).collect()
            }
            (None, Some(layer), None) => {
                self.layer(layer)?;
                let inside = |known: &RegisteredInstance| known.layers.iter().any(|id| id == layer);
                let all = self.instances.iter();
                all.filter(|(_, known)| inside(known)).map(|(id, _)| id.as_str()).collect()
            }
            (None, None, Some(ids)) => ids,
            _ => {
                return Err(ApiError::Validation(
                    "Please provide exactly one of StackId, LayerId and InstanceIds.".to_owned(),
                ));
            }
        };
        let described = found.into_iter().map(|id| self.describe(id, context.now));
        Ok(json!({ "Instances": described.collect::<Result<Vec<_>, _>>()? }))
    }

    fn deregister_instance(&mut self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let id = members.text("InstanceId", &Text::UNBOUNDED)?;
        members.finish()?;
        self.instances.remove(id).ok_or_else(|| unknown("instance", id))?;
        // The action has no output, not even an empty structure.
        Ok(Value::Null)
    }

    fn stack(&self, id: &str) -> Result<&Stack, ApiError> {
        self.stacks.get(id).ok_or_else(|| unknown("stack", id))
    }

    fn describe(&self, id: &str, now: Now) -> Result<Value, ApiError> {
        let instance = self.instances.get(id).ok_or_else(|| unknown("instance", id))?;
        let stack = self.stack(&instance.stack)?;
        let mut described = instance.describe(id, now, &stack.region, &self.settings.place.account);
        let fingerprint = instance.fingerprint.as_ref().filter(|_| stack.fingerprints);
        if let (Some(members), Some(fingerprint)) = (described.as_object_mut(), fingerprint) {
            members.insert("RsaPublicKeyFingerprint".to_owned(), json!(fingerprint));
        }
        Ok(described)
    }
}

fn unknown(kind: &str, id: &str) -> ApiError {
    ApiError::ResourceNotFound(format!("Unable to find {kind} with ID {id}"))
}
