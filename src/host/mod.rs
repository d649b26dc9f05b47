//! I/O: the only module that uses the clock, the disk, the network and processes. It performs
//! effects and knows no phases.

#![allow(clippy::disallowed_types, reason = "the module that does I/O")]

pub mod aws;
pub mod checked_key;
pub mod clock;
pub mod core_dumps;
pub mod disk;
pub mod engines;
pub mod facts;
pub mod file_limit;
pub mod files;
mod held_unit;
mod host_name;
pub mod https;
pub mod imds;
pub mod inspect;
pub mod install;
pub mod journal;
pub mod key;
pub(crate) mod limited_body;
pub mod lock;
pub mod net;
mod network;
pub mod notify;
pub mod power;
pub mod preflight;
mod proc;
pub mod process;
pub mod program;
pub mod proof;
pub mod reach;
pub mod root;
pub mod sandbox;
mod sanitize;
pub mod secrets;
pub mod signing;
pub mod store;
pub mod timer;
mod tls;
pub mod transports;
pub mod unit;
pub mod variables;

use std::time::Duration;

use crate::bootstrap::{Effect, Event, Now, Signing};
use crate::engines::{FactsWanted, KeyReport, KeySpec, Observed, Proof};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::secret::{Secret, SecretSource};
use crate::targets::{Answer, Request, Signature};

pub use aws::AwsSettings;
pub use aws::environment::Environment;
pub use clock::Clock;
pub use net::HttpClients;
pub use notify::Notifier;
pub use root::Root;
pub use store::Store;
use transports::Transports;

/// Performs the effects of one target on this machine.
pub struct Host {
    root: Root,
    clock: Clock,
    store: Store,
    http: HttpClients,
    transports: Transports,
    /// A key that is being made before the core asks for it.
    key: Option<key::KeyGeneration>,
    /// What the engines answered at the last inspection.
    answers: engines::EngineAnswers,
    agent: engines::AgentWay,
}

