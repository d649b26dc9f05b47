//! The stacks of the account.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

use serde_json::{Value, json};

use super::layer::{Layer, LayerSpec, LayerSpecError};
use crate::control::opsworks_cm::Place;
use crate::control::validate::is_uuid;
use crate::now::Now;

/// The identifier of the stack that exists when none is asked for.
pub const DEFAULT_STACK: &str = "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee";

/// A stack as it is asked for: `id=UUID,name=NAME,region=REGION,vpc=VPC,
/// unique-hostnames=true|false,fingerprints=true|false,layer=SHORTNAME[:TYPE]`, all of them optional;
/// `layer` as often as there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackSpec {
    /// `StackId`; [`DEFAULT_STACK`] by default.
    pub id: String,
    /// `Name`; `stack-test` by default.
    pub name: String,
    /// `Region`; the account's by default.
    pub region: Option<String>,
    /// `VpcId`; none by default.
    pub vpc: Option<String>,
    /// Whether a host name that is in use is refused. The model does not say that the service
    /// looks: it is the `register` command of AWS's CLI that says "Hostnames must be unique within
    /// a stack" and compares, before it calls anything. So by default nobody looks.
    pub unique_hostnames: bool,
    /// Whether `DescribeInstances` shows `RsaPublicKeyFingerprint`. The model has no such member of
    /// an instance; a service that implements the API anew may show it. By default it does not.
    pub fingerprints: bool,
    /// The layers; none is one of the type `custom`, named so.
    pub layers: Vec<LayerSpec>,
}

impl Default for StackSpec {
    fn default() -> Self {
        Self {
            id: DEFAULT_STACK.to_owned(),
            name: "stack-test".to_owned(),
            region: None,
            vpc: None,
            unique_hostnames: false,
            fingerprints: false,
            layers: Vec::new(),
        }
    }
}

/// A stack that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StackSpecError {
    /// A part without `=`.
    #[error("'{0}' is not KEY=VALUE; the keys are {KEYS}")]
    Form(String),
    /// A key beside the known ones.
    #[error("'{0}' is no key of a stack; it is one of {KEYS}")]
    Key(String),
    /// Not in the form of a UUID.
    #[error("'{0}' is no stack ID: a UUID in lower case, such as {DEFAULT_STACK}")]
    Id(String),
    /// Neither true nor false.
    #[error("'{0}' is neither true nor false")]
    Truth(String),
    /// A layer that cannot be read.
    #[error(transparent)]
    Layer(#[from] LayerSpecError),
}

const KEYS: &str = "id, name, region, vpc, unique-hostnames, fingerprints, layer";

impl FromStr for StackSpec {
    type Err = StackSpecError;

    fn from_str(text: &str) -> Result<Self, StackSpecError> {
        let mut spec = Self::default();
        for part in text.split(',') {
            let form = || StackSpecError::Form(part.to_owned());
            let (key, value) = part.split_once('=').ok_or_else(form)?;
            let value = value.to_owned();
            match key {
                "id" if is_uuid(&value) => spec.id = value,
                "id" => return Err(StackSpecError::Id(value)),
                "name" => spec.name = value,
                "region" => spec.region = Some(value),
                "vpc" => spec.vpc = Some(value),
                "unique-hostnames" => {
                    let truth = value.parse();
                    spec.unique_hostnames = truth.map_err(|_| StackSpecError::Truth(value))?;
                }
                "fingerprints" => {
                    let truth = value.parse();
                    spec.fingerprints = truth.map_err(|_| StackSpecError::Truth(value))?;
                }
                "layer" => spec.layers.push(value.parse()?),
                _ => return Err(StackSpecError::Key(key.to_owned())),
            }
        }
        Ok(spec)
    }
}

/// A stack that exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stack {
    /// `Name`.
    pub name: String,
    /// `Region`.
    pub region: String,
    /// `VpcId`.
    pub vpc: Option<String>,
    /// Whether a host name that is in use is refused.
    pub unique_hostnames: bool,
    /// Whether `DescribeInstances` shows fingerprints.
    pub fingerprints: bool,
    /// Its layers.
    pub layers: Vec<Layer>,
    pub(super) created_at: Now,
}

impl Stack {
    pub(super) fn new(spec: &StackSpec, place: &Place, now: Now) -> Self {
        Self {
            name: spec.name.clone(),
            region: spec.region.clone().unwrap_or_else(|| place.region.clone()),
            vpc: spec.vpc.clone(),
            unique_hostnames: spec.unique_hostnames,
            fingerprints: spec.fingerprints,
            layers: if spec.layers.is_empty() {
                vec![Layer::new(&LayerSpec::default(), &spec.id)]
            } else {
                spec.layers.iter().map(|layer| Layer::new(layer, &spec.id)).collect()
            },
            created_at: now,
        }
    }

    /// The `Stack` structure, as `DescribeStacks` lists it.
    pub(super) fn describe(&self, id: &str, account: &str) -> Value {
        let region = &self.region;
        let mut stack = json!({
            "StackId": id,
            "Name": self.name,
            "Arn": format!("arn:aws:opsworks:{region}:{account}:stack/{id}/"),
            "Region": region,
            "Attributes": { "Color": "rgb(45, 114, 184)" },
            "ServiceRoleArn": format!("arn:aws:iam::{account}:role/aws-opsworks-service-role"),
            "DefaultInstanceProfileArn":
                format!("arn:aws:iam::{account}:instance-profile/aws-opsworks-ec2-role"),
            "DefaultOs": "Amazon Linux 2",
            "HostnameTheme": "Layer_Dependent",
            "DefaultAvailabilityZone": format!("{region}a"),
            "ConfigurationManager": { "Name": "Chef", "Version": "12" },
            "ChefConfiguration": {},
            "UseCustomCookbooks": false,
            "UseOpsworksSecurityGroups": true,
            "CustomCookbooksSource": {},
            "CreatedAt": date_time(self.created_at),
            "DefaultRootDeviceType": "ebs",
            "AgentVersion": "LATEST",
        });
        if let (Some(members), Some(vpc)) = (stack.as_object_mut(), &self.vpc) {
            members.insert("VpcId".to_owned(), json!(vpc));
        }
        stack
    }

    /// The stack for `emulator state`.
    pub(super) fn state(&self, id: &str) -> Value {
        json!({
            "id": id,
            "name": self.name,
            "region": self.region,
            "vpc": self.vpc,
            "unique_hostnames": self.unique_hostnames,
            "fingerprints": self.fingerprints,
            "layers": self.layers.iter().map(|layer| json!({
                "id": layer.id, "shortname": layer.shortname, "type": layer.kind,
            })).collect::<Vec<_>>(),
        })
    }
}

/// The service's way to write a moment: `2015-02-24T20:52:49+00:00`.
pub fn date_time(moment: Now) -> String {
    moment.rfc3339().replace('Z', "+00:00")
}
