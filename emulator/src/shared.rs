//! What the serving thread and the owner of an emulator both use.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ca::Authority;
use crate::control::{Change, ControlPlane, ControlSettings};
use crate::emulator::{StartError, machine_now};
use crate::imds::{IdentityKey, Imds};
use crate::listener::Room;
use crate::log::Log;
use crate::now::Now;
use crate::options::Options;
use crate::setup;
use crate::sigv4::Credentials;
use crate::state::{self, Kept};
use crate::store::{Receipt, Store};

/// What an emulator is started with.
struct Start {
    options: Options,
    credentials: Credentials,
    identity: Arc<IdentityKey>,
    seed: u64,
}

/// What the serving thread and the owner both use.
pub(crate) struct Shared {
    control: Mutex<ControlPlane>,
    imds: Mutex<Imds>,
    clock_offset: AtomicI64,
    /// What it was started with, for a reset.
    start: Start,
    /// Where the account is kept.
    store: Option<Store>,
    pub log: Log,
    /// Names, beside addresses and localhost, that requests may be for.
    pub hosts: Vec<String>,
    /// How long a request may take to come.
    pub read_timeout: Duration,
    /// The memory for requests' bodies.
    pub room: Room,
}

impl Start {
    fn settings(&self) -> ControlSettings {
        let Self { options, credentials, identity, seed } = self;
        setup::control_settings(options, credentials.clone(), Arc::clone(identity), *seed)
    }
}

impl Shared {
    pub(crate) fn new(
        options: &Options,
        credentials: Credentials,
        kept: Option<Kept>,
    ) -> Result<Self, StartError> {
        let offset = state::clock_offset(options, kept.as_ref());
        let now = machine_now().shifted(offset);
        let seed = options.seed.map_or_else(setup::random_seed, Ok)?;
        let log = if options.log { Log::to_stderr() } else { Ok(Log::default()) };
        let log = log.map_err(StartError::Thread)?;
        let identity = Arc::new(IdentityKey::default());
        let imds = setup::imds(options, &credentials, Arc::clone(&identity), seed);
        let start = Start { options: options.clone(), credentials, identity, seed };
        let ca = setup::signing_ca(options, kept.as_ref().and_then(|kept| kept.ca.as_ref()), now)?;
        let mut control = ControlPlane::new(start.settings(), Box::new(ca), now);
        let is_new = kept.as_ref().is_none_or(Kept::is_new);
        for node in options.nodes.iter().filter(|_| is_new) {
            let refused = |reason| StartError::Node {
                server: node.server.clone(),
                node: node.name.clone(),
                reason,
            };
            control.seed_node(now, node).map_err(refused)?;
        }
        let store = match kept {
            Some(kept) => Some(kept.start(&mut control, &start.credentials, offset)?),
            None => None,
        };
        Ok(Self {
            control: Mutex::new(control),
            imds: Mutex::new(imds),
            clock_offset: AtomicI64::new(offset),
            start,
            store,
            log,
            hosts: options.hosts.clone(),
            read_timeout: options.read_timeout,
            room: Room::default(),
        })
    }

    pub(crate) fn now(&self) -> Now {
        machine_now().shifted(self.clock_offset())
    }

    /// How far the clock is ahead of the machine's, in seconds.
    pub(crate) fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed)
    }

    pub(crate) fn set_clock_offset(&self, seconds: i64) {
        self.clock_offset.store(seconds, Ordering::Relaxed);
        self.commit_other(state::clock(seconds));
    }

    /// The keys that requests are signed with.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.start.credentials
    }

    /// Whether the CA signs authorization extensions.
    pub(crate) fn allows_authorization_extensions(&self) -> bool {
        self.start.options.allow_authorization_extensions
    }

    /// An empty account with the options of this one, to try rows out.
    pub(crate) fn empty_account(&self, authority: Box<dyn Authority>) -> ControlPlane {
        let mut control = ControlPlane::new(self.start.settings(), authority, self.now());
        control.clear();
        control
    }

    /// Hands a change over that is not the account's.
    pub(crate) fn commit_other(&self, change: Change) {
        if let Some(store) = &self.store {
            // Whoever waits for what comes after it waits for it, too.
            drop(store.commit(vec![change]));
        }
    }

    /// Hands what has changed over to be written down; to be waited for before it is told.
    pub(crate) fn commit(&self, control: &mut ControlPlane) -> Option<Receipt> {
        self.store.as_ref().and_then(|store| store.commit(control.take_changes()))
    }

    /// Makes everything as it was at the start, but for the CA, the keys and the clock.
    pub(crate) fn reset(&self) {
        let Start { options, credentials, identity, seed } = &self.start;
        *self.imds() = setup::imds(options, credentials, Arc::clone(identity), *seed);
        let (mut control, now) = (self.control(), self.now());
        control.reset(self.start.settings(), now);
        for node in &options.nodes {
            // It could be associated at the start.
            let _ = control.seed_node(now, node);
        }
    }

    /// A test that panics inside `with` must not take the others' emulator down.
    pub(crate) fn control(&self) -> MutexGuard<'_, ControlPlane> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn imds(&self) -> MutexGuard<'_, Imds> {
        self.imds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
