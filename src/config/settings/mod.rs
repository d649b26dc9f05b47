//! The validated settings. Nothing checks them again. There is a file for each target, and one for the
//! engines.

mod chef_server;
mod engines;
mod opsworks;
mod opsworks_cm;
mod puppet_server;
mod reader;
mod registry;
mod run;
mod ssm;

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use super::ConfigError;
use super::input::Input;
use super::recorded::{self, Recorded};
use super::setting_table::{self, aws, node};
use crate::engines::Engines;
use crate::targets::address::{self, Url};
use crate::targets::{self, NameTemplate, Target};
use reader::Reader;

pub use reader::ReadFile;
pub(in crate::config) use reader::{SECRET, secret_source};
pub use registry::{Registered, TARGETS, TargetSettings, target_ids};
pub use run::{LeaveOn, Metrics, Ready, Run};

/// All settings, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Without one, the name is the instance id on EC2, else the FQDN.
    pub name: Option<NameTemplate>,
    pub budget: Duration,
    pub run: Run,
    pub metrics: Metrics,
    pub aws: Aws,
    pub engines: Engines,
    /// Of each configured target, in the registry's order.
    targets: Vec<Box<dyn TargetSettings>>,
    /// Of each of them, what its record keeps.
    recorded: BTreeMap<&'static str, Recorded>,
}

/// `[aws]`. What is not set is found as the SDK finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub endpoint_url: Option<String>,
    /// Whether `http://` may be used for endpoints on other machines.
    pub allow_http: bool,
}

impl Settings {
    /// Parses the input.
    ///
    /// # Errors
    /// The first value that is not allowed, with the values that are; or that no target is
    /// configured.
    pub fn parse(input: &Input, read_file: ReadFile<'_>) -> Result<Self, ConfigError> {
        let reader = Reader { input, read_file };
        let mut configured =
            TARGETS.iter().filter_map(|target| Some((target, input.table(target.id)?))).peekable();
        if configured.peek().is_none() {
            return Err(ConfigError::NoTarget { searched: input.searched.clone() });
        }
        let engines = reader.engines()?;
        reader.one_target_of_each_engine()?;
        reader.key_lifetime()?;
        let ids = target_ids().filter(|id| input.table(id).is_some());
        Ok(Self {
            recorded: ids.map(|id| (id, recorded::of(input, id))).collect(),
            name: reader.parsed(
                &node::name,
                "text and {instance_id}, {hostname}, {fqdn}",
                |text| NameTemplate::parse(text).ok(),
            )?,
            budget: reader.duration(
                &node::budget,
                Duration::from_secs(1),
                Duration::from_hours(7 * 24),
                "\"30m\"",
            )?,
            run: reader.run()?,
            metrics: reader.metrics()?,
            aws: reader.aws()?,
            targets: configured
                .map(|(target, table)| (target.parse)(&reader, &engines, table))
                .collect::<Result<_, _>>()?,
            engines,
        })
    }

    /// The configured targets.
    #[must_use]
    pub fn targets(&self) -> Vec<Box<dyn Target>> {
        self.targets.iter().map(|settings| settings.target()).collect()
    }

    /// The configured target of this id, if there is one.
    #[must_use]
    pub fn target(&self, id: &str) -> Option<Box<dyn Target>> {
        self.targets.iter().find(|settings| settings.id() == id).map(|settings| settings.target())
    }

    /// The ids of the configured targets.
    #[must_use]
    pub fn target_ids(&self) -> Vec<&'static str> {
        self.targets.iter().map(|settings| settings.id()).collect()
    }

    /// What the record of this target's membership keeps of the settings.
    #[must_use]
    pub fn recorded(&self, id: &str) -> Recorded {
        self.recorded.get(id).cloned().unwrap_or_default()
    }

    /// The settings of the target of this type, if it is configured.
    #[must_use]
    pub fn of<T: Target + 'static>(&self) -> Option<&T> {
        self.targets.iter().find_map(|settings| (&**settings as &dyn Any).downcast_ref())
    }
}

impl Reader<'_> {
    /// Two memberships of one engine would have the same files.
    fn one_target_of_each_engine(&self) -> Result<(), ConfigError> {
        let engine = self.text(&setting_table::opsworks_cm::engine)?.unwrap_or_default();
        for (name, other) in
            [("chef", targets::chef_server::ID), ("puppet", targets::puppet_server::ID)]
        {
            if engine == name
                && self.input.table("opsworks-cm").is_some()
                && self.input.table(other).is_some()
            {
                let allowed = format!(
                    "another engine than that of [{other}], which has the same files; remove one of the two tables"
                );
                return Err(self.invalid(&setting_table::opsworks_cm::engine, &allowed));
            }
        }
        Ok(())
    }

    fn aws(&self) -> Result<Aws, ConfigError> {
        let profile = self.parsed(&aws::profile, "a name on one line", |text| {
            let is_name = !text.is_empty() && !text.contains(char::is_control);
            is_name.then(|| text.to_owned())
        })?;
        Ok(Aws {
            region: self.region()?,
            profile,
            endpoint_url: self.endpoint_url()?,
            allow_http: self.boolean(&aws::allow_http)?,
        })
    }

    fn region(&self) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(&aws::region)? else { return Ok(None) };
        match address::region(&text) {
            Ok(()) => Ok(Some(text)),
            Err(reason) => {
                let allowed = format!("a region such as eu-central-1 ({reason})");
                Err(self.invalid(&aws::region, &allowed))
            }
        }
    }

    /// An `http://` endpoint on another machine is refused unless `allow_http` is set: a request
    /// carries the session token, which everybody on the network path could read.
    fn endpoint_url(&self) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(&aws::endpoint_url)? else { return Ok(None) };
        let invalid = |allowed: &str| Err(self.invalid(&aws::endpoint_url, allowed));
        match Url::endpoint(&text) {
            Err(reason) => {
                invalid(&format!("a URL that begins with http:// or https:// ({reason})"))
            }
            Ok(url) if url.is_plain && !url.is_loopback() && !self.boolean(&aws::allow_http)? => {
                invalid(
                    "https://, or http:// to this machine. http:// to another machine sends the session token in clear text: set aws.allow_http = true if the network between is safe",
                )
            }
            Ok(_) => Ok(Some(text)),
        }
    }
}
