//! I/O: the only module that touches clock, disk, network and processes. It performs effects and
//! never looks at phases.

#![allow(clippy::disallowed_types, reason = "the module that does I/O")]

pub mod aws;
pub mod chef;
pub mod clock;
pub mod core_dumps;
pub mod engine;
pub mod facts;
pub mod files;
pub mod handover;
pub mod imds;
pub mod inspect;
pub mod install;
pub mod key;
pub(crate) mod limited_body;
pub mod lock;
mod names;
pub mod net;
mod network;
pub mod notify;
mod outside;
pub mod power;
pub mod preflight;
mod proc;
pub mod process;
pub mod program;
pub mod puppet;
pub mod root;
pub mod sandbox;
pub mod store;
pub mod timer;
pub mod variables;

use std::time::Duration;

use crate::bootstrap::{Effect, Event, Now};
use crate::facts::Facts;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::targets::{Answer, FactsWanted, Request};

pub use aws::AwsSettings;
pub use aws::environment::Environment;
pub use clock::Clock;
pub use net::HttpClients;
pub use notify::Notifier;
pub use root::Root;
pub use store::Store;

/// Performs one bootstrap's effects on this machine.
pub struct Host {
    root: Root,
    clock: Clock,
    store: Store,
    net: HttpClients,
    environment: Environment,
    client: Option<aws::Client>,
    region: Option<String>,
    key: Option<key::KeyGeneration>,
    asked: puppet::Asked,
}

impl Host {
    #[must_use]
    pub fn new(root: Root, target: &str, environment: Environment, net: HttpClients) -> Self {
        Self {
            store: Store::new(root.clone(), target),
            root,
            clock: Clock::start(),
            net,
            environment,
            client: None,
            region: None,
            key: None,
            asked: puppet::Asked::default(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Now {
        Now { skew: self.net.skew().seconds(), ..self.clock.now() }
    }

    /// Performs the effect and reports what became of it.
    pub async fn perform(&mut self, effect: Effect) -> Event {
        match self.attempt(effect).await {
            Ok(event) => event,
            Err(fault) => Event::Failed(fault),
        }
    }

    async fn attempt(&mut self, effect: Effect) -> Result<Event, Fault> {
        Ok(match effect {
            Effect::GatherFacts(inquiry) => {
                if inquiry.ssm {
                    handover::settle(&self.root).await?;
                }
                Event::Facts(Box::new(self.gather(inquiry).await?))
            }
            Effect::EnsureKey(spec) => {
                Event::Key(Box::new(key::ensure(&self.root, &spec, self.key.take()).await?))
            }
            Effect::Persist(record) => self.store.persist(&record).map(|()| Event::Persisted)?,
            Effect::Call(request) => Event::Answered(self.call(request).await?),
            Effect::WaitUntil(mono) => {
                self.sleep_until(mono).await;
                Event::Woke
            }
            Effect::Hold(bundle) => {
                install::perform(&self.root, &self.store, &bundle).await.map(|_| Event::Held)?
            }
            Effect::Release(bundle) => {
                install::perform(&self.root, &self.store, &bundle).await.map(|_| Event::Released)?
            }
            Effect::Install(bundle) => {
                Event::Installed(install::perform(&self.root, &self.store, &bundle).await?)
            }
            Effect::HandOver(wanted) => {
                let region = aws::region_of(&self.environment, self.region.as_deref());
                Event::HandedOver(
                    handover::perform(&self.root, &self.store, &wanted, region).await?,
                )
            }
            Effect::Clear(bundle) => {
                install::perform(&self.root, &self.store, &bundle).await.map(|_| Event::Cleared)?
            }
            Effect::Forget => self.store.forget(self.now().unix).map(|()| Event::Forgotten)?,
            Effect::Keep(evidence) => {
                self.store.keep(&evidence, self.now().unix).map(|()| Event::Kept)?
            }
            Effect::SetAside(paths) => {
                self.store.set_aside(&paths, self.now().unix).map(|()| Event::IsAside)?
            }
            Effect::Inspect => {
                let (record, sights) =
                    inspect::inspect(&self.root, &self.store, &mut self.asked).await?;
                Event::Inspected(record.map(Box::new), sights, facts::machine(&self.root))
            }
            // The driver ends here; there is nothing to perform.
            Effect::Finish(_) => Event::Woke,
        })
    }

    /// What this node is, and where its engine's files stand. Starts on the key meanwhile, where
    /// none can be there yet.
    pub async fn gather(&mut self, inquiry: FactsWanted) -> Result<Facts, Fault> {
        let (ec2, puppet) = tokio::join!(
            imds::ask(&self.root, &self.net),
            puppet::site(&self.root, inquiry.puppet),
        );
        let puppet = puppet?;
        if let Some(likely) = &inquiry.key {
            // The facts may be gathered again and again; one key is enough.
            if self.key.is_none() {
                self.key = key::begin_if_none(&self.root, puppet.as_ref(), likely);
            }
        }
        let mut facts = facts::gather(&self.root, ec2?, puppet);
        let ssm = inquiry.ssm.then(|| handover::site(&self.root, inquiry.ssm_agent.as_deref()));
        facts.ssm = ssm.transpose()?;
        facts.opsworks = inquiry.opsworks.then(|| facts::opsworks_site(&self.root)).flatten();
        self.region = facts.ec2.as_ref().and_then(|ec2| ec2.region.clone());
        Ok(outside::facts(facts))
    }

    async fn call(&mut self, request: Request) -> Result<Answer, Fault> {
        if self.client.is_none() {
            let own = self.region.as_deref();
            self.client =
                Some(aws::Client::connect(&self.root, &self.net, &self.environment, own)?);
        }
        match &self.client {
            Some(client) => {
                let secret = request.secret().map(|text| Secret::new(text.to_owned()));
                client.call(request).await.map(outside::answer).map_err(|fault| match &secret {
                    Some(secret) => fault.without(secret.expose()),
                    None => fault,
                })
            }
            None => Err(aws::no_client()),
        }
    }

    async fn sleep_until(&self, mono: Duration) {
        let rest = mono.saturating_sub(self.now().mono);
        // A hair longer, so that rounding never wakes us before the moment.
        timer::sleep(rest + Duration::from_millis(1)).await;
    }
}
