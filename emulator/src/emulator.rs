//! A running emulator: a thread that serves the control plane and the metadata service.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it reads the clock")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::ca::{Authority, CaError};
use crate::control::{Call, Change, ControlPlane, ControlSettings, Fault};
use crate::imds::{self, IdentityKey, Imds, ImdsCall};
use crate::listener::Room;
use crate::log::Log;
use crate::now::Now;
use crate::options::Options;
use crate::sigv4::Credentials;
use crate::state::{self, Kept};
use crate::store::{Receipt, StateError, Store};
use crate::{listener, setup};

/// An emulator that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the CA cannot be read.
    #[error("cannot read the CA file {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The CA cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A node that a server is to have from the start cannot be associated.
    #[error("the server '{server}' cannot have the node '{node}': {reason}")]
    Node {
        /// The server.
        server: String,
        /// The node.
        node: String,
        /// Why not.
        reason: String,
    },
    /// The file of the state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// No random seed or key.
    #[error("the machine gives no randomness")]
    Randomness,
    /// The serving thread cannot be started.
    #[error("cannot start the serving thread")]
    Thread(#[source] std::io::Error),
}

/// A running emulator. It stops when it is dropped.
pub struct Emulator {
    shared: Arc<Shared>,
    environment: Vec<(String, String)>,
    api_url: String,
    imds_url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

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

/// Where nothing listens: port 1 (tcpmux) of the loopback interface.
const NOBODY: &str = "http://127.0.0.1:1";

impl Emulator {
    /// Starts an emulator on a thread of its own. When this returns, its ports are open.
    ///
    /// # Errors
    /// When an address is taken, or the CA cannot be read.
    #[expect(clippy::needless_pass_by_value, reason = "options are written where they are used")]
    pub fn start(options: Options) -> Result<Self, StartError> {
        let kept = options.state.as_deref().map(Kept::open).transpose()?;
        let api = listen(options.listen)?;
        let imds = if options.no_imds { None } else { Some(listen(options.imds_listen)?) };
        let api_url = url(&api, options.listen);
        let imds_url = imds.as_ref().map(|listener| url(listener, options.imds_listen));
        let imds_url = imds_url.unwrap_or_else(|| NOBODY.to_owned());

        let credentials = kept.as_ref().and_then(|kept| kept.credentials.clone());
        let credentials = setup::credentials(&options, credentials)?;
        let environment = setup::environment(&options, &credentials, &api_url, &imds_url);
        let shared = Arc::new(Shared::new(&options, credentials, kept)?);
        let (stop, stopped) = oneshot::channel();
        let thread = listener::spawn(api, imds, Arc::clone(&shared), stopped);
        let thread = Some(thread.map_err(StartError::Thread)?);
        Ok(Self { shared, environment, api_url, imds_url, stop: Some(stop), thread })
    }

    /// The API's address, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The metadata service's address; with `no_imds`, one where nothing listens.
    #[must_use]
    pub fn imds_url(&self) -> &str {
        &self.imds_url
    }

    /// The environment that makes the AWS SDKs and CLIs use this emulator. Take
    /// [`MISLEADING_ENV`](crate::MISLEADING_ENV) away as well.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// The newest API calls, oldest first. At most 16 MiB of them are kept.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.control().calls()
    }

    /// The newest requests to the metadata service, oldest first: at most 10,000.
    #[must_use]
    pub fn imds_calls(&self) -> Vec<ImdsCall> {
        self.shared.imds().calls().cloned().collect()
    }

    /// The account, as JSON:
    /// - `servers[]`: `name`, `engine`, `status`, `endpoint`;
    /// - `associations[]`: `server`, `node`, `status`, `public_key`, `public_key_sha256`,
    ///   `organization`, `csr`, `certificate`, `failure`, `associate_calls`;
    /// - `stacks[]`: `id`, `name`, `region`, `vpc`, `unique_hostnames`, `fingerprints`;
    /// - `instances[]`: `id`, `stack`, `status`, `hostname`, `infrastructure`, `ec2_instance_id`,
    ///   `private_ip`, `public_ip`, `public_key`, `public_key_fingerprint`, `registered_at`;
    /// - `activations[]`: `id`, `iam_role`, `default_instance_name`, `description`,
    ///   `registration_limit`, `registrations`, `created_at`, `expires_at`, `expired`, `tags`;
    /// - `managed_instances[]`: `id`, `activation_id`, `iam_role`, `name`, `ping_status`,
    ///   `fingerprint`, `public_key`, `public_key_sha256`, `registered_at`, `tags`.
    ///
    /// Activation codes are not part of it.
    #[must_use]
    pub fn state(&self) -> Value {
        self.shared.control().state(self.now())
    }

    /// Sets a fault, from the next call on. The action `IMDS` means the metadata service.
    pub fn inject(&self, fault: Fault) {
        if fault.action == imds::ACTION {
            self.shared.imds().inject(fault);
        } else {
            self.shared.control().inject(fault);
        }
    }

    /// Sees and changes the control plane between two calls.
    pub fn with<T>(&self, change: impl FnOnce(&mut ControlPlane) -> T) -> T {
        let mut control = self.shared.control();
        control.settle(self.now());
        let changed = change(&mut control);
        let receipt = self.shared.commit(&mut control);
        drop(control);
        wait(receipt);
        changed
    }

    /// Sees and changes the metadata service between two requests.
    pub fn with_imds<T>(&self, change: impl FnOnce(&mut Imds) -> T) -> T {
        change(&mut self.shared.imds())
    }

    /// The CA bundle in PEM, signer first.
    #[must_use]
    pub fn ca_bundle(&self) -> String {
        self.shared.control().ca_bundle().to_owned()
    }

    /// What the emulator's clock shows.
    #[must_use]
    pub fn now(&self) -> Now {
        self.shared.now()
    }

    /// Makes everything as it was at the start, but for the CA, the keys and the clock.
    pub fn reset(&self) {
        self.shared.reset();
        let receipt = self.shared.commit(&mut self.shared.control());
        wait(receipt);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already; there is nobody to hand it to.
            let _ = thread.join();
        }
        self.shared.log.flush();
    }
}

impl Start {
    fn settings(&self) -> ControlSettings {
        let Self { options, credentials, identity, seed } = self;
        setup::control_settings(options, credentials.clone(), Arc::clone(identity), *seed)
    }
}

impl Shared {
    fn new(
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

/// Waits until a change is on the disk. When it cannot be written, a client is told, and the next
/// change takes it along.
fn wait(receipt: Option<Receipt>) {
    drop(receipt.map(Receipt::blocking_written));
}

/// What the machine's clock shows.
#[must_use]
pub fn machine_now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now::from_unix_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| StartError::Listen { address, source })
}

/// How clients on this machine reach a listener.
fn url(listener: &TcpListener, asked: SocketAddr) -> String {
    let mut address = listener.local_addr().unwrap_or(asked);
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}
