//! Puppet: the files that its agent needs, and the certificate request for its CA.
//!
//! Source: Puppet's documentation, "SSL directory (ssldir)".

pub mod agent_settings;
pub mod conf;
pub mod csr;
pub mod csr_attributes;
mod install;
pub mod proxy;
pub mod psych;
pub mod reading;
pub mod service;
pub mod unit;
pub mod variables;
mod version;
mod yaml;

use std::collections::BTreeMap;
use std::error::Error;

use serde::{Deserialize, Serialize};

use super::{
    Action, Authority, Bundle, EarlyKey, Engine, EngineRecord, Grant, Installation, Installed,
    KeySpec, NodeContext, Observed, Place, Proof, Requested, RequiredSettings, Wanted, invariant,
    node,
};
use crate::fault::{Fault, Kind};
use crate::pki::authority;
use crate::pki::certificate::{self, CertificateError, Expectation};
use crate::pki::crl::{self, CrlError, Revocation};
use crate::pki::{CaBundle, name};
use crate::secret::Secret;
use agent_settings::Expected;

/// The account that owns Puppet's files, where it exists.
pub const OWNER: Option<&str> = Some("puppet");

/// The directories of its packages that the systemd units allow enlist to write.
pub const WRITABLE: [&str; 5] = [
    "/etc/puppet",
    "/var/lib/puppet",
    "/var/cache/puppet",
    "/etc/puppetlabs/puppet",
    "/opt/puppetlabs/puppet/cache",
];

/// The content of `agent_disabled.lock` during a join. By it enlist knows the file as its own.
const HELD: &str = "{\"disabled_message\":\"enlist has not joined this node yet; it removes this file once it has\"}";

/// The unit of the agent, of Puppet's own packages and of distributions.
const UNIT: &str = "puppet.service";

/// The `[puppet]` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Puppet {
    pub ssldir: Option<String>,
    pub confdir: Option<String>,
    pub statedir: Option<String>,
    /// 2048, 3072 or 4096.
    pub key_bits: u32,
    /// Short name or dotted OID, and value. Checked with the settings.
    pub extension_requests: BTreeMap<String, Secret>,
    /// Instance tags with this prefix become extension requests. Empty: none do.
    pub tag_prefix: String,
    /// The agent's environment. None: the server decides.
    pub environment: Option<String>,
    /// Whether the agent is run once after the join.
    pub run: bool,
    /// The path of Puppet's program. None: it is looked for in the usual directories.
    pub program: Option<String>,
}

/// What the settings say about Puppet's directories. The rest is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PuppetWanted {
    pub confdir: Option<String>,
    pub ssldir: Option<String>,
    pub statedir: Option<String>,
    /// Puppet's program.
    pub program: Option<String>,
    /// The directories in the record. Where they are known, Puppet is not asked.
    pub known: Option<Box<PuppetSite>>,
}

/// Where Puppet keeps its files on this node, without the `--root` prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PuppetSite {
    pub confdir: String,
    pub ssldir: String,
    pub statedir: String,
    /// The source: `settings`, `puppet config print`, `Debian's layout`, `the vendor's layout`.
    pub said_by: String,
    /// Puppet's program, where the settings give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The file that disables the agent, where it is not `agent_disabled.lock` in the statedir.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// The path of `csr_attributes.yaml`, where it is not in the confdir.
    #[serde(skip)]
    pub csr_attributes_path: Option<String>,
    /// Puppet's error message, where it can't read its settings and ignores them.
    #[serde(skip)]
    pub complaint: Option<String>,
    /// The installed version, where a file says it.
    #[serde(skip)]
    pub version: Option<String>,
    /// Which revocation lists the agent needs, by `puppet.conf`.
    #[serde(skip)]
    pub revocation: Revocation,
    /// The file that names the site's own OIDs: its path and its text.
    #[serde(skip)]
    pub oid_mapping: Option<(String, String)>,
    /// The text of `csr_attributes.yaml`, where it exists. Never stored, because it may contain a
    /// challenge password.
    #[serde(skip)]
    pub csr_attributes: Option<Secret>,
    /// A file that is needed for the certificate request and can't be read, and the reason.
    #[serde(skip)]
    pub unread: Option<(String, String)>,
}

impl PuppetSite {
    /// The part that the record holds.
    #[must_use]
    pub fn recorded(&self) -> Self {
        Self {
            csr_attributes: None,
            csr_attributes_path: None,
            complaint: None,
            version: None,
            oid_mapping: None,
            ..self.clone()
        }
    }
}

