//! Calls to the AWS APIs, through the SDK. The SDK's retries are off, because the core schedules them.
//! Errors become faults in `classify`. Environment and profiles are parsed in `environment`; the SDK
//! reads neither.

mod assume_role;
mod classify;
mod container;
mod credential_json;
mod credential_process;
mod credential_sources;
mod credentials;
pub mod environment;
mod guard;
mod instance_role;
mod known_variables;
mod profiles;
mod value_rules;

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;

use super::net::{HttpClients, Since1970, Trace};
use super::root::Root;
use super::timer;
use super::transports::ServiceId;
use crate::fault::{Fault, Kind};
use crate::targets::Call;
use classify::{Action, fault_of, is_not_found};
use credentials::{CredentialCache, CurrentCredentials};
use environment::Environment;

pub use known_variables::known as variables;

/// Time limits of a connection and of a whole call. A call that takes longer is retried.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The `[aws]` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub endpoint_url: Option<String>,
    /// Whether `http://` may be used to other machines.
    pub allow_http: bool,
}

/// What the AWS services have in common: region, credentials, limits, and what was asked last.
pub struct Session {
    base: SdkConfig,
    endpoints: std::collections::BTreeMap<ServiceId, String>,
    current: CurrentCredentials,
    credentials: CredentialCache,
    trace: Arc<Trace>,
}

impl Session {
    /// # Errors
    /// `Config` where no region is known.
    pub fn open(
        root: &Root,
        net: &HttpClients,
        environment: &Environment,
        region: Option<String>,
    ) -> Result<Self, Fault> {
        let region = region.ok_or_else(no_region)?;
        let trace = Arc::new(Trace::new(net.skew().clone()));
        let current = CurrentCredentials::default();
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(net.api(trace.clone(), guard::guard))
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .time_source(Since1970)
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .region(Region::new(region))
            .use_fips(environment.fips)
            .use_dual_stack(environment.dualstack)
            .build();
        let endpoints = environment.endpoints.clone();
        let sts = config(&base, &endpoints, &current, ServiceId::Sts);
        let sources = environment.credential_sources.clone();
        let credentials =
            CredentialCache::new(root, net, sources, (sts, trace.clone()), current.clone());
        Ok(Self { base, endpoints, current, credentials, trace })
    }

    /// The credentials that calls are signed with.
    ///
    /// # Errors
    /// `Denied` if no source applies; else the fault of the source.
    pub async fn credentials(&self) -> Result<Credentials, Fault> {
        self.credentials.refresh().await?;
        self.current.get().ok_or_else(|| credentials::none("the source of credentials"))
    }

    /// The configuration of a service's client.
    #[must_use]
    pub fn config(&self, service: ServiceId) -> SdkConfig {
        config(&self.base, &self.endpoints, &self.current, service)
    }

    /// Prepares a call for this request. `not_found` makes the answer where its resource does not exist.
    pub fn of<A>(&self, request: &impl Call, not_found: fn(String) -> A) -> SessionCall<'_, A> {
        let action = Action {
            name: request.action(),
            if_refused: request.if_refused(),
            answer_is_secret: request.answer_is_secret(),
        };
        SessionCall { session: self, action, on: request.on(), not_found }
    }
}

/// One call of a service.
pub struct SessionCall<'a, A> {
    session: &'a Session,
    action: Action,
    on: String,
    not_found: fn(String) -> A,
}

impl<A> SessionCall<'_, A> {
    /// Refreshes the credentials, sends the request once, and converts the output with `meaning`.
    ///
    /// # Errors
    /// Classified by the answer, or by how the connection failed.
    pub async fn answer<T, E: classify::ApiError>(
        self,
        sending: impl Future<Output = Result<T, classify::Sdk<E>>>,
        meaning: impl FnOnce(T) -> A,
    ) -> Result<A, Fault> {
        let Self { session, action, on, not_found } = self;
        let ready = session.credentials.refresh().await;
        ready.map_err(|fault| fault.so_that(&format!("{action} could not be signed")))?;
        match sending.await {
            Ok(output) => Ok(meaning(output)),
            Err(error) => match is_not_found(&error) {
                Some(message) => Ok(not_found(crate::text::line(&message))),
                None => Err(fault_of(&error, &action, on, &session.trace)),
            },
        }
    }
}

fn config(
    base: &SdkConfig,
    endpoints: &std::collections::BTreeMap<ServiceId, String>,
    current: &CurrentCredentials,
    service: ServiceId,
) -> SdkConfig {
    let mut config = base.to_builder();
    config.set_endpoint_url(endpoints.get(&service).cloned());
    config.set_timeout_config(Some(timeouts()));
    config.credentials_provider(current.provider()).build()
}

/// The time limits of a call that is made now.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(timer::cut(CONNECT_LIMIT))
        .operation_attempt_timeout(timer::cut(CALL_LIMIT))
        .build()
}

fn no_region() -> Fault {
    let on = "settings, environment, profile, instance metadata";
    Fault::new(Kind::Config, "no region is known", on, "set region in [aws], or AWS_REGION")
}
