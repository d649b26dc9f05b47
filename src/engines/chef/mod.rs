//! Chef: the files below `/etc/chef` that `chef-client` needs.
//!
//! Source: Chef's documentation, "client.rb" and "chef-client (executable)".

pub mod block;
pub mod client_rb;
mod first_run;
mod ruby;
mod statement;
pub mod written;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Action, Authority, Bundle, EarlyKey, Engine, EngineRecord, Grant, Installation, Installed,
    Item, KeySpec, NodeContext, Observed, Place, RequiredSettings, Wanted, invariant, node,
};
use crate::fault::{Fault, Kind};
use crate::pki::CaBundle;
use crate::secret::Secret;
use first_run::first_run;

/// The directories of its packages that the systemd units allow enlist to write.
pub const WRITABLE: [&str; 2] = ["/etc/chef", "/etc/cinc"];

/// Chef, or its build without Chef's trademarks and licence.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Product {
    #[default]
    Chef,
    Cinc,
}

impl Product {
    fn confdir(self) -> &'static str {
        match self {
            Self::Chef => "/etc/chef",
            Self::Cinc => "/etc/cinc",
        }
    }

    /// The name of its program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Chef => "chef-client",
            Self::Cinc => "cinc-client",
        }
    }
}

/// Whether the product is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChefWanted {
    #[default]
    No,
    /// It is known: from the settings or the record.
    Known(Product),
    Find,
}

/// What `chef_license` may be (Chef's documentation, "Accepting the Chef License").
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::VariantNames, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum License {
    Accept,
    AcceptSilent,
    AcceptNoPersist,
}

/// The `[chef]` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chef {
    /// None: the one that is installed.
    pub product: Option<Product>,
    pub license: Option<License>,
    /// None: the product's.
    pub confdir: Option<String>,
    /// Whether the settings have a file of their own in client.d, and client.rb is not changed.
    pub client_d: bool,
    /// 2048, 3072 or 4096.
    pub key_bits: u32,
    pub organization: String,
    pub run_list: Vec<String>,
    pub environment: Option<String>,
    /// Policy name and group; instead of a run list.
    pub policy: Option<(String, String)>,
    /// Whether chef-client is run once after the join.
    pub run: bool,
    /// The path of chef-client. None: it is looked for in the usual directories.
    pub program: Option<String>,
}

impl Engine for Chef {
    fn early_key(&self, state_dir: &str) -> Option<EarlyKey> {
        // If another product is installed, the key that it has is used, and this one is dropped.
        let site = self.site(None);
        let (bits, staged) = (self.key_bits, node::staged_key(state_dir));
        Some(EarlyKey { bits, staged, at: Some(site.key_place().path) })
    }

    fn wanted(&self, recorded: &EngineRecord) -> Wanted {
        let known = self.product.or(recorded.chef);
        Wanted { chef: known.map_or(ChefWanted::Find, ChefWanted::Known), ..Wanted::default() }
    }

    fn directories(&self, observed: &Observed) -> Vec<Place> {
        vec![self.site(observed.chef).directory()]
    }

    fn planned(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let url = self.server_url(node.authority)?;
        let site = self.site(node.observed.chef);
        Some(install(&site, node, &url))
    }

    fn hold(&self, node: &NodeContext<'_>) -> Option<Bundle> {
        let url = self.server_url(node.authority)?;
        let (site, mut hold) = (self.site(node.observed.chef), Bundle::default());
        let later = install(&site, node, &url);
        hold.check_first(&later, Some(required(&site, node.name, &url)));
        Some(hold)
    }

    fn key(&self, node: &NodeContext<'_>) -> Result<Option<KeySpec>, Fault> {
        Ok(Some(KeySpec::plain(node, self.site(node.observed.chef).key_place(), self.key_bits)))
    }

    fn install(
        &self,
        node: &NodeContext<'_>,
        grant: &Grant,
        _: Option<&Secret>,
    ) -> Result<Installation, Fault> {
        let (Some(url), Grant::Client) = (self.server_url(node.authority), grant) else {
            return Err(invariant("Chef needs a Chef server and the grant of a client"));
        };
        let site = self.site(node.observed.chef);
        Ok(Installation::Bundle(install(&site, node, &url)))
    }

    fn clear(&self, installed: &[Installed], _: &EngineRecord, _: &str) -> Bundle {
        let action = |file: &Installed| match file.item {
            Item::Settings if !is_own_file(&file.path) => {
                Action::RemoveBlock { path: file.path.clone() }
            }
            _ => Action::RemoveWithBackup { path: file.path.clone() },
        };
        Bundle::of(installed.iter().map(action).collect())
    }
}

impl Chef {
    fn site(&self, observed: Option<Product>) -> Site<'_> {
        Site { settings: self, product: self.product.or(observed).unwrap_or_default() }
    }

    /// `chef_server_url`.
    fn server_url(&self, authority: &Authority) -> Option<String> {
        match authority {
            Authority::Chef { endpoint, .. } => {
                Some(format!("https://{endpoint}/organizations/{}", self.organization))
            }
            Authority::ChefServer { url, .. } => Some(url.clone()),
            _ => None,
        }
    }
}

/// The settings, with the product that they are for.
struct Site<'a> {
    settings: &'a Chef,
    product: Product,
}

