//! A member of DescribeInstances that the SDK's model lacks: `RsaPublicKeyFingerprint`, as
//! RegisterInstance sends it. A compatible service may return it, and it proves which node an
//! instance is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use serde::Deserialize;

/// The fingerprints of one answer, by instance id.
#[derive(Clone, Debug, Default)]
pub struct Fingerprints(Arc<Mutex<BTreeMap<String, String>>>);

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    instances: Vec<Row>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Row {
    instance_id: Option<String>,
    rsa_public_key_fingerprint: Option<String>,
}

impl Fingerprints {
    pub fn of(&self, instance: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(instance).cloned()
    }

    /// Reads what has this form, and ignores the rest: the SDK judges the answer as a whole.
    fn read(&self, body: &[u8]) {
        let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
        let pairs = answer
            .instances
            .into_iter()
            .filter_map(|row| Some((row.instance_id?, row.rsa_public_key_fingerprint?)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(pairs);
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Fingerprints {
    fn name(&self) -> &'static str {
        "Fingerprints"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = context.response().body().bytes() {
            self.read(body);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprints;

    #[test]
    fn fingerprints_are_read_by_instance_and_other_texts_are_ignored() {
        let keys = Fingerprints::default();
        keys.read(br#"{"Instances":[{"InstanceId":"a","RsaPublicKeyFingerprint":"f"},{"InstanceId":"b"}]}"#);
        keys.read(br#"{"Instances":null}"#);
        keys.read(b"<html>");
        assert_eq!((keys.of("a").as_deref(), keys.of("b"), keys.of("c")), (Some("f"), None, None));
    }
}
