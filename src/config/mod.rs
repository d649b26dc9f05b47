//! The settings. Files, environment and command line are merged into one [`Input`], in which each
//! value has its origin. The input is parsed once into [`Settings`], which are valid.

pub mod fragments;
pub mod input;
pub mod recorded;
pub mod schema;
mod setting_table;
pub mod settings;
mod values;

pub use input::{Input, Origin, Value};
pub use settings::Settings;

use crate::fault::{Fault, Kind};
use crate::text;

/// Why the settings can't be used. Each becomes a fault of kind `Config`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("the settings can't be read")]
    Unreadable { path: String, error: fragments::Unreadable },
    #[error("the file is not TOML")]
    NotToml { origin: Origin, cause: String },
    #[error("there is no setting {}", shortened(&format!("{key:?}")))]
    UnknownKey { origin: Origin, key: String, nearest: Option<String> },
    #[error("the setting {key:?} is not in its table")]
    Misplaced { origin: Origin, key: String, tables: Vec<&'static str> },
    #[error("{key} can't be {}", shortened(found))]
    Invalid { origin: Origin, key: String, found: String, allowed: String },
    #[error("{key} is missing")]
    /// `or` are the settings of its table that can stand for it.
    Missing { origin: Origin, key: String, allowed: String, or: &'static [&'static str] },
    #[error("no target is configured")]
    NoTarget { searched: String },
    #[error("there is no target {id:?} in the settings")]
    NotConfigured { id: String, configured: String },
}

impl ConfigError {
    /// Whether it is in an argument of the command that runs.
    #[must_use]
    pub fn is_of_command_line(&self) -> bool {
        match self {
            Self::NotToml { origin, .. }
            | Self::UnknownKey { origin, .. }
            | Self::Misplaced { origin, .. }
            | Self::Invalid { origin, .. }
            | Self::Missing { origin, .. } => matches!(origin, Origin::CommandLine(_)),
            Self::NotConfigured { .. } => true,
            Self::Unreadable { .. } | Self::NoTarget { .. } => false,
        }
    }

    fn on(&self) -> String {
        match self {
            Self::Unreadable { path, .. } => path.clone(),
            Self::NotToml { origin, .. }
            | Self::UnknownKey { origin, .. }
            | Self::Misplaced { origin, .. }
            | Self::Invalid { origin, .. }
            | Self::Missing { origin, .. } => origin.to_string(),
            Self::NoTarget { searched } => searched.clone(),
            Self::NotConfigured { .. } => "--target".to_owned(),
        }
    }

    fn todo(&self) -> String {
        match self {
            Self::Unreadable { error, path } => {
                let check =
                    || format!("check that the file exists and can be read: `namei -l {path}`");
                error.todo.clone().unwrap_or_else(check)
            }
            Self::NotToml { .. } => "correct this line".to_owned(),
            Self::UnknownKey { nearest: Some(near), .. } => format!("did you mean {near:?}?"),
            Self::UnknownKey { nearest: None, .. } => {
                "remove it; `man enlist.toml` lists all settings".to_owned()
            }
            Self::Misplaced { key, tables, .. } => {
                let name = key.rsplit('.').next().unwrap_or(key);
                let tables: Vec<String> = tables.iter().map(|table| format!("[{table}]")).collect();
                format!("move {name} below the line of its table: {}", tables.join(" or "))
            }
            Self::Invalid { allowed, .. } => format!("allowed: {allowed}"),
            Self::Missing { key, allowed, .. } => format!("set {key}: {allowed}"),
            Self::NoTarget { searched } => {
                let tables: Vec<String> =
                    settings::target_ids().map(|id| format!("[{id}]")).collect();
                // With `--config`, the one file that was read.
                let main =
                    searched.split(", ").find(|path| path.ends_with("/etc/enlist/enlist.toml"));
                let file = main.unwrap_or(searched);
                format!(
                    "add the table of a target ({}) to {file}; for example: `printf '[puppet-server]\\nserver = \"NAME\"\\nca_file = \"/etc/enlist/puppet-ca.pem\"\\n' >>{}`",
                    tables.join(", "),
                    text::shell_word(file)
                )
            }
            Self::NotConfigured { configured, .. } => {
                format!("give one of the targets that are configured: {configured}")
            }
        }
    }
}

/// Every error in the settings, in the order in which they are found: those of the input, then those of
/// the values. A value that is not allowed is left out, and the others are looked at again.
#[must_use]
pub fn all_errors(input: &Input, read_file: settings::ReadFile<'_>) -> Vec<ConfigError> {
    let mut input = input.clone();
    let mut found = input.take_errors();
    while let Err(error) = Settings::parse(&input, read_file) {
        let parts = |key: &str| {
            let mut parts = key.split('.').map(str::to_owned);
            parts.next().zip(parts.next())
        };
        let goes_on = match &error {
            ConfigError::Invalid { key, .. } | ConfigError::UnknownKey { key, .. } => {
                parts(key).is_some_and(|(table, name)| input.unset(&table, &name))
            }
            ConfigError::Missing { key, .. } => {
                parts(key).is_some_and(|(table, _)| input.unname_table(&table))
            }
            _ => false,
        };
        let named = match &error {
            ConfigError::Missing { key, or, .. } => {
                let table = key.split('.').next().unwrap_or_default();
                let others = or.iter().map(|name| format!("{table}.{name}"));
                let keys: Vec<String> = others.chain([key.clone()]).collect();
                found.iter().any(|known| keys.iter().any(|key| known.is_about(key)))
            }
            ConfigError::NoTarget { .. } => !found.is_empty(),
            _ => false,
        };
        if !named {
            found.push(error);
        }
        if !goes_on {
            break;
        }
    }
    found
}

impl ConfigError {
    fn is_about(&self, wanted: &str) -> bool {
        match self {
            Self::Invalid { key, .. }
            | Self::UnknownKey { key, .. }
            | Self::Missing { key, .. } => key == wanted,
            _ => false,
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

/// The first 120 characters of a text that may be very long.
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