impl Site<'_> {
    fn confdir(&self) -> &str {
        self.settings.confdir.as_deref().unwrap_or_else(|| self.product.confdir())
    }

    fn place(&self, name: &str, mode: u32) -> Place {
        let path = format!("{}/{name}", self.confdir());
        Place { path: path.trim_end_matches('/').to_owned(), mode, owner: None }
    }

    /// Where the client's private key is installed.
    fn key_place(&self) -> Place {
        self.place("client.pem", 0o600)
    }

    fn client_rb(&self) -> Place {
        self.place("client.rb", 0o644)
    }

    /// Writes the settings.
    fn settings_actions(&self, content: String) -> Vec<Action> {
        let item = Item::Settings;
        if !self.settings.client_d {
            return vec![Action::Block { item, at: self.client_rb(), content }];
        }
        let (at, content) = (self.place(OWN_FILE, 0o644), block::set("", &content));
        let directory = Action::Directory(self.place("client.d", 0o755));
        vec![directory, Action::File { item, at, content, outdates: Vec::new() }]
    }

    /// The product's own directory.
    fn directory(&self) -> Place {
        self.place("", 0o755)
    }
}

/// Installs key, CA, first-boot.json and client.rb.
fn install(site: &Site<'_>, node: &NodeContext<'_>, url: &str) -> Bundle {
    let replaces = node.former_key.map(str::to_owned);
    let mut actions = vec![
        Action::Directory(site.directory()),
        Action::Directory(site.place("trusted_certs", 0o755)),
        Action::Key { at: site.key_place(), from: node.staged_key(), replaces },
    ];
    // One file per certificate: Chef reads only the first certificate of a file (its source,
    // `http/ssl_policies.rb`).
    let ca = node.authority.ca().and_then(|ca| CaBundle::from_pem(ca).ok());
    let certificates = ca.map(|ca| ca.certificates());
    for (index, certificate) in certificates.into_iter().flatten().enumerate() {
        let name = match index {
            0 => "trusted_certs/enlist-ca.pem".to_owned(),
            _ => format!("trusted_certs/enlist-ca-{}.pem", index + 1),
        };
        actions.push(Action::File {
            item: Item::Ca,
            at: site.place(&name, 0o644),
            content: certificate,
            outdates: Vec::new(),
        });
    }
    actions.push(Action::File {
        item: Item::FirstBoot,
        at: site.place("first-boot.json", 0o644),
        content: first_boot(site.settings),
        outdates: Vec::new(),
    });
    // The settings come last, because chef-client can run once they are there.
    actions.extend(site.settings_actions(client_rb_lines(site, node.name, url)));
    actions.push(Action::ConfirmSettings(required(site, node.name, url)));
    Bundle { lock: None, actions, run: site.settings.run.then(|| first_run(site)) }
}

/// The settings that chef-client must use.
fn required(site: &Site<'_>, name: &str, url: &str) -> RequiredSettings {
    let client_rb = site.client_rb().path;
    let own = site.settings.client_d.then(|| site.place(OWN_FILE, 0o644).path);
    let file = own.unwrap_or_else(|| client_rb.clone());
    RequiredSettings::Chef { client_rb, file, content: client_rb_lines(site, name, url) }
}

/// The file of enlist's own that chef-client reads after client.rb, below the directory of client.rb.
const OWN_FILE: &str = "client.d/enlist.rb";

fn is_own_file(path: &str) -> bool {
    client_rb_of(path) != path
}

/// The client.rb that is read before this file, or the file itself.
#[must_use]
pub fn client_rb_of(path: &str) -> String {
    let confdir = path.strip_suffix(OWN_FILE).filter(|confdir| confdir.ends_with('/'));
    confdir.map_or_else(|| path.to_owned(), |confdir| format!("{confdir}client.rb"))
}

/// An organization's name: lower-case letters, digits, `-` and `_`, beginning with a letter or
/// digit, at most 255 characters (Chef Infra Server's documentation, "Organizations").
///
/// # Errors
/// `Config`, with the rule.
pub fn check_organization(name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let fits = name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain);
    if fits {
        return Ok(());
    }
    let todo = "use at most 255 lower-case letters, digits, - and _, with a letter or digit first";
    Err(Fault::new(
        Kind::Config,
        "this is not the name of a Chef organization",
        format!("{name:?}"),
        todo,
    ))
}

/// The lines of client.rb. It is Ruby, so every value is a quoted string.
fn client_rb_lines(site: &Site<'_>, name: &str, url: &str) -> String {
    let mut lines = vec![
        format!("chef_server_url {}", quoted(url)),
        format!("node_name {}", quoted(name)),
        format!("client_key {}", quoted(&site.key_place().path)),
        format!("trusted_certs_dir {}", quoted(&site.place("trusted_certs", 0o755).path)),
    ];
    let settings = site.settings;
    if let Some(license) = settings.license {
        lines.push(format!("chef_license {}", quoted(license.into())));
    }
    if let Some((name, group)) = &settings.policy {
        lines.push("use_policyfile true".to_owned());
        lines.push(format!("policy_name {}", quoted(name)));
        lines.push(format!("policy_group {}", quoted(group)));
    }
    if let Some(environment) = &settings.environment {
        lines.push(format!("environment {}", quoted(environment)));
    }
    lines.join("\n") + "\n"
}

/// A Ruby string in single quotes. In it only `\` and `'` have a meaning, and nothing is interpolated
/// (Ruby's documentation, "Literals").
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn first_boot(settings: &Chef) -> String {
    let content = match &settings.policy {
        Some((name, group)) => json!({ "policy_name": name, "policy_group": group }),
        None => json!({ "run_list": settings.run_list }),
    };
    format!("{content:#}\n")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(quoted("a'b\\c#{x}\n"), "'a\\'b\\\\c#{x}\n'");
    }
}
