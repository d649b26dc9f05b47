//! Managed instances: every constraint of every request member, at its limit and one past.

use serde_json::{Value, json};

use super::Outcome;
use super::constraints_ssm::{NO_ACTIVATION, max_results, plane};
use super::openssl;
use super::plane::{SSM, START, ask, json};
use super::rows::{INVALID, NULL, OK, TYPE, check, of};

/// A well-formed identifier of nothing.
const NO_INSTANCE: &str = "mi-00000000000000000";

#[test]
fn describe_instance_information() {
    let mut plane = plane();
    let nothing = json!({});
    let target = (SSM, "DescribeInstanceInformation");
    let filter = |key: &str, values: Value| json!([{ "Key": key, "Values": values }]);
    let value = "InvalidInstanceInformationFilterValue";
    let many = |count: usize| vec!["x"; count];
    let rows = [
        (filter("IamRole", json!(["x"])), OK, ""),
        (filter("ActivationIds", json!(many(100))), OK, ""),
        (filter("ActivationIds", json!(many(101))), INVALID, "less than or equal to 100"),
        (filter("ActivationIds", json!([])), INVALID, "greater than or equal to 1"),
        (filter("ActivationIds", json!([""])), INVALID, "'filters.1.member.values.1.member'"),
        (filter("SourceIds", json!(["x"])), OK, ""),
        (filter("tag-key", json!(["x"])), OK, ""),
        (filter("tag:x", json!(["x"])), OK, ""),
        (filter("tag:", json!(["x"])), "InvalidFilterKey", "'tag:'"),
        (filter("Color", json!(["x"])), "InvalidFilterKey", "'Color'"),
        (filter("", json!(["x"])), INVALID, "greater than or equal to 1"),
        (filter("PingStatus", json!(["Online", "ConnectionLost", "Inactive"])), OK, ""),
        (filter("PingStatus", json!(["Online", "Fine"])), value, "'Fine'"),
        (filter("ResourceType", json!(["Document"])), value, "'Document'"),
        (filter("InstanceIds", json!([NO_INSTANCE])), "InvalidInstanceId", NO_INSTANCE),
        (json!([{ "Key": "IamRole" }]), INVALID, "Value null at 'filters.1.member.values'"),
        (json!([{ "Values": ["x"] }]), INVALID, "Value null at 'filters.1.member.key'"),
        (json!([]), OK, ""),
        (json!({}), TYPE, "START_OBJECT"),
    ];
    check(&mut plane, target, &nothing, &of("Filters", rows));
    let filter = |key: &str, values: Value| json!([{ "key": key, "valueSet": values }]);
    let rows = [
        (filter("IamRole", json!(["x"])), OK, ""),
        (filter("SourceIds", json!(["x"])), INVALID, "enum value set: [InstanceIds, AgentVersion"),
        (filter("IamRole", json!([])), INVALID, "greater than or equal to 1"),
        (json!([{ "key": "IamRole" }]), INVALID, "member.valueSet'"),
        (json!([{ "valueSet": ["x"] }]), INVALID, "Value null at 'instanceInformationFilterList.1"),
        (filter("InstanceIds", json!(["x"])), "InvalidInstanceId", "[x]"),
        (Value::Null, OK, ""),
    ];
    check(&mut plane, target, &nothing, &of("InstanceInformationFilterList", rows.clone()));
    let both = json!({ "Filters": [] });
    let rows = [(rows[0].0.clone(), INVALID, "cannot be used together")];
    check(&mut plane, target, &both, &of("InstanceInformationFilterList", rows));
    check(&mut plane, target, &nothing, &max_results(5));
    let rows = [(json!("x"), "InvalidNextToken", ""), (Value::Null, OK, "")];
    check(&mut plane, target, &nothing, &of("NextToken", rows));
}

#[test]
fn deregister_managed_instance() {
    let mut plane = plane();
    let pattern = "regular expression pattern: (^mi-[0-9a-f]{17}$)|(^eks_c:";
    let eks = |cluster: usize| json!(format!("eks_c:{}_{}", "c".repeat(cluster), "n".repeat(17)));
    let rows = [
        (json!(NO_INSTANCE), "InvalidInstanceId", NO_INSTANCE),
        (eks(1), "InvalidInstanceId", "eks_c:"),
        (eks(100), "InvalidInstanceId", "eks_c:"),
        (eks(101), INVALID, "less than or equal to 124"),
        (json!(&NO_INSTANCE[..19]), INVALID, "greater than or equal to 20"),
        (json!(format!("{NO_INSTANCE}0")), INVALID, pattern),
        (json!(NO_INSTANCE.replace('0', "A")), INVALID, pattern),
        (json!("i-0123456789abcdef0"), INVALID, pattern),
        (json!("eks_c:-_nnnnnnnnnnnnnnnnn"), INVALID, pattern),
        (json!(""), INVALID, pattern),
        (Value::Null, INVALID, NULL),
        (json!(7), TYPE, "NUMBER_VALUE"),
    ];
    let target = (SSM, "DeregisterManagedInstance");
    check(&mut plane, target, &json!({}), &of("InstanceId", rows));
}

#[test]
fn register_managed_instance() -> Outcome {
    let mut plane = plane();
    let create = json!({ "IamRole": "role", "RegistrationLimit": 1000 });
    let made = json(&ask(&mut plane, START, SSM, "CreateActivation", &create));
    let code = made["ActivationCode"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code.len(), 20);
    let pem = openssl::public_key("rsa", openssl::key(0))?;
    let key: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(key.len(), 392);
    let base = json!({
        "ActivationId": made["ActivationId"], "ActivationCode": code, "PublicKey": key,
        "PublicKeyType": "Rsa", "Fingerprint": NO_ACTIVATION,
    });
    let none = "InvalidActivation";
    let tables = [
        of(
            "ActivationCode",
            [
                (json!("x".repeat(20)), none, "don't match"),
                (json!("x".repeat(250)), none, "don't match"),
                (json!("x".repeat(19)), INVALID, "Value at 'activationCode' failed"),
                (json!("x".repeat(251)), INVALID, "less than or equal to 250"),
                (Value::Null, INVALID, NULL),
                (json!(1), TYPE, "NUMBER_VALUE"),
            ],
        ),
        of(
            "ActivationId",
            [
                (json!(NO_ACTIVATION), none, "might have been deleted"),
                (json!(&NO_ACTIVATION[1..]), INVALID, "greater than or equal to 36"),
                (Value::Null, INVALID, NULL),
            ],
        ),
        of(
            "PublicKey",
            [
                (json!("*".repeat(392)), "InvalidPublicKey", "not an RSA key"),
                (json!("A".repeat(392)), "InvalidPublicKey", "not an RSA key"),
                (json!(&key[1..]), INVALID, "greater than or equal to 392"),
                (json!(pem), "InvalidPublicKey", "not an RSA key"),
                (Value::Null, INVALID, NULL),
            ],
        ),
        of("PublicKeyType", [(json!("Ec"), INVALID, "enum value set: [Rsa]")]),
        of("Fingerprint", [(Value::Null, INVALID, NULL), (json!({}), TYPE, "START_OBJECT")]),
        of(
            "PublicKeyType",
            [(Value::Null, OK, ""), (json!("Rsa"), "InstanceAlreadyRegistered", "this public key")],
        ),
    ];
    let target = (SSM, "RegisterManagedInstance");
    for rows in tables {
        check(&mut plane, target, &base, &rows);
    }
    Ok(())
}
