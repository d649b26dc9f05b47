//! Calls to the AWS APIs. Pacing is the core's: the SDK's own retries are off. Errors are
//! classified here, once.

mod calls;
mod classify;
mod credentials;
mod fingerprints;

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

use super::net::Net;
use super::root::Root;
use crate::fault::{Fault, Kind};
use crate::target::Answer;
use classify::{fault_of, is_not_found};
use credentials::credentials;

/// A connection, and a whole call. What takes longer is tried again.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The `[aws]` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub endpoint_url: Option<String>,
}

/// The APIs, with region and credentials settled.
#[derive(Debug)]
pub struct Client {
    opsworkscm: aws_sdk_opsworkscm::Client,
    opsworks: aws_sdk_opsworks::Client,
    ssm: aws_sdk_ssm::Client,
}

impl Client {
    /// # Errors
    /// `Config` where no region is known.
    pub async fn connect(
        root: &Root,
        net: &Net,
        settings: &AwsSettings,
        own_region: Option<&str>,
    ) -> Result<Self, Fault> {
        let region = region(settings, own_region).await.ok_or_else(|| {
            let todo = "set region in [aws], or AWS_REGION";
            Fault::new(
                Kind::Config,
                "no region is known",
                "settings, environment, profile, instance metadata",
                todo,
            )
        })?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_LIMIT)
            .operation_attempt_timeout(CALL_LIMIT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(net.api())
            .region(region.clone())
            .credentials_provider(credentials(root, net, settings, region))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        Ok(Self::new(&loader.load().await))
    }

    fn new(config: &SdkConfig) -> Self {
        Self {
            opsworkscm: aws_sdk_opsworkscm::Client::new(config),
            opsworks: aws_sdk_opsworks::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
        }
    }
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

fn answer<T, E: classify::ApiError>(
    result: Result<T, classify::Sdk<E>>,
    action: &'static str,
    on: String,
    meaning: impl FnOnce(T) -> Answer,
) -> Result<Answer, Fault> {
    match result {
        Ok(output) => Ok(meaning(output)),
        Err(error) => match is_not_found(&error) {
            Some(message) => Ok(Answer::NotFound(message)),
            None => Err(fault_of(&error, action, on)),
        },
    }
}

/// The region that the API is asked in: settings, environment, profile, this instance's own.
pub async fn region_of(settings: &AwsSettings, own: Option<&str>) -> Option<String> {
    region(settings, own).await.map(|region| region.to_string())
}

async fn region(settings: &AwsSettings, own: Option<&str>) -> Option<Region> {
    if let Some(region) = &settings.region {
        return Some(Region::new(region.clone()));
    }
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build())
        .or_else(own.map(|own| Region::new(own.to_owned())))
        .region()
        .await
}
