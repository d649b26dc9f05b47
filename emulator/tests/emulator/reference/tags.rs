//! TagResource, UntagResource, ListTagsForResource: of the model, and later editions of the
//! reference.

use serde_json::{Value, json};

use super::*;

fn arn(plane: &mut ControlPlane) -> String {
    server(plane, 0, "puppet")["ServerArn"].as_str().unwrap_or_default().to_owned()
}

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn listed(plane: &mut ControlPlane, arn: &str) -> Value {
    ok(plane, 0, "ListTagsForResource", &json!({ "ResourceArn": arn }))["Tags"].clone()
}

#[test]
fn applies_tags_to_a_server_or_to_server_backups() {
    let mut plane = paper(settings(Times::default()));
    let id = back_up(&mut plane, 0, "puppet");
    let backup = backup(&mut plane, 0, &id)["BackupArn"].as_str().unwrap_or_default().to_owned();
    for arn in [arn(&mut plane), backup] {
        let body = json!({ "ResourceArn": arn, "Tags": tags(&[("Stage", "Test"), ("Name", "a")]) });
        assert_eq!(ok(&mut plane, 0, "TagResource", &body), json!({}));
        assert_eq!(listed(&mut plane, &arn), tags(&[("Name", "a"), ("Stage", "Test")]));
        let body = json!({ "ResourceArn": arn, "Tags": tags(&[("Name", "b")]) });
        ok(&mut plane, 0, "TagResource", &body);
        assert_eq!(listed(&mut plane, &arn), tags(&[("Name", "b"), ("Stage", "Test")]));
        let body = json!({ "ResourceArn": arn, "TagKeys": ["Name", "none"] });
        assert_eq!(ok(&mut plane, 0, "UntagResource", &body), json!({}));
        assert_eq!(listed(&mut plane, &arn), tags(&[("Stage", "Test")]));
    }
}

#[test]
fn tags_are_given_with_a_new_server_and_a_new_backup() {
    let mut plane = paper(settings(Times::default()));
    let given = json!({ "Engine": "Puppet", "Tags": tags(&[("Stage", "Test")]) });
    let made = ok(&mut plane, 0, "CreateServer", &with(&new_server("web"), &given));
    let arn = made["Server"]["ServerArn"].as_str().unwrap_or_default();
    assert_eq!(listed(&mut plane, arn), given["Tags"]);
    let body = json!({ "ServerName": "puppet", "Tags": tags(&[("Why", "test")]) });
    let made = ok(&mut plane, 0, "CreateBackup", &body);
    let arn = made["Backup"]["BackupArn"].as_str().unwrap_or_default();
    assert_eq!(listed(&mut plane, arn), body["Tags"]);
}

#[test]
fn leading_and_trailing_white_spaces_are_trimmed_from_both_the_key_and_value() {
    let mut plane = plane();
    let arn = arn(&mut plane);
    let body = json!({ "ResourceArn": arn, "Tags": tags(&[(" Stage ", " a test ")]) });
    ok(&mut plane, 0, "TagResource", &body);
    assert_eq!(listed(&mut plane, &arn), tags(&[("Stage", "a test")]));
    ok(&mut plane, 0, "UntagResource", &json!({ "ResourceArn": arn, "TagKeys": [" Stage"] }));
    assert_eq!(listed(&mut plane, &arn), json!([]));
}

#[test]
fn a_maximum_of_50_user_applied_tags_is_allowed() {
    let mut plane = plane();
    let arn = arn(&mut plane);
    let numbered = |count: usize| -> Value {
        (0..count).map(|number| json!({ "Key": format!("k{number:03}"), "Value": "" })).collect()
    };
    for (count, wanted) in [(51, "ValidationException"), (50, "ok"), (50, "ok")] {
        let body = json!({ "ResourceArn": arn, "Tags": numbered(count) });
        assert_eq!(error(&mut plane, 0, "TagResource", &body), wanted, "{count}");
    }
    let body = json!({ "ResourceArn": arn, "Tags": tags(&[("more", "")]) });
    assert_eq!(error(&mut plane, 0, "TagResource", &body), "ValidationException");
    assert_eq!(listed(&mut plane, &arn), numbered(50));
    for action in ["CreateServer", "CreateBackup"] {
        let body = with(&new_server("chef"), &json!({ "Engine": "Chef", "Tags": numbered(51) }));
        assert_eq!(error(&mut plane, 0, action, &body), "ValidationException", "{action}");
    }
}

#[test]
fn keys_and_values_have_their_lengths_and_letters() {
    let mut plane = plane();
    let arn = arn(&mut plane);
    let (long, longest) = ("k".repeat(127), "k".repeat(128));
    let (value, longest_value) = ("v".repeat(255), "v".repeat(256));
    for (key, value, wanted) in [
        (long.as_str(), value.as_str(), "ok"),
        (&longest, "", "ValidationException"),
        ("k", &longest_value, "ValidationException"),
        ("", "v", "ValidationException"),
        (" ", "v", "ValidationException"),
        ("Größe + - = . _ : /", "ünï ①", "ok"),
        ("k*", "v", "ValidationException"),
        ("k", "v\n", "ValidationException"),
        ("k", "", "ok"),
    ] {
        let body = json!({ "ResourceArn": arn, "Tags": tags(&[(key, value)]) });
        assert_eq!(error(&mut plane, 0, "TagResource", &body), wanted, "{key}={value}");
    }
}

#[test]
fn tags_are_listed_in_pages() {
    let mut plane = plane();
    let arn = arn(&mut plane);
    let pairs = [("a", "1"), ("b", "2"), ("c", "3")];
    ok(&mut plane, 0, "TagResource", &json!({ "ResourceArn": arn, "Tags": tags(&pairs) }));
    let body = json!({ "ResourceArn": arn, "MaxResults": 2 });
    let first = ok(&mut plane, 0, "ListTagsForResource", &body);
    assert_eq!(first["Tags"], tags(&pairs[..2]));
    let body = with(&body, &json!({ "NextToken": first["NextToken"] }));
    let second = ok(&mut plane, 0, "ListTagsForResource", &body);
    assert_eq!((&second["Tags"], &second["NextToken"]), (&tags(&pairs[2..]), &Value::Null));
    let body = with(&body, &json!({ "NextToken": "x" }));
    let found = error(&mut plane, 0, "ListTagsForResource", &body);
    assert_eq!(found, "InvalidNextTokenException");
}

#[test]
fn resources_exist_and_are_not_being_deleted() {
    let mut plane = plane();
    let known = arn(&mut plane);
    ok(&mut plane, 0, "DeleteServer", &named("puppet"));
    let unknown = known.replace("puppet", "nobody");
    for (action, of_known) in [
        ("TagResource", "InvalidStateException"),
        ("UntagResource", "InvalidStateException"),
        ("ListTagsForResource", "ok"),
    ] {
        let body = |arn: &str| json!({ "ResourceArn": arn, "Tags": [], "TagKeys": [] });
        assert_eq!(error(&mut plane, 0, action, &body(&known)), of_known);
        assert_eq!(error(&mut plane, 0, action, &body(&unknown)), "ResourceNotFoundException");
        let other = body("arn:aws:opsworks-cm::1:x");
        assert_eq!(error(&mut plane, 0, action, &other), "ValidationException");
    }
}
