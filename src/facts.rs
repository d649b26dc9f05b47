//! The facts: what the node knows of itself. Pure data, which `host::facts` gathers.

pub mod host_name;
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
    /// The first label of the kernel's host name.
    pub hostname: String,
    /// Host name and domain. The same as `hostname` where no domain is known.
    pub fqdn: String,
    /// The addresses of all interfaces but loopback.
    pub addresses: Vec<Address>,
    /// The IPv4 addresses by which others reach this node, chosen from `addresses` ([`network::choose`]).
    pub private_ip: Option<Ipv4Addr>,
    pub public_ip: Option<Ipv4Addr>,
    pub platform: Platform,
    /// `/etc/machine-id`, 32 hexadecimal digits. None at the first boot and in an image.
    pub machine_id: Option<String>,
    /// The firmware's id of this machine (SMBIOS). None where it has none or it can't be read.
    pub product_uuid: Option<String>,
    /// The EC2 instance id in the firmware (the asset tag of Nitro instances). None elsewhere.
    pub firmware_instance_id: Option<String>,
    /// None where this is not an EC2 instance.
    pub ec2: Option<Ec2>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Platform {
    /// `ID` of os-release: `debian`, `amzn`.
    pub os: String,
    /// `VERSION_ID` of os-release.
    pub version: String,
    /// The kernel's name: `x86_64`, `aarch64`.
    pub architecture: String,
    pub kernel: String,
}

/// The facts from the EC2 instance metadata service (IMDSv2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ec2 {
    pub instance_id: String,
    pub image_id: Option<String>,
    pub region: Option<String>,
    pub zone: Option<String>,
    pub account: Option<String>,
    pub private_ip: Option<String>,
    pub public_ip: Option<String>,
    /// The instance's tags. Empty unless tags in metadata are enabled.
    pub tags: BTreeMap<String, String>,
    /// The tags whose value is a secret, such as `pp_preshared_key`.
    #[serde(skip)]
    pub secret_tags: BTreeMap<String, Secret>,
    pub identity: InstanceIdentity,
}

/// The instance identity document and its signature, byte for byte as the metadata service returned
/// them. RegisterInstance sends them, and the authority verifies the signature of these bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InstanceIdentity {
    pub document: String,
    pub signature: Option<String>,
}

impl Facts {
    #[must_use]
    pub fn machine(&self) -> MachineIdentity {
        MachineIdentity {
            // The firmware's id comes first: it can be read without the metadata service.
            instance_id: self
                .firmware_instance_id
                .clone()
                .or_else(|| self.ec2.as_ref().map(|ec2| ec2.instance_id.clone())),
            machine_id: self.machine_id.clone(),
            product_uuid: self.product_uuid.clone(),
        }
    }
}
