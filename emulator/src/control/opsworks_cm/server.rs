//! The configuration management servers of the account.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::control::validate::{Pattern, Text};
use crate::now::Now;

/// What runs on the server and manages its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Puppet Enterprise.
    Puppet,
    /// Chef Automate.
    Chef,
}

impl Engine {
    /// The name in `Server$Engine`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Puppet => "Puppet",
            Self::Chef => "Chef",
        }
    }

    /// `EngineModel` and `EngineVersion`, as the reference has them for each engine.
    const fn model(self) -> (&'static str, &'static str) {
        match self {
            Self::Puppet => ("Monolithic", "2017"),
            Self::Chef => ("Single", "12"),
        }
    }
}

/// The values of `Server$Status` in the reference's order, and the one in which a node can be
/// associated.
pub const STATUSES: [&str; 13] = [
    "BACKING_UP",
    "CONNECTION_LOST",
    "CREATING",
    "DELETING",
    "MODIFYING",
    "FAILED",
    HEALTHY,
    "RUNNING",
    "RESTORING",
    "SETUP",
    "UNDER_MAINTENANCE",
    "UNHEALTHY",
    "TERMINATED",
];
/// The status in which nodes can be associated and disassociated.
pub const HEALTHY: &str = "HEALTHY";
/// The name of the server that exists when none is asked for.
pub const DEFAULT_SERVER: &str = "puppet-test";

/// `ServerName`: 1 to 40 characters.
pub const SERVER_NAME: Text = Text {
    min: 1,
    max: 40,
    pattern: Some(Pattern { text: r"[a-zA-Z][a-zA-Z0-9\-]*", fits: is_server_name }),
    sensitive: false,
};

fn is_server_name(text: &str) -> bool {
    let rest = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.chars().all(rest)
}

/// A server as it is asked for: `name=NAME,engine=Puppet|Chef,status=STATUS,
/// healthy-after=SECONDS,endpoint=HOST,organization=NAME`, all but the name optional; `organization`
/// as often as there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// `ServerName`.
    pub name: String,
    /// Its engine; Puppet by default.
    pub engine: Engine,
    /// One of [`STATUSES`]; HEALTHY by default.
    pub status: &'static str,
    /// How long after the start the server becomes HEALTHY by itself.
    pub healthy_after: Option<Duration>,
    /// `Endpoint`, a DNS name; `NAME.example` by default.
    pub endpoint: Option<String>,
    /// Chef organizations beside `default`.
    pub organizations: Vec<String>,
}

impl ServerSpec {
    /// A healthy Puppet server.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            engine: Engine::Puppet,
            status: HEALTHY,
            healthy_after: None,
            endpoint: None,
            organizations: Vec::new(),
        }
    }
}

const KEYS: &str = "name, engine, status, healthy-after, endpoint, organization";

/// A server that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ServerSpecError {
    /// A part without `=`.
    #[error("'{0}' is not KEY=VALUE; the keys are {KEYS}")]
    Form(String),
    /// A key beside the known ones.
    #[error("'{0}' is no key of a server; it is one of {KEYS}")]
    Key(String),
    /// No name, or none the API takes.
    #[error("'{0}' is no server name: a letter, then letters, digits and -, at most 40 in all")]
    Name(String),
    /// An engine beside the two.
    #[error("'{0}' is no engine; it is Puppet or Chef")]
    Engine(String),
    /// A status that the reference does not list.
    #[error("'{0}' is no server status; it is one of {list}", list = STATUSES.join(", "))]
    Status(String),
    /// Not a number of seconds.
    #[error("'{0}' is not a number of seconds; write a number from 0, such as 5 or 0.5")]
    Seconds(String),
}

impl FromStr for ServerSpec {
    type Err = ServerSpecError;

    fn from_str(text: &str) -> Result<Self, ServerSpecError> {
        let mut spec = Self::new("");
        for part in text.split(',') {
            let form = || ServerSpecError::Form(part.to_owned());
            let (key, value) = part.split_once('=').ok_or_else(form)?;
            spec.set(key, value)?;
        }
        if is_server_name(&spec.name) && spec.name.len() <= SERVER_NAME.max {
            return Ok(spec);
        }
        Err(ServerSpecError::Name(spec.name))
    }
}

