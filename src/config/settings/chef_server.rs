//! `[chef-server]`.

use std::time::Duration;

use super::reader::{Reader, SECRET, required};
use crate::config::ConfigError;
use crate::config::input::Origin;
use crate::config::setting_table::{chef as chef_settings, chef_server};
use crate::engines::chef::Chef;
use crate::secret::SecretSource;
use crate::targets::chef_server::url::ServerUrl;
use crate::targets::chef_server::{ChefServer, ID, NodeObject, is_client_name};

impl Reader<'_> {
    pub(super) fn chef_server(
        &self,
        origin: &Origin,
        chef: &Chef,
    ) -> Result<ChefServer, ConfigError> {
        const NAME: &str = "1 to 255 letters, digits and . _ -";

        let url = self.server_url(origin)?;
        let name = self.parsed(&chef_server::validator_name, NAME, |text| {
            is_client_name(text).then(|| text.to_owned())
        })?;
        let key = self.secret(&chef_server::validator_key)?;
        let node = NodeObject {
            run_list: chef.run_list.clone(),
            environment: chef.environment.clone(),
            policy: chef.policy.clone(),
        };
        let key = required(key, origin, &chef_server::validator_key, SECRET)?;
        Ok(ChefServer {
            spent_key: self.spent_key(&key)?,
            validator_name: name.unwrap_or_else(|| url.validator()),
            validator_key: key,
            ca: self.ca_file(&chef_server::ca_file)?,
            node,
            creates_node: self.boolean(&chef_server::create_node)?,
            key_lifetime: self.key_lifetime()?,
            url,
        })
    }

    /// How long a key is used.
    pub(super) fn key_lifetime(&self) -> Result<Option<Duration>, ConfigError> {
        const ALLOWED: &str = "\"never\", or a duration of an hour or more, such as \"90d\"";
        let setting = &chef_settings::rotate_key;
        let lifetime = self.duration_or_never(setting, Duration::from_hours(1), ALLOWED)?;
        match lifetime {
            Some(_) if self.input.table(ID).is_none() => {
                let allowed = "\"never\" without [chef-server]: only a node that asks the Chef server itself can renew its key";
                Err(self.invalid(setting, allowed))
            }
            _ => Ok(lifetime),
        }
    }

    /// Only a file can be removed.
    fn spent_key(&self, key: &SecretSource) -> Result<Option<String>, ConfigError> {
        match (self.boolean(&chef_server::remove_validator)?, key) {
            (false, _) => Ok(None),
            (true, SecretSource::File(path)) => Ok(Some(path.clone())),
            (true, _) => {
                let allowed =
                    "false, or validator_key = { file = \"/path\" }: only a file is removed";
                Err(self.invalid(&chef_server::remove_validator, allowed))
            }
        }
    }

    fn server_url(&self, origin: &Origin) -> Result<ServerUrl, ConfigError> {
        const URL: &str = "https://HOST/organizations/NAME, as chef_server_url in a client.rb";
        let text = self.text(&chef_server::url)?;
        let text = required(text, origin, &chef_server::url, URL)?;
        ServerUrl::parse(&text)
            .map_err(|reason| self.invalid(&chef_server::url, &format!("{URL} ({reason})")))
    }
}
