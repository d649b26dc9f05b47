//! Layers of stacks, and assigning registered instances to them.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

use serde_json::{Value, json};

use super::instance::Step;
use super::stack::date_time;
use super::{OpsWorks, unknown};
use crate::control::Context;
use crate::control::fault::FaultKind;
use crate::control::table::Word;
use crate::control::validate::{Members, Text};
use crate::error::ApiError;
use crate::hex;
use crate::now::Now;

/// The values of `LayerType`.
pub const TYPES: [&str; 12] = [
    "aws-flow-ruby",
    "custom",
    "db-master",
    "ecs-cluster",
    "java-app",
    "lb",
    "memcached",
    "monitoring-master",
    "nodejs-app",
    "php-app",
    "rails-app",
    "web",
];
const CUSTOM: &str = "custom";

/// The states in which a registered instance can be assigned: it is in no layer, or its setup in
/// one has failed.
const FOR_ASSIGNING: [&str; 2] = ["registered", "setup_failed"];
const FOR_UNASSIGNING: [&str; 3] = ["online", "setup_failed", "connection_lost"];

/// A layer as it is asked for: `SHORTNAME` or `SHORTNAME:TYPE`, by default of the type `custom`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// `Shortname`.
    pub shortname: String,
    /// `Type`.
    pub kind: &'static str,
}

/// A layer that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayerSpecError {
    /// A name that the service does not take.
    #[error("'{0}' is no layer's short name: letters, digits, -, _ and dots")]
    Name(String),
    /// A type that the model does not list.
    #[error("'{0}' is no layer type; it is one of {list}", list = TYPES.join(", "))]
    Kind(String),
}

impl FromStr for LayerSpec {
    type Err = LayerSpecError;

    fn from_str(text: &str) -> Result<Self, LayerSpecError> {
        let (name, kind) = text.split_once(':').unwrap_or((text, CUSTOM));
        // `Shortname` of CreateLayer: "/\A[a-z0-9\-\_\.]+\Z/".
        let fits = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_.".contains(letter)
        };
        if name.is_empty() || !name.chars().all(fits) {
            return Err(LayerSpecError::Name(name.to_owned()));
        }
        let kind = TYPES.into_iter().find(|known| *known == kind);
        let kind = kind.ok_or_else(|| LayerSpecError::Kind(text.to_owned()))?;
        Ok(Self { shortname: name.to_owned(), kind })
    }
}

impl Default for LayerSpec {
    /// The layer of a stack that names none.
    fn default() -> Self {
        Self { shortname: CUSTOM.to_owned(), kind: CUSTOM }
    }
}

/// A layer that exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    /// `LayerId`; it belongs to the stack's identifier and the short name.
    pub id: String,
    /// `Shortname`.
    pub shortname: String,
    /// `Type`.
    #[serde(deserialize_with = "crate::control::table::word::deserialize")]
    pub kind: Word,
}

impl Layer {
    pub(super) fn new(spec: &LayerSpec, stack: &str) -> Self {
        Self {
            id: hex::uuid_of(&format!("{stack}/{}", spec.shortname)),
            shortname: spec.shortname.clone(),
            kind: spec.kind,
        }
    }

    /// The `Layer` structure.
    fn describe(&self, stack: &str, region: &str, account: &str, created_at: Now) -> Value {
        json!({
            "Arn": format!("arn:aws:opsworks:{region}:{account}:layer/{}", self.id),
            "StackId": stack,
            "LayerId": self.id,
            "Type": self.kind,
            "Name": self.shortname,
            "Shortname": self.shortname,
            "Attributes": {},
            "CustomSecurityGroupIds": [],
            "DefaultSecurityGroupNames": ["AWS-OpsWorks-Custom-Server"],
            "Packages": [],
            "VolumeConfigurations": [],
            "EnableAutoHealing": true,
            "AutoAssignElasticIps": false,
            "AutoAssignPublicIps": true,
            "DefaultRecipes": recipes(),
            "CustomRecipes": recipes(),
            "CreatedAt": date_time(created_at),
            "InstallUpdatesOnBoot": true,
            "UseEbsOptimizedInstances": false,
            "LifecycleEventConfiguration": {
                "Shutdown": { "ExecutionTimeout": 120, "DelayUntilElbConnectionsDrained": false },
            },
        })
    }
}

fn recipes() -> Value {
    json!({ "Setup": [], "Configure": [], "Deploy": [], "Undeploy": [], "Shutdown": [] })
}

