//! Listing and deleting activations.

use serde_json::{Value, json};

use super::Ssm;
use super::activation::Activation;
use super::page::{Listing, Page};
use crate::control::validate::{Members, Text, UUID};
use crate::error::{ApiError, SsmError};
use crate::now::Now;

/// How many deleted activations are remembered.
const KEPT_DELETED: usize = 1000;
const KEYS: [&str; 3] = ["ActivationIds", "DefaultInstanceName", "IamRole"];
const ACTIVATION_ID: Text = Text { pattern: Some(UUID), ..Text::UNBOUNDED };

/// One of the filters: an activation passes when any of the values fits.
struct Filter<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    fn read(members: &mut Members<'a>) -> Result<Self, ApiError> {
        let key = members.choice("FilterKey", &KEYS)?;
        let values = members.texts("FilterValues", &(0..=usize::MAX), &Text::UNBOUNDED)?;
        Ok(Self { key: key.unwrap_or_default(), values: values.unwrap_or_default() })
    }

    fn passes(&self, id: &str, activation: &Activation) -> bool {
        let found = match self.key {
            "ActivationIds" => Some(id),
            "DefaultInstanceName" => activation.default_instance_name.as_deref(),
            _ => Some(activation.iam_role.as_str()),
        };
        found.is_some_and(|found| self.values.contains(&found))
    }
}

impl Ssm {
    pub(super) fn describe_activations(
        &self,
        now: Now,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let filters = members.structures("Filters", &(0..=usize::MAX), Filter::read)?;
        let size = members.integer_within("MaxResults", &(1..=50))?;
        let token = members.optional_text("NextToken", &Text::UNBOUNDED)?;
        members.finish()?;

        let filters = filters.unwrap_or_default();
        if filters.iter().any(|filter| filter.key.is_empty() || filter.values.is_empty()) {
            return Err(SsmError::InvalidFilter.because("A filter needs a key and a value."));
        }
        let page = Page::of(Listing::Activations, size, token)?;
        let passes = |id: &str, activation: &Activation| {
            filters.iter().all(|filter| filter.passes(id, activation))
        };
        let (rows, next) = page.cut(&self.activations, passes);
        let rows: Vec<_> = rows.iter().map(|(id, row)| row.describe(id, now)).collect();
        let mut answer = json!({ "ActivationList": rows });
        if let (Some(answer), Some(next)) = (answer.as_object_mut(), next) {
            answer.insert("NextToken".to_owned(), json!(next));
        }
        Ok(answer)
    }

    /// Which of its two errors an activation gets that is not there, the reference leaves open. It
    /// says of the second that "the activation might have been deleted".
    pub(super) fn delete_activation(
        &mut self,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let id = members.text("ActivationId", &ACTIVATION_ID)?;
        members.finish()?;
        if self.activations.remove(id).is_some() {
            let number = self.deleted.keys().next_back().map_or(0, |last| last.saturating_add(1));
            if self.deleted.len() == KEPT_DELETED
                && let Some(oldest) = self.deleted.keys().next().copied()
            {
                self.deleted.remove(&oldest);
            }
            self.deleted.insert(number, id.to_owned());
            return Ok(json!({}));
        }
        let deleted = self.deleted.values().any(|deleted| deleted == id);
        let error =
            if deleted { SsmError::InvalidActivation } else { SsmError::InvalidActivationId };
        Err(error.because(format!("There is no activation {id}.")))
    }
}
