//! Gathers what the node knows of itself.

use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::time::Duration;

use sysinfo::System;

use super::imds;
use super::process::{self, Reach};
use super::root::Root;
use super::{files, names, network};
use crate::engine::opsworks_agent;
use crate::facts::{Ec2, Facts, Machine, OpsworksSite, Platform, PuppetSite};
use crate::secret::Secret;
use crate::target::SiteInquiry;

/// `puppet config print` starts a Ruby: a second, several on a machine that is still booting.
const PUPPET_LIMIT: Duration = Duration::from_secs(30);

/// A settings file larger than this is no `csr_attributes.yaml`.
const LARGEST_CSR_ATTRIBUTES: u64 = 64 * 1024;

/// Names, addresses and platform, with what others found out already.
#[must_use]
pub fn gather(root: &Root, ec2: Option<Ec2>, puppet: Option<PuppetSite>) -> Facts {
    let (hostname, fqdn) = names::of(root);
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
        puppet,
        ssm: None,
        opsworks: None,
    }
}

/// The ids that can be read here, without asking anybody.
#[must_use]
pub fn machine(root: &Root) -> Machine {
    Machine {
        instance_id: imds::instance_id(root),
        machine_id: machine_id(root),
        product_uuid: root.line("/sys/class/dmi/id/product_uuid"),
    }
}

/// Where Puppet keeps its things: the settings, else what an installed Puppet says, else its
/// packagers' layouts.
pub async fn puppet_site(root: &Root, inquiry: Option<SiteInquiry>) -> Option<PuppetSite> {
    let inquiry = inquiry?;
    let mut site = match inquiry.known {
        Some(known) => known,
        None => match (&inquiry.confdir, &inquiry.ssldir, &inquiry.statedir) {
            (Some(_), Some(_), Some(_)) => packaged(root),
            _ => printed(root).await.unwrap_or_else(|| packaged(root)),
        },
    };
    let told = [
        (inquiry.confdir, &mut site.confdir),
        (inquiry.ssldir, &mut site.ssldir),
        (inquiry.statedir, &mut site.statedir),
    ];
    for (setting, place) in told {
        if let Some(setting) = setting {
            *place = setting;
            site.said_by = "settings".to_owned();
        }
    }
    site.csr_attributes = csr_attributes(root, &site.confdir);
    Some(site)
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

/// What the OpsWorks agent's file says of this node's registration.
#[must_use]
pub fn opsworks_site(root: &Root) -> Option<OpsworksSite> {
    // There is a private key in it.
    let text = zeroize::Zeroizing::new(root.text(&opsworks_agent::agent_file().path)?);
    Some(opsworks_agent::read(&text))
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

async fn printed(root: &Root) -> Option<PuppetSite> {
    if !root.is_running_system() {
        return None;
    }
    let arguments = ["config", "print", "confdir", "ssldir", "statedir"];
    // The vendor's packages are not on everybody's PATH.
    for program in ["puppet", "/opt/puppetlabs/bin/puppet"] {
        match process::run(program, &arguments, PUPPET_LIMIT, Reach::Local).await {
            Ok(ended) if ended.code == Some(0) => return parse_printed(&ended.stdout),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(ended) => tracing::warn!(code = ended.code, "puppet config print failed"),
            Err(error) => tracing::warn!(%error, "puppet config print failed"),
        }
    }
    None
}

fn parse_printed(text: &str) -> Option<PuppetSite> {
    let value = |name: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        line.map(|value| value.trim().to_owned()).filter(|value| value.starts_with('/'))
    };
    Some(PuppetSite {
        confdir: value("confdir")?,
        ssldir: value("ssldir")?,
        statedir: value("statedir")?,
        said_by: "puppet config print".to_owned(),
        csr_attributes: None,
    })
}

/// Debian's layout where its directory stands and the vendor's does not, else the vendor's.
pub(super) fn packaged(root: &Root) -> PuppetSite {
    let is_debian =
        files::is_directory(root, "/etc/puppet") && !files::is_directory(root, "/etc/puppetlabs");
    let (confdir, ssldir, statedir, said_by) = if is_debian {
        ("/etc/puppet", "/var/lib/puppet/ssl", "/var/cache/puppet/state", "Debian's layout")
    } else {
        (
            "/etc/puppetlabs/puppet",
            "/etc/puppetlabs/puppet/ssl",
            "/opt/puppetlabs/puppet/cache/state",
            "the vendor's layout",
        )
    };
    PuppetSite {
        confdir: confdir.to_owned(),
        ssldir: ssldir.to_owned(),
        statedir: statedir.to_owned(),
        said_by: said_by.to_owned(),
        csr_attributes: None,
    }
}

fn csr_attributes(root: &Root, confdir: &str) -> Option<Secret> {
    let path = format!("{confdir}/csr_attributes.yaml");
    match files::read_text(root, &path, LARGEST_CSR_ATTRIBUTES) {
        Ok(text) => Some(Secret::new(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = root.shown(&path), %error, "csr_attributes.yaml can't be read");
            // Not silently without it: the core refuses what is not a map.
            Some(Secret::new("unreadable".to_owned()))
        }
    }
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
