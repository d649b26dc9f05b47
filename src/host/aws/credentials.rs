//! Credentials: fetched from the first source that has some, kept until shortly before they end.
//!
//! The sources were found by `sources`. What goes wrong with one is a fault with its own kind, and
//! not an error of a call: a program that fails or a profile that is incomplete will not pass.

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

/// Credentials that end within this are renewed first. Those of an instance's role are renewed by
/// AWS five minutes before they end, at the latest.
const MARGIN: Duration = Duration::from_mins(3);

/// The credentials that calls are signed with.
#[derive(Clone, Debug, Default)]
pub struct CurrentCredentials(Arc<Mutex<Option<Credentials>>>);

impl CurrentCredentials {
    fn get(&self) -> Option<Credentials> {
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

/// How STS is asked, and what was asked last.
pub type Sts = (SdkConfig, Arc<Trace>);

/// Where credentials come from, and those that are there.
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

    /// Sees that there are credentials that have not ended.
    ///
    /// # Errors
    /// `Denied` where there are none; the fault of the source that should have some.
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
        let looked = "environment, profile, container, instance metadata";
        Err(none(looked))
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

/// That there are none; a role may come to an instance some time after it began.
pub fn none(on: &str) -> Fault {
    let todo = "give the instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile in [aws]";
    Fault::new(Kind::Denied, "there are no usable credentials", on, todo)
}
