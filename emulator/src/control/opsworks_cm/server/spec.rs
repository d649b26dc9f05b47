//! Servers as they are asked for at the start, and their engines.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;

use super::status::{HEALTHY, STATUSES};
use crate::control::validate::{Pattern, Text};

/// What runs on the server and manages its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(in crate::control) const fn model(self) -> (&'static str, &'static str) {
        match self {
            Self::Puppet => ("Monolithic", "2017"),
            Self::Chef => ("Single", "12"),
        }
    }
}

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
pub(in crate::control::opsworks_cm) fn status(
    value: &str,
) -> Result<&'static str, ServerSpecError> {
    let found = STATUSES.into_iter().find(|known| *known == value);
    found.ok_or_else(|| ServerSpecError::Status(value.to_owned()))
}

fn seconds(value: &str) -> Result<Duration, ServerSpecError> {
    let number = value.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    number.ok_or_else(|| ServerSpecError::Seconds(value.to_owned()))
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
