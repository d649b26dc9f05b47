//! The targets of this node: those of the settings, and those that only a record knows. A target that
//! was taken out of the settings is still a membership until it is left.

use std::rc::Rc;

use super::access::InForce;
use crate::bootstrap::{Phase, Record};
use crate::config::recorded::{Recorded, Way};
use crate::config::settings::target_ids;
use crate::config::{Settings, recorded};
use crate::facts::Ec2;
use crate::fault::{Fault, Kind};
use crate::host::{Root, Store, facts, files};
use crate::targets::Target;
use crate::targets::name::default_name;

/// One target of this node.
#[derive(Clone)]
pub struct Known {
    pub id: &'static str,
    /// Its settings: those in force now, else those of its record. None: the record is of an earlier
    /// version and has none.
    pub settings: Option<Rc<InForce>>,
    pub is_configured: bool,
}

impl Known {
    /// The target and its settings.
    ///
    /// # Errors
    /// `Config` where nothing says any more how the authority is reached.
    pub fn target(&self) -> Result<(Box<dyn Target>, &InForce), Fault> {
        let settings = self.settings.as_deref();
        let found = settings.and_then(|settings| Some((settings.target(self.id)?, settings)));
        found.ok_or_else(|| {
            let todo = format!(
                "put the table [{0}] back into the settings and run `enlist leave --target {0}`, or clear this node alone: `enlist leave --local --target {0}`",
                self.id
            );
            let what = "this node is still a member, and neither the settings nor the record say how the authority is reached";
            Fault::new(Kind::Config, what, format!("target {}", self.id), todo)
        })
    }

    /// Turns to the authority that the node joined, if the settings name another one by now.
    pub fn follow(&mut self, root: &Root, record: &Record) {
        let named = self.target().map(|(target, _)| target.authority_name());
        if named.is_ok_and(|name| name != record.authority_name)
            && let Some(settings) = recall(root, self.id, record)
        {
            self.settings = Some(settings);
        }
    }
}

/// The settings that have changed since the membership of this record was made.
#[must_use]
pub fn changes(root: &Root, settings: &Settings, record: &Record) -> Vec<recorded::Change> {
    // On a copied disk, the record is of another machine's membership.
    if !record.is_member() || record.other_machine(&facts::machine(root)).is_some() {
        return Vec::new();
    }
    let now = settings.recorded(&record.target);
    let mut changes = recorded::changes(&record.settings, &now, record.engine_id());
    changes.retain(|change| change.setting != "node.name" || !is_same_name(root, settings, record));
    changes.extend(changed_ca(settings, record, &changes));
    changes.extend(other_ca(settings, record, &now));
    changes
}

/// The settings that the record keeps once `join` has applied what has changed; none if it applies nothing.
/// Warns of each change that needs a new membership.
#[must_use]
pub fn to_apply(root: &Root, settings: &Settings, record: &Record) -> Option<Recorded> {
    let changes = changes(root, settings, record);
    for change in changes.iter().filter(|change| !change.is_applied()) {
        let (setting, command) = (&change.setting, change.command(&record.target));
        let what = match change.way {
            Way::NewCa => format!(
                "{setting} is of another CA ({}) than the one that this node joined ({})",
                shown(change.wanted.as_ref()),
                shown(change.in_force.as_ref())
            ),
            _ => format!("{setting} has changed since this node joined"),
        };
        tracing::warn!(setting, "{what}, and needs a new membership: `{command}`");
    }
    let is_any = changes.iter().any(recorded::Change::is_applied);
    is_any.then(|| recorded::applied(&record.settings, &changes))
}

