//! How services are reached: by the settings, and by the environment of this process.

use std::cell::OnceCell;
use std::ops::Deref;

use crate::config::Settings;
use crate::fault::Fault;
use crate::host::{AwsSettings, Environment, Host, HttpClients, Root};

/// Settings in force. Every target of them shares one `Access`, which is made when it is first needed.
pub struct InForce {
    settings: Settings,
    access: OnceCell<Access>,
}

/// How services are reached. Clones share the connections and the CAs.
#[derive(Clone)]
pub struct Access {
    pub environment: Environment,
    pub http: HttpClients,
}

impl From<Settings> for InForce {
    fn from(settings: Settings) -> Self {
        Self { settings, access: OnceCell::new() }
    }
}

impl Deref for InForce {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl InForce {
    /// How services are reached. Reads the environment and the shared AWS configuration the first time.
    ///
    /// # Errors
    /// `Config` for what can't be used.
    pub fn access(&self) -> Result<&Access, Fault> {
        if let Some(access) = self.access.get() {
            return Ok(access);
        }
        let environment = environment(&self.settings)?;
        let http = HttpClients::new(&environment);
        Ok(self.access.get_or_init(|| Access { environment, http }))
    }
}

impl Access {
    /// A host for this target.
    #[must_use]
    pub fn host(&self, root: &Root, id: &str) -> Host {
        Host::new(root.clone(), id, self.environment.clone(), self.http.clone())
    }
}

/// What the environment and the shared AWS configuration say, besides the settings.
///
/// # Errors
/// `Config` for what can't be used.
pub fn environment(settings: &Settings) -> Result<Environment, Fault> {
    let aws = settings.aws.clone();
    Environment::read(&AwsSettings {
        region: aws.region,
        profile: aws.profile,
        endpoint_url: aws.endpoint_url,
        allow_http: aws.allow_http,
    })
}
