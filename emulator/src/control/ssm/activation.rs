//! Hybrid activations: an ID and a code, with which machines register themselves.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use super::{Ssm, role, timestamp};
use crate::control::tag::{NAME, TAG_KEY, TAG_VALUE, Tag};
use crate::control::validate::{Members, Pattern, Text};
use crate::control::{Context, room_for};
use crate::error::{ApiError, SsmError};
use crate::now::Now;
use crate::random::Random;

/// An activation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activation {
    /// `IamRole`.
    pub iam_role: String,
    /// `DefaultInstanceName`.
    pub default_instance_name: Option<String>,
    /// `Description`.
    pub description: Option<String>,
    /// `RegistrationLimit`.
    pub registration_limit: u32,
    /// `RegistrationsCount`.
    pub registrations: u32,
    /// `CreatedDate`.
    pub created_at: Now,
    /// `ExpirationDate`: from here on it cannot be used.
    pub expires_at: Now,
    /// `Tags`, which the nodes inherit.
    pub tags: Vec<Tag>,
    code: String,
}

const DEFAULT_INSTANCE_NAME: Text = Text { max: 256, pattern: Some(NAME), ..Text::UNBOUNDED };
const DESCRIPTION: Text = Text { max: 256, ..Text::UNBOUNDED };
const IAM_ROLE: Text = Text { max: 64, ..Text::UNBOUNDED };
/// "Reserved for internal use", but with constraints.
const METADATA: Pattern = Pattern { text: r"^(?!\s*$).+", fits: is_metadata };
const METADATA_KEY: Text = Text { min: 1, max: 128, pattern: Some(METADATA), sensitive: false };
const METADATA_VALUE: Text = Text { max: 2048, ..METADATA_KEY };

const DAY: Duration = Duration::from_hours(24);
/// "If you don't provide an expiration date, the activation code expires in 24 hours."
const DEFAULT_LIFETIME: Duration = DAY;
/// "You can specify a date up to 30 days in advance."
const LONGEST_LIFETIME: Duration = DAY.saturating_mul(30);

fn is_metadata(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

impl Activation {
    /// The code. The API tells it once; this is for tests.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, now: Now) -> bool {
        now >= self.expires_at
    }

    /// The `Activation` structure, as `DescribeActivations` lists it: never with the code.
    pub(super) fn describe(&self, id: &str, now: Now) -> Value {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        };
        put("ActivationId", json!(id));
        put("Description", json!(self.description));
        put("DefaultInstanceName", json!(self.default_instance_name));
        put("IamRole", json!(self.iam_role));
        put("RegistrationLimit", json!(self.registration_limit));
        put("RegistrationsCount", json!(self.registrations));
        put("ExpirationDate", timestamp(self.expires_at));
        put("Expired", json!(self.is_expired(now)));
        put("CreatedDate", timestamp(self.created_at));
        put("Tags", Tag::describe(&self.tags));
        Value::Object(members)
    }

    /// The activation for `emulator state`, without the code.
    pub(super) fn state(&self, id: &str, now: Now) -> Value {
        json!({
            "id": id,
            "iam_role": self.iam_role,
            "default_instance_name": self.default_instance_name,
            "description": self.description,
            "registration_limit": self.registration_limit,
            "registrations": self.registrations,
            "created_at": self.created_at.rfc3339(),
            "expires_at": self.expires_at.rfc3339(),
            "expired": self.is_expired(now),
            "tags": Tag::describe(&self.tags),
        })
    }
}

impl Ssm {
    /// There is no client token: the same request again makes another activation.
    pub(super) fn create_activation(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let description = members.optional_text("Description", &DESCRIPTION)?;
        let name = members.optional_text("DefaultInstanceName", &DEFAULT_INSTANCE_NAME)?;
        let iam_role = members.text("IamRole", &IAM_ROLE)?;
        let limit = members.integer_within("RegistrationLimit", &(1..=1000))?;
        let expires_at = members.timestamp("ExpirationDate")?;
        let tags = members.structures("Tags", &(0..=1000), |tag| {
            let key = tag.text("Key", &TAG_KEY)?.to_owned();
            Ok(Tag { key, value: tag.text("Value", &TAG_VALUE)?.to_owned() })
        })?;
        members.structures("RegistrationMetadata", &(0..=usize::MAX), |item| {
            item.text("Key", &METADATA_KEY)?;
            item.text("Value", &METADATA_VALUE)
        })?;
        members.finish()?;

        role::check(iam_role, self.settings.roles.as_ref())?;
        room_for(self.activations.len(), true, "activations")?;
        let activation = Activation {
            iam_role: iam_role.to_owned(),
            default_instance_name: name.map(str::to_owned),
            description: description.map(str::to_owned),
            registration_limit: limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(1),
            registrations: 0,
            created_at: context.now,
            expires_at: expiration(expires_at, context.now)?,
            tags: tags.unwrap_or_default(),
            code: code(context.random),
        };
        let id = context.random.uuid();
        let answer = json!({ "ActivationId": id, "ActivationCode": activation.code });
        self.activations.insert(id, activation);
        Ok(answer)
    }
}

fn expiration(asked: Option<Now>, now: Now) -> Result<Now, ApiError> {
    let Some(asked) = asked else {
        return Ok(now.plus(DEFAULT_LIFETIME));
    };
    let refused = |what: &str| {
        let asked = asked.rfc3339();
        SsmError::InvalidParameters.because(format!("ExpirationDate {asked} is {what}."))
    };
    if asked <= now {
        return Err(refused("not in the future"));
    }
    if asked > now.plus(LONGEST_LIFETIME) {
        return Err(refused("more than 30 days in advance"));
    }
    Ok(asked)
}

/// Twenty characters, the fewest there can be: fifteen bytes in base64, as the reference's
/// examples look. It need only differ from the others, not be secret.
fn code(random: &mut Random) -> String {
    let bytes = [random.next_u64(), random.next_u64()].map(u64::to_be_bytes).concat();
    BASE64_STANDARD.encode(bytes.get(..15).unwrap_or_default())
}
