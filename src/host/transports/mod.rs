//! One transport for each service that targets call. It sends a request, and returns the answer in the
//! service's own terms, with control characters removed from its texts.

pub mod chef_server;
mod contacts;
mod fingerprints;
mod opsworks_cm;
mod opsworks_stacks;
mod puppet_ca;
mod puppet_ca_request;
mod server_order;
mod systems_manager;

use std::rc::Rc;

use aws_credential_types::Credentials;

use super::aws::Session;
use super::aws::environment::Environment;
use super::net::HttpClients;
use super::root::Root;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::targets::{Answer, Request};
use crate::text;
use opsworks_cm::OpsworksCm;
use opsworks_stacks::OpsworksStacks;
use puppet_ca::PuppetCa;
use systems_manager::SystemsManager;

/// An AWS service that enlist calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceId {
    OpsworksCm,
    OpsworksStacks,
    SystemsManager,
    Sts,
}

/// How the environment and the profiles name the endpoint of a service (AWS SDKs and Tools Reference
/// Guide, "Service-specific endpoints").
#[derive(Clone, Copy, Debug)]
pub struct AwsService {
    pub id: ServiceId,
    pub variable: &'static str,
    pub profile_key: &'static str,
}

pub const AWS_SERVICES: [AwsService; 4] = [
    AwsService {
        id: ServiceId::OpsworksCm,
        variable: "AWS_ENDPOINT_URL_OPSWORKSCM",
        profile_key: "opsworkscm",
    },
    AwsService {
        id: ServiceId::OpsworksStacks,
        variable: "AWS_ENDPOINT_URL_OPSWORKS",
        profile_key: "opsworks",
    },
    AwsService {
        id: ServiceId::SystemsManager,
        variable: "AWS_ENDPOINT_URL_SSM",
        profile_key: "ssm",
    },
    AwsService { id: ServiceId::Sts, variable: "AWS_ENDPOINT_URL_STS", profile_key: "sts" },
];

/// Makes the calls of one target. A transport is set up at its first call.
pub struct Transports {
    root: Root,
    http: HttpClients,
    environment: Environment,
    /// The region of this EC2 instance.
    own_region: Option<String>,
    session: Option<Rc<Session>>,
    opsworks_cm: Option<OpsworksCm>,
    opsworks_stacks: Option<OpsworksStacks>,
    systems_manager: Option<SystemsManager>,
    puppet_ca: Option<PuppetCa>,
}

impl Transports {
    #[must_use]
    pub fn new(root: Root, http: HttpClients, environment: Environment) -> Self {
        Self {
            root,
            http,
            environment,
            own_region: None,
            session: None,
            opsworks_cm: None,
            opsworks_stacks: None,
            systems_manager: None,
            puppet_ca: None,
        }
    }

    /// Sets the region of this instance, once it is known.
    pub fn set_own_region(&mut self, region: Option<String>) {
        self.own_region = region;
    }

    /// The region of AWS calls: from the settings, the environment, the profile, or this instance.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        self.environment.region.clone().or_else(|| self.own_region.clone())
    }

    /// Makes one call, without retries.
    ///
    /// # Errors
    /// Classified by the answer, or by how the connection failed. They never contain the request's secret.
    pub async fn call(&mut self, request: Request) -> Result<Answer, Fault> {
        let call = request.call();
        tracing::debug!(action = call.action(), on = call.on(), "calling");
        let secret = call.secret().map(|text| Secret::new(text.to_owned()));
        self.dispatch(request).await.map_err(|fault| match &secret {
            Some(secret) => fault.without(secret.expose()),
            None => fault,
        })
    }

    async fn dispatch(&mut self, request: Request) -> Result<Answer, Fault> {
        match request {
            Request::OpsworksCm(request) => {
                let session = self.session()?;
                let service = self.opsworks_cm.get_or_insert_with(|| OpsworksCm::new(session));
                service.call(request).await.map(Answer::OpsworksCm)
            }
            Request::OpsworksStacks(request) => {
                let session = self.session()?;
                let service =
                    self.opsworks_stacks.get_or_insert_with(|| OpsworksStacks::new(session));
                service.call(request).await.map(Answer::OpsworksStacks)
            }
            Request::SystemsManager(request) => {
                self.systems_manager()?.call(request).await.map(Answer::SystemsManager)
            }
            Request::ChefServer(request) => {
                let answer = Box::pin(chef_server::call(&self.http, request)).await;
                answer.map(Answer::ChefServer)
            }
            Request::PuppetCa(request) => {
                let (root, http) = (self.root.clone(), self.http.clone());
                let service = self.puppet_ca.get_or_insert_with(|| PuppetCa::new(root, http));
                service.call(request).await.map(Answer::PuppetCa)
            }
        }
    }

    /// A parameter of the Parameter Store, decrypted.
    ///
    /// # Errors
    /// `Config` where it does not exist; else as [`Self::call`].
    pub async fn parameter(&mut self, name: &str) -> Result<Secret, Fault> {
        tracing::debug!(action = "GetParameter", on = name, "calling");
        self.systems_manager()?.parameter(name).await
    }

    fn systems_manager(&mut self) -> Result<&SystemsManager, Fault> {
        let session = self.session()?;
        Ok(self.systems_manager.get_or_insert_with(|| SystemsManager::new(session)))
    }

    /// The credentials of AWS calls, and their region.
    ///
    /// # Errors
    /// `Config` where no region is known; else that of the source of the credentials.
    pub async fn signing_credentials(&mut self) -> Result<(Credentials, String), Fault> {
        let region = self.region();
        let credentials = self.session()?.credentials().await?;
        Ok((credentials, region.unwrap_or_default()))
    }

    /// What the AWS services have in common: region, credentials, limits.
    fn session(&mut self) -> Result<Rc<Session>, Fault> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let region = self.region();
        let session = Session::open(&self.root, &self.http, &self.environment, region)?;
        Ok(self.session.insert(Rc::new(session)).clone())
    }
}

/// The fault where a request can't be written as HTTP.
fn unsendable(on: &str, error: &hyper::http::Error) -> Fault {
    let todo = "this is a bug in enlist; please report it";
    Fault::new(Kind::Invariant, "the request can't be made", on, todo).because(error)
}

/// The text of an answer, for people: one line, not too long.
fn excerpt(text: &str) -> String {
    let text: String = text.chars().take(2000).collect();
    text::line(text.trim())
}
