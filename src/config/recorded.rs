//! The settings that a membership was made with. Its record has them, so that `status` shows what has
//! changed since, and `leave` works after they were removed.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::input::{Input, Origin};
use super::schema::{self, OnChange, Setting};
use super::settings::ReadFile;
use super::{ConfigError, Settings, values};
use crate::engines::EngineId;
use crate::pki::oid;

/// `table.name` and value, of what was set. Without secrets.
pub type Recorded = BTreeMap<String, Json>;

/// A setting with another value than the membership was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub setting: String,
    /// None: it was not set.
    pub in_force: Option<Json>,
    pub wanted: Option<Json>,
    pub way: Way,
}

/// How a changed setting comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `join` applies it.
    Join,
    /// It needs a new membership.
    NewMembership,
    /// It is another CA, so it needs a new membership; and the authority may not be reached to end this one.
    NewCa,
}

impl Change {
    /// Whether `join` applies it.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.way == Way::Join
    }

    /// The command that puts it in force.
    #[must_use]
    pub fn command(&self, id: &str) -> String {
        match self.way {
            Way::Join => format!("enlist join --target {id}"),
            Way::NewMembership => {
                format!("enlist leave --target {id} && enlist join --target {id}")
            }
            Way::NewCa => {
                format!("enlist leave --force --target {id} && enlist join --target {id}")
            }
        }
    }
}

/// What the record of this target's membership keeps, of what differs from the default: the node's
/// name, `[aws]`, and the tables of the target and of the engines.
#[must_use]
pub fn of(input: &Input, target: &str) -> Recorded {
    let is_kept = |setting: &&Setting| {
        let tables = ["aws", "puppet", "chef", target];
        tables.contains(&setting.table) || (setting.table, setting.name) == ("node", "name")
    };
    let kept = schema::SETTINGS.iter().filter(is_kept);
    let values = kept.filter_map(|setting| Some((setting, input.get(setting)?.value.to_json())));
    let set = values.filter(|(setting, set)| value(setting, None).as_ref() != Some(set));
    set.map(|(setting, value)| (setting.to_string(), without_secrets(value))).collect()
}

fn without_secrets(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            Json::Object(map.into_iter().filter(|(name, _)| !oid::is_secret(name)).collect())
        }
        other => other,
    }
}

/// The settings of a membership, from its record. A setting of a later version is left out.
///
/// # Errors
/// If they can't be used any more.
pub fn recall(
    target: &str,
    recorded: &Recorded,
    path: &str,
    read_file: ReadFile<'_>,
) -> Result<Settings, ConfigError> {
    let origin = Origin::Record(path.to_owned());
    let mut input = Input::looked_for_in(path.to_owned());
    input.name_table(target, origin.clone());
    for (dotted, value) in recorded {
        let found = dotted.split_once('.').and_then(|(table, name)| schema::find(table, name));
        if let Some(setting) = found {
            input.set(setting, values::from_json(setting, value, &origin)?, origin.clone());
        }
    }
    Settings::parse(&input, read_file)
}

/// What has changed since the membership was made. Empty for a record of an earlier version, which has
/// no settings. `engine` is the authority's.
#[must_use]
pub fn changes(recorded: &Recorded, now: &Recorded, engine: Option<EngineId>) -> Vec<Change> {
    if recorded.is_empty() {
        return Vec::new();
    }
    let is_of = |table: &str| match table {
        "puppet" => engine == Some(EngineId::Puppet),
        "chef" => engine == Some(EngineId::Chef),
        _ => true,
    };
    let change = |setting: &Setting| {
        let is_possible = match setting.on_change {
            OnChange::Free => return None,
            OnChange::Fixed => false,
            OnChange::Applied | OnChange::Added => true,
        };
        let name = setting.to_string();
        let (before, after) = (recorded.get(&name), now.get(&name));
        if !is_of(setting.table) || value(setting, before) == value(setting, after) {
            return None;
        }
        let is_applied = is_possible && (after.is_some() || setting.on_change != OnChange::Added);
        Some(Change {
            setting: name,
            in_force: before.cloned(),
            wanted: after.cloned(),
            way: if is_applied { Way::Join } else { Way::NewMembership },
        })
    };
    let mut found: Vec<Change> = schema::SETTINGS.iter().filter_map(change).collect();
    found.sort_by_key(Change::is_applied);
    found
}