fn shown(value: Option<&serde_json::Value>) -> &str {
    value.and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// The CA file of the settings has another content than when the node joined.
fn changed_ca(
    settings: &Settings,
    record: &Record,
    known: &[recorded::Change],
) -> Option<recorded::Change> {
    let setting = recorded::applied_ca(&record.target)?;
    let wanted = record.settings.get(&setting)?;
    let now = settings.target(&record.target)?.configured_ca()?;
    let is_changed = record.membership().authority?.ca() != Some(now.as_str());
    let is_new = is_changed && known.iter().all(|change| change.setting != setting);
    is_new.then(|| recorded::Change {
        setting,
        in_force: Some("the former content of the file".into()),
        wanted: Some(wanted.clone()),
        way: Way::Join,
    })
}

/// The CA that the settings name or pin does not vouch for the one that this node joined. A pin that is the
/// same as at the join was compared then, with the text that the server sent.
fn other_ca(settings: &Settings, record: &Record, now: &Recorded) -> Option<recorded::Change> {
    let known = record.membership().authority?;
    let other = settings.target(&record.target)?.other_ca(known)?;
    let was_compared =
        record.settings.is_empty() || record.settings.get(other.setting) == now.get(other.setting);
    (!was_compared || other.is_file).then(|| recorded::Change {
        setting: other.setting.to_owned(),
        in_force: Some(format!("SHA-256 {}", other.in_force).into()),
        wanted: Some(format!("SHA-256 {}", other.wanted).into()),
        way: Way::NewCa,
    })
}

/// Whether the name that the settings give now is the one that the node has: it may be written in
/// another way. A name that can't be made counts as another one.
fn is_same_name(root: &Root, settings: &Settings, record: &Record) -> bool {
    let instance_id = record.machine.as_ref().and_then(|machine| machine.instance_id.clone());
    let ec2 = instance_id.map(|instance_id| Ec2 { instance_id, ..Ec2::default() });
    let facts = facts::gather(root, ec2);
    let name =
        settings.name.as_ref().map_or_else(|| default_name(&facts), |name| name.render(&facts));
    name.ok() == record.name
}

/// Every target of the settings, in the order of the registry.
#[must_use]
pub fn configured(settings: &Rc<InForce>) -> Vec<Known> {
    let known = |id| Known { id, settings: Some(settings.clone()), is_configured: true };
    settings.target_ids().into_iter().map(known).collect()
}

/// Every target of the settings, and every other one that this node is a member of, in the order of the
/// registry.
#[must_use]
pub fn all(root: &Root, settings: Option<&Rc<InForce>>) -> Vec<Known> {
    let configured = settings.map(configured).unwrap_or_default();
    let known = |id| {
        if let Some(known) = configured.iter().find(|known| known.id == id) {
            return Some(known.clone());
        }
        let settings = match Store::new(root.clone(), id).load() {
            Ok(record) => {
                let record = record.filter(is_membership)?;
                recall(root, id, &record)
            }
            // A record that can't be read may be of a membership.
            Err(_) => None,
        };
        Some(Known { id, settings, is_configured: false })
    };
    target_ids().filter_map(known).collect()
}

/// Whether the authority of this record may know the node.
#[must_use]
pub fn is_membership(record: &Record) -> bool {
    record.phase != Phase::New || record.is_member()
}

/// The settings that a membership was made with.
#[must_use]
pub fn recall(root: &Root, id: &'static str, record: &Record) -> Option<Rc<InForce>> {
    if record.settings.is_empty() {
        return None;
    }
    let ca = record.membership().authority.and_then(|authority| authority.ca());
    // The files that the settings named may be gone with them. The record has the CA.
    let read = |path: &str| {
        let text = files::read_trusted_text(root, path, files::LARGEST);
        text.or_else(|error| ca.map(str::to_owned).ok_or(error)).map_err(|error| error.to_string())
    };
    let path = Store::new(root.clone(), id).record_path();
    match recorded::recall(id, &record.settings, &path, &read) {
        Ok(settings) => Some(Rc::new(settings.into())),
        Err(error) => {
            tracing::warn!("{}", Fault::from(error).sentence());
            None
        }
    }
}
