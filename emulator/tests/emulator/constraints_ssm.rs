//! Activations: every constraint of every request member, at its limit and one past.

use enlist_emulator::control::{ControlPlane, ControlSettings, SsmSettings};
use serde_json::{Value, json};

use super::plane::{SSM, START, ask, json, paper, verdict};
use super::rows::{INVALID, NULL, OK, Row, TYPE, check, of};

const PARAMETERS: &str = "InvalidParameters";
const NAME: &str = r"regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$";
/// A well-formed identifier of nothing.
pub const NO_ACTIVATION: &str = "00000000-0000-4000-8000-000000000000";

pub fn plane() -> ControlPlane {
    paper(ControlSettings { throttle: None, ..ControlSettings::default() })
}

#[test]
fn get_parameter() {
    const NONE: &str = "ParameterNotFound";
    let ssm = SsmSettings {
        parameters: [("/psk".to_owned(), "s3cret".to_owned())].into(),
        ..SsmSettings::default()
    };
    let mut plane = paper(ControlSettings { throttle: None, ssm, ..ControlSettings::default() });
    let table = of(
        "Name",
        [
            (json!("/psk"), OK, ""),
            (json!("/psk:1"), OK, ""),
            (json!("arn:aws:ssm:us-east-1:123456789012:parameter/psk"), OK, ""),
            (json!("/psk:2"), "ParameterVersionNotFound", "/psk:2"),
            (json!("psk"), NONE, ""),
            (longest("x", 2048), NONE, ""),
            (longest("x", 2049), INVALID, "length less than or equal to 2048"),
            (json!(""), INVALID, "length greater than or equal to 1"),
            (Value::Null, INVALID, NULL),
            (json!(1), TYPE, "NUMBER_VALUE"),
        ],
    );
    check(&mut plane, (SSM, "GetParameter"), &json!({ "WithDecryption": true }), &table);
    for (asked, value) in [(json!(true), "s3cret"), (json!(false), "AQICAHh-ciphertext")] {
        let body = json!({ "Name": "/psk", "WithDecryption": asked });
        let answer = json(&ask(&mut plane, START, SSM, "GetParameter", &body));
        assert_eq!(answer["Parameter"]["Value"], value);
        assert_eq!(answer["Parameter"]["Type"], "SecureString");
    }
}

fn longest(letter: &str, length: usize) -> Value {
    json!(letter.repeat(length))
}

#[test]
fn create_activation() {
    let mut plane = plane();
    let base = json!({ "IamRole": "role", "Unknown": "members are ignored" });
    let tables = [
        of(
            "DefaultInstanceName",
            [
                (json!(""), OK, ""),
                (json!("Web 01 (é_.:/=+-@)".replace(['(', ')'], "")), OK, ""),
                (json!("名前\u{3000}٣"), OK, ""),
                (longest("é", 256), OK, ""),
                (longest("é", 257), INVALID, "length less than or equal to 256"),
                (json!("a\tb"), INVALID, NAME),
                (json!("a\n"), INVALID, NAME),
                (json!("a,b"), INVALID, NAME),
                (json!("{a}"), INVALID, NAME),
                (json!("☃"), INVALID, NAME),
                (Value::Null, OK, ""),
                (json!(1), TYPE, "NUMBER_VALUE"),
            ],
        ),
        of(
            "Description",
            [
                (json!(""), OK, ""),
                (longest("☃", 256), OK, ""),
                (longest("☃", 257), INVALID, "length less than or equal to 256"),
                (Value::Null, OK, ""),
                (json!({}), TYPE, "START_OBJECT"),
            ],
        ),
        of(
            "RegistrationLimit",
            [
                (json!(1), OK, ""),
                (json!(1000), OK, ""),
                (json!(0), INVALID, "value greater than or equal to 1"),
                (json!(1001), INVALID, "'1001' at 'registrationLimit' failed to satisfy"),
                (json!(-1), INVALID, "value greater than or equal to 1"),
                (json!(1.5), TYPE, "DECIMAL_VALUE"),
                (json!("1"), TYPE, "STRING_VALUE can not be converted to an Integer"),
                (Value::Null, OK, ""),
            ],
        ),
    ];
    for rows in tables {
        check(&mut plane, (SSM, "CreateActivation"), &base, &rows);
    }
}

