//! `[puppet]` and `[chef]`.

use std::collections::BTreeMap;

use super::reader::Reader;
use crate::config::ConfigError;
use crate::config::input::{Entry, Origin, Value};
use crate::config::schema::{Key, form};
use crate::config::setting_table::{chef, puppet};
use crate::engines::Engines;
use crate::engines::chef::{Chef, check_organization};
use crate::engines::opsworks_agent::OpsworksAgent;
use crate::engines::puppet::Puppet;
use crate::pki::oid;
use crate::secret::Secret;

impl Reader<'_> {
    /// The settings of all engines, used or not.
    pub(super) fn engines(&self) -> Result<Engines, ConfigError> {
        let ssm = self.input.table("ssm").map(|origin| self.ssm_agent(origin));
        Ok(Engines {
            puppet: self.puppet()?,
            chef: self.chef()?,
            ssm_agent: ssm.transpose()?.unwrap_or_default(),
            opsworks_agent: OpsworksAgent,
        })
    }

    fn puppet(&self) -> Result<Puppet, ConfigError> {
        const NAME: &str = "1 to 100 lower-case letters, digits and _";
        Ok(Puppet {
            ssldir: self.path(&puppet::ssldir)?,
            confdir: self.path(&puppet::confdir)?,
            statedir: self.path(&puppet::statedir)?,
            key_bits: self.key_bits(&puppet::key_bits)?,
            extension_requests: self.extension_requests()?,
            tag_prefix: self.text(&puppet::tag_prefix)?.unwrap_or_default(),
            environment: self.parsed(&puppet::environment, NAME, environment)?,
            run: self.boolean(&puppet::run)?,
            program: self.path(&puppet::program)?,
        })
    }

    fn extension_requests(&self) -> Result<BTreeMap<String, Secret>, ConfigError> {
        let Some(Entry { value: Value::Map(map), origin }) =
            self.input.get(&puppet::extension_requests)
        else {
            return Ok(BTreeMap::new());
        };
        let Some(unknown) = map.keys().find(|name| oid::resolve(name).is_none()) else {
            let secret =
                |(name, value): (&String, &String)| (name.clone(), Secret::new(value.clone()));
            return Ok(map.iter().map(secret).collect());
        };
        let alike = |known: &str| strsim::jaro_winkler(unknown, known);
        let nearest = oid::names().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        Err(ConfigError::UnknownKey {
            origin: origin.clone(),
            key: format!("{}.{unknown}", &*puppet::extension_requests),
            nearest: nearest.filter(|known| alike(known) > 0.85).map(str::to_owned),
        })
    }

    fn chef(&self) -> Result<Chef, ConfigError> {
        const ORGANIZATION: &str = "lower-case letters, digits, - and _, 255 at most";
        let organization = |text: &str| check_organization(text).ok().map(|()| text.to_owned());
        let organization = self.parsed(&chef::organization, ORGANIZATION, organization)?;
        Ok(Chef {
            product: self.choice(&chef::product)?,
            license: self.choice(&chef::license)?,
            confdir: self.path(&chef::confdir)?,
            client_d: self.boolean(&chef::client_d)?,
            key_bits: self.key_bits(&chef::key_bits)?,
            organization: organization
                .ok_or_else(|| self.invalid(&chef::organization, ORGANIZATION))?,
            run_list: self.run_list()?,
            environment: self.chef_name(&chef::environment)?,
            policy: self.policy()?,
            run: self.boolean(&chef::run)?,
            program: self.path(&chef::program)?,
        })
    }

    /// The engine attribute that carries a Chef node's public key.
    pub(super) fn chef_key_attribute(&self) -> Result<String, ConfigError> {
        const ATTRIBUTE: &str = "an attribute's name, such as CHEF_NODE_PUBLIC_KEY";
        let attribute = self.parsed(&chef::key_attribute, ATTRIBUTE, attribute)?;
        attribute.ok_or_else(|| self.invalid(&chef::key_attribute, ATTRIBUTE))
    }

    fn run_list(&self) -> Result<Vec<String>, ConfigError> {
        const ITEMS: &str = "items such as \"recipe[base]\", \"role[web]\" or \"base::default\"";
        let list = self.list(&chef::run_list)?;
        if list.iter().all(|item| is_run_list_item(item)) {
            Ok(list)
        } else {
            Err(self.invalid(&chef::run_list, ITEMS))
        }
    }

    fn policy(&self) -> Result<Option<(String, String)>, ConfigError> {
        match (self.chef_name(&chef::policy_name)?, self.chef_name(&chef::policy_group)?) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) if !self.list(&chef::run_list)?.is_empty() => {
                Err(self.invalid(&chef::policy_name, "a run list or a policy, not both"))
            }
            // chef-client refuses every run with both (its source, `policy_builder/policyfile.rb`).
            (Some(_), Some(_)) if self.chef_name(&chef::environment)?.is_some() => Err(self
                .invalid(
                    &chef::environment,
                    "an environment or a policy, not both: chef-client refuses to run with both",
                )),
            (Some(name), Some(group)) => Ok(Some((name, group))),
            (None, Some(_)) => {
                Err(self.invalid(&chef::policy_name, "a policy's name, to go with policy_group"))
            }
            (Some(_), None) => {
                let origin = self.input.get(&chef::policy_name).map(|entry| entry.origin.clone());
                Err(ConfigError::Missing {
                    origin: origin.unwrap_or(Origin::Default),
                    key: chef::policy_group.to_string(),
                    allowed: "the group of the policy that policy_name names".to_owned(),
                    or: &[],
                })
            }
        }
    }

    /// Chef's documentation: names of environments, policies and policy groups.
    fn chef_name(&self, key: &Key<form::Text>) -> Result<Option<String>, ConfigError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        let parse = |text: &str| {
            ((1..=255).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
        };
        self.parsed(key, "1 to 255 letters, digits and _ . : -", parse)
    }
}

/// Puppet's documentation, "About environments": names are `\A[a-z0-9_]+\Z`.
fn environment(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ((1..=100).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

fn attribute(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    ((1..=100).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

/// `recipe[name]`, `recipe[name::recipe@1.0]`, `role[name]`, or a recipe's bare name (Chef's
/// documentation, "About Run-lists").
fn is_run_list_item(text: &str) -> bool {
    let inner =
        ["recipe[", "role["].iter().find_map(|kind| text.strip_prefix(kind)?.strip_suffix(']'));
    let name = inner.unwrap_or(text);
    (1..=255).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.:@-".contains(c))
}