impl Host {
    #[must_use]
    pub fn new(root: Root, target: &str, environment: Environment, http: HttpClients) -> Self {
        Self {
            store: Store::new(root.clone(), target),
            clock: Clock::start(),
            transports: Transports::new(root.clone(), http.clone(), environment),
            http,
            root,
            key: None,
            answers: engines::EngineAnswers::default(),
            agent: engines::AgentWay::default(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Now {
        Now { skew: self.http.skew().seconds(), ..self.clock.now() }
    }

    /// Performs the effect and returns its event.
    pub async fn perform(&mut self, effect: Effect) -> Event {
        match self.attempt(effect).await {
            Ok(event) => event,
            Err(fault) => Event::Failed(fault),
        }
    }

    async fn attempt(&mut self, effect: Effect) -> Result<Event, Fault> {
        let (root, store) = (&self.root, &self.store);
        Ok(match effect {
            Effect::SettleHandOver => {
                engines::settle_hand_over(root).await.map(|()| Event::HandOverSettled)?
            }
            Effect::GatherFacts(wanted) => {
                let (facts, observed) = self.gather(wanted).await?;
                Event::Facts(Box::new(facts), Box::new(observed))
            }
            Effect::EnsureKey(spec) => Event::Key(Box::new(self.ensure_key(&spec).await?)),
            Effect::Sign(signing) => Event::Signed(self.sign(*signing).await?),
            Effect::Persist(record) => store.persist(&record).map(|()| Event::Persisted)?,
            Effect::Call(request) => Event::Answered(self.call(request).await?),
            Effect::WaitUntil(mono) => {
                self.sleep_until(mono).await;
                Event::Woke
            }
            Effect::Hold(bundle) => {
                install::perform(root, store, &bundle).await?;
                if let Some(Err(fault)) = self.agent.check(root, &self.http).await {
                    tracing::warn!("{}", fault.sentence());
                }
                Event::Held
            }
            Effect::Release(bundle) => {
                install::perform(root, store, &bundle).await.map(|_| Event::Released)?
            }
            Effect::Install(bundle) => {
                Event::Installed(install::perform(root, store, &bundle).await?)
            }
            Effect::HandOver(wanted) => {
                let region = self.transports.region();
                Event::HandedOver(engines::hand_over(root, store, &wanted, region).await?)
            }
            Effect::Clear(bundle) => {
                install::clear(root, store, &bundle).await.map(|()| Event::Cleared)?
            }
            Effect::Forget => store.forget(self.now().unix).map(|()| Event::Forgotten)?,
            Effect::Keep(evidence) => {
                store.keep(&evidence, self.now().unix).map(|()| Event::Kept)?
            }
            Effect::SetAside(paths) => {
                store.set_aside(&paths, self.now().unix).map(|()| Event::IsAside)?
            }
            Effect::Inspect => {
                let (record, files) = inspect::inspect(root, store, &mut self.answers).await?;
                Event::Inspected(record.map(Box::new), files, facts::machine(root))
            }
            // Never reached: the driver ends at `Finish`.
            Effect::Finish(_) => Event::Woke,
        })
    }

    async fn call(&mut self, request: Request) -> Result<Answer, Fault> {
        let server = engines::AgentServer::of(&request);
        let answer = self.transports.call(request).await;
        match (server, answer) {
            (Some(mut server), Ok(answer)) => {
                server.answered(&answer);
                self.agent.server = Some(server);
                Ok(answer)
            }
            (Some(server), Err(fault)) => {
                let hint = self.agent.hint(&self.root, &self.http, &server, &fault);
                Err(hint.into_iter().fold(fault, Fault::cause))
            }
            (None, answer) => answer,
        }
    }

    /// How the engine will reach the server of a request, for messages; none where that can't be told.
    ///
    /// # Errors
    /// `Host` if it will not.
    pub async fn agent_way(&mut self, request: &Request) -> Option<Result<String, Fault>> {
        let server = engines::AgentServer::of(request);
        self.agent.server = self.agent.server.take().or(server);
        self.agent.check(&self.root, &self.http).await
    }

    async fn ensure_key(&mut self, spec: &KeySpec) -> Result<KeyReport, Fault> {
        let password = self.secret(spec.challenge_password.as_ref()).await?;
        let caller = match spec.proof {
            Proof::Iam => Some(self.caller().await?),
            Proof::None | Proof::InstanceIdentity => None,
        };
        let additions = key::Additions { password, caller };
        key::ensure(&self.root, &self.store, spec, additions, self.key.take()).await
    }

    /// Who this node is for AWS, now.
    pub async fn caller(&mut self) -> Result<proof::Caller, Fault> {
        let found = self.transports.signing_credentials().await;
        let found = found.map_err(|fault| fault.so_that("the proof could not be made"))?;
        proof::Caller::new(found, self.now())
    }

    async fn sign(&mut self, signing: Signing) -> Result<Signature, Fault> {
        let secret = self.secret(signing.secret()).await?;
        signing::sign(&self.root, signing, secret)
    }

    /// Reads a secret of the settings, if there is one.
    ///
    /// # Errors
    /// `Config` where it can't be read.
    pub async fn secret(&mut self, source: Option<&SecretSource>) -> Result<Option<Secret>, Fault> {
        match source {
            Some(source) => secrets::read(&self.root, &mut self.transports, source).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gathers the node's facts and what is installed of its engine. Begins to make the key meanwhile,
    /// if the node has none.
    pub async fn gather(&mut self, wanted: FactsWanted) -> Result<(Facts, Observed), Fault> {
        let (ec2, observed) = tokio::join!(
            imds::ask(&self.root, &self.http),
            engines::observe(&self.root, wanted.engine),
        );
        let observed = observed?;
        self.agent.observed(&observed);
        if let Some(early) = &wanted.early_key {
            // Facts may be gathered several times, and one key is enough.
            if self.key.is_none() {
                let directory = observed.key_directory();
                self.key = key::begin_if_none(&self.root, directory.as_deref(), early);
            }
        }
        let facts = facts::gather(&self.root, ec2?);
        let region = facts.ec2.as_ref().and_then(|ec2| ec2.region.clone());
        self.transports.set_own_region(region);
        Ok((sanitize::facts(facts), observed))
    }

    /// Where a request would go.
    #[must_use]
    pub fn contacts(&self, request: &Request) -> Vec<reach::Contact> {
        self.transports.contacts(request)
    }

    /// Fetches credentials for the AWS APIs. Returns their source, and when they expire (Unix seconds).
    ///
    /// # Errors
    /// As for a call.
    pub async fn credentials(&mut self) -> Result<(String, Option<i64>), Fault> {
        self.transports.credentials().await
    }

    async fn sleep_until(&self, mono: Duration) {
        let rest = mono.saturating_sub(self.now().mono);
        // A millisecond longer, so that rounding never ends the sleep too early.
        timer::sleep(rest + Duration::from_millis(1)).await;
    }
}
