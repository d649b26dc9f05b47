//! Tags of servers and backups: three actions of the model that the reference of 2019 does not have.

use serde_json::{Value, json};

use super::backup;
use super::server::status;
use super::{OpsWorksCm, page};
use crate::control::tag::{TAG_KEY, TAG_VALUE, Tag};
use crate::control::validate::{Members, Pattern, Text};
use crate::error::ApiError;

/// `AWSOpsWorksCMResourceArn`.
const ARN: Text = Text {
    pattern: Some(Pattern { text: "arn:aws.*:opsworks-cm:.*:[0-9]{12}:.*", fits: is_arn }),
    ..Text::UNBOUNDED
};
/// `TagList` and `TagKeyList`.
const COUNT: std::ops::RangeInclusive<usize> = 0..=200;
/// "A maximum of 50 user-applied tags is allowed."
const MOST: usize = 50;
/// "The key can be a maximum of 127 characters"; the model allows one more, before trimming.
const LONGEST_KEY: usize = 127;
const LONGEST_VALUE: usize = 255;

fn is_arn(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let ["arn", partition, "opsworks-cm", _, account, _] = parts[..] else {
        return false;
    };
    partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
}

/// The tags of a request, trimmed; `required` where the list must be there.
pub(super) fn read_tags(members: &mut Members<'_>, required: bool) -> Result<Vec<Tag>, ApiError> {
    if required {
        members.required("Tags");
    }
    let tags = members.structures("Tags", &COUNT, |tag| {
        let (key, value) = (tag.text("Key", &TAG_KEY)?, tag.text("Value", &TAG_VALUE)?);
        Ok(Tag { key: key.trim().to_owned(), value: value.trim().to_owned() })
    })?;
    Ok(tags.unwrap_or_default())
}

/// Adds tags to those that are there; one of the same key takes the place of the other.
pub(super) fn merged(known: &[Tag], added: Vec<Tag>) -> Result<Vec<Tag>, ApiError> {
    let refused = |what: String| Err(ApiError::Validation(what));
    let mut tags = known.to_vec();
    for tag in added {
        if tag.key.is_empty() {
            return refused("A tag's key cannot be empty.".to_owned());
        }
        let (key, value) = (tag.key.chars().count(), tag.value.chars().count());
        if key > LONGEST_KEY || value > LONGEST_VALUE {
            return refused(format!(
                "A tag's key has at most {LONGEST_KEY} characters, its value {LONGEST_VALUE}."
            ));
        }
        tags.retain(|known| known.key != tag.key);
        tags.push(tag);
    }
    if tags.len() > MOST {
        return refused(format!("A resource has at most {MOST} tags."));
    }
    tags.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(tags)
}

impl OpsWorksCm {
    pub(super) fn tag_resource(&mut self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let arn = members.text("ResourceArn", &ARN)?;
        let added = read_tags(&mut members, true)?;
        members.finish()?;
        let tags = self.tags_to_change(arn)?;
        *tags = merged(tags, added)?;
        Ok(json!({}))
    }

    pub(super) fn untag_resource(&mut self, mut members: Members<'_>) -> Result<Value, ApiError> {
        let arn = members.text("ResourceArn", &ARN)?;
        members.required("TagKeys");
        let keys = members.texts("TagKeys", &COUNT, &TAG_KEY)?.unwrap_or_default();
        members.finish()?;
        let tags = self.tags_to_change(arn)?;
        tags.retain(|tag| !keys.iter().any(|key| key.trim() == tag.key));
        Ok(json!({}))
    }

    pub(super) fn list_tags_for_resource(
        &self,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let arn = members.text("ResourceArn", &ARN)?;
        let size = members.optional_integer("MaxResults", 1)?;
        let token = members.optional_text("NextToken", &Text::ANY)?;
        members.finish()?;

        let of_server = self.servers.values().find(|server| server.arn == arn);
        let of_backup = self.backups.values().find(|backup| backup.arn == arn);
        let tags = of_server.map(|server| &server.tags);
        let tags = tags.or(of_backup.map(|backup| &backup.tags)).ok_or_else(|| unknown(arn))?;
        let after = token.map(|token| page::position(arn, token)).transpose()?;
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let mut rest =
            tags.iter().filter(|tag| after.as_ref().is_none_or(|after| tag.key > *after));
        let rows: Vec<_> = rest.by_ref().take(size).cloned().collect();
        let last = rows.last().filter(|_| rest.next().is_some());
        let next = last.map(|last| page::token(arn, &last.key));
        Ok(json!({ "Tags": Tag::describe(&rows), "NextToken": next }))
    }

    /// What is being deleted gets no more tags.
    fn tags_to_change(&mut self, arn: &str) -> Result<&mut Vec<Tag>, ApiError> {
        let deleting = || ApiError::InvalidState(format!("The resource '{arn}' is being deleted."));
        if let Some(server) = self.servers.find_mut(|server| server.arn == arn) {
            if server.status == status::DELETING {
                return Err(deleting());
            }
            return Ok(&mut server.tags);
        }
        let backup = self.backups.find_mut(|backup| backup.arn == arn);
        let backup = backup.ok_or_else(|| unknown(arn))?;
        if backup.status == backup::DELETING { Err(deleting()) } else { Ok(&mut backup.tags) }
    }
}

fn unknown(arn: &str) -> ApiError {
    ApiError::ResourceNotFound(format!("No resource with the ARN '{arn}' exists."))
}
