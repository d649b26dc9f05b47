//! What the node knows of itself. Pure data; `host::facts` gathers it.

pub mod machine;
pub mod network;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::secret::Secret;
pub use machine::MachineIdentity;
pub use network::Address;

/// Names, addresses, platform and instance identity of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The host name as the kernel has it, its first label only.
    pub hostname: String,
    /// Host name and domain; the same as `hostname` where no domain is known.
    pub fqdn: String,
    /// Addresses of the interfaces that are not loopback.
    pub addresses: Vec<Address>,
    /// The IPv4 addresses by which others reach this node, chosen from these: the interface with
    /// the default route comes first ([`network::choose`]).
    pub private_ip: Option<Ipv4Addr>,
    pub public_ip: Option<Ipv4Addr>,
    pub platform: Platform,
    /// `/etc/machine-id`, 32 hexadecimal digits; none at a first boot or in an image.
    pub machine_id: Option<String>,
    /// The firmware's own id of this machine (SMBIOS); none where it says none, or not to us.
    pub product_uuid: Option<String>,
    /// The EC2 instance id that the firmware has (Nitro's asset tag); none elsewhere.
    pub firmware_instance_id: Option<String>,
    /// None where this is no EC2 instance.
    pub ec2: Option<Ec2>,
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

impl Facts {
    #[must_use]
    pub fn machine(&self) -> MachineIdentity {
        MachineIdentity {
            // The firmware's can be read without the metadata service, at any time.
            instance_id: self
                .firmware_instance_id
                .clone()
                .or_else(|| self.ec2.as_ref().map(|ec2| ec2.instance_id.clone())),
            machine_id: self.machine_id.clone(),
            product_uuid: self.product_uuid.clone(),
        }
    }
}