impl OpsWorks {
    /// "This call accepts only one resource-identifying parameter."
    pub(super) fn describe_layers(&self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let stack = members.optional_text("StackId", &Text::UNBOUNDED)?;
        let ids = members.texts("LayerIds", &(0..=usize::MAX), &Text::UNBOUNDED)?;
        members.finish()?;

        let described = |(stack_id, layer): (&str, &Layer)| {
            let stack = self.stack(stack_id)?;
            let account = &self.settings.place.account;
            Ok(layer.describe(stack_id, &stack.region, account, stack.created_at))
        };
        let layers: Result<Vec<_>, ApiError> = match (stack, ids.filter(|ids| !ids.is_empty())) {
            (Some(id), None) => {
                self.stack(id)?.layers.iter().map(|layer| described((id, layer))).collect()
            }
            (None, Some(ids)) => ids.into_iter().map(|id| described(self.layer(id)?)).collect(),
            _ => {
                return Err(ApiError::Validation(
                    "Please provide exactly one of StackId and LayerIds.".to_owned(),
                ));
            }
        };
        Ok(json!({ "Layers": layers? }))
    }

    /// "Assign a registered instance to a layer." The action has no output.
    pub(super) fn assign_instance(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let id = members.text("InstanceId", &Text::UNBOUNDED)?;
        members.required("LayerIds");
        let layers = members.texts("LayerIds", &(0..=usize::MAX), &Text::UNBOUNDED)?;
        members.finish()?;

        let layers = layers.unwrap_or_default();
        let instance = self.instances.get(id).ok_or_else(|| unknown("instance", id))?;
        let refused = |what: String| Err(ApiError::Validation(what));
        if layers.is_empty() {
            return refused("Please provide at least one layer ID.".to_owned());
        }
        for layer_id in &layers {
            let (stack, layer) = self.layer(layer_id)?;
            if stack != instance.stack {
                return refused(format!("Layer {layer_id} is not of the instance's stack."));
            }
            // "You can assign registered Amazon EC2 instances only to custom layers."
            if instance.identity.is_some() && layer.kind != CUSTOM {
                return refused(format!(
                    "Layer {layer_id} is of the type {}; a registered Amazon EC2 instance can be \
                     assigned only to custom layers.",
                    layer.kind
                ));
            }
        }
        require(id, instance.status(context.now), &FOR_ASSIGNING)?;
        let step = Step {
            during: "running_setup",
            until: context.now.plus(self.settings.setup_time),
            then: match context.fault {
                Some(FaultKind::Failed) => "setup_failed",
                _ => "online",
            },
        };
        let layers = layers.into_iter().map(str::to_owned).collect();
        if let Some(instance) = self.instances.get_mut(id) {
            instance.layers = layers;
            instance.step = step;
        }
        Ok(Value::Null)
    }

    /// "Unassigns a registered instance from all layers that are using the instance. The instance
    /// remains in the stack as an unassigned instance." The action has no output.
    pub(super) fn unassign_instance(
        &mut self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let id = members.text("InstanceId", &Text::UNBOUNDED)?;
        members.finish()?;

        let instance = self.instances.get(id).ok_or_else(|| unknown("instance", id))?;
        if instance.layers.is_empty() {
            return Err(ApiError::Validation(format!("Instance {id} is assigned to no layer.")));
        }
        require(id, instance.status(context.now), &FOR_UNASSIGNING)?;
        let until = context.now.plus(self.settings.setup_time);
        if let Some(instance) = self.instances.get_mut(id) {
            instance.layers = Vec::new();
            instance.step = Step { during: "unassigning", until, then: "registered" };
        }
        Ok(Value::Null)
    }

    /// A layer, and the identifier of its stack.
    pub(super) fn layer(&self, id: &str) -> Result<(&str, &Layer), ApiError> {
        let all = self
            .stacks
            .iter()
            .flat_map(|(stack, it)| it.layers.iter().map(move |layer| (stack.as_str(), layer)));
        let found = all.into_iter().find(|(_, layer)| layer.id == id);
        found.ok_or_else(|| unknown("layer", id))
    }
}

fn require(id: &str, status: &str, allowed: &[&str]) -> Result<(), ApiError> {
    if allowed.contains(&status) {
        return Ok(());
    }
    Err(ApiError::Validation(format!(
        "Instance {id} is {status}; it must be {}.",
        allowed.join(" or ")
    )))
}
