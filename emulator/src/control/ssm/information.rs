//! Listing managed instances.

use serde_json::{Value, json};

use super::Ssm;
use super::managed::{ManagedInstance, PING_STATUSES};
use super::page::{Listing, Page};
use crate::control::validate::{Members, Text};
use crate::error::{ApiError, SsmError};

/// The keys of `InstanceInformationFilterList`, the older of the two members.
const LEGACY_KEYS: [&str; 8] = [
    "InstanceIds",
    "AgentVersion",
    "PingStatus",
    "PlatformTypes",
    "ActivationIds",
    "IamRole",
    "ResourceType",
    "AssociationStatus",
];
/// Those that `Filters` has beside them, and the keys for tags: `tag-key`, and `tag:` with a key.
const LATER_KEYS: [&str; 2] = ["SourceIds", "SourceTypes"];
const TAG_KEY: &str = "tag-key";
const TAG: &str = "tag:";

/// The values that keys with a set of them allow.
const SETS: [(&str, &[&str]); 4] = [
    ("PingStatus", &PING_STATUSES),
    ("PlatformTypes", &["Windows", "Linux", "MacOS"]),
    ("ResourceType", &["EC2Instance", "ManagedInstance"]),
    ("AssociationStatus", &["Success", "Pending", "Failed"]),
];

const FILTER_KEY: Text = Text { min: 1, ..Text::UNBOUNDED };
const FILTER_VALUE: Text = Text { min: 1, ..Text::UNBOUNDED };

/// One of the filters: an instance passes when any of the values fits.
struct Filter<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, ApiError> {
        let key = members.text("Key", &FILTER_KEY)?;
        Ok(Self { key, values: values(members, "Values")? })
    }

    fn read_legacy(members: &mut Members<'a>) -> Result<Self, ApiError> {
        members.required("key");
        let key = members.choice("key", &LEGACY_KEYS)?;
        Ok(Self { key: key.unwrap_or_default(), values: values(members, "valueSet")? })
    }

    /// What the model does not say, but the service checks.
    fn check(&self, ssm: &Ssm) -> Result<(), ApiError> {
        let known = LEGACY_KEYS.contains(&self.key) || LATER_KEYS.contains(&self.key);
        if !known && !self.is_tag() {
            let text = format!("'{}' is no key to filter by.", self.key);
            return Err(SsmError::InvalidFilterKey.because(text));
        }
        let allowed = SETS.iter().find(|(key, _)| *key == self.key).map(|(_, set)| *set);
        let outside = |value: &&&str| allowed.is_some_and(|set| !set.contains(value));
        if let Some(value) = self.values.iter().find(outside) {
            let text = format!("'{value}' is no value of {}.", self.key);
            return Err(SsmError::InvalidInstanceInformationFilterValue.because(text));
        }
        // "If you specify a node ID that isn't valid or a node that you don't own, you receive an
        // error."
        let stranger = |id: &&&str| self.key == "InstanceIds" && !ssm.instances.contains_key(**id);
        match self.values.iter().find(stranger) {
            Some(id) => Err(SsmError::InvalidInstanceId.because(format!("[{id}]"))),
            None => Ok(()),
        }
    }

    fn is_tag(&self) -> bool {
        self.key == TAG_KEY || self.key.strip_prefix(TAG).is_some_and(|key| !key.is_empty())
    }

    fn passes(&self, id: &str, instance: &ManagedInstance) -> bool {
        if self.key == TAG_KEY {
            return instance.tags.iter().any(|tag| self.values.contains(&tag.key.as_str()));
        }
        if let Some(key) = self.key.strip_prefix(TAG) {
            let mut tags = instance.tags.iter().filter(|tag| tag.key == key);
            return tags.any(|tag| self.values.contains(&tag.value.as_str()));
        }
        instance.value(id, self.key).is_some_and(|value| self.values.contains(&value))
    }
}

/// The values of a filter: a required list of 1 to 100 strings.
fn values<'a>(members: &mut Members<'a>, name: &str) -> Result<Vec<&'a str>, ApiError> {
    members.required(name);
    Ok(members.texts(name, &(1..=100), &FILTER_VALUE)?.unwrap_or_default())
}

impl Ssm {
    pub(super) fn describe_instance_information(
        &self,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let any = 0..=usize::MAX;
        let filters = members.structures("Filters", &any, Filter::read)?;
        let legacy = "InstanceInformationFilterList";
        let legacy = members.structures(legacy, &any, Filter::read_legacy)?;
        let size = members.integer_within("MaxResults", &(5..=50))?;
        let token = members.optional_text("NextToken", &Text::UNBOUNDED)?;
        members.finish()?;

        let filters = match (filters, legacy) {
            (Some(_), Some(_)) => {
                return Err(ApiError::Validation(
                    "Filters and InstanceInformationFilterList cannot be used together.".into(),
                ));
            }
            (Some(filters), None) | (None, Some(filters)) => filters,
            (None, None) => Vec::new(),
        };
        filters.iter().try_for_each(|filter| filter.check(self))?;
        let page = Page::of(Listing::Instances, size, token)?;
        let passes = |id: &str, instance: &ManagedInstance| {
            filters.iter().all(|filter| filter.passes(id, instance))
        };
        let (rows, next) = page.cut(&self.instances, passes);
        let rows: Vec<_> = rows.iter().map(|(id, row)| row.describe(id)).collect();
        let mut answer = json!({ "InstanceInformationList": rows });
        if let (Some(answer), Some(next)) = (answer.as_object_mut(), next) {
            answer.insert("NextToken".to_owned(), json!(next));
        }
        Ok(answer)
    }
}
