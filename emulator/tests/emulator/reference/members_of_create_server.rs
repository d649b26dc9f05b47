//! Every documented constraint of every member of CreateServer: at its limit, and one past.

use serde_json::{Value, json};

use super::members::{
    LONG, PATTERN, at_least_one, attributes, boolean, optional_text, rows, server_name, text,
    texts, window,
};
use super::*;
use crate::rows::{INVALID, NULL, OK, TYPE, of};

#[test]
fn create_server() {
    let base = with(&new_server("web"), &json!({ "Engine": "Puppet" }));
    let mut names = server_name(OK, INVALID);
    names.push(("ServerName", json!("puppet"), "ResourceAlreadyExistsException", ""));
    let all = [
        names,
        boolean("AssociatePublicIpAddress"),
        boolean("DisableAutomatedBackup"),
        at_least_one("BackupRetentionCount"),
        attributes("EngineAttributes"),
        window("PreferredBackupWindow"),
        window("PreferredMaintenanceWindow"),
        optional_text("KeyPair", ""),
        text("InstanceType", ""),
        texts("SecurityGroupIds"),
        texts("SubnetIds"),
        of("PreferredBackupWindow", [(json!("08:00"), OK, "")]),
        of("PreferredMaintenanceWindow", [(json!("08:00"), INVALID, "DDD:HH:MM")]),
        of("InstanceType", [(Value::Null, INVALID, NULL), (json!(""), INVALID, "empty")]),
        of("KeyPair", [(json!("a\nb"), INVALID, PATTERN)]),
    ];
    for some in all {
        rows("CreateServer", &base, some);
    }
}

#[test]
fn create_server_arns() {
    let base = with(&new_server("web"), &json!({ "Engine": "Puppet" }));
    for (member, kind) in [("InstanceProfileArn", "instance-profile"), ("ServiceRoleArn", "role")] {
        let arn = |account: &str, rest: &str| json!(format!("arn:aws:iam::{account}:{rest}"));
        let good = format!("{kind}/x");
        let some = of(
            member,
            [
                (arn("123456789012", &good), OK, ""),
                (arn("123456789012", &format!("{kind}/")), OK, ""),
                (arn("123456789012", &format!("{kind}/a/b/c:d")), OK, ""),
                (arn("12345678901", &good), INVALID, PATTERN),
                (arn("1234567890123", &good), INVALID, PATTERN),
                (arn("12345678901x", &good), INVALID, PATTERN),
                (arn("123456789012", "user/x"), INVALID, PATTERN),
                (arn("123456789012", kind), INVALID, PATTERN),
                (json!(""), INVALID, PATTERN),
                (json!(good), INVALID, PATTERN),
                (Value::Null, INVALID, NULL),
                (json!(1), TYPE, "can not be converted to a String"),
            ],
        );
        rows("CreateServer", &base, some);
        let longest = format!("arn:aws:iam::123456789012:{kind}/");
        rows("CreateServer", &base, text(member, &longest));
    }
}

#[test]
fn create_server_custom_domain() {
    let base = with(
        &new_server("web"),
        &json!({
            "Engine": "Puppet", "CustomDomain": "a.example",
            "CustomCertificate": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
            "CustomPrivateKey": "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----",
        }),
    );
    let together = "go together";
    let some = [
        ("CustomDomain", json!("aws.my-company.com"), OK, ""),
        ("CustomDomain", json!(format!("{}.com", "x".repeat(63))), OK, ""),
        ("CustomDomain", json!(format!("{}.com", "x".repeat(64))), INVALID, PATTERN),
        ("CustomDomain", json!("https://aws.my-company.com"), INVALID, PATTERN),
        ("CustomDomain", json!("localhost"), INVALID, PATTERN),
        ("CustomDomain", json!("-a.example"), INVALID, PATTERN),
        ("CustomDomain", json!("x.".repeat(126) + "com"), INVALID, LONG),
        ("CustomDomain", Value::Null, INVALID, together),
        ("CustomCertificate", Value::Null, INVALID, together),
        ("CustomCertificate", json!("x"), INVALID, PATTERN),
        ("CustomPrivateKey", Value::Null, INVALID, together),
        ("CustomPrivateKey", json!("x"), INVALID, PATTERN),
        ("CustomPrivateKey", json!("x".repeat(4097)), INVALID, LONG),
    ];
    rows("CreateServer", &base, some.to_vec());
}