#[test]
fn the_role() {
    let mut plane = plane();
    let absent = "Nonexistent role or missing ssm service principal";
    let rows = [
        (json!("r"), OK, ""),
        (json!("Role_+=,.@-1"), OK, ""),
        (json!("service-role/role"), OK, ""),
        (longest("r", 64), OK, ""),
        (longest("r", 65), INVALID, "length less than or equal to 64"),
        (Value::Null, INVALID, "Value null at 'iamRole'"),
        (json!(""), INVALID, absent),
        (json!("service-role/"), INVALID, absent),
        (json!("arn:aws:iam::123456789012:role/role"), INVALID, absent),
        (json!("path/role"), INVALID, absent),
        (json!("a role"), INVALID, absent),
        (json!("AWSServiceRoleForAmazonSSM"), INVALID, absent),
        (json!(["r"]), TYPE, "START_ARRAY"),
    ];
    check(&mut plane, (SSM, "CreateActivation"), &json!({}), &of("IamRole", rows));
}

#[test]
fn the_expiration_date() {
    let mut plane = plane();
    let base = json!({ "IamRole": "role" });
    let now = START.unix_seconds();
    let days = 24 * 3600;
    let rows = [
        (json!(now + 1), OK, ""),
        (json!(1_735_689_600.001), OK, ""),
        (json!(now + 30 * days), OK, ""),
        (json!(now + 30 * days + 1), PARAMETERS, "more than 30 days in advance"),
        (json!(1e300), PARAMETERS, "more than 30 days in advance"),
        (json!(now), PARAMETERS, "not in the future"),
        (json!(0), PARAMETERS, "not in the future"),
        (json!(-1), PARAMETERS, "not in the future"),
        (Value::Null, OK, ""),
        (json!("2025-01-02T00:00:00Z"), TYPE, "STRING_VALUE can not be converted to a Timestamp"),
    ];
    check(&mut plane, (SSM, "CreateActivation"), &base, &of("ExpirationDate", rows));
}

#[test]
fn tags_and_metadata() {
    let mut plane = plane();
    let base = json!({ "IamRole": "role" });
    let tag = |key: Value, value: Value| json!([{ "Key": key, "Value": value }]);
    let many = |count: usize| -> Value {
        (0..count).map(|number| json!({ "Key": format!("k{number}"), "Value": "" })).collect()
    };
    let value = json!("v");
    let rows = [
        (json!([]), OK, ""),
        (many(1000), OK, ""),
        (
            many(1001),
            INVALID,
            "at 'tags' failed to satisfy constraint: Member must have length less",
        ),
        (tag(json!("k"), json!("")), OK, ""),
        (tag(longest("k", 128), longest("v", 256)), OK, ""),
        (tag(longest("k", 129), value.clone()), INVALID, "less than or equal to 128"),
        (tag(json!("k"), longest("v", 257)), INVALID, "less than or equal to 256"),
        (tag(json!(""), value.clone()), INVALID, "'tags.1.member.key' failed to satisfy"),
        (tag(json!("a,b"), value.clone()), INVALID, NAME),
        (tag(json!("k"), json!("a\nb")), INVALID, NAME),
        (tag(Value::Null, value.clone()), INVALID, "Value null at 'tags.1.member.key'"),
        (tag(json!("k"), Value::Null), INVALID, "Value null at 'tags.1.member.value'"),
        (tag(json!(1), value.clone()), TYPE, "NUMBER_VALUE"),
        (json!({}), TYPE, "START_OBJECT can not be converted to a List"),
        (json!(["k"]), TYPE, "STRING_VALUE can not be converted to a structure"),
        (Value::Null, OK, ""),
    ];
    check(&mut plane, (SSM, "CreateActivation"), &base, &of("Tags", rows));
    let rows = [
        (tag(longest("k", 128), longest("v", 2048)), OK, ""),
        (tag(longest("k", 129), value.clone()), INVALID, "less than or equal to 128"),
        (tag(json!("k"), longest("v", 2049)), INVALID, "less than or equal to 2048"),
        (tag(json!(" "), value.clone()), INVALID, r"pattern: ^(?!\s*$).+"),
        (tag(json!("k"), json!("")), INVALID, "greater than or equal to 1"),
        (tag(json!("k"), Value::Null), INVALID, NULL),
        (Value::Null, OK, ""),
    ];
    check(&mut plane, (SSM, "CreateActivation"), &base, &of("RegistrationMetadata", rows));
}

