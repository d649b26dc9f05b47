//! Settings: fragments on disk, environment and command line are merged into one input, each
//! value with where it came from; the input is parsed once into [`Settings`], which are valid.

pub mod fragments;
pub mod input;
pub mod schema;
mod setting_table;
pub mod settings;
mod values;

pub use input::{Input, Origin, Value};
pub use settings::Settings;

use crate::fault::{Fault, Kind};

/// Why the settings can't be used. Every one of them is fault `Config`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("could not read the settings")]
    Unreadable { path: String, error: fragments::Unreadable },
    #[error("this is not TOML")]
    NotToml { origin: Origin, cause: String },
    #[error("there is no setting {}", shortened(&format!("{key:?}")))]
    UnknownKey { origin: Origin, key: String, nearest: Option<String> },
    #[error("{key} can't be {}", shortened(found))]
    Invalid { origin: Origin, key: String, found: String, allowed: String },
    #[error("{key} is missing")]
    Missing { origin: Origin, key: String, allowed: String },
    #[error("no target is configured")]
    NoTarget { searched: String },
    #[error("there is no target {id:?} in the settings")]
    NotConfigured { id: String, configured: String },
}

impl ConfigError {
    fn on(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => path.clone(),
            Self::NotToml { origin, .. }
            | Self::UnknownKey { origin, .. }
            | Self::Invalid { origin, .. }
            | Self::Missing { origin, .. } => origin.to_string(),
            Self::NoTarget { searched } => searched.clone(),
            Self::NotConfigured { .. } => "--target".to_owned(),
        }
    }

    fn todo(&self) -> String {
        match self {
            Self::Unreadable { error, .. } => {
                error.todo.clone().unwrap_or_else(|| "check the path and its permissions".to_owned())
            }
            Self::NotToml { .. } => "correct the line that is named".to_owned(),
            Self::UnknownKey { nearest: Some(near), .. } => format!("did you mean {near:?}?"),
            Self::UnknownKey { nearest: None, .. } => "remove it; `enlist check` lists what there is".to_owned(),
            Self::Invalid { allowed, .. } => format!("allowed: {allowed}"),
            Self::Missing { key, allowed, .. } => format!("set {key}: {allowed}"),
            Self::NoTarget { .. } => {
                "add a target's table to /etc/enlist/enlist.toml, such as [opsworks-cm] with server = \"NAME\"".to_owned()
            }
            Self::NotConfigured { configured, .. } => format!("configured: {configured}"),
        }
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        let fault = Self::new(Kind::Config, error.to_string(), error.on(), error.todo());
        match &error {
            ConfigError::Unreadable { error, .. } => fault.cause(&error.cause),
            ConfigError::NotToml { cause, .. } => fault.cause(cause),
            _ => fault,
        }
    }
}

/// What somebody wrote may be very long; a message is not.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((cut, _)) => format!(
            "{}... ({} characters)",
            text.get(..cut).unwrap_or_default(),
            text.chars().count()
        ),
        None => text.to_owned(),
    }
}
