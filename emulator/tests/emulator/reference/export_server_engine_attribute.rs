//! ExportServerEngineAttribute.

use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};
use enlist_emulator::http::Request;
use serde_json::{Value, json};

use super::*;
use crate::Outcome;
use crate::client::TARGET;
use crate::openssl::Scratch;

/// The script that a server exports.
fn script(server: &str, inputs: &Value) -> Result<String, Box<dyn std::error::Error>> {
    let body = json!({
        "ServerName": server, "ExportAttributeName": "Userdata", "InputAttributes": inputs,
    });
    let mut request = Request::call(&format!("{TARGET}.ExportServerEngineAttribute"), &body);
    request.headers.push(("host".to_owned(), "127.0.0.1:4566".to_owned()));
    let answer = body_of(&plane().handle(START, &request));
    assert_eq!(answer["ServerName"], server, "the server name used in the request");
    assert_eq!(answer["EngineAttribute"]["Name"], "Userdata");
    let value = answer["EngineAttribute"]["Value"].as_str().ok_or("no value")?;
    Ok(String::from_utf8(BASE64_STANDARD.decode(value)?)?)
}

/// Runs a script with a program in enlist's place; the settings that it wrote, and the arguments
/// that enlist was given.
fn run(script: &str) -> Result<(String, String), Box<dyn std::error::Error>> {
    let scratch = Scratch::new()?;
    let file = scratch.write("userdata.sh", script)?;
    let root = scratch.path().join("root");
    let output =
        Command::new("sh").arg(file).env("ROOT", &root).env("ENLIST", "/bin/echo").output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let settings = std::fs::read_to_string(root.join("etc/enlist/enlist.toml"))?;
    let said = String::from_utf8(output.stdout)?;
    assert_eq!(said.trim(), format!("join --root {}", root.display()));
    Ok((settings, said))
}

#[test]
fn exports_user_data_that_associates_nodes_with_a_puppet_server() -> Outcome {
    // "In Puppet, this parameter is ignored."
    for inputs in [json!(null), one("RunList", "recipe[base]"), one("NodeClientVersion", "?")] {
        let (settings, _) = run(&script("puppet", &inputs)?)?;
        assert_eq!(
            settings,
            "[aws]\nregion = \"us-east-1\"\nendpoint_url = \"http://127.0.0.1:4566\"\n\
             [opsworks-cm]\nserver = \"puppet\"\nengine = \"puppet\"\n"
        );
    }
    Ok(())
}

#[test]
fn exports_a_script_that_includes_the_values_provided_in_the_input_attributes_list() -> Outcome {
    let inputs = json!([
        { "Name": "RunList", "Value": "role[web], recipe[base::default],nginx@1.2" },
        { "Name": "OrganizationName", "Value": "default" },
        { "Name": "NodeEnvironment", "Value": "one-box" },
        { "Name": "NodeClientVersion", "Value": "13.8.5" },
    ]);
    let script = script("chef", &inputs)?;
    assert!(script.contains("13.8.5"), "{script}");
    let (settings, _) = run(&script)?;
    let chef = settings.split("[chef]\n").nth(1).ok_or("no [chef]")?;
    assert_eq!(
        chef,
        "organization = \"default\"\n\
         run_list = [\"role[web]\",\"recipe[base::default]\",\"nginx@1.2\"]\n\
         environment = \"one-box\"\n"
    );
    Ok(())
}

/// An empty value is none: "if this attribute is empty, [it] uses the most current version."
#[test]
fn empty_input_attributes_are_left_out() -> Outcome {
    let empty: Value = ["RunList", "OrganizationName", "NodeEnvironment", "NodeClientVersion"]
        .map(|name| one(name, "")[0].clone())
        .into_iter()
        .collect();
    let (settings, _) = run(&script("chef", &empty)?)?;
    assert!(settings.ends_with("[chef]\n"), "{settings}");
    Ok(())
}

#[test]
fn input_attributes_have_their_names_and_forms() {
    let mut plane = plane();
    for (name, value) in [
        ("X", "x"),
        ("", "x"),
        ("runlist", "recipe[base]"),
        ("RunList", "recipe[]"),
        ("RunList", "recipe[base"),
        ("RunList", "a,,b"),
        ("RunList", "recipe[$(id)]"),
        ("RunList", "recipe[a]\nEND"),
        ("OrganizationName", "a b"),
        ("NodeEnvironment", "\"x\""),
        ("NodeEnvironment", "`id`"),
        ("NodeClientVersion", "13.8"),
        ("NodeClientVersion", "13.8.5.1"),
        ("NodeClientVersion", "13.8.x"),
        ("NodeClientVersion", "latest"),
    ] {
        let body = json!({
            "ServerName": "chef", "ExportAttributeName": "Userdata",
            "InputAttributes": one(name, value),
        });
        let found = error(&mut plane, 0, "ExportServerEngineAttribute", &body);
        assert_eq!(found, "ValidationException", "{name}={value}");
    }
}

#[test]
fn currently_the_supported_export_attribute_is_userdata() {
    let mut plane = plane();
    for name in ["userdata", "Userdata ", "", "CHEF_STARTER_KIT"] {
        let body = json!({ "ServerName": "chef", "ExportAttributeName": name });
        let found = error(&mut plane, 0, "ExportServerEngineAttribute", &body);
        assert_eq!(found, "ValidationException", "{name}");
    }
}
