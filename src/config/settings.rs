//! Validated settings: whoever holds them need not check again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ConfigError;
use super::input::{Entry, Input, Origin, Value};
use super::schema::{self, TARGETS};
use crate::engine::Engine;
use crate::engine::puppet::Puppet;
use crate::pki::{CaBundle, oid, private_key};
use crate::target::NameTemplate;
use crate::target::opsworks_cm::{self, OpsworksCm};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// None: the instance id on EC2, else the FQDN.
    pub name: Option<NameTemplate>,
    pub budget: Duration,
    pub aws: Aws,
    pub opsworks_cm: Option<OpsworksCm>,
}

/// None: whatever the SDK's own chain finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub endpoint_url: Option<String>,
}

/// Reads a file that a setting names.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

impl Settings {
    /// # Errors
    /// The first value that is not allowed, with what is; or that no target is configured.
    pub fn parse(input: &Input, read_file: ReadFile<'_>) -> Result<Self, ConfigError> {
        let reader = Reader { input, read_file };
        if !TARGETS.iter().any(|target| input.table(target).is_some()) {
            return Err(ConfigError::NoTarget { searched: input.searched.clone() });
        }
        Ok(Self {
            name: reader.parsed(
                "node",
                "name",
                "text and {instance_id}, {hostname}, {fqdn}",
                |text| NameTemplate::parse(text).ok(),
            )?,
            budget: reader.budget()?,
            aws: Aws {
                region: reader.parsed("aws", "region", "a region such as eu-central-1", region)?,
                profile: reader.text("aws", "profile")?,
                endpoint_url: reader.parsed(
                    "aws",
                    "endpoint_url",
                    "a URL that begins with http:// or https://",
                    url,
                )?,
            },
            opsworks_cm: match input.table(opsworks_cm::WORD) {
                Some(origin) => Some(reader.opsworks_cm(origin)?),
                None => None,
            },
        })
    }

    /// The configured targets' words.
    #[must_use]
    pub fn targets(&self) -> Vec<&'static str> {
        self.opsworks_cm.iter().map(|_| opsworks_cm::WORD).collect()
    }
}

struct Reader<'a> {
    input: &'a Input,
    read_file: ReadFile<'a>,
}

