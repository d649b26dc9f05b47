//! The options that both commands share.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use enlist_emulator::control::{
    DOCUMENTED, Fault, Rate, ServerSpec, Span, StackSpec, Target, Times,
};
use enlist_emulator::imds::{Answering, Instance};
use enlist_emulator::{CaSource, Options};

use super::endpoint_arguments::EndpointArguments;
use super::seed_file::{self, SeedFileError};

#[derive(Args)]
#[command(next_help_heading = "Control plane")]
pub struct Arguments {
    /// A server of the account: name=NAME, and after commas engine=Puppet|Chef, status=STATUS,
    /// healthy-after=SECONDS, endpoint=HOST, organization=NAME (Chef's, beside default) [default: a healthy Puppet server puppet-test]
    #[arg(long = "server", value_name = "SPEC")]
    servers: Vec<ServerSpec>,
    /// What the account holds at the start, in TOML: servers with nodes, stacks, roles; beside what
    /// the options say
    #[arg(long, value_name = "FILE")]
    seed_file: Option<PathBuf>,
    /// Keep the account, its CA and its keys in this file, across restarts. What servers, stacks and
    /// nodes there are from the start is then asked of the options at the first start only
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Endpoint of servers that name none [default: NAME.example]
    #[arg(long, value_name = "HOST")]
    endpoint: Option<String>,
    /// A stack of the account: id=UUID, name=NAME, region=REGION, vpc=VPC,
    /// unique-hostnames=true|false, fingerprints=true|false, layer=SHORTNAME[:TYPE] (as often as
    /// there are any; one custom layer by default), separated by commas, each of them optional [default: one stack
    /// 2f18b4cb-4de5-4429-a149-ff7da9f0d8ee]
    #[arg(long = "stack", value_name = "SPEC")]
    stacks: Vec<StackSpec>,
    /// How long an instance is registering before it is registered
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    registration_time: Duration,
    /// How long an instance that is assigned to a layer is in running_setup
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    setup_time: Duration,
    /// A role that Systems Manager can give to nodes [default: any]
    #[arg(long = "ssm-role", value_name = "NAME")]
    ssm_roles: Vec<String>,
    /// A parameter that can be read from Systems Manager, a SecureString
    #[arg(long = "ssm-parameter", value_name = "NAME=VALUE", value_parser = pair)]
    ssm_parameters: Vec<(String, String)>,
    /// How long an association is IN_PROGRESS
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    association_time: Duration,
    /// How long a disassociation is IN_PROGRESS
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    disassociation_time: Duration,
    /// How long a NodeAssociationStatusToken can be asked for
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    token_lifetime: Duration,
    /// How long certificates are good for [default: five years]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    certificate_lifetime: Option<Duration>,
    /// Requests per second and burst of the account, for each service, or off [default: 5/10]
    #[arg(long, value_name = "RATE/BURST|off", value_parser = throttle)]
    throttle: Option<Throttle>,
    /// The CA of the Puppet servers: bundle of certificates in PEM, such as a Puppet Server's
    /// ca_crt.pem [default: one made at the start]
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_cert: Option<PathBuf>,
    /// The private key of one certificate of the bundle, such as ca_key.pem
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    ca_key: Option<PathBuf>,
    /// Sign requests with authorization extensions (pp_authorization, pp_auth_role...)
    #[arg(long)]
    allow_authorization_extensions: bool,
    #[command(flatten)]
    servers_answer: EndpointArguments,
    /// The access key that requests must be signed with [default: made for this run]
    #[arg(long, value_name = "KEY", requires = "secret_key")]
    access_key: Option<String>,
    /// Its secret key
    #[arg(long, value_name = "KEY", requires = "access_key")]
    secret_key: Option<String>,
    /// A name that requests may be for, beside addresses, localhost and AWS's own names
    #[arg(long = "allow-host", value_name = "NAME")]
    hosts: Vec<String>,
    /// An action that IAM refuses, such as AssociateNode or opsworks-cm:*
    #[arg(long = "deny", value_name = "ACTION", value_parser = denied)]
    denied: Vec<String>,
    /// A fault: ACTION=KIND[*COUNT][@FROM]. KIND is throttle, 500, 503, denied, lost-before,
    /// lost-reply, html, html-403, garbage, truncated, slow:SECONDS, redirect or invalid-state
    /// (which happen once unless COUNT says otherwise), or failed, cert:other-key,
    /// cert:other-name, cert:other-ca, cert:expired, cert:not-yet, cert:two, cert:not-pem or
    /// cert:none (which happen always; failed makes what an action starts end badly). COUNT is a
    /// number, or forever. ACTION is a name, SERVICE:NAME, SERVICE:*, * for every action of the API,
    /// or IMDS for every request for metadata
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// Make identifiers and serial numbers from this number [default: random]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How far the emulator's clock is ahead, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "0", allow_negative_numbers = true)]
    clock_offset: i64,
    #[command(flatten)]
    servers_do: ServerArguments,
    #[command(flatten)]
    instance: InstanceArguments,
}