impl ServerSpec {
    fn set(&mut self, key: &str, value: &str) -> Result<(), ServerSpecError> {
        match key {
            "name" => self.name = value.to_owned(),
            "engine" => self.engine = engine(value)?,
            "status" => self.status = status(value)?,
            "healthy-after" => self.healthy_after = Some(seconds(value)?),
            "endpoint" => self.endpoint = Some(value.to_owned()),
            "organization" => self.organizations.push(value.to_owned()),
            _ => return Err(ServerSpecError::Key(key.to_owned())),
        }
        Ok(())
    }
}

fn engine(value: &str) -> Result<Engine, ServerSpecError> {
    let known = [Engine::Puppet, Engine::Chef];
    let found = known.into_iter().find(|engine| engine.name().eq_ignore_ascii_case(value));
    found.ok_or_else(|| ServerSpecError::Engine(value.to_owned()))
}

/// One of [`STATUSES`].
pub(super) fn status(value: &str) -> Result<&'static str, ServerSpecError> {
    let found = STATUSES.into_iter().find(|known| *known == value);
    found.ok_or_else(|| ServerSpecError::Status(value.to_owned()))
}

fn seconds(value: &str) -> Result<Duration, ServerSpecError> {
    let number = value.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    number.ok_or_else(|| ServerSpecError::Seconds(value.to_owned()))
}

/// A server that exists.
#[derive(Clone, Debug)]
pub struct Server {
    /// `ServerName`.
    pub name: String,
    /// Its engine.
    pub engine: Engine,
    /// `Endpoint`.
    pub endpoint: String,
    /// Chef organizations beside `default`.
    pub organizations: Vec<String>,
    status: &'static str,
    healthy_at: Option<Now>,
    created_at: Now,
}

impl Server {
    pub(super) fn new(spec: &ServerSpec, now: Now) -> Self {
        let endpoint = spec.endpoint.clone();
        Self {
            name: spec.name.clone(),
            engine: spec.engine,
            endpoint: endpoint.unwrap_or_else(|| format!("{}.example", spec.name)),
            organizations: spec.organizations.clone(),
            status: spec.status,
            healthy_at: spec.healthy_after.map(|after| now.plus(after)),
            created_at: now,
        }
    }

    /// The status at `now`.
    #[must_use]
    pub fn status(&self, now: Now) -> &'static str {
        if self.healthy_at.is_some_and(|at| at <= now) { HEALTHY } else { self.status }
    }

    /// Sets the status for good, or until `healthy_at`.
    pub(super) fn set_status(&mut self, status: &'static str, healthy_at: Option<Now>) {
        self.status = status;
        self.healthy_at = healthy_at;
    }

    /// The `Server` structure, as `DescribeServers` lists it.
    pub(super) fn describe(&self, now: Now, place: &Place, ca_bundle: &str) -> Value {
        let (model, version) = self.engine.model();
        let Place { region, account } = place;
        let attributes = match self.engine {
            Engine::Puppet => json!([{ "Name": "PUPPET_API_CA_CERT", "Value": ca_bundle }]),
            Engine::Chef => json!([]),
        };
        json!({
            "AssociatePublicIpAddress": true,
            "BackupRetentionCount": 10,
            "CreatedAt": self.created_at.unix_seconds(),
            "DisableAutomatedBackup": false,
            "Endpoint": self.endpoint,
            "Engine": self.engine.name(),
            "EngineAttributes": attributes,
            "EngineModel": model,
            "EngineVersion": version,
            "InstanceProfileArn":
                format!("arn:aws:iam::{account}:instance-profile/aws-opsworks-cm-ec2-role"),
            "InstanceType": "m5.xlarge",
            "MaintenanceStatus": "SUCCESS",
            "PreferredBackupWindow": "02:00",
            "PreferredMaintenanceWindow": "Mon:03:00",
            "SecurityGroupIds": [],
            "ServerArn": format!("arn:aws:opsworks-cm:{region}:{account}:server/{}", self.name),
            "ServerName": self.name,
            "ServiceRoleArn":
                format!("arn:aws:iam::{account}:role/service-role/aws-opsworks-cm-service-role"),
            "Status": self.status(now),
            "SubnetIds": [],
        })
    }
}

/// Where the account's resources are, for their ARNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region's name.
    pub region: String,
    /// The account's twelve digits.
    pub account: String,
}

impl Default for Place {
    /// The first region, and the account of AWS's own examples.
    fn default() -> Self {
        Self { region: "us-east-1".to_owned(), account: "123456789012".to_owned() }
    }
}