impl Engine for Puppet {
    fn wanted(&self, recorded: &EngineRecord) -> Wanted {
        let puppet = PuppetWanted {
            confdir: self.confdir.clone(),
            ssldir: self.ssldir.clone(),
            statedir: self.statedir.clone(),
            program: self.program.clone(),
            known: recorded.puppet.clone().map(Box::new),
        };
        Wanted { puppet: Some(puppet), ..Wanted::default() }
    }

    fn early_key(&self, state_dir: &str) -> Option<EarlyKey> {
        Some(EarlyKey { bits: self.key_bits, staged: node::staged_key(state_dir), at: None })
    }

    fn directories(&self, observed: &Observed) -> Vec<Place> {
        observed.puppet.iter().flat_map(install::directories_of).collect()
    }

    fn requested(&self, node: &NodeContext<'_>) -> Result<Vec<Requested>, Fault> {
        csr::requested(self, node.facts, site(node)?)
    }

    fn check(&self, _: &Observed, name: &str) -> Result<(), Fault> {
        self.check_name(name)
    }

    fn check_name(&self, name: &str) -> Result<(), Fault> {
        name::check_certname(name).map_err(|error| {
            let todo = "set node.name, for example to \"{instance_id}\" or \"{fqdn}\"";
            let on = format!("{name:?}, for Puppet");
            Fault::new(Kind::Config, "the node's name can't be used", on, todo).because(&error)
        })
    }

    fn planned(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let site = node.observed.puppet.as_ref()?;
        let Authority::Puppet { endpoint, ca, crl } = node.authority else { return None };
        let contents = install::Contents {
            endpoint,
            ca,
            crl: crl.as_deref(),
            name: node.name,
            certificate: "",
            csr: "",
            staged_key: "",
        };
        Some(install::install(self, site, &contents))
    }

    fn hold(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let site = node.observed.puppet.as_ref()?;
        let Authority::Puppet { endpoint, .. } = node.authority else { return None };
        let mut hold = install::hold(site);
        let required = RequiredSettings::Puppet(Box::new(self.expected(site, node.name, endpoint)));
        hold.check_first(&self.planned(node)?, Some(required));
        Some(hold)
    }

    fn held_by(&self, recorded: &EngineRecord) -> Option<(String, &'static str)> {
        recorded.puppet.as_ref().map(held_by)
    }

    fn key(&self, node: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        let site = site(node)?;
        let auto_renew = node.additions.auto_renew && node.will_renew;
        let mut plan = csr::csr(self, node.facts, site, node.name, auto_renew)?;
        // As Puppet's agent does it: the node's own name is one of them.
        let asked = &node.additions.dns_names;
        let own = (!asked.is_empty() && !asked.iter().any(|name| name == node.name))
            .then(|| node.name.to_owned());
        plan.spec.dns_names = own.into_iter().chain(asked.iter().cloned()).collect();
        let proof = node.additions.proof;
        if proof == Proof::InstanceIdentity {
            csr::add_identity(&mut plan.spec, node.facts)?;
        }
        let spec = KeySpec::plain(node, key_place(site, node.name), self.key_bits);
        let csr_advice = "check extension_requests in [puppet] and csr_attributes.yaml";
        let challenge_password = node.additions.challenge_password.clone();
        let (csr, notes) = (Some(plan.spec), plan.notes);
        Ok(Some(KeySpec { csr, challenge_password, proof, csr_advice, notes, ..spec }))
    }

    fn install(
        &self,
        node: &NodeContext<'_>,
        grant: &Grant,
        _: Option<&Secret>,
    ) -> Result<Installation, Fault> {
        let (Authority::Puppet { endpoint, ca, crl }, Grant::Certificate { pem, .. }) =
            (node.authority, grant)
        else {
            return Err(invariant("Puppet needs a Puppet server and the grant of a certificate"));
        };
        // The request as the authority got it had a secret, whether or not this start read it.
        let csr = if node.additions.are_secret() { "" } else { node.key()?.csr()? };
        let contents = install::Contents {
            endpoint,
            ca,
            crl: crl.as_deref(),
            name: node.name,
            certificate: pem,
            csr,
            staged_key: &node.staged_key(),
        };
        Ok(Installation::Bundle(install::install(self, site(node)?, &contents)))
    }

    fn clear(&self, installed: &[Installed], recorded: &EngineRecord, state_dir: &str) -> Bundle {
        let Some(site) = &recorded.puppet else { return Bundle::default() };
        let mut bundle = install::clear(installed, site);
        // The saved answers of Puppet, beside the record.
        bundle.actions.push(Action::RemoveWithBackup { path: format!("{state_dir}/puppet.json") });
        bundle
    }
}

