//! A running emulator: a thread that serves the control plane and the metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use aws_lc_rs::rand;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::ca::{CaError, SigningCa};
use crate::control::{
    Call, ControlPlane, ControlSettings, DEFAULT_SERVER, Fault, OpsWorksCmSettings, Place,
};
use crate::imds::{self, IdentityKey, Imds, ImdsCall};
use crate::listener;
use crate::now::Now;
use crate::options::{CaSource, Options};
use crate::random::Random;
use crate::sigv4::Credentials;

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

/// What the serving thread and the owner both use.
pub(crate) struct Shared {
    control: Mutex<ControlPlane>,
    imds: Mutex<Imds>,
    clock_offset: i64,
    pub log: bool,
}

/// Environment variables that would lead a client elsewhere than [`Emulator::env`]; take them from
/// a child's environment.
pub const MISLEADING_ENV: [&str; 15] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL_OPSWORKS",
    "AWS_ENDPOINT_URL_OPSWORKSCM",
    "AWS_ENDPOINT_URL_SSM",
];

/// Where nothing listens: port 1 (tcpmux) of the loopback interface.
const NOBODY: &str = "http://127.0.0.1:1";

impl Emulator {
    /// Starts an emulator on a thread of its own. When this returns, its ports are open.
    ///
    /// # Errors
    /// When an address is taken, or the CA cannot be read.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let now = Now::from_system(SystemTime::now(), options.clock_offset);
        let api = listen(options.listen)?;
        let imds = if options.no_imds {
            None
        } else {
            Some(listen(options.imds_listen)?)
        };
        let api_url = url(&api, options.listen);
        let imds_url = imds
            .as_ref()
            .map(|listener| url(listener, options.imds_listen));
        let imds_url = imds_url.unwrap_or_else(|| NOBODY.to_owned());

        let credentials = credentials(&options)?;
        let environment = environment(&options, &credentials, &api_url, &imds_url);
        let shared = Arc::new(Shared::new(&options, credentials, now)?);
        let (stop, stopped) = oneshot::channel();
        let thread = listener::spawn(api, imds, Arc::clone(&shared), stopped);
        let thread = Some(thread.map_err(StartError::Thread)?);
        Ok(Self {
            shared,
            environment,
            api_url,
            imds_url,
            stop: Some(stop),
            thread,
        })
    }

    /// The API's address, such as `http://127.0.0.1:40123`.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The metadata service's address; with `no_imds`, one where nothing listens.
    pub fn imds_url(&self) -> &str {
        &self.imds_url
    }

    /// The environment that makes the AWS SDKs and CLIs use this emulator. Take [`MISLEADING_ENV`]
    /// away as well.
    pub fn env(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// Every API call so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.control().calls().to_vec()
    }

    /// Every request to the metadata service so far, oldest first.
    pub fn imds_calls(&self) -> Vec<ImdsCall> {
        self.shared.imds().calls().to_vec()
    }

    /// Servers and associations, as JSON: `servers[]` with `name`, `engine`, `status`,
    /// `endpoint`; `associations[]` with `server`, `node`, `status`, `public_key_sha256`, `csr`,
    /// `certificate`, `failure`, `associate_calls`.
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
        change(&mut self.shared.control())
    }

    /// Sees and changes the metadata service between two requests.
    pub fn with_imds<T>(&self, change: impl FnOnce(&mut Imds) -> T) -> T {
        change(&mut self.shared.imds())
    }

    /// The CA bundle in PEM, signer first.
    pub fn ca_bundle(&self) -> String {
        self.shared.control().ca_bundle().to_owned()
    }

    /// What the emulator's clock shows.
    pub fn now(&self) -> Now {
        self.shared.now()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already; there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn new(options: &Options, credentials: Credentials, now: Now) -> Result<Self, StartError> {
        let seed = options.seed.map_or_else(random_seed, Ok)?;
        let mut instance = options.instance.clone();
        instance.role = options.role.clone().map(|role| (role, credentials.clone()));
        let key = Box::new(IdentityKey::default());
        let mut imds = Imds::new(instance, options.imds, key, !seed);
        let is_imds = |fault: &Fault| fault.action == imds::ACTION;
        let (for_imds, faults): (Vec<_>, _) = options.faults.iter().cloned().partition(is_imds);
        for_imds.into_iter().for_each(|fault| imds.inject(fault));
        let settings = ControlSettings {
            faults,
            ..control_settings(options, credentials, seed)
        };
        let ca = signing_ca(options, now)?;
        let ca = ca.allow_authorization_extensions(options.allow_authorization_extensions);
        Ok(Self {
            control: Mutex::new(ControlPlane::new(settings, Box::new(ca), now)),
            imds: Mutex::new(imds),
            clock_offset: options.clock_offset,
            log: options.log,
        })
    }

    pub(crate) fn now(&self) -> Now {
        Now::from_system(SystemTime::now(), self.clock_offset)
    }

    /// A test that panics inside `with` must not take the others' emulator down.
    pub(crate) fn control(&self) -> MutexGuard<'_, ControlPlane> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn imds(&self) -> MutexGuard<'_, Imds> {
        self.imds.lock().unwrap_or_else(PoisonError::into_inner)
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

fn control_settings(options: &Options, credentials: Credentials, seed: u64) -> ControlSettings {
    let place = Place {
        region: options.client_region().to_owned(),
        account: options.instance.account.clone(),
    };
    ControlSettings {
        credentials: Some(credentials),
        region: options.region.clone(),
        denied: options.denied.clone(),
        throttle: options.throttle,
        faults: Vec::new(),
        seed,
        opsworks_cm: OpsWorksCmSettings {
            servers: options.servers(),
            association_time: options.association_time,
            disassociation_time: options.disassociation_time,
            token_lifetime: options.token_lifetime,
            place,
        },
    }
}

fn signing_ca(options: &Options, now: Now) -> Result<SigningCa, StartError> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path);
        text.map_err(|source| StartError::CaFile {
            path: path.to_owned(),
            source,
        })
    };
    Ok(match &options.ca {
        CaSource::Own => SigningCa::generate(now, DEFAULT_SERVER)?,
        CaSource::Files { certificates, key } => {
            SigningCa::from_pem(&read(certificates)?, &read(key)?)?
        }
    })
}

/// Keys in AWS's form, thrown away with the run.
fn credentials(options: &Options) -> Result<Credentials, StartError> {
    let mut random = Random::new(random_seed()?);
    // Long-term keys begin with AKIA, temporary ones with ASIA.
    let prefix = if options.role.is_some() {
        "ASIA"
    } else {
        "AKIA"
    };
    let access_key = format!("{prefix}{}", random.hex(1).to_uppercase());
    let secret_key = random.hex(3).chars().take(40).collect();
    Ok(Credentials {
        access_key: options.access_key.clone().unwrap_or(access_key),
        secret_key: options.secret_key.clone().unwrap_or(secret_key),
        session_token: options.role.as_ref().map(|_| random.hex(8)),
    })
}

fn random_seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| StartError::Randomness)?;
    Ok(u64::from_le_bytes(bytes))
}

fn environment(
    options: &Options,
    credentials: &Credentials,
    api_url: &str,
    imds_url: &str,
) -> Vec<(String, String)> {
    let region = options.client_region();
    let mut pairs = vec![
        ("AWS_ENDPOINT_URL", api_url),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds_url),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
    ];
    if options.role.is_none() {
        pairs.push(("AWS_ACCESS_KEY_ID", &credentials.access_key));
        pairs.push(("AWS_SECRET_ACCESS_KEY", &credentials.secret_key));
    }
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
