//! Systems Manager, API version 2014-11-06: hybrid activations, the nodes registered by them, and
//! parameters that can be read.

mod activation;
mod activations;
mod admin;
mod information;
mod managed;
mod page;
mod parameter;
mod register;
mod role;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use activation::Activation;
pub use admin::SsmSettings;
pub use managed::{ManagedInstance, PING_STATUSES, Report};

use super::table::Table;
use super::validate::{Members, Pattern, Text, is_hex};
use super::{Context, timestamp};
use crate::error::{ApiError, SsmError};

/// The service's state.
#[derive(Debug)]
pub struct Ssm {
    settings: SsmSettings,
    activations: Table<String, Activation>,
    /// The newest of those that were deleted.
    deleted: Table<u64, String>,
    instances: Table<String, ManagedInstance>,
    keys: BTreeSet<Vec<u8>>,
}

/// `ManagedInstanceId`; the model's other form is that of nodes of EKS clusters.
const MANAGED_INSTANCE_ID: Text = Text {
    min: 20,
    max: 124,
    pattern: Some(Pattern {
        text: r"(^mi-[0-9a-f]{17}$)|(^eks_c:[0-9A-Za-z][A-Za-z0-9\-_]{0,99}_\w{17}$)",
        fits: is_managed_instance_id,
    }),
    sensitive: false,
};

fn is_managed_instance_id(text: &str) -> bool {
    let hybrid = |digits: &str| digits.len() == 17 && digits.chars().all(is_hex);
    text.strip_prefix("mi-").is_some_and(hybrid) || text.strip_prefix("eks_c:").is_some_and(is_eks)
}

fn is_eks(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let Some((cluster, node)) = text.rsplit_once('_') else {
        return false;
    };
    (1..=100).contains(&cluster.len())
        && cluster.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && cluster.chars().all(|letter| word(letter) || letter == '-')
        && node.len() == 17
        && node.chars().all(word)
}

impl Ssm {
    pub(super) fn new(settings: SsmSettings) -> Self {
        Self {
            settings,
            activations: Table::default(),
            deleted: Table::default(),
            instances: Table::default(),
            keys: BTreeSet::new(),
        }
    }

    pub(super) fn handle(
        &mut self,
        context: &mut Context<'_>,
        action: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let members = || Members::of(body);
        match action {
            "CreateActivation" => self.create_activation(context, members()?),
            "DescribeActivations" => self.describe_activations(context.now, members()?),
            "DeleteActivation" => self.delete_activation(members()?),
            "RegisterManagedInstance" => self.register_managed_instance(context, members()?),
            "DescribeInstanceInformation" => self.describe_instance_information(members()?),
            "GetParameter" => self.get_parameter(context, members()?),
            "DeregisterManagedInstance" => self.deregister_managed_instance(members()?),
            unknown => Err(ApiError::UnknownOperation(format!("'{unknown}'"))),
        }
    }

    /// The activation it was registered by has been used all the same: its count stays.
    fn deregister_managed_instance(&mut self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let id = members.text("InstanceId", &MANAGED_INSTANCE_ID)?;
        members.finish()?;
        match self.instances.remove(id) {
            Some(instance) => self.keys.remove(&instance.public_key),
            None => return Err(SsmError::InvalidInstanceId.because(id)),
        };
        Ok(json!({}))
    }
}
