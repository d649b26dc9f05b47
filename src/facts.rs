//! What the node knows of itself. Pure data; `host::facts` gathers it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Names, addresses, platform and instance identity of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The host name as the kernel has it, its first label only.
    pub hostname: String,
    /// Host name and domain; the same as `hostname` where no domain is known.
    pub fqdn: String,
    /// Addresses of the interfaces that are not loopback.
    pub addresses: Vec<Address>,
    pub platform: Platform,
    /// `/etc/machine-id`, 32 hexadecimal digits; none at a first boot or in an image.
    pub machine_id: Option<String>,
    /// The firmware's own id of this machine (SMBIOS); none where it says none, or not to us.
    pub product_uuid: Option<String>,
    /// None where this is no EC2 instance.
    pub ec2: Option<Ec2>,
    /// None where no target manages this node with Puppet.
    pub puppet: Option<PuppetSite>,
    /// None where no target manages this node with Systems Manager.
    pub ssm: Option<SsmSite>,
}

/// The Systems Manager agent on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SsmSite {
    /// The agent's program; none where it is not installed.
    pub agent: Option<String>,
    /// The `mi-` (or `i-`) id in its vault.
    pub instance: Option<String>,
    /// The activation id in the file that a hand-over to a file leaves.
    pub handed_over: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    pub interface: String,
    pub address: IpAddr,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Platform {
    /// `ID` of os-release: `debian`, `amzn`.
    pub os: String,
    /// `VERSION_ID` of os-release.
    pub version: String,
    /// As Rust and the kernel call it: `x86_64`, `aarch64`.
    pub architecture: String,
    pub kernel: String,
}

/// What the EC2 instance metadata service says (IMDSv2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ec2 {
    pub instance_id: String,
    pub image_id: Option<String>,
    pub region: Option<String>,
    pub zone: Option<String>,
    pub account: Option<String>,
    pub private_ip: Option<String>,
    pub public_ip: Option<String>,
    /// The instance's tags; empty unless tags in metadata are enabled.
    pub tags: BTreeMap<String, String>,
    /// Those whose value is a secret, such as `pp_preshared_key`.
    #[serde(skip)]
    pub secret_tags: BTreeMap<String, Secret>,
    pub identity: InstanceIdentity,
}

/// The instance identity document and its signature, byte for byte as served: RegisterInstance
/// passes them on, and the authority verifies the signature over these very bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InstanceIdentity {
    pub document: String,
    pub signature: Option<String>,
}

/// Where Puppet keeps its things on this node, without the `--root` prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PuppetSite {
    pub confdir: String,
    pub ssldir: String,
    pub statedir: String,
    /// Who said so: `settings`, `puppet config print`, `Debian's layout`, `the vendor's layout`.
    pub said_by: String,
    /// The text of `csr_attributes.yaml`, where there is one. Never stored: it may hold a
    /// challenge password.
    #[serde(skip)]
    pub csr_attributes: Option<Secret>,
}

/// Which machine this is, for binding a record to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub instance_id: Option<String>,
    pub machine_id: Option<String>,
    #[serde(default)]
    pub product_uuid: Option<String>,
}

impl Facts {
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine {
            instance_id: self.ec2.as_ref().map(|ec2| ec2.instance_id.clone()),
            machine_id: self.machine_id.clone(),
            product_uuid: self.product_uuid.clone(),
        }
    }

    /// The id under which the Systems Manager agent is registered.
    #[must_use]
    pub fn ssm_instance(&self) -> Option<&str> {
        self.ssm.as_ref()?.instance.as_deref()
    }
}

impl Machine {
    /// Whether both are the same machine: by instance id where both have one, else by
    /// machine-id, else (at a first boot there is none yet) by what the firmware says. Where
    /// nothing can be compared, nothing says that they differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        // The same disk, started on EC2 and elsewhere, is two machines, unless the machine-id
        // vouches for it (metadata switched on or off later).
        if let (Some(a), Some(b)) = (&self.instance_id, &other.instance_id) {
            return a == b;
        }
        if let (Some(a), Some(b)) = (&self.machine_id, &other.machine_id) {
            return a == b;
        }
        match (&self.product_uuid, &other.product_uuid) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        }
    }

    /// Takes in what was not known of this machine before.
    pub fn complete(&mut self, seen: &Self) {
        for (known, seen) in [
            (&mut self.instance_id, &seen.instance_id),
            (&mut self.machine_id, &seen.machine_id),
            (&mut self.product_uuid, &seen.product_uuid),
        ] {
            if known.is_none() {
                known.clone_from(seen);
            }
        }
    }
}
