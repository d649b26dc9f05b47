//! `[ssm]`. Lengths, ranges and patterns: Systems Manager API Reference, CreateActivation and Tag.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Reader, absolute, required};
use crate::config::ConfigError;
use crate::config::input::Origin;
use crate::config::setting_table::ssm;
use crate::engines::ssm_agent::{HandOverTo, SsmAgent};
use crate::targets::ssm::{Ssm, check_instance_name, is_id};

/// 256 characters, less ` (enlist 0123456789abcdef)`: the mark that enlist appends.
const LONGEST_DESCRIPTION: usize = 256 - 26;

impl Reader<'_> {
    pub(super) fn ssm(&self, origin: &Origin) -> Result<Ssm, ConfigError> {
        const ROLE: &str =
            "a role's name, not its ARN, 1 to 64 characters, such as service-role/NAME";
        let given = self.given(origin)?;
        let role = self.parsed(&ssm::iam_role, ROLE, role)?;
        if given.is_some() && role.is_some() {
            return Err(self.invalid(
                &ssm::iam_role,
                "iam_role, for an activation that enlist creates, or activation_id, for one that was created elsewhere; not both",
            ));
        }
        let iam_role = match given {
            Some(_) => role,
            None => Some(required(role, origin, &ssm::iam_role, ROLE)?),
        };
        if given.is_some()
            && self.choice_or_default::<HandOverTo>(&ssm::hand_over)? == HandOverTo::File
        {
            return Err(self.invalid(
                &ssm::hand_over,
                "\"agent\", with activation_id: the code of such an activation is in a file already",
            ));
        }
        Ok(Ssm {
            iam_role,
            default_instance_name: self.instance_name()?,
            description: self.description()?,
            registration_limit: self.number(
                &ssm::registration_limit,
                "a whole number from 1 to 1000",
                |n| (1..=1000).contains(n),
            )?,
            expires_in: self.duration(
                &ssm::expires_in,
                Duration::from_mins(5),
                Duration::from_hours(30 * 24),
                "\"1h\"",
            )?,
            tags: self.tags()?,
            given: given.map(|(id, _)| id),
            on_ec2: self.boolean(&ssm::on_ec2)?,
        })
    }

    /// The agent's part of the table.
    pub(super) fn ssm_agent(&self, origin: &Origin) -> Result<SsmAgent, ConfigError> {
        Ok(SsmAgent {
            program: self.path(&ssm::agent)?,
            hand_over: self.choice_or_default(&ssm::hand_over)?,
            code_source: self.given(origin)?.map(|(_, source)| source),
        })
    }

    fn given(&self, origin: &Origin) -> Result<Option<(String, String)>, ConfigError> {
        const UUID: &str = "an activation's id, a UUID in lower case";
        const FILE: &str = "an absolute path, or the name of a systemd credential";
        let id =
            self.parsed(&ssm::activation_id, UUID, |text| is_id(text).then(|| text.to_owned()))?;
        let source = self.parsed(&ssm::activation_code_file, FILE, source)?;
        match (id, source) {
            (None, None) => Ok(None),
            (id, source) => Ok(Some((
                required(id, origin, &ssm::activation_id, UUID)?,
                required(source, origin, &ssm::activation_code_file, FILE)?,
            ))),
        }
    }

    fn instance_name(&self) -> Result<Option<String>, ConfigError> {
        const NAME: &str = "at most 256 letters, digits, spaces and _ . : / = + - @";
        self.parsed(&ssm::default_instance_name, NAME, |text| {
            check_instance_name(text).ok().map(|()| text.to_owned())
        })
    }

    fn description(&self) -> Result<String, ConfigError> {
        let allowed =
            format!("at most {LONGEST_DESCRIPTION} characters, none of them a control character");
        let fits = |text: &str| {
            text.chars().count() <= LONGEST_DESCRIPTION && !text.contains(char::is_control)
        };
        let text =
            self.parsed(&ssm::description, &allowed, |text| fits(text).then(|| text.to_owned()))?;
        Ok(text.unwrap_or_default())
    }

    /// At most 1000 tags (the limit of the request), with keys of 1 to 128 characters that do not
    /// begin with `aws:`, and values of at most 256.
    fn tags(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        const ALLOWED: &str = "at most 1000 tags; keys of 1 to 128 and values of 0 to 256 letters, digits, spaces and _ . : / = + - @; no key that begins with aws:";
        let tags = self.map(&ssm::tags)?;
        let plain = |text: &str| check_instance_name(text).is_ok();
        let fits = |(key, value): (&String, &String)| {
            (1..=128).contains(&key.chars().count())
                && plain(key)
                && !key.starts_with("aws:")
                && plain(value)
        };
        if tags.len() <= 1000 && tags.iter().all(fits) {
            return Ok(tags);
        }
        Err(self.invalid(&ssm::tags, ALLOWED))
    }
}

/// The name of a role, with its path. An ARN is refused.
fn role(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    ((1..=64).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

fn source(text: &str) -> Option<String> {
    let is_name = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && !text.starts_with('.');
    if is_name { Some(text.to_owned()) } else { absolute(text) }
}
