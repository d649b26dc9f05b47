//! How an emulator is set up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::control::{
    CaPolicy, DEFAULT_SERVER, DOCUMENTED, Fault, Rate, ServerSpec, StackSpec, Times,
};
use crate::imds::{Answering, Instance};

/// Where the CA of the Puppet servers comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CaSource {
    /// Made at the start: a root and a signing CA.
    #[default]
    Own,
    /// Made once per process: for tests that start many emulators and do not mind that these have
    /// one CA. It saves two RSA keys, a third of a second, for each.
    Shared,
    /// The files of an existing CA: the bundle in PEM (a Puppet Server's `ca_crt.pem`), and the
    /// key of one of its certificates (`ca_key.pem`).
    Files {
        /// The bundle, signer and root.
        certificates: PathBuf,
        /// The signer's private key.
        key: PathBuf,
    },
}

/// A node that a server has from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedNode {
    /// `ServerName`.
    pub server: String,
    /// `NodeName`.
    pub name: String,
    /// The engine attributes of its `AssociateNode`: name and value.
    pub attributes: Vec<(String, String)>,
}

/// How an emulator is set up. The default is a healthy Puppet server `puppet-test`, one stack, any
/// role for Systems Manager, the documented request limit, and an EC2 instance without tags, on
/// free ports of the loopback interface.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the metadata service listens; port 0 takes a free one.
    pub imds_listen: SocketAddr,
    /// The servers; none is the default one.
    pub servers: Vec<ServerSpec>,
    /// The nodes that the servers have from the start.
    pub nodes: Vec<SeedNode>,
    /// `Endpoint` of servers that name none themselves, and of those that are created. `NAME.example`
    /// when `None`, and one made from name and region for those that are created.
    pub endpoint: Option<String>,
    /// The stacks; none is the default one.
    pub stacks: Vec<StackSpec>,
    /// How long an instance is `registering` before it is `registered`.
    pub registration_time: Duration,
    /// How long assigning an instance to a layer, and unassigning it, takes.
    pub setup_time: Duration,
    /// The roles that Systems Manager can give to nodes; `None` for any.
    pub ssm_roles: Option<BTreeSet<String>>,
    /// The parameters that can be read from Systems Manager: name and value.
    pub ssm_parameters: BTreeMap<String, String>,
    /// How long an association is IN_PROGRESS.
    pub association_time: Duration,
    /// How long a disassociation is IN_PROGRESS.
    pub disassociation_time: Duration,
    /// How long what servers do takes.
    pub times: Times,
    /// How many servers there can be before no more can be created.
    pub server_limit: usize,
    /// How many manual backups there can be.
    pub backup_limit: usize,
    /// How long a token can be asked for.
    pub token_lifetime: Duration,
    /// How long the Puppet servers' certificates are good for.
    pub certificate_lifetime: Duration,
    /// The account's request limit, for each service; `None` for no limit.
    pub throttle: Option<Rate>,
    /// The CA of the Puppet servers.
    pub ca: CaSource,
    /// Whether the CA signs authorization extensions (`pp_authorization`, `pp_auth_role`...).
    pub allow_authorization_extensions: bool,
    /// How the CAs of Puppet servers behave at their endpoints.
    pub puppet_ca: CaPolicy,
    /// Where AWS's APIs answer over TLS, beside `listen`; port 0 takes a free one. None: they do not.
    pub tls_listen: Option<SocketAddr>,
    /// Where Puppet servers answer over TLS; port 0 takes a free one. None: they do not answer.
    pub puppet_listen: Option<SocketAddr>,
    /// Where Chef servers answer over TLS; port 0 takes a free one. None: they do not answer.
    pub chef_listen: Option<SocketAddr>,
    /// The public key of the validators of Chef organizations: SubjectPublicKeyInfo in DER. Without
    /// one a key is made when the admin API is asked for it.
    pub validator_key: Option<Vec<u8>>,
    /// The access key; made for this run when `None`.
    pub access_key: Option<String>,
    /// The secret key; made for this run when `None`.
    pub secret_key: Option<String>,
    /// The region that signatures must be made out to. When `None`, any will do, and clients are
    /// told the instance's.
    pub region: Option<String>,
    /// Actions that IAM refuses, each as [`Target`](crate::control::Target) reads it.
    pub denied: BTreeSet<String>,
    /// Faults set from the start; those of the action `IMDS` are the metadata service's.
    pub faults: Vec<Fault>,
    /// What identifiers and serial numbers are made from; random when `None`.
    pub seed: Option<u64>,
    /// How far the emulator's clock is ahead of the machine's, in seconds.
    pub clock_offset: i64,
    /// The instance that the metadata service describes.
    pub instance: Instance,
    /// The role that the instance's profile gives it. Its credentials come from the metadata
    /// service then, and are not part of the clients' environment.
    pub role: Option<String>,
    /// Who answers at the metadata address.
    pub imds: Answering,
    /// Nothing listens at the metadata address.
    pub no_imds: bool,
    /// Whether each call is logged on stderr, as one line. What nobody reads in time is left out.
    pub log: bool,
    /// Names that requests may be for, beside addresses, localhost and AWS's names.
    pub hosts: Vec<String>,
    /// The file that keeps the account across restarts; none keeps nothing.
    pub state: Option<PathBuf>,
    /// How long the head of a request may take to come, and how long its body.
    pub read_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            listen: free,
            imds_listen: free,
            servers: Vec::new(),
            nodes: Vec::new(),
            endpoint: None,
            stacks: Vec::new(),
            registration_time: Duration::ZERO,
            setup_time: Duration::ZERO,
            ssm_roles: None,
            ssm_parameters: BTreeMap::new(),
            association_time: Duration::ZERO,
            disassociation_time: Duration::ZERO,
            times: Times::default(),
            server_limit: 10,
            backup_limit: 50,
            token_lifetime: Duration::from_hours(1),
            certificate_lifetime: crate::ca::LIFETIME,
            throttle: Some(DOCUMENTED),
            ca: CaSource::Own,
            allow_authorization_extensions: false,
            puppet_ca: CaPolicy::default(),
            tls_listen: None,
            puppet_listen: None,
            chef_listen: None,
            validator_key: None,
            access_key: None,
            secret_key: None,
            region: None,
            denied: BTreeSet::new(),
            faults: Vec::new(),
            seed: None,
            clock_offset: 0,
            instance: Instance::default(),
            role: None,
            imds: Answering::Service,
            no_imds: false,
            log: false,
            hosts: Vec::new(),
            state: None,
            read_timeout: Duration::from_secs(20),
        }
    }
}

impl Options {
    /// The servers, each with its endpoint.
    pub(crate) fn servers(&self) -> Vec<ServerSpec> {
        let mut servers = self.servers.clone();
        if servers.is_empty() {
            servers.push(ServerSpec::new(DEFAULT_SERVER));
        }
        for server in &mut servers {
            server.endpoint = server.endpoint.take().or_else(|| self.endpoint.clone());
        }
        servers
    }

    /// The stacks.
    pub(crate) fn stacks(&self) -> Vec<StackSpec> {
        match self.stacks.as_slice() {
            [] => vec![StackSpec::default()],
            stacks => stacks.to_vec(),
        }
    }

    /// The region that clients are told.
    pub(crate) fn client_region(&self) -> &str {
        self.region.as_deref().unwrap_or(&self.instance.region)
    }
}
