//! Options for what answers at the endpoints of servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use enlist_emulator::control::{Autosign, CaPolicy};

/// What answers at the endpoints of servers.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
#[command(next_help_heading = "Endpoints over TLS")]
pub struct EndpointArguments {
    /// Where AWS's APIs answer over TLS as well; port 0 takes a free one [default: they do not]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub tls_listen: Option<SocketAddr>,
    /// Where the CA of Puppet servers answers; port 0 takes a free one [default: it does not]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub puppet_listen: Option<SocketAddr>,
    /// Where the API of Chef servers answers; port 0 takes a free one [default: it does not]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub chef_listen: Option<SocketAddr>,
    /// Which certificate requests are signed without a person: on, off, challenge=PASSWORD
    #[arg(long, value_name = "SWITCH", default_value = "off")]
    autosign: Autosign,
    /// Puppet's allow-auto-renewal: certificates can be renewed
    #[arg(long)]
    allow_auto_renewal: bool,
    /// Puppet's allow-subject-alt-names
    #[arg(long)]
    allow_subject_alt_names: bool,
    /// Puppet's allow-duplicate-certs
    #[arg(long)]
    allow_duplicate_certs: bool,
    /// Nodes may delete what the CA has of them: a rule that people add to auth.conf
    #[arg(long)]
    allow_self_delete: bool,
    /// X-Puppet-Version
    #[arg(long, value_name = "VERSION", default_value = "8.7.0")]
    puppet_version: String,
    /// The public key, in PEM, of the validators of Chef organizations [default: one is made when the
    /// admin API is asked for it]
    #[arg(long, value_name = "FILE")]
    pub validator_key: Option<PathBuf>,
}

impl EndpointArguments {
    /// How the CAs of Puppet servers behave.
    pub fn policy(&self, authorization_extensions: bool, lifetime: Duration) -> CaPolicy {
        CaPolicy {
            autosign: self.autosign.clone(),
            allow_auto_renewal: self.allow_auto_renewal,
            allow_subject_alt_names: self.allow_subject_alt_names,
            allow_duplicate_certs: self.allow_duplicate_certs,
            allow_authorization_extensions: authorization_extensions,
            self_delete: self.allow_self_delete,
            version: self.puppet_version.clone(),
            ttl: lifetime.as_secs(),
            ..CaPolicy::default()
        }
    }
}
