//! The environment and the shared AWS configuration, parsed once. The SDK gets only what is parsed
//! here: its own parsers panic on some values.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::AwsSettings;
use super::credential_sources::{self, NamedSource};
use super::known_variables::{Variables, rule_of};
use super::profiles::{ProfileValue, Profiles, ReadFile};
use super::value_rules::{Rule, mode, switch, with_scheme};
use crate::fault::{Fault, Kind};
use crate::host::root::Root;
use crate::host::transports::{AWS_SERVICES, AwsService, ServiceId};
use crate::host::{files, variables};
use crate::targets::address::Url;

/// A value that is in effect, as `enlist check` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownValue {
    pub name: String,
    /// `(set)` if the value is secret.
    pub value: String,
    pub origin: String,
}

/// How the instance metadata service is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub is_disabled: bool,
    /// An endpoint that is set explicitly.
    pub endpoint: Option<String>,
    /// Whether to use IPv6. Unset: the protocol that has a route.
    pub is_ipv6: Option<bool>,
}

/// The proxies to the APIs. Their URLs may hold a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    pub https: Option<String>,
    pub http: Option<String>,
    pub exceptions: Option<String>,
}

/// Where the certificates of the trusted CAs are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// A file that replaces all others, and the setting that names it.
    pub bundle: Option<(String, String)>,
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, with OpenSSL's meaning.
    pub file: Option<String>,
    pub directories: Option<String>,
}

/// Everything that was parsed.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub region: Option<String>,
    pub endpoints: BTreeMap<ServiceId, String>,
    pub fips: bool,
    pub dualstack: bool,
    pub credential_sources: Vec<NamedSource>,
    pub metadata: Metadata,
    pub proxies: Proxies,
    pub roots: Roots,
    pub shown: Vec<ShownValue>,
}

impl Environment {
    /// Parses the environment of this process, and the files it names.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn read(settings: &AwsSettings) -> Result<Self, Fault> {
        let root = Root::running_system();
        // A profile can name a program to run, so others must not be able to write these files.
        let read = |path: &Path| {
            let path = absolute(&path.to_string_lossy());
            match files::read_trusted_text(&root, &path, files::LARGEST) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        };
        Self::parse(settings, variables::variable, &read)
    }

    /// Parses the given variables and files.
    ///
    /// # Errors
    /// `Config` for the first value that is malformed or not allowed, with its name and location.
    pub fn parse(
        settings: &AwsSettings,
        value_of: impl Fn(&str) -> Option<OsString>,
        read: ReadFile<'_>,
    ) -> Result<Self, Fault> {
        let variables = Variables::read(value_of)?;
        let profiles = Profiles::load(&variables, settings.profile.as_deref(), read)?;
        let mut reader = Reader { settings, variables, profiles, environment: Self::default() };
        reader.profile_location();
        reader.region()?;
        reader.switches()?;
        reader.endpoints()?;
        reader.metadata()?;
        reader.proxies();
        reader.roots()?;
        reader.credential_sources()?;
        Ok(reader.environment)
    }
}

/// The path, absolute from the directory that the process was started in.
pub(in crate::host) fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

struct Reader<'a> {
    settings: &'a AwsSettings,
    variables: Variables,
    profiles: Profiles,
    environment: Environment,
}