/// What servers of OpsWorks CM do, and how long it takes.
#[derive(Args)]
#[command(next_help_heading = "Servers (SPAN: seconds such as 5 or 0.5, or calls such as 3calls)")]
struct ServerArguments {
    /// How long a server is CREATING
    #[arg(long, value_name = "SPAN", default_value = "0")]
    creation_time: Span,
    /// How long a server is BACKING_UP
    #[arg(long, value_name = "SPAN", default_value = "0")]
    backup_time: Span,
    /// How long a server is RESTORING
    #[arg(long, value_name = "SPAN", default_value = "0")]
    restore_time: Span,
    /// How long a server is UNDER_MAINTENANCE
    #[arg(long, value_name = "SPAN", default_value = "0")]
    maintenance_time: Span,
    /// How long a server is MODIFYING
    #[arg(long, value_name = "SPAN", default_value = "0")]
    update_time: Span,
    /// How long a server is DELETING
    #[arg(long, value_name = "SPAN", default_value = "0")]
    deletion_time: Span,
    /// How long a backup is DELETING
    #[arg(long, value_name = "SPAN", default_value = "0")]
    backup_deletion_time: Span,
    /// How many servers there can be before no more can be created
    #[arg(long, value_name = "NUMBER", default_value = "10")]
    server_limit: usize,
    /// How many manual backups there can be
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    backup_limit: usize,
}

impl ServerArguments {
    fn times(&self) -> Times {
        Times {
            creation: self.creation_time,
            backup: self.backup_time,
            restore: self.restore_time,
            maintenance: self.maintenance_time,
            update: self.update_time,
            deletion: self.deletion_time,
            backup_deletion: self.backup_deletion_time,
        }
    }
}

#[derive(Args)]
#[command(next_help_heading = "Instance")]
struct InstanceArguments {
    /// The region, in the metadata and of requests [default: us-east-1, and requests for any]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The availability zone [default: the region's a]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The account [default: 123456789012]
    #[arg(long, value_name = "DIGITS", value_parser = account)]
    account: Option<String>,
    /// The instance's identifier [default: i-0123456789abcdef0]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// The image's identifier [default: ami-0123456789abcdef0]
    #[arg(long, value_name = "ID")]
    image: Option<String>,
    /// The private address [default: 10.0.0.17]
    #[arg(long, value_name = "ADDRESS")]
    private_ip: Option<Ipv4Addr>,
    /// The public address, or none [default: 203.0.113.17]
    #[arg(long, value_name = "ADDRESS|none", value_parser = public_ip)]
    public_ip: Option<PublicIp>,
    /// The private DNS name [default: EC2's, made from the address]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// A tag in the metadata [default: tags in metadata are not enabled]
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// The target lifecycle state, such as InService or Terminated [default: not in a group]
    #[arg(long, value_name = "STATE")]
    lifecycle_state: Option<String>,
    /// The role of the instance profile: credentials come from the metadata, not the environment
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// The metadata address answers like a captive portal: HTML for everything
    #[arg(long, conflicts_with = "no_imds")]
    not_ec2: bool,
    /// Nothing listens at the metadata address
    #[arg(long)]
    no_imds: bool,
}

#[derive(Clone, Copy)]
struct Throttle(Option<Rate>);

#[derive(Clone, Copy)]
struct PublicIp(Option<Ipv4Addr>);

impl Arguments {
    /// The emulator's options; addresses and logging are the command's to set.
    ///
    /// # Errors
    /// When the seed file cannot be used.
    pub fn options(mut self) -> Result<Options, SeedFileError> {
        let file = self.seed_file.take();
        let validator_key = self.servers_answer.validator_key.take();
        let mut options = self.without_file();
        if let Some(path) = validator_key {
            options.validator_key = Some(seed_file::public_key(&path)?);
        }
        if let Some(file) = file {
            seed_file::add(&file, &mut options)?;
        }
        Ok(options)
    }

