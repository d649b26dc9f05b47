//! A running emulator: a thread that serves the control plane and the metadata service.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it reads the clock")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::ca::CaError;
use crate::control::{Call, ControlPlane, Family, Fault};
use crate::imds::{self, Imds, ImdsCall};
use crate::listener::{Plain, Role};
use crate::now::Now;
use crate::options::Options;
use crate::shared::Shared;
use crate::state::Kept;
use crate::store::{Receipt, StateError};
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
        let faces =
            [(Family::PuppetCa, options.puppet_listen), (Family::Chef, options.chef_listen)];
        let mut servers = Vec::new();
        for (family, address) in faces {
            if let Some(address) = address {
                servers.push((family, listen(address)?, address));
            }
        }
        let secure = options.tls_listen.map(listen).transpose()?;
        let imds = if options.no_imds { None } else { Some(listen(options.imds_listen)?) };
        let api_url = url(&api, options.listen);
        let imds_url = imds.as_ref().map(|listener| url(listener, options.imds_listen));
        let imds_url = imds_url.unwrap_or_else(|| NOBODY.to_owned());

        let credentials = kept.as_ref().and_then(|kept| kept.credentials.clone());
        let credentials = setup::credentials(&options, credentials)?;
        let mut environment = setup::environment(&options, &credentials, &api_url, &imds_url);
        for (family, listener, asked) in &servers {
            let url = url(listener, *asked).replacen("http:", "https:", 1);
            environment.push((url_variable(*family).to_owned(), url));
        }
        if let (Some(listener), Some(asked)) = (&secure, options.tls_listen) {
            let url = url(listener, asked).replacen("http:", "https:", 1);
            environment.push((TLS_URL.to_owned(), url));
        }
        let shared = Arc::new(Shared::new(&options, credentials, kept)?);
        let (stop, stopped) = oneshot::channel();
        let mut listeners = vec![(Role::Plain(Plain::Api), api)];
        listeners.extend(secure.map(|listener| (Role::SecureApi, listener)));
        listeners.extend(imds.map(|imds| (Role::Plain(Plain::Imds), imds)));
        listeners.extend(servers.into_iter().map(|(family, it, _)| (Role::Server(family), it)));
        let thread = listener::spawn(listeners, Arc::clone(&shared), stopped);
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

    /// Where AWS's APIs answer over TLS, such as `https://127.0.0.1:40124`; none when they do not.
    #[must_use]
    pub fn tls_url(&self) -> Option<&str> {
        self.variable(TLS_URL)
    }

    /// Where Puppet servers answer, such as `https://127.0.0.1:40125`; none when they do not.
    #[must_use]
    pub fn puppet_url(&self) -> Option<&str> {
        self.variable(url_variable(Family::PuppetCa))
    }

    /// Where Chef servers answer, such as `https://127.0.0.1:40126`; none when they do not.
    #[must_use]
    pub fn chef_url(&self) -> Option<&str> {
        self.variable(url_variable(Family::Chef))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
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

/// The variable that tells clients where servers of a kind answer.
/// The variable with the address of AWS's APIs over TLS.
const TLS_URL: &str = "EMULATOR_TLS_URL";

const fn url_variable(family: Family) -> &'static str {
    match family {
        Family::Chef => "EMULATOR_CHEF_URL",
        _ => "EMULATOR_PUPPET_URL",
    }
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
