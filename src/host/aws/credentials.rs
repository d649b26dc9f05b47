//! Who we are to the APIs.

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::AwsSettings;
use crate::host::imds;
use crate::host::net::Net;
use crate::host::root::Root;

/// Credentials that can be sent. The SDK puts them into headers, and ends the process where one of
/// them does not fit there.
#[derive(Debug)]
pub struct Sendable(CredentialsProviderChain);

impl ProvideCredentials for Sendable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.0.provide_credentials().await?;
            let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            let parts = [Some(found.access_key_id()), found.session_token()];
            if parts.into_iter().flatten().all(is_plain) {
                return Ok::<Credentials, _>(found);
            }
            let what = "the access key id or the session token holds blanks, line ends or other characters that no such has";
            Err(CredentialsError::invalid_configuration(what))
        })
    }
}

/// The SDK's own order, but that a machine that is no EC2 instance does not wait for the
/// metadata service's credentials.
pub fn credentials(root: &Root, net: &Net, settings: &AwsSettings, region: Region) -> Sendable {
    let local = net.local_config().with_region(Some(region.clone()));
    let config = net.api_config().with_region(Some(region));
    let mut profile = ProfileFileCredentialsProvider::builder().configure(&config);
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    let environment = EnvironmentVariableCredentialsProvider::new();
    let chain = match settings.profile {
        // A profile that is asked for by name is meant.
        Some(_) => CredentialsProviderChain::first_try("Profile", profile.build()),
        None => CredentialsProviderChain::first_try("Environment", environment)
            .or_else("Profile", profile.build()),
    };
    let chain = chain
        .or_else(
            "WebIdentityToken",
            WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
        )
        .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(&local).build());
    if !imds::may_be_ec2(root) {
        return Sendable(chain);
    }
    let mut instance = ImdsCredentialsProvider::builder().configure(&local);
    if let Some(client) = imds::client_for_credentials(net) {
        instance = instance.imds_client(client);
    }
    Sendable(chain.or_else("Ec2InstanceMetadata", instance.build()))
}