    fn without_file(self) -> Options {
        let ca = match (self.ca_cert, self.ca_key) {
            (Some(certificates), Some(key)) => CaSource::Files { certificates, key },
            _ => CaSource::Own,
        };
        let portal = self.instance.not_ec2;
        Options {
            servers: self.servers,
            endpoint: self.endpoint,
            stacks: self.stacks,
            registration_time: self.registration_time,
            setup_time: self.setup_time,
            ssm_roles: Some(self.ssm_roles)
                .filter(|roles| !roles.is_empty())
                .map(|roles| roles.into_iter().collect()),
            ssm_parameters: self.ssm_parameters.into_iter().collect(),
            association_time: self.association_time,
            disassociation_time: self.disassociation_time,
            times: self.servers_do.times(),
            server_limit: self.servers_do.server_limit,
            backup_limit: self.servers_do.backup_limit,
            token_lifetime: self.token_lifetime,
            certificate_lifetime: self
                .certificate_lifetime
                .unwrap_or(enlist_emulator::ca::LIFETIME),
            throttle: self.throttle.map_or(Some(DOCUMENTED), |Throttle(rate)| rate),
            ca,
            allow_authorization_extensions: self.allow_authorization_extensions,
            puppet_ca: self.servers_answer.policy(
                self.allow_authorization_extensions,
                self.certificate_lifetime.unwrap_or(enlist_emulator::ca::LIFETIME),
            ),
            tls_listen: self.servers_answer.tls_listen,
            puppet_listen: self.servers_answer.puppet_listen,
            chef_listen: self.servers_answer.chef_listen,
            access_key: self.access_key,
            secret_key: self.secret_key,
            region: self.instance.region.clone(),
            hosts: self.hosts,
            state: self.state,
            denied: self.denied.into_iter().collect(),
            faults: self.faults,
            seed: self.seed,
            clock_offset: self.clock_offset,
            role: self.instance.role.clone(),
            imds: if portal { Answering::Portal } else { Answering::Service },
            no_imds: self.instance.no_imds,
            instance: self.instance.instance(),
            ..Options::default()
        }
    }
}

impl InstanceArguments {
    fn instance(self) -> Instance {
        let usual = Instance::default();
        Instance {
            id: self.instance_id.unwrap_or(usual.id),
            image: self.image.unwrap_or(usual.image),
            region: self.region.unwrap_or(usual.region),
            zone: self.zone,
            account: self.account.unwrap_or(usual.account),
            private_ip: self.private_ip.unwrap_or(usual.private_ip),
            public_ip: self.public_ip.map_or(usual.public_ip, |PublicIp(address)| address),
            hostname: self.hostname,
            tags: Some(self.tags)
                .filter(|tags| !tags.is_empty())
                .map(|tags| tags.into_iter().collect()),
            target_lifecycle_state: self.lifecycle_state,
            ..Instance::default()
        }
    }
}

/// IAM knows nothing of the metadata service.
fn denied(text: &str) -> Result<String, String> {
    match Target::parse(text) {
        Ok(Target::Metadata) => Err("metadata is not given out by permission".to_owned()),
        Ok(target) if !target.is_permitted_by_iam() => {
            Err(format!("{text} is not an action that IAM knows"))
        }
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    number.ok_or_else(|| "write a number of seconds from 0, such as 5 or 0.5".to_owned())
}

fn throttle(text: &str) -> Result<Throttle, String> {
    match text {
        "off" => Ok(Throttle(None)),
        rate => rate.parse().map(|rate| Throttle(Some(rate))).map_err(|_| {
            "write RATE/BURST, both whole numbers from 1, such as 5/10, or off".to_owned()
        }),
    }
}

fn account(text: &str) -> Result<String, String> {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Ok(text.to_owned()) } else { Err("an account has twelve digits".to_owned()) }
}

fn public_ip(text: &str) -> Result<PublicIp, String> {
    match text {
        "none" => Ok(PublicIp(None)),
        address => address
            .parse()
            .map(|address| PublicIp(Some(address)))
            .map_err(|_| "write an IPv4 address, or none".to_owned()),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write KEY=VALUE".to_owned())
}