impl Reader<'_> {
    fn opsworks_cm(&self, origin: &Origin) -> Result<OpsworksCm, ConfigError> {
        const SERVER: &str = "1 to 40 letters, digits and -, beginning with a letter";
        const TABLE: &str = opsworks_cm::WORD;
        let server = self.parsed(TABLE, "server", SERVER, server_name)?;
        Ok(OpsworksCm {
            server: server.ok_or_else(|| ConfigError::Missing {
                origin: origin.clone(),
                key: "opsworks-cm.server".to_owned(),
                allowed: format!("the name of the server, {SERVER}"),
            })?,
            engine: self.parsed(TABLE, "engine", "\"puppet\"", |text| {
                (text == "puppet").then_some(Engine::Puppet)
            })?,
            endpoint: self.parsed(
                TABLE,
                "endpoint",
                "a host name, or host:port",
                opsworks_cm::endpoint,
            )?,
            ca: self.ca()?,
            puppet: self.puppet()?,
        })
    }

    fn ca(&self) -> Result<Option<CaBundle>, ConfigError> {
        let Some(path) = self.path("opsworks-cm", "ca_file")? else {
            return Ok(None);
        };
        let read = (self.read_file)(&path);
        let bundle =
            read.and_then(|text| CaBundle::from_pem(&text).map_err(|error| error.to_string()));
        bundle.map(Some).map_err(|cause| {
            self.invalid(
                "opsworks-cm",
                "ca_file",
                &format!("a PEM file of CA certificates, root included ({cause})"),
            )
        })
    }

    fn puppet(&self) -> Result<Puppet, ConfigError> {
        const NAME: &str = "1 to 100 lower-case letters, digits and _";
        let sizes = private_key::SIZES;
        let bits = self.integer("puppet", "key_bits")?.and_then(|bits| u32::try_from(bits).ok());
        let bits = bits.filter(|bits| sizes.contains(bits));
        Ok(Puppet {
            ssldir: self.path("puppet", "ssldir")?,
            confdir: self.path("puppet", "confdir")?,
            statedir: self.path("puppet", "statedir")?,
            key_bits: bits
                .ok_or_else(|| self.invalid("puppet", "key_bits", "2048, 3072 or 4096"))?,
            extension_requests: self.extension_requests()?,
            tag_prefix: self.text("puppet", "tag_prefix")?.unwrap_or_default(),
            environment: self.parsed("puppet", "environment", NAME, environment)?,
            run: self.boolean("puppet", "run")?,
        })
    }

    fn extension_requests(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some(Entry { value: Value::Map(map), origin }) =
            self.input.get("puppet", "extension_requests")
        else {
            return Ok(BTreeMap::new());
        };
        for name in map.keys() {
            if oid::resolve(name).is_none() {
                let key = format!("puppet.extension_requests.{name}");
                let nearest = oid::names()
                    .filter(|known| strsim::jaro_winkler(name, known) > 0.85)
                    .max_by(|a, b| {
                        strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b))
                    });
                return Err(ConfigError::UnknownKey {
                    origin: origin.clone(),
                    key,
                    nearest: nearest.map(str::to_owned),
                });
            }
        }
        Ok(map.clone())
    }

    fn budget(&self) -> Result<Duration, ConfigError> {
        const ALLOWED: &str = "a duration from \"1s\" to \"7d\", such as \"30m\"";
        let week = Duration::from_hours(168);
        let parsed = self.parsed("node", "budget", ALLOWED, |text| {
            let duration = humantime::parse_duration(text).ok()?;
            (duration >= Duration::from_secs(1) && duration <= week).then_some(duration)
        })?;
        parsed.ok_or_else(|| self.invalid("node", "budget", ALLOWED))
    }

    /// The set value, else the default, else none.
    fn entry(&self, table: &'static str, name: &'static str) -> Result<Option<Entry>, ConfigError> {
        if let Some(entry) = self.input.get(table, name) {
            return Ok(Some(entry.clone()));
        }
        match schema::find(table, name) {
            Some(key) if !key.default.is_empty() => {
                let value = super::values::from_text(key, key.default, &Origin::Default)?;
                Ok(Some(Entry { value, origin: Origin::Default }))
            }
            _ => Ok(None),
        }
    }

    fn text(&self, table: &'static str, name: &'static str) -> Result<Option<String>, ConfigError> {
        match self.entry(table, name)? {
            Some(Entry { value: Value::Text(text), .. }) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    fn integer(&self, table: &'static str, name: &'static str) -> Result<Option<i64>, ConfigError> {
        match self.entry(table, name)? {
            Some(Entry { value: Value::Integer(number), .. }) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    fn boolean(&self, table: &'static str, name: &'static str) -> Result<bool, ConfigError> {
        let entry = self.entry(table, name)?;
        Ok(matches!(entry, Some(Entry { value: Value::Boolean(true), .. })))
    }

    fn path(&self, table: &'static str, name: &'static str) -> Result<Option<String>, ConfigError> {
        const ALLOWED: &str = "an absolute path without .. in it";
        self.parsed(table, name, ALLOWED, |text| {
            let is_plain = text.starts_with('/') && !text.split('/').any(|part| part == "..");
            let trimmed = text.trim_end_matches('/');
            (is_plain && !trimmed.is_empty() && !text.contains(['\0', '\n']))
                .then(|| trimmed.to_owned())
        })
    }

    fn parsed<T>(
        &self,
        table: &'static str,
        name: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.text(table, name)? {
            None => Ok(None),
            Some(text) => match parse(&text) {
                Some(value) => Ok(Some(value)),
                None => Err(self.invalid(table, name, allowed)),
            },
        }
    }

    fn invalid(&self, table: &'static str, name: &'static str, allowed: &str) -> ConfigError {
        let entry = self.input.get(table, name);
        ConfigError::Invalid {
            origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
            key: format!("{table}.{name}"),
            found: entry.map_or_else(|| "empty".to_owned(), |entry| entry.value.to_string()),
            allowed: allowed.to_owned(),
        }
    }
}

/// OpsWorks CM API reference, `ServerName`: 1 to 40 characters, `[a-zA-Z][a-zA-Z0-9\-]*`.
fn server_name(text: &str) -> Option<String> {
    let fits = text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    fits.then(|| text.to_owned())
}

fn region(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    fits.then(|| text.to_owned())
}

fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let fits = !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace);
    fits.then(|| text.to_owned())
}

/// Puppet's documentation, "About environments": names are `\A[a-z0-9_]+\Z`.
fn environment(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    fits.then(|| text.to_owned())
}