/// What the record keeps once `join` has applied these changes.
#[must_use]
pub fn applied(recorded: &Recorded, changes: &[Change]) -> Recorded {
    let mut after = recorded.clone();
    for change in changes.iter().filter(|change| change.is_applied()) {
        match &change.wanted {
            Some(value) => after.insert(change.setting.clone(), value.clone()),
            None => after.remove(&change.setting),
        };
    }
    after
}

/// The setting with the CA file of this target, where `join` applies a change of it.
#[must_use]
pub fn applied_ca(target: &str) -> Option<String> {
    let is_applied = |on_change| matches!(on_change, OnChange::Applied | OnChange::Added);
    let setting = schema::find(target, "ca_file");
    setting.filter(|setting| is_applied(setting.on_change)).map(Setting::to_string)
}

/// The value in force: the one that is set, else the default.
fn value(setting: &Setting, set: Option<&Json>) -> Option<Json> {
    let default = || {
        let text = Some(setting.default).filter(|text| !text.is_empty())?;
        values::from_text(setting, text, &Origin::Default).ok().map(|value| value.to_json())
    };
    set.cloned().or_else(default)
}

#[cfg(test)]
mod tests {
    use super::{applied, changes, of, recall};
    use crate::config::{Input, fragments};
    use crate::engines::EngineId;

    fn input(text: &str) -> Input {
        let mut input = Input::default();
        fragments::add_text(&mut input, text, "f").unwrap();
        input
    }

    #[test]
    fn what_is_kept_is_recalled_and_has_no_secret() {
        let text = "[node]\nname = \"a\"\nbudget = \"1m\"\n[opsworks-cm]\nserver = \"s\"\n\
                    [puppet]\nkey_bits = 2048\n\
                    extension_requests = { pp_role = \"web\", pp_preshared_key = \"psk\" }\n\
                    [ssm]\niam_role = \"r\"\n";
        let kept = of(&input(text), "opsworks-cm");
        assert!(!format!("{kept:?}").contains("psk"), "{kept:?}");
        assert!(kept.keys().all(|name| !name.starts_with("ssm.") && name != "node.budget"));
        let settings = recall("opsworks-cm", &kept, "r", &|_| Err("none".to_owned())).unwrap();
        assert_eq!(settings.target_ids(), ["opsworks-cm"]);
        assert_eq!(settings.engines.puppet.key_bits, 2048);
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<super::Recorded>(&json).unwrap(), kept);
    }

    #[test]
    fn a_change_is_found_and_applied_or_not() {
        let before = of(
            &input("[opsworks-cm]\nserver = \"s\"\n[chef]\nrun_list = [\"a\"]\n"),
            "opsworks-cm",
        );
        let now = of(
            &input(
                "[opsworks-cm]\nserver = \"s\"\n[chef]\n[puppet]\ntag_prefix = \"pp_\"\nenvironment = \"e\"\nssldir = \"/s\"\n",
            ),
            "opsworks-cm",
        );
        let found = changes(&before, &now, Some(EngineId::Puppet));
        let names: Vec<_> =
            found.iter().map(|one| (one.setting.as_str(), one.is_applied())).collect();
        assert_eq!(names, [("puppet.ssldir", false), ("puppet.environment", true)]);
        let after = applied(&before, &found);
        let left = changes(&after, &now, Some(EngineId::Puppet));
        assert_eq!(left.len(), 1, "{left:?}");
        // A run list that is taken away is a change. (The default that is written out was none.)
        let found = changes(&before, &now, Some(EngineId::Chef));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].is_applied() && found[0].wanted.is_none());
        let removed = changes(&after, &before, Some(EngineId::Puppet));
        assert!(removed.iter().all(|one| !one.is_applied()), "{removed:?}");
    }
}
