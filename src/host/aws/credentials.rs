//! Credentials: fetched from the first source that applies, and kept until shortly before they
//! expire.
//!
//! `credential_sources` lists the sources. An error of a source is a fault of its own kind, not an
//! error of the API call: waiting does not help where a program fails or a profile is incomplete.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::SdkConfig;

use super::credential_sources::{NamedSource, Source};
use super::{assume_role, container, credential_process, instance_role};
use crate::fault::{Fault, Kind};
use crate::host::net::{HttpClients, Trace};
use crate::host::root::Root;
use crate::host::{clock, imds};

/// Credentials that expire within this time are fetched anew. AWS renews those of an instance's
/// role at least five minutes before they expire.
const MARGIN: Duration = Duration::from_mins(3);

/// The credentials that calls are signed with.
#[derive(Clone, Debug, Default)]
pub struct CurrentCredentials(Arc<Mutex<Option<Credentials>>>);

impl CurrentCredentials {
    /// None: none were fetched yet.
    #[must_use]
    pub fn get(&self) -> Option<Credentials> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, credentials: Credentials) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    #[must_use]
    pub fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(self.clone())
    }
}

impl ProvideCredentials for CurrentCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let missing = || CredentialsError::not_loaded("there are no usable credentials");
        future::ProvideCredentials::ready(self.get().ok_or_else(missing))
    }
}

/// The configuration for STS, and the trace of its last request.
pub type Sts = (SdkConfig, Arc<Trace>);

/// The sources of credentials, and the credentials fetched last.
pub struct CredentialCache {
    sources: Vec<NamedSource>,
    may_be_ec2: bool,
    net: HttpClients,
    sts: Sts,
    current: CurrentCredentials,
}

impl CredentialCache {
    #[must_use]
    pub fn new(
        root: &Root,
        net: &HttpClients,
        sources: Vec<NamedSource>,
        sts: Sts,
        current: CurrentCredentials,
    ) -> Self {
        let may_be_ec2 = imds::may_be_ec2(root, net.metadata());
        Self { sources, may_be_ec2, net: net.clone(), sts, current }
    }

    /// Fetches credentials if there are none yet, or if they expire soon.
    ///
    /// # Errors
    /// `Denied` if no source applies; else the fault of the source.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let now = clock::system_now();
        let is_good = |credentials: &Credentials| {
            credentials
                .expiry()
                .is_none_or(|end| now.checked_add(MARGIN).is_some_and(|at| at < end))
        };
        if self.current.get().as_ref().is_some_and(is_good) {
            return Ok(());
        }
        self.current.set(self.fetch().await?);
        Ok(())
    }

    async fn fetch(&self) -> Result<Credentials, Fault> {
        for (source, by) in &self.sources {
            if *source == Source::Metadata && !self.may_be_ec2 {
                continue;
            }
            return Box::pin(self.of(source, by)).await;
        }
        // Nothing was asked, so nothing changes by waiting.
        let todo = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile in [aws]; credential_process in a profile gives credentials to machines outside of AWS";
        let on = "environment, profile, container; this is not an EC2 instance";
        Err(Fault::new(Kind::Denied, "there are no usable credentials", on, todo).finally())
    }

    async fn of(&self, source: &Source, by: &str) -> Result<Credentials, Fault> {
        match source {
            Source::Keys(keys) => Ok(Credentials::new(
                &keys.id,
                keys.secret.expose(),
                keys.token.as_ref().map(|token| token.expose().to_owned()),
                None,
                "enlist",
            )),
            Source::Process { command, on } => credential_process::run(command, on).await,
            Source::WebIdentity { file, role } => {
                assume_role::of_web_identity(&self.sts, file, role, by).await
            }
            Source::Assumed { role, with } => {
                let with = Box::pin(self.of(with, by)).await?;
                assume_role::assume(&self.sts, with, role).await
            }
            Source::Container { url, authorization } => {
                container::ask(&self.net, url, authorization, by).await
            }
            Source::Metadata => instance_role::ask(&self.net).await,
        }
    }
}

/// The fault for missing credentials. It is retried: an instance may get its role after it starts.
pub fn none(on: &str) -> Fault {
    let todo = "give the instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile in [aws]";
    Fault::new(Kind::Denied, "there are no usable credentials", on, todo)
}