pub fn max_results(least: i32) -> Vec<Row> {
    let past: &'static str =
        if least == 1 { "greater than or equal to 1" } else { "greater than or equal to 5" };
    of(
        "MaxResults",
        [
            (json!(least), OK, ""),
            (json!(50), OK, ""),
            (json!(least - 1), INVALID, past),
            (json!(51), INVALID, "less than or equal to 50"),
            (Value::Null, OK, ""),
            (json!("5"), TYPE, "STRING_VALUE"),
        ],
    )
}

#[test]
fn describe_and_delete_activations() {
    let mut plane = plane();
    let nothing = json!({});
    let target = (SSM, "DescribeActivations");
    let filter = |key: Value, values: Value| json!([{ "FilterKey": key, "FilterValues": values }]);
    let any = json!(["x"]);
    let rows = [
        (filter(json!("ActivationIds"), any.clone()), OK, ""),
        (filter(json!("DefaultInstanceName"), any.clone()), OK, ""),
        (filter(json!("IamRole"), any.clone()), OK, ""),
        (
            filter(json!("Role"), any.clone()),
            INVALID,
            "enum value set: [ActivationIds, DefaultInst",
        ),
        (filter(Value::Null, any.clone()), "InvalidFilter", "a key"),
        (filter(json!("IamRole"), json!([])), "InvalidFilter", "a value"),
        (filter(json!("IamRole"), Value::Null), "InvalidFilter", "a value"),
        (filter(json!("IamRole"), json!("x")), TYPE, "STRING_VALUE can not be converted to a List"),
        (filter(json!(1), any.clone()), TYPE, "NUMBER_VALUE"),
        (json!([]), OK, ""),
        (Value::Null, OK, ""),
    ];
    check(&mut plane, target, &nothing, &of("Filters", rows));
    check(&mut plane, target, &nothing, &max_results(1));
    let rows = [
        (json!("x"), "InvalidNextToken", "token isn't valid"),
        (json!(""), "InvalidNextToken", "token isn't valid"),
        (Value::Null, OK, ""),
        (json!(1), TYPE, "NUMBER_VALUE"),
    ];
    check(&mut plane, target, &nothing, &of("NextToken", rows));

    let pattern = "regular expression pattern: ^[0-9a-f]{8}-[0-9a-f]{4}";
    let rows = [
        (json!(NO_ACTIVATION), "InvalidActivationId", "no activation"),
        (json!(NO_ACTIVATION.replace('8', "F")), INVALID, pattern),
        (json!(&NO_ACTIVATION[1..]), INVALID, pattern),
        (json!(NO_ACTIVATION.replace('-', "")), INVALID, pattern),
        (json!(format!("{NO_ACTIVATION}0")), INVALID, pattern),
        (json!(""), INVALID, pattern),
        (Value::Null, INVALID, NULL),
        (json!({}), TYPE, "START_OBJECT"),
    ];
    check(&mut plane, (SSM, "DeleteActivation"), &nothing, &of("ActivationId", rows));
}

#[test]
fn errors_have_the_form_of_the_model() {
    let mut plane = plane();
    let mut body = |action: &str, body: Value| json(&ask(&mut plane, START, SSM, action, &body));
    let own = body("DeleteActivation", json!({ "ActivationId": NO_ACTIVATION }));
    assert_eq!(own["__type"], "InvalidActivationId");
    assert!(own["Message"].is_string(), "{own}");
    let frameworks = body("DeleteActivation", json!({}));
    assert!(frameworks["message"].is_string(), "{frameworks}");
    let filter = json!([{ "Key": "PingStatus", "Values": ["Fine"] }]);
    let exception = body("DescribeInstanceInformation", json!({ "Filters": filter }));
    assert!(exception["message"].is_string(), "{exception}");
    let unknown = ask(&mut plane, START, SSM, "ListCommands", &json!({}));
    assert_eq!(verdict(&unknown).0, "UnknownOperationException");
}
