//! Gathers what the node knows of itself.

use std::hash::{Hash, Hasher};

use sysinfo::System;

use super::imds;
use super::root::Root;
use super::{host_name, network};
use crate::facts::{Ec2, Facts, MachineIdentity, Platform};

/// Names, addresses and platform, with what others found out already.
#[must_use]
pub fn gather(root: &Root, ec2: Option<Ec2>) -> Facts {
    let (hostname, fqdn) = host_name::read(root);
    let addresses = network::addresses();
    let (private_ip, public_ip) = network::choose(root, &addresses);
    let machine = machine(root);
    Facts {
        hostname,
        fqdn,
        addresses,
        private_ip,
        public_ip,
        platform: platform(root),
        machine_id: machine.machine_id,
        product_uuid: machine.product_uuid,
        firmware_instance_id: machine.instance_id,
        ec2,
    }
}

/// The ids that can be read here, without asking anybody.
#[must_use]
pub fn machine(root: &Root) -> MachineIdentity {
    MachineIdentity {
        instance_id: imds::instance_id(root),
        machine_id: machine_id(root),
        product_uuid: root.line("/sys/class/dmi/id/product_uuid"),
    }
}

/// The machine id (machine-id(5)): 32 lower-case hexadecimal digits. Empty or `uninitialized`
/// before first boot.
#[must_use]
pub fn machine_id(root: &Root) -> Option<String> {
    let id = root.line("/etc/machine-id")?;
    let is_id = id.len() == 32
        && id.bytes().all(|b| b.is_ascii_hexdigit())
        && id.bytes().any(|b| b != b'0');
    is_id.then_some(id)
}

/// Makes a seed from what tells this machine from others that booted with it.
#[must_use]
pub fn seed(root: &Root, word: &str) -> u64 {
    // Fixed keys: the same machine, the same jitter.
    #[expect(deprecated, reason = "SipHash with fixed keys is what is wanted")]
    let mut hasher = std::hash::SipHasher::new();
    word.hash(&mut hasher);
    machine_id(root).hash(&mut hasher);
    for name in ["board_asset_tag", "product_uuid"] {
        root.line(&format!("/sys/class/dmi/id/{name}")).hash(&mut hasher);
    }
    root.line("/proc/sys/kernel/random/boot_id").hash(&mut hasher);
    hasher.finish()
}

fn platform(root: &Root) -> Platform {
    let release = os_release(root).unwrap_or_default();
    let value = |key: &str| os_value(&release, key).unwrap_or_default();
    Platform {
        os: value("ID"),
        version: value("VERSION_ID"),
        architecture: System::cpu_arch(),
        kernel: System::kernel_version().unwrap_or_default(),
    }
}

/// The text of os-release(5).
pub(super) fn os_release(root: &Root) -> Option<String> {
    root.text("/etc/os-release").or_else(|| root.text("/usr/lib/os-release"))
}

pub(super) fn os_value(release: &str, key: &str) -> Option<String> {
    let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned())
}
