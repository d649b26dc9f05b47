//! What of requests and answers must not be kept or shown.

use serde_json::Value;

const LEFT_OUT: &str = "(left out)";

/// Members that are secret wherever they are.
const MEMBERS: [&str; 3] = ["ActivationCode", "CustomPrivateKey", "private_key"];

/// Engine attributes whose values are secret, and the one attribute whose new value is.
const ATTRIBUTES: [&str; 8] = [
    "CHEF_AUTOMATE_ADMIN_PASSWORD",
    "CHEF_AUTOMATE_PIVOTAL_KEY",
    "CHEF_DELIVERY_ADMIN_PASSWORD",
    "CHEF_PIVOTAL_KEY",
    "CHEF_STARTER_KIT",
    "PUPPET_ADMIN_PASSWORD",
    "PUPPET_R10K_PRIVATE_KEY",
    "PUPPET_STARTER_KIT",
];
/// Name and value, as `EngineAttribute` and as `UpdateServerEngineAttributes` call them.
const PAIRS: [(&str, &str); 2] = [("Name", "Value"), ("AttributeName", "AttributeValue")];

/// Whether requests or answers of this action can hold a secret.
pub fn may_have(action: &str) -> bool {
    matches!(
        action,
        "CreateActivation"
            | "CreateServer"
            | "GetParameter"
            | "RegisterManagedInstance"
            | "StartMaintenance"
            | "UpdateServerEngineAttributes"
    )
}

/// The same without secrets.
pub fn left_out(mut value: Value) -> Value {
    remove(&mut value);
    value
}

fn remove(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(remove),
        Value::Object(members) => {
            for name in MEMBERS {
                if let Some(secret) = members.get_mut(name) {
                    *secret = Value::from(LEFT_OUT);
                }
            }
            for (name, value) in PAIRS {
                let named = members.get(name).and_then(Value::as_str);
                if named.is_some_and(|name| ATTRIBUTES.contains(&name))
                    && let Some(secret) = members.get_mut(value)
                {
                    *secret = Value::from(LEFT_OUT);
                }
            }
            let parameter = members.get_mut("Parameter").and_then(Value::as_object_mut);
            if let Some(secret) = parameter.and_then(|found| found.get_mut("Value")) {
                *secret = Value::from(LEFT_OUT);
            }
            members.values_mut().for_each(remove);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_are() {
        let shown = left_out(json!({
            "ActivationCode": "secret", "ServerName": "web",
            "Server": { "EngineAttributes": [
                { "Name": "PUPPET_ADMIN_PASSWORD", "Value": "secret" },
                { "Name": "PUPPET_NODE_CSR", "Value": "shown" },
            ] },
            "AttributeName": "CHEF_PIVOTAL_KEY", "AttributeValue": "secret",
        }));
        let text = shown.to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("shown") && text.contains("web"), "{text}");
    }
}
