//! DescribeServers and DescribeAccountAttributes.

use serde_json::json;

use super::*;
use crate::Outcome;

#[test]
fn lists_all_servers_or_describes_the_server_with_the_specified_name() {
    let mut plane = plane();
    let all = ok(&mut plane, 0, "DescribeServers", &json!({}));
    let names = all["Servers"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = names.iter().map(|row| row["ServerName"].clone()).collect();
    assert_eq!(names, ["chef", "puppet"]);
    let one = ok(&mut plane, 0, "DescribeServers", &named("puppet"));
    assert_eq!(one["Servers"].as_array().map(Vec::len), Some(1));
    // "This is not currently implemented for `DescribeServers` requests."
    let all = ok(&mut plane, 0, "DescribeServers", &json!({ "MaxResults": 1 }));
    assert_eq!(all["Servers"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["NextToken"], json!(null));
}

#[test]
fn for_puppet_the_engine_attributes_contain_puppet_api_ca_cert() -> Outcome {
    let mut plane = signing_plane()?;
    let shown = server(&mut plane, 0, "puppet")["EngineAttributes"].clone();
    assert_eq!(attribute(&shown, "PUPPET_API_CA_CERT").as_deref(), Some(plane.ca_bundle()));
    assert_eq!(server(&mut plane, 0, "chef")["EngineAttributes"], json!([]));
    Ok(())
}

#[test]
fn the_attributes_are_the_limits_and_what_is_used_of_them() {
    let mut plane = plane();
    back_up(&mut plane, 0, "puppet");
    let found = ok(&mut plane, 10, "DescribeAccountAttributes", &json!({}));
    assert_eq!(
        found,
        json!({ "Attributes": [
        { "Name": "ServerLimit", "Maximum": 10, "Used": 2 },
        { "Name": "ManualBackupLimit", "Maximum": 50, "Used": 1 },
    ] })
    );
}
