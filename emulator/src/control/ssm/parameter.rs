//! `GetParameter`: the Parameter Store, with parameters that there are from the start.

use serde_json::{Value, json};

use super::Ssm;
use crate::control::validate::{Members, Text};
use crate::control::{Context, timestamp};
use crate::error::{ApiError, SsmError};

/// The model's `PSParameterName`.
const NAME: Text = Text { min: 1, max: 2048, ..Text::UNBOUNDED };

impl Ssm {
    /// Every parameter is a `SecureString` of one version. Without decryption, its value is ciphertext.
    pub(super) fn get_parameter(
        &self,
        context: &Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let asked = members.text("Name", &NAME)?;
        let is_decrypted = members.boolean("WithDecryption")?.unwrap_or_default();
        members.finish()?;
        let place = &self.settings.place;
        let prefix = format!("arn:aws:ssm:{}:{}:parameter", place.region, place.account);
        let asked = asked.strip_prefix(&prefix).unwrap_or(asked);
        let (name, version) = match asked.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (asked, None),
        };
        let Some(value) = self.settings.parameters.get(name) else {
            return Err(SsmError::ParameterNotFound.because(""));
        };
        if version.is_some_and(|version| version != "1") {
            let text = format!("Systems Manager could not find version {asked}");
            return Err(SsmError::ParameterVersionNotFound.because(text));
        }
        let value = if is_decrypted { value } else { "AQICAHh-ciphertext" };
        let slash = if name.starts_with('/') { "" } else { "/" };
        Ok(json!({ "Parameter": {
            "ARN": format!("{prefix}{slash}{name}"),
            "DataType": "text",
            "LastModifiedDate": timestamp(context.now),
            "Name": name,
            "Type": "SecureString",
            "Value": value,
            "Version": 1,
        } }))
    }
}
