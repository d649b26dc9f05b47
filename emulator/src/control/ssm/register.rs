//! What the SSM Agent calls to register its machine. The action is in no public model but in the
//! SDK that the agent carries with it; it is not signed, for the machine has nothing to sign with.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::Ssm;
use super::activation::Activation;
use super::managed::{ManagedInstance, Report};
use crate::control::validate::{Members, Text};
use crate::control::{Context, public_key, room_for};
use crate::error::{ApiError, SsmError};
use crate::now::Now;

const CODE: Text = Text { min: 20, max: 250, sensitive: true, ..Text::UNBOUNDED };
const ID: Text = Text { min: 36, ..Text::UNBOUNDED };
/// The base64 of a 2048-bit key has 392 characters.
const PUBLIC_KEY: Text = Text { min: 392, sensitive: true, ..Text::UNBOUNDED };

impl Ssm {
    pub(super) fn register_managed_instance(
        &mut self,
        context: &mut Context<'_>,
        mut members: Members<'_>,
    ) -> Result<Value, ApiError> {
        let code = members.text("ActivationCode", &CODE)?;
        let activation_id = members.text("ActivationId", &ID)?;
        let public_key = members.text("PublicKey", &PUBLIC_KEY)?;
        members.choice("PublicKeyType", &["Rsa"])?;
        let fingerprint = members.text("Fingerprint", &Text::UNBOUNDED)?;
        members.finish()?;

        room_for(self.instances.len(), true, "managed instances")?;
        let activation = self.activations.get_mut(activation_id);
        let activation = activation.filter(|activation| activation.code() == code);
        let activation = activation.ok_or_else(no_match)?;
        check_usable(activation, context.now)?;
        let key = BASE64_STANDARD.decode(public_key).unwrap_or_default();
        if !public_key::is_rsa(&key) {
            return Err(SsmError::InvalidPublicKey.because("The public key is not an RSA key."));
        }
        if !self.keys.insert(key.clone()) {
            return Err(SsmError::InstanceAlreadyRegistered
                .because("An instance with this public key is registered already."));
        }
        activation.registrations = activation.registrations.saturating_add(1);
        let instance = ManagedInstance {
            activation: activation_id.to_owned(),
            iam_role: activation.iam_role.clone(),
            name: activation.default_instance_name.clone(),
            tags: activation.tags.clone(),
            public_key: key,
            fingerprint: fingerprint.to_owned(),
            registered_at: context.now,
            ping_status: "Online",
            report: Report::default(),
        };
        let digits: String = context.random.hex(2).chars().take(17).collect();
        let id = format!("mi-{digits}");
        self.instances.insert(id.clone(), instance);
        Ok(json!({ "InstanceId": id }))
    }
}

/// The two cases that the reference does not tell apart either.
fn no_match() -> ApiError {
    SsmError::InvalidActivation.because(
        "The activation isn't valid. The activation might have been deleted, or the ActivationId \
         and the ActivationCode don't match.",
    )
}

fn check_usable(activation: &Activation, now: Now) -> Result<(), ApiError> {
    if activation.is_expired(now) {
        let ended = activation.expires_at.rfc3339();
        return Err(SsmError::ActivationExpired.because(format!("It expired at {ended}.")));
    }
    if activation.registrations >= activation.registration_limit {
        let limit = activation.registration_limit;
        return Err(SsmError::RegistrationLimitExceeded
            .because(format!("The activation has been used up; its limit is {limit}.")));
    }
    Ok(())
}
