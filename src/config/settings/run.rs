//! `[run]` and `[metrics]`, which only the daemon reads.

use std::path::Path;
use std::time::Duration;

use strum::{EnumString, VariantNames};

use super::reader::{Reader, absolute};
use crate::config::ConfigError;
use crate::config::setting_table::{metrics, run};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub ready: Ready,
    /// The time between two inspections of the installed files.
    pub inspect: Duration,
    pub repair: bool,
    /// The time between two questions whether the authority still has this node. None: never.
    pub probe: Option<Duration>,
    pub leave_on: LeaveOn,
}

/// When the service manager is told that the service is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Ready {
    /// Once every target has joined, so that units with `After=enlist.service` find an identity.
    Joined,
    /// At once.
    Started,
}

/// When a node leaves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum LeaveOn {
    Never,
    /// When EC2 announces the end of the instance.
    Termination,
    /// Then, and when the machine is powered off.
    Shutdown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    pub textfile: Option<String>,
    pub socket: Option<String>,
}

impl Reader<'_> {
    pub(super) fn run(&self) -> Result<Run, ConfigError> {
        let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
        Ok(Run {
            ready: self.choice_or_default(&run::ready)?,
            inspect: self.duration(&run::inspect, second, day, "\"10m\"")?,
            repair: self.boolean(&run::repair)?,
            probe: self.duration_or_never(
                &run::probe,
                second,
                "\"never\", or a duration of a second or more, such as \"6h\"",
            )?,
            leave_on: self.choice_or_default(&run::leave_on)?,
        })
    }

    pub(super) fn metrics(&self) -> Result<Metrics, ConfigError> {
        const TEXTFILE: &str =
            "an absolute path that ends in .prom, which is what node_exporter reads";
        let textfile = self.parsed(&metrics::textfile, TEXTFILE, |text| {
            absolute(text).filter(|path| Path::new(path).extension() == Some("prom".as_ref()))
        })?;
        Ok(Metrics { textfile, socket: self.path(&metrics::socket)? })
    }
}
