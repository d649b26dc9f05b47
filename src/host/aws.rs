//! Calls to the AWS APIs. Pacing is the core's: the SDK's own retries are off. Errors are
//! classified here, once. What the environment and the profiles say was parsed before
//! (`environment`); the SDK itself reads none of it.

mod answer;
mod calls;
mod classify;
mod container;
mod credentials;
pub mod environment;
mod fingerprints;
mod instance;
mod process;
mod profiles;
mod role;
mod rules;
mod sources;
mod tls;
mod variables;

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

use super::net::{HttpClients, Since1970, Trace};
use super::root::Root;
use crate::fault::{Fault, Kind};
use crate::targets::{Answer, Request};
use classify::{fault_of, is_not_found};
use credentials::{CredentialCache, Slot};
use environment::{Api, Environment};

pub use variables::KNOWN as VARIABLES;

/// A connection, and a whole call. What takes longer is tried again.
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

/// The APIs, with region and credentials settled.
pub struct Client {
    opsworkscm: aws_sdk_opsworkscm::Client,
    opsworks: aws_sdk_opsworks::Client,
    ssm: aws_sdk_ssm::Client,
    wallet: CredentialCache,
    trace: Arc<Trace>,
}

impl Client {
    /// # Errors
    /// `Config` where no region is known.
    pub fn connect(
        root: &Root,
        net: &HttpClients,
        environment: &Environment,
        own_region: Option<&str>,
    ) -> Result<Self, Fault> {
        let region = region_of(environment, own_region).ok_or_else(|| {
            let todo = "set region in [aws], or AWS_REGION";
            Fault::new(
                Kind::Config,
                "no region is known",
                "settings, environment, profile, instance metadata",
                todo,
            )
        })?;
        let trace = Arc::new(Trace::new(net.skew().clone()));
        let slot = Slot::default();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_LIMIT)
            .operation_attempt_timeout(CALL_LIMIT)
            .build();
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(net.api(trace.clone()))
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .time_source(Since1970)
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .region(Region::new(region))
            .use_fips(environment.fips)
            .use_dual_stack(environment.dualstack)
            .build();
        let of = |api: Api| {
            let mut config = base.to_builder();
            config.set_endpoint_url(environment.endpoints.get(&api).cloned());
            config.credentials_provider(slot.shared()).build()
        };
        let (cm, stacks, ssm, sts) =
            (of(Api::OpsworksCm), of(Api::Opsworks), of(Api::Ssm), of(Api::Sts));
        let sources = environment.sources.clone();
        Ok(Self {
            opsworkscm: aws_sdk_opsworkscm::Client::new(&cm),
            opsworks: aws_sdk_opsworks::Client::new(&stacks),
            ssm: aws_sdk_ssm::Client::new(&ssm),
            wallet: CredentialCache::new(root, net, sources, (sts, trace.clone()), slot),
            trace,
        })
    }

    /// Makes one call, once.
    ///
    /// # Errors
    /// Classified by what answered, or that nothing did.
    pub async fn call(&self, request: Request) -> Result<Answer, Fault> {
        let action = request.action();
        tracing::debug!(action, on = request.on(), "calling");
        let ready = self.wallet.refresh().await;
        ready.map_err(|fault| fault.so_that(&format!("{action} could not be signed")))?;
        self.perform(request).await
    }

    fn answer<T, E: classify::ApiError>(
        &self,
        result: Result<T, classify::Sdk<E>>,
        action: &'static str,
        on: String,
        meaning: impl FnOnce(T) -> Answer,
    ) -> Result<Answer, Fault> {
        match result {
            Ok(output) => Ok(meaning(output)),
            Err(error) => match is_not_found(&error) {
                Some(message) => Ok(Answer::NotFound(message)),
                None => Err(fault_of(&error, action, on, &self.trace)),
            },
        }
    }
}

/// The region that the API is asked in: settings, environment, profile, this instance's own.
#[must_use]
pub fn region_of(environment: &Environment, own: Option<&str>) -> Option<String> {
    environment.region.clone().or_else(|| own.map(str::to_owned))
}

/// That no client was made is a bug; it is made right before it is used.
#[must_use]
pub fn no_client() -> Fault {
    Fault::new(
        Kind::Invariant,
        "there is no API client",
        "host",
        "this is a bug in enlist; please report it",
    )
}