impl Puppet {
    /// The settings that the agent must use.
    #[must_use]
    pub fn expected(&self, site: &PuppetSite, name: &str, endpoint: &str) -> Expected {
        Expected {
            site: site.clone(),
            endpoint: endpoint.to_owned(),
            name: name.to_owned(),
            environment: self.environment.clone(),
        }
    }
}

/// Checks a certificate that the authority returned: it must be for the node's key and name, signed by
/// the authority's CA, not revoked where its lists are known, and valid at this time (Unix seconds).
///
/// # Errors
/// `Data`, with the certificate as evidence. `who` names the authority.
pub fn accept(
    node: &NodeContext<'_>,
    certificate: &str,
    unix: i64,
    who: &str,
) -> Result<Grant, Fault> {
    let refused = |error: &CertificateError| {
        let fault = unacceptable(node, certificate, who, error);
        if error.is_about_time() { fault.about_time() } else { fault }
    };
    let ca = CaBundle::from_pem(node.authority.ca().unwrap_or_default());
    let ca = ca.map_err(|error| refused(&error))?;
    let expected = Expectation { key: &node.key()?.public, name: node.name, ca: &ca, now: unix };
    let checked = certificate::check(certificate, &expected).map_err(|error| refused(&error))?;
    if let Some(lists) = node.authority.crl() {
        let revocation = node.observed.revocation();
        crl::check(&checked, &ca, lists, revocation, unix).map_err(|error| match error {
            CrlError::Revoked => {
                let todo = format!(
                    "run `puppetserver ca clean --certname {}` on the server, then `enlist join`",
                    node.name
                );
                refused_with(node, who, todo)
                    .because(&error)
                    .with_evidence("certificate", certificate)
            }
            error => unusable_lists(node, lists, who, &error),
        })?;
        // They may have expired since they were fetched.
        authority::check(&ca, lists, revocation, unix)
            .or_else(|error| if error.is_of_list() { Err(error) } else { Ok(()) })
            .map_err(|error| unusable_lists(node, lists, who, &error))?;
    }
    Ok(Grant::Certificate {
        pem: checked.pem,
        serial: checked.serial,
        not_after: checked.not_after,
    })
}

/// [`refused`] with its cause, and with the certificate as evidence.
#[must_use]
pub fn unacceptable(
    node: &NodeContext<'_>,
    certificate: &str,
    who: &str,
    error: &(dyn Error + 'static),
) -> Fault {
    refused(node, who).because(error).with_evidence("certificate", certificate)
}

/// The fault where the lists are, not the certificate.
fn unusable_lists(
    node: &NodeContext<'_>,
    lists: &str,
    who: &str,
    error: &(dyn Error + 'static),
) -> Fault {
    let what = "the CA's revocation lists can't be used, and nothing was installed";
    let todo = "have the server give a valid list of each CA up to the root; then the same command again, which fetches them anew";
    Fault::new(Kind::Data, what, format!("node {}, {who}", node.name), todo)
        .because(error)
        .with_evidence("crl", lists)
}

/// The fault where the returned certificate is not acceptable.
#[must_use]
pub fn refused(node: &NodeContext<'_>, who: &str) -> Fault {
    let todo = format!(
        "compare the certificate in {}/evidence with the server's CA and with this node's key",
        node.state_dir
    );
    refused_with(node, who, todo)
}

fn refused_with(node: &NodeContext<'_>, who: &str, todo: String) -> Fault {
    let what = "the returned certificate was refused, and nothing was installed";
    Fault::new(Kind::Data, what, format!("node {}, {who}", node.name), todo)
}

/// Where the private key of the node `name` is installed.
#[must_use]
pub fn key_place(site: &PuppetSite, name: &str) -> Place {
    place(&format!("{}/private_keys/{name}.pem", site.ssldir), 0o640)
}

/// The file that holds the agent, and the content by which enlist knows its own.
#[must_use]
pub fn held_by(site: &PuppetSite) -> (String, &'static str) {
    (site.lock.clone().unwrap_or_else(|| format!("{}/agent_disabled.lock", site.statedir)), HELD)
}

/// Lets the agent run again as it did before.
#[must_use]
pub fn release(site: &PuppetSite) -> Bundle {
    Bundle::of(vec![install::release_lock(site)])
}

fn site<'a>(node: &NodeContext<'a>) -> Result<&'a PuppetSite, Fault> {
    let site = node.observed.puppet.as_ref();
    site.ok_or_else(|| invariant("Puppet's directories were not looked for"))
}

fn place(path: &str, mode: u32) -> Place {
    Place { path: path.to_owned(), mode, owner: OWNER }
}