impl Reader<'_> {
    fn show(&mut self, name: &str, rule: Rule, value: &str, origin: &str) {
        let (name, origin) = (name.to_owned(), origin.to_owned());
        self.environment.shown.push(ShownValue { name, value: rule.shown(value), origin });
    }

    /// The first of these variables that is set. It is noted as in effect.
    fn variable(&mut self, names: &[&'static str]) -> Option<String> {
        let (name, value) = self.variables.first(names)?;
        let value = value.to_owned();
        self.show(name, rule_of(name), &value, "environment");
        Some(value)
    }

    /// A key of the selected profile. It is noted as in effect.
    fn key(&mut self, key: &str, rule: Rule) -> Result<Option<String>, Fault> {
        let set = self.profiles.get(self.profiles.selected(), key, rule)?;
        Ok(set.map(|ProfileValue { value, on }| {
            self.show(key, rule, &value, &on);
            value
        }))
    }

    fn variable_or_key(&mut self, name: &'static str, key: &str) -> Result<Option<String>, Fault> {
        match self.variable(&[name]) {
            Some(value) => Ok(Some(value)),
            None => self.key(key, rule_of(name)),
        }
    }

    /// Where the profiles are, and which one is selected.
    fn profile_location(&mut self) {
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            self.variable(&[name]);
        }
        if self.settings.profile.is_none() {
            self.variable(&["AWS_PROFILE"]);
        }
    }

    fn region(&mut self) -> Result<(), Fault> {
        if let Some(region) = &self.settings.region {
            self.environment.region = Some(region.clone());
            return Ok(());
        }
        let found = self.variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        self.environment.region = match found {
            Some(region) => Some(region),
            None => self.key("region", Rule::Region)?,
        };
        Ok(())
    }

    fn switches(&mut self) -> Result<(), Fault> {
        let is_on = |text: Option<String>| text.is_some_and(|text| switch(&text) == Some(true));
        self.environment.fips =
            is_on(self.variable_or_key("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?);
        self.environment.dualstack =
            is_on(self.variable_or_key("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?);
        Ok(())
    }

    /// The first of: the settings, the variable of the API, the variable of all APIs, the services
    /// section of the profile, the profile itself (AWS SDKs and Tools Reference Guide,
    /// "Service-specific endpoints").
    fn endpoints(&mut self) -> Result<(), Fault> {
        let ignored = self
            .variable_or_key(
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                "ignore_configured_endpoint_urls",
            )?
            .is_some_and(|text| switch(&text) == Some(true));
        for AwsService { id: service, variable, profile_key } in AWS_SERVICES {
            let set = self.settings.endpoint_url.clone().filter(|_| service != ServiceId::Sts);
            if let Some(url) = set {
                self.allowed(&url, "aws.endpoint_url", "settings")?;
                self.environment.endpoints.insert(service, url);
                continue;
            }
            if ignored {
                continue;
            }
            let Some((name, ProfileValue { value, on })) =
                self.endpoint_of(variable, profile_key)?
            else {
                continue;
            };
            self.allowed(&value, name, &on)?;
            let is_new = !self
                .environment
                .shown
                .iter()
                .any(|shown| shown.name == name && shown.origin == on);
            if is_new {
                self.show(name, Rule::Endpoint, &value, &on);
            }
            self.environment.endpoints.insert(service, value);
        }
        let (fips, dualstack) = (self.environment.fips, self.environment.dualstack);
        if !self.environment.endpoints.is_empty() && (fips || dualstack) {
            let name = if fips { "AWS_USE_FIPS_ENDPOINT" } else { "AWS_USE_DUALSTACK_ENDPOINT" };
            let what = format!("{name} can't be set together with an endpoint's URL");
            let todo = format!("remove {name} (or the profile's key), or the endpoint's URL");
            return Err(Fault::new(Kind::Config, what, "environment and settings", todo));
        }
        Ok(())
    }

    fn endpoint_of(
        &self,
        name: &'static str,
        key: &str,
    ) -> Result<Option<(&'static str, ProfileValue)>, Fault> {
        if let Some((name, value)) = self.variables.first(&[name, "AWS_ENDPOINT_URL"]) {
            let on = "environment".to_owned();
            return Ok(Some((name, ProfileValue { value: value.to_owned(), on })));
        }
        let set = match self.profiles.endpoint_of(key)? {
            Some(set) => Some(set),
            None => self.profiles.get(self.profiles.selected(), "endpoint_url", Rule::Endpoint)?,
        };
        Ok(set.map(|set| ("endpoint_url", set)))
    }

    /// Refuses `http://` to other machines: a request holds the session token, and anybody on the
    /// network path could read it.
    fn allowed(&self, url: &str, name: &str, on: &str) -> Result<(), Fault> {
        let parsed = Url::endpoint(url);
        let is_safe = parsed.is_ok_and(|url| !url.is_plain || url.is_loopback());
        if is_safe || self.settings.allow_http {
            return Ok(());
        }
        let what = format!(
            "{name} can't be {:?}: http:// would send the session token to another machine unencrypted",
            Rule::Endpoint.shown(url)
        );
        let todo = "use https://, or set allow_http = true in [aws] if the network path is safe";
        Err(Fault::new(Kind::Config, what, format!("{on}, {name}"), todo))
    }

    fn metadata(&mut self) -> Result<(), Fault> {
        let disabled = self.variable(&["AWS_EC2_METADATA_DISABLED"]);
        self.environment.metadata.is_disabled =
            disabled.is_some_and(|text| switch(&text) == Some(true));
        let endpoint = self.variable_or_key(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "ec2_metadata_service_endpoint",
        )?;
        if let Some(endpoint) = endpoint {
            self.environment.metadata.endpoint = Some(endpoint.trim_end_matches('/').to_owned());
            return Ok(());
        }
        let protocol = self.variable_or_key(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
            "ec2_metadata_service_endpoint_mode",
        )?;
        self.environment.metadata.is_ipv6 = protocol.and_then(|text| mode(&text));
        Ok(())
    }

    fn proxies(&mut self) {
        let url = |text: String| with_scheme(&text);
        let https = self.either("https_proxy", "HTTPS_PROXY");
        let http = self.either("http_proxy", "HTTP_PROXY");
        let all = match (&https, &http) {
            (Some(_), Some(_)) => None,
            _ => self.either("all_proxy", "ALL_PROXY"),
        };
        let is_any = https.is_some() || http.is_some() || all.is_some();
        self.environment.proxies.https = https.or_else(|| all.clone()).map(url);
        self.environment.proxies.http = http.or(all).map(url);
        if is_any {
            self.environment.proxies.exceptions = self.either("no_proxy", "NO_PROXY");
        }
    }

    /// A variable that is read in lower and in upper case. Where the two differ, the one in lower case
    /// counts, as in the AWS tools and in curl, and the other one is reported.
    fn either(&mut self, lower: &'static str, upper: &'static str) -> Option<String> {
        let other = self.variables.get(upper).map(str::to_owned);
        let value = self.variable(&[lower, upper]);
        if let Some(other) =
            other.filter(|other| value.as_ref().is_some_and(|value| value != other))
        {
            let why = format!("environment; not used, because {lower} has another value");
            self.show(upper, rule_of(upper), &other, &why);
        }
        value
    }

    /// `AWS_CA_BUNDLE`, then the profile's `ca_bundle` (the AWS CLI's order), then OpenSSL's
    /// variables.
    fn roots(&mut self) -> Result<(), Fault> {
        if let Some(path) = self.variable(&["AWS_CA_BUNDLE"]) {
            self.environment.roots.bundle = Some((path, "environment, AWS_CA_BUNDLE".to_owned()));
            return Ok(());
        }
        let set = self.profiles.get(self.profiles.selected(), "ca_bundle", Rule::Path)?;
        if let Some(ProfileValue { value, on }) = set {
            self.show("ca_bundle", Rule::Path, &value, &on);
            self.environment.roots.bundle = Some((value, format!("{on}, ca_bundle")));
            return Ok(());
        }
        self.environment.roots.file = self.variable(&["SSL_CERT_FILE"]);
        self.environment.roots.directories = self.variable(&["SSL_CERT_DIR"]);
        Ok(())
    }

    fn credential_sources(&mut self) -> Result<(), Fault> {
        let is_asked = self.settings.profile.is_some();
        self.environment.credential_sources =
            credential_sources::find(&self.variables, &self.profiles, is_asked)?;
        let shown: Vec<(String, String)> = self
            .environment
            .credential_sources
            .iter()
            .map(|(source, by)| (source.describe(), by.clone()))
            .take_while(|(_, by)| by != "instance metadata")
            .collect();
        // Only the first applies.
        if let Some((what, by)) = shown.into_iter().next() {
            self.show("credentials", Rule::Line, &what, &by);
        }
        Ok(())
    }
}
